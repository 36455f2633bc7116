#!/usr/bin/env bash
# From a checkpoint to a tracker without torch: export, verify, track a video.
# bash tools/examples/deploy.sh SNAPSHOT VIDEO X,Y,W,H [option of tools/export.py ...]
#   SNAPSHOT  checkpoint that training here has written; for others give --cfg FILE as well
#   VIDEO     video, or folder of images, and the box of the object in its first frame
#   options   such as --precision fp16, --batch dynamic, or --format om --soc_version Ascend310P3
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,6s/^# //p' "$0" >&2 && exit 2; }
SNAPSHOT="$(realpath -e -- "$1")" VIDEO="$(realpath -e -- "$2")" BOX="$3"
shift 3
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PYTHON="${PYTHON:-python}" OUT="results/examples/deploy"

# The folder appears only if the export tracks like torch: outputs on crops, and boxes over a sequence.
"$PYTHON" tools/export.py --snapshot "$SNAPSHOT" --output "$OUT/exported" "$@"
# From here on no torch is needed: pip install '.[deploy]' on the target machine, and copy the folder there.
"$PYTHON" tools/demo.py --engine "$OUT/exported" --video_name "$VIDEO" --init "$BOX" --output "$OUT/demo"
echo "in Python: from pysot.deploy import Tracker; tracker = Tracker('$OUT/exported')"
