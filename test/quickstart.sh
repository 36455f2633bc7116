#!/usr/bin/env bash
# Train a small tracker from scratch and compute its EAO, on a CPU, in minutes: bash test/quickstart.sh
# Existing environment, data, checkpoints and results are reused; remove the folder quickstart/ to train from scratch.
set -euo pipefail
REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$REPO"
# shellcheck source=test/setup_env.sh
source test/setup_env.sh
# shellcheck disable=SC2119
setup_env

CONFIG=experiments/quickstart/config.yaml
# For a shorter trial: config values KEY VALUE ..., and options of tools/make_quickstart_data.py.
read -r -a OPTS <<<"${QUICKSTART_OPTS:-}"
read -r -a DATA_OPTS <<<"${QUICKSTART_DATA_OPTS:-}"
DATA=training_dataset/quickstart
SECONDS=0
step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

step "1/4 data: photographs, moved, scaled, lit, blurred and occluded"
"$PYTHON" tools/make_quickstart_data.py --train "$DATA/sequences" --test testing_dataset/VOT-QUICKSTART \
    "${DATA_OPTS[@]}"
"$PYTHON" tools/prepare_data.py vot "$DATA/sequences" --out "$DATA" >/dev/null

step "2/4 training $CONFIG"
"$PYTHON" tools/train.py --cfg "$CONFIG" --opts TRAIN.RESUME auto "${OPTS[@]}"
last="$(find quickstart/snapshot -name 'checkpoint_e*.pth' | sort -V | tail -n 1)"

step "3/4 tracking the benchmark, untrained and trained"
if ! cmp -s "$last" quickstart/trained.pth; then # results of another network
    rm -rf quickstart/results/VOT-QUICKSTART/trained
    cp "$last" quickstart/trained.pth
fi
track() {
    "$PYTHON" tools/test.py --config "$CONFIG" --dataset VOT-QUICKSTART --results_dir quickstart/results "$@" \
        --opts "${OPTS[@]}" >/dev/null
}
track
track --snapshot quickstart/trained.pth

step "4/4 scores; boxes drawn on frames: --vis, see tools/README.md"
"$PYTHON" tools/eval.py --tracker_path quickstart/results --dataset VOT-QUICKSTART --json quickstart/scores.json
printf 'time: %d s\n' "$SECONDS"
