#!/usr/bin/env bash
# Install what the tests need and run them: bash test/run_tests.sh [pytest arguments]
set -euo pipefail
REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$REPO"
# shellcheck source=test/setup_env.sh
source test/setup_env.sh
setup_env pytest==9.2.0 ruff==0.17.6
"$PYTHON" -m ruff check .
exec "$PYTHON" -m pytest "$@"
