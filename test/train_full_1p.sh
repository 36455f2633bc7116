#!/usr/bin/env bash
# Train on one card, track VOT2016 with the last snapshot, and print speed and EAO.
# Usage: bash test/train_full_1p.sh [--name=value ...], see --help.
# shellcheck source=test/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
start 1 acc "$@"
# shellcheck disable=SC2119
train
evaluate
finish
