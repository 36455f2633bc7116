#!/usr/bin/env bash
# Measure the training speed on eight cards of one machine, without snapshots.
# Usage: bash test/train_performance_8p.sh [--max_steps=200 ...], see --help.
# shellcheck source=test/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
ARG[max_steps]=200
ARG[resume]=none
start 8 perf "$@"
train --is_performance
finish
