#!/usr/bin/env bash
# From a checkpoint to a tracker without torch: export, verify, track a video.
# bash tools/examples/deploy.sh SNAPSHOT VIDEO X,Y,W,H [option of tools/export.py ...]
#   SNAPSHOT  checkpoint that training here has written; for others give --cfg FILE as well
#   VIDEO     video, or folder of images, and the box of the object in its first frame
#   options   such as --precision fp16, --batch dynamic, or --format om --soc_version Ascend310P3
set -euo pipefail
usage() { sed -n '2,6s/^# //p' "$0"; }
case "${1:-}" in -h | --help) usage && exit 0 ;; esac
[ $# -ge 3 ] || { usage >&2 && exit 2; }
# find_path WHAT PATH: print the path, absolute, or end with what is missing.
find_path() { realpath -e -- "$2" 2>/dev/null || { echo "error: $1: there is no '$2'" >&2 && exit 2; }; }
SNAPSHOT="$(find_path SNAPSHOT "$1")"
VIDEO="$(find_path VIDEO "$2")"
BOX="$3" OPTIONS=()
[[ "$BOX" =~ ^[0-9.]+(,[0-9.]+){3}$ ]] || { echo "error: the box is X,Y,W,H in pixels, got '$BOX'" >&2 && exit 2; }
shift 3
for word in "$@"; do # a file that is here, such as that of --cfg
    [ ! -f "$word" ] || word="$(realpath -- "$word")"
    OPTIONS+=("$word")
done
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PYTHON="${PYTHON:-python}" OUT="results/examples/deploy"

# The folder appears only if the export tracks like torch: outputs on crops, and boxes over a sequence.
"$PYTHON" tools/export.py --snapshot "$SNAPSHOT" --output "$OUT/exported" ${OPTIONS[@]+"${OPTIONS[@]}"}
# From here on no torch is needed: pip install '.[deploy]' on the target machine, and copy the folder there.
"$PYTHON" tools/demo.py --engine "$OUT/exported" --video_name "$VIDEO" --init "$BOX" --output "$OUT/demo"
echo "in Python: from pysot.deploy import Tracker; tracker = Tracker('$OUT/exported')"
