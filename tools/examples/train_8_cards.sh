#!/usr/bin/env bash
# The published training run on eight cards of one machine, with the checks that save a lost day.
# bash tools/examples/train_8_cards.sh DATA [--name=value ...]
#   DATA          folder with training_dataset/ and testing_dataset/VOT2016
#   --name=value  of test/train_full_8p.sh, such as --device=cuda or --max_steps=100; --help there lists all
set -euo pipefail
usage() { sed -n '2,5s/^# //p' "$0"; }
case "${1:-}" in -h | --help) usage && exit 0 ;; esac
[ $# -ge 1 ] || { usage >&2 && exit 2; }
# find_path WHAT PATH: print the path, absolute, or end with what is missing.
find_path() { realpath -e -- "$2" 2>/dev/null || { echo "error: $1: there is no '$2'" >&2 && exit 2; }; }
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
DATA="$(find_path DATA "$1")"
CONFIG="$ROOT/experiments/siamrpn_r50_l234_dwxcorr_8gpu/config.yaml" DEVICE=npu
PYTHON="${PYTHON:-python}"
shift
for word in "$@"; do
    case "$word" in
        --config=*) CONFIG="$(find_path --config "${word#*=}")" ;;
        --device=*) DEVICE="${word#*=}" ;;
    esac
done
cd "$ROOT"

# 1. Versions, cards, data and weights; what is missing is named, with what to do.
"$PYTHON" tools/doctor.py --cfg "$CONFIG" --data_path "$DATA" --datasetdir "$DATA/testing_dataset" \
    --dataset VOT2016 --device "$DEVICE"
# 2. The speed of the cards, in minutes: compare it with test/README.md before the days of step 3.
bash test/train_performance_8p.sh --data_path="$DATA" "$@"
# 3. All epochs, then VOT2016 with the last checkpoint. Started again, it goes on from the last checkpoint.
bash test/train_full_8p.sh --data_path="$DATA" "$@"
# 4. The published result is that of the best of the last ten epochs: python tools/test.py has them in one table.
echo "now: bash test/train_eval_8p.sh --data_path=$DATA --epochs=11-20"
