# shellcheck shell=bash
# Sourced by the scripts of this folder: `setup_env [package ...]` sets PYTHON to a Python with the packages of
# requirements.txt and the given packages. It uses the active virtual environment, or creates .venv in the repository.
# Installed packages are not changed.

fail() {
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit 2
}

base_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.10 or newer is required; install it, or set its path: PYTHON=/path/to/python3 bash $0"
}

setup_env() {
    local environment="${VIRTUAL_ENV:-${CONDA_PREFIX:-}}"
    if [ -z "$environment" ]; then
        environment="$REPO/.venv"
        make_env "$environment"
    fi
    install_into "$environment" "$@" || fail "pip could not install the packages, see above"
    export PYTHON
}

make_env() {
    if [ ! -x "$1/bin/python" ]; then
        PYTHON="$(base_python)" || exit 2
        echo "creating a virtual environment in $(basename "$1")"
        "$PYTHON" -m venv "$1" || fail "cannot create $1; on Debian and Ubuntu: apt install python3-venv"
    fi
}

# install_into ENVIRONMENT [package ...]: install requirements.txt and the packages, and set PYTHON to the environment's
# Python. A stamp file marks the installed set.
install_into() {
    local environment="$1" stamp
    shift
    PYTHON="$environment/bin/python"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$environment has a Python older than 3.10; deactivate it or create a newer one"
    stamp="$environment/.pysot-$({ cat "$REPO/requirements.txt"; printf '%s\n' "$@"; } | cksum | cut -d' ' -f1)"
    if [ ! -f "$stamp" ]; then
        echo "installing the packages of requirements.txt $*"
        "$PYTHON" -m pip install --disable-pip-version-check -r <(requirements) "$@" || return 1
        touch "$stamp"
    fi
}

# Print requirements.txt, without torch if it is installed: it may be a build for an NPU or a GPU.
requirements() {
    if "$PYTHON" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
        grep -v '^torch==' "$REPO/requirements.txt"
    else
        cat "$REPO/requirements.txt"
    fi
}
