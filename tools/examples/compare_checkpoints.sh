#!/usr/bin/env bash
# Compare two checkpoints on a benchmark: the table, and a report with curves, losses and frames.
# bash tools/examples/compare_checkpoints.sh A.pth B.pth DATASET [FOLDER]
#   A.pth B.pth  checkpoints that training here has written, with different file names
#   DATASET      such as VOT2018, below FOLDER (default: testing_dataset)
set -euo pipefail
usage() { sed -n '2,5s/^# //p' "$0"; }
case "${1:-}" in -h | --help) usage && exit 0 ;; esac
[ $# -ge 3 ] || { usage >&2 && exit 2; }
# find_path WHAT PATH: print the path, absolute, or end with what is missing.
find_path() { realpath -e -- "$2" 2>/dev/null || { echo "error: $1: there is no '$2'" >&2 && exit 2; }; }
FIRST="$(find_path A.pth "$1")"
SECOND="$(find_path B.pth "$2")"
DATASET="$3" FOLDER=testing_dataset
[ -z "${4:-}" ] || FOLDER="$(find_path FOLDER "$4")"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PYTHON="${PYTHON:-python}" OUT=results/examples/compare
[ "$(basename "$FIRST")" != "$(basename "$SECOND")" ] ||
    { echo "error: both files are named $(basename "$FIRST"), and results are named by them: rename one" >&2 && exit 2; }

# Videos that have a result are kept, so the same command goes on after an interruption.
"$PYTHON" tools/test.py --snapshot "$FIRST" "$SECOND" --dataset "$DATASET" --datasetdir "$FOLDER" --results_dir "$OUT"
"$PYTHON" tools/eval.py -p "$OUT" -d "$DATASET" --datasetdir "$FOLDER" -s --report "$OUT/$DATASET.html" \
    --json "$OUT/$DATASET.json"
echo "look at $OUT/$DATASET.html: where one tracker loses the target and the other does not"
