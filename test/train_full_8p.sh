#!/usr/bin/env bash
# Train on eight cards of one machine, track VOT2016 with the last snapshot, and print speed and EAO.
# Usage: bash test/train_full_8p.sh [--name=value ...], see --help.
# shellcheck source=test/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
start 8 acc "$@"
# shellcheck disable=SC2119
train
evaluate
finish
