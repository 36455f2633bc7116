#!/usr/bin/env bash
# From boxes drawn in CVAT to a tracker of your own objects.
# bash tools/examples/own_data.sh EXPORT NAME VIDEO X,Y,W,H [KEY VALUE ...]
#   EXPORT     folder of CVAT's export "CVAT for video 1.1" with images
#   NAME       of the data set in configs and folders
#   VIDEO      video, or folder of images, to try the tracker on, and the box of the object in its first frame
#   KEY VALUE  config values, such as TRAIN.EPOCH 20
set -euo pipefail
usage() { sed -n '2,7s/^# //p' "$0"; }
case "${1:-}" in -h | --help) usage && exit 0 ;; esac
[ $# -ge 4 ] || { usage >&2 && exit 2; }
# find_path WHAT PATH: print the path, absolute, or end with what is missing.
find_path() { realpath -e -- "$2" 2>/dev/null || { echo "error: $1: there is no '$2'" >&2 && exit 2; }; }
EXPORT="$(find_path EXPORT "$1")"
VIDEO="$(find_path VIDEO "$3")"
NAME="$2" BOX="$4"
[[ "$BOX" =~ ^[0-9.]+(,[0-9.]+){3}$ ]] || { echo "error: the box is X,Y,W,H in pixels, got '$BOX'" >&2 && exit 2; }
shift 4
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PYTHON="${PYTHON:-python}" OUT="results/examples/$NAME" CONFIG=experiments/quickstart/config.yaml
SET=(DATASET.NAMES "[${NAME^^}]" TRAIN.SNAPSHOT_DIR "$OUT/snapshot" TRAIN.LOG_DIR "$OUT/logs")

# 1. Crops around the boxes, and their annotation. What stops here can be started again.
"$PYTHON" tools/prepare_data.py cvat "$EXPORT" --name "$NAME"
# 2. Look at $OUT/data/*.jpg: are the boxes where they should be?
"$PYTHON" tools/check_data.py --cfg "$CONFIG" --all --out "$OUT/data" --opts "${SET[@]}"
# 3. A small network; with a card, take another config. The same command goes on after an interruption.
"$PYTHON" tools/train.py --cfg "$CONFIG" --opts "${SET[@]}" TRAIN.RESUME auto "$@"
# 4. Track the video: annotated.mp4, boxes.json and boxes.txt.
LAST="$(find "$OUT/snapshot" -maxdepth 1 -name 'checkpoint_e*.pth' | sort -V | tail -n 1)"
"$PYTHON" tools/demo.py --snapshot "$LAST" --video_name "$VIDEO" --init "$BOX" --output "$OUT/demo"
echo "$LAST tracks; look at $OUT/demo/annotated.mp4"
