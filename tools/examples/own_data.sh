#!/usr/bin/env bash
# From boxes drawn in CVAT to a tracker of your own objects.
# bash tools/examples/own_data.sh EXPORT NAME VIDEO X,Y,W,H [KEY VALUE ...]
#   EXPORT     folder of CVAT's export "CVAT for video 1.1" with images
#   NAME       of the data set in configs and folders
#   VIDEO      video, or folder of images, to try the tracker on, and the box of the object in its first frame
#   KEY VALUE  config values, such as TRAIN.EPOCH 20
set -euo pipefail
[ $# -ge 4 ] || { sed -n '2,7s/^# //p' "$0" >&2 && exit 2; }
EXPORT="$(realpath -e -- "$1")" NAME="$2" VIDEO="$(realpath -e -- "$3")" BOX="$4"
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
