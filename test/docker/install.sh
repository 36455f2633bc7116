#!/usr/bin/env bash
# Install the packages of requirements.txt, and torch for a target: bash test/docker/install.sh cpu|cuda|ascend
# TORCH_INDEX is the package index of torch; empty: that of pip. PYTHON is the Python to install into (default: python).
# The Dockerfiles of this folder run it. It needs requirements.txt in the current folder, and nothing else.
set -euo pipefail
target="${1:-}"
python="${PYTHON:-python}"
torch="$(grep '^torch==' requirements.txt)"

install() {
    "$python" -m pip install --no-cache-dir --disable-pip-version-check "$@"
}

case "$target" in
    cpu | cuda) ;;
    ascend) npu=("torch_npu==${torch#torch==}" pyyaml==6.0.3) ;; # the same number; its wheel does not name PyYAML
    *)
        echo "error: expected cpu, cuda or ascend; got '$target'" >&2
        exit 2
        ;;
esac
# First and alone: requirements.txt would take it from another index, as a build for another device.
install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$torch"
install -r requirements.txt ${npu[@]+"${npu[@]}"}
