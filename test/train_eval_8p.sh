#!/usr/bin/env bash
# Track VOT2016 with snapshots of a training run on eight cards of one machine, and print the score table.
# Usage: bash test/train_eval_8p.sh [--epochs=11-20 ...], see --help.
# shellcheck source=test/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
start 8 eval "$@"
evaluate
finish
