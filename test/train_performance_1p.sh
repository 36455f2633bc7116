#!/usr/bin/env bash
# Measure the training speed on one card, without snapshots.
# Usage: bash test/train_performance_1p.sh [--max_steps=200 ...], see --help.
# shellcheck source=test/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
ARG[max_steps]=200
ARG[resume]=none
start 1 perf "$@"
train --is_performance
finish
