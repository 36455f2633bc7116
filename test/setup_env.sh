# shellcheck shell=bash
# Sourced by the scripts here: `setup_env [package ...]` gives a Python that has requirements.txt and the packages named, and sets PYTHON.
# The active virtual environment is used; without one, .venv in the repository is made. What is installed already is left alone.

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
    fail "Python 3.10 or newer is needed; install it, or name one: PYTHON=/path/to/python3 bash $0"
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
        echo "making a virtual environment in $(basename "$1")"
        "$PYTHON" -m venv "$1" || fail "cannot make $1; on Debian and Ubuntu: apt install python3-venv"
    fi
}

# install_into ENVIRONMENT [package ...]: requirements.txt and the packages, and PYTHON set to its Python. A stamp remembers what was installed.
install_into() {
    local environment="$1" stamp
    shift
    PYTHON="$environment/bin/python"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "$environment has a Python older than 3.10; deactivate it or make a newer one"
    stamp="$environment/.pysot-$({ cat "$REPO/requirements.txt"; printf '%s\n' "$@"; } | cksum | cut -d' ' -f1)"
    if [ ! -f "$stamp" ]; then
        echo "installing the packages of requirements.txt $*"
        "$PYTHON" -m pip install --disable-pip-version-check -r <(requirements) "$@" || return 1
        touch "$stamp"
    fi
}

# requirements.txt; an active environment keeps the torch that it has, which may be a build for its NPU or GPU.
requirements() {
    if "$PYTHON" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
        grep -v '^torch==' "$REPO/requirements.txt"
    else
        cat "$REPO/requirements.txt"
    fi
}
