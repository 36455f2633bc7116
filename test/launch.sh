# shellcheck shell=bash
# Sourced by the launch scripts of this folder: arguments, environment, a training run of one or several ranks,
# evaluation, logs, final lines.
set -euo pipefail
REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
NETWORK=SiamRPN_for_PyTorch
SECONDS=0

# Default of every --name=value; empty: the config or the program has the default.
declare -A ARG=(
    [config]="$REPO/experiments/siamrpn_r50_l234_dwxcorr_8gpu/config.yaml"
    [data_path]="" [dataset]=VOT2016 [dataset_path]="" [output_path]=""
    [device]=npu [device_id]="${ASCEND_DEVICE_ID:-0}" [deterministic]=false
    [batch_size]="" [precision_mode]="" [loss_scale]="" [max_steps]="" [train_epochs]="" [workers]=-1 [seed]=""
    [resume]=auto [snapshot]="" [epochs]="" [opts]=""
    [rank_size]="" [nnodes]=1 [node_rank]=0 [master_addr]=127.0.0.1 [master_port]=""
)

usage() {
    cat <<EOF
usage: bash $0 [--name=value ...]
  --data_path=DIR       folder with training_dataset/ and testing_dataset/, or with the training sets
                        (default: the repository)
  --dataset=NAME        benchmark to evaluate on (VOT2016); --dataset_path=DIR: its folder
                        (default: testing_dataset of data_path or of the repository)
  --config=FILE         experiments/<name>/config.yaml (default: the published one for 8 cards)
  --device=KIND         npu, cuda or cpu (npu); --device_id=N: the card of a training run on one card
                        (\$ASCEND_DEVICE_ID or 0)
  --batch_size=N        pairs per rank; --workers=N: loader processes per rank (-1: by cores); --seed=N
  --train_epochs=N      end after N epochs of the config's schedule (a larger N stretches it)
  --max_steps=N         end after N steps
  --deterministic=true  give the same bits in every training run; slower
  --precision_mode=P    fp32 (O0), fp16 (O1), bf16 or apex (npu: fp16 as published, else fp32)
  --loss_scale=S        a number or dynamic
  --resume=R            auto (resume from existing snapshots), none (start from scratch; existing snapshots are moved
                        to earlier_<n>) or a checkpoint
  --output_path=DIR     folder of logs, results and snapshots, one per training run
                        (default: test/output, and snapshot_<N>p in the repository)
  --snapshot=FILE,...   evaluation: these checkpoints; --epochs=A-B: those of these epochs (default: the last one)
  --rank_size=N         processes on this machine
  --nnodes=N --node_rank=I --master_addr=HOST --master_port=PORT
                        several machines, or another port
  --opts='KEY VALUE ..' config values
EOF
}

fail() {
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit 2
}

# fail_with LOG STATUS STEP: print the end of the log of a failed step and exit with its status.
fail_with() {
    printf '%s: error: %s ended with status %s. The end of %s:\n' "$(basename "$0")" "$3" "$2" "$1" >&2
    tail -n 20 "$1" >&2 || true
    exit "$2"
}

# start RANKS KIND [--name=value ...]: read the arguments and prepare; KIND is acc, perf or eval.
start() {
    local word name ranks="$1"
    KIND="$2"
    shift 2
    for word in "$@"; do
        name="${word%%=*}" name="${name#--}"
        case "$word" in
            -h | --h | --help) usage && exit 0 ;;
            --*=*) [ -n "${ARG[$name]+known}" ] || fail "unknown argument $word; --help lists all" ;;
            *) fail "expected --name=value, got $word; --help lists all" ;;
        esac
        ARG[$name]="${word#*=}"
    done
    for name in batch_size max_steps train_epochs seed rank_size nnodes node_rank master_port device_id; do
        [[ "${ARG[$name]}" =~ ^[0-9]{0,9}$ ]] || fail "--$name: expected a whole number, got ${ARG[$name]}"
    done
    for name in device_id nnodes node_rank; do
        [ -n "${ARG[$name]}" ] || fail "--$name: expected a whole number, got nothing"
    done
    [ "${ARG[nnodes]}" -gt 0 ] && [ "${ARG[node_rank]}" -lt "${ARG[nnodes]}" ] ||
        fail "--node_rank: expected a number below --nnodes=${ARG[nnodes]}, counted from 0; got ${ARG[node_rank]}"
    [ -z "${ARG[master_port]}" ] || { [ "${ARG[master_port]}" -gt 0 ] && [ "${ARG[master_port]}" -lt 65536 ]; } ||
        fail "--master_port: expected a number from 1 to 65535, got ${ARG[master_port]}"
    [ -z "${ARG[output_path]}" ] || ARG[output_path]="$(realpath -m -- "${ARG[output_path]}")"
    # Paths are relative to the caller's folder; this script changes to the repository.
    for name in data_path dataset_path config; do
        [ -z "${ARG[$name]}" ] || ARG[$name]="$(realpath -m -- "${ARG[$name]}")"
        [ -z "${ARG[$name]}" ] || [ -e "${ARG[$name]}" ] || fail "--$name: there is no ${ARG[$name]}"
    done
    CALLER="$PWD"
    LOCAL_RANKS="${ARG[rank_size]:-$ranks}" RANKS_OF_NAME="$ranks"
    RANK_SIZE=$((LOCAL_RANKS * ARG[nnodes]))
    OUTPUT="${ARG[output_path]:-$REPO/test/output}/${ARG[device_id]}"
    SNAPSHOTS="${ARG[output_path]:-$REPO}/snapshot_${RANKS_OF_NAME}p"
    RESULTS="$OUTPUT/results_${RANKS_OF_NAME}p"
    [ "$RANK_SIZE" -gt 0 ] || fail "--rank_size and --nnodes: expected 1 or more"
    cd "$REPO"
    mkdir -p "$OUTPUT" || fail "--output_path: cannot make $OUTPUT"
    find_python
    check_port
    case "${ARG[device]}" in
        npu) # shellcheck source=test/env_npu.sh
            source "$REPO/test/env_npu.sh" ;;
        cuda | cpu) ;;
        *) fail "--device: expected npu, cuda or cpu, got ${ARG[device]}" ;;
    esac
    find_benchmark
    gather_options
    trap stop_children EXIT
}

stop_children() {
    local children
    children="$(jobs -p)"
    # shellcheck disable=SC2086
    [ -z "$children" ] || kill $children 2>/dev/null || true
}

# The Python of the active environment, else of .venv in the repository, else python3; PYTHON overrides all.
find_python() {
    if [ -z "${PYTHON:-}" ]; then
        PYTHON=python3
        if [ -z "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" ] && [ -x "$REPO/.venv/bin/python" ]; then
            PYTHON="$REPO/.venv/bin/python"
        fi
    fi
    "$PYTHON" -c 'import yacs, cv2, tqdm' 2>/dev/null ||
        fail "$PYTHON is missing packages; activate the environment, or: $PYTHON -m pip install -r requirements.txt"
}

# Check that the port of --master_port is free on the first machine. torchrun would report it in a traceback, the other
# machines would fail only after minutes.
check_port() {
    local port="${ARG[master_port]:-29500}" in_use="address already in use, or not allowed"
    [ "$KIND" != eval ] && [ "$RANK_SIZE" -gt 1 ] && [ "${ARG[node_rank]}" -eq 0 ] || return 0
    [ "${ARG[nnodes]}" -gt 1 ] || [ -n "${ARG[master_port]}" ] || return 0
    "$PYTHON" - "$port" <<'EOF' ||
import socket, sys
with socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET) as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("", int(sys.argv[1])))
    except OSError:
        sys.exit(1)
EOF
        fail "--master_port: port $port cannot be used ($in_use); choose another, the same on all machines"
}

# Find and check the folder of the benchmark before hours are spent on training.
find_benchmark() {
    local folder
    [ "$KIND" != perf ] || return 0
    if [ -z "${ARG[dataset_path]}" ]; then
        ARG[dataset_path]="$REPO/testing_dataset"
        for folder in ${ARG[data_path]:+"${ARG[data_path]}" "${ARG[data_path]}/testing_dataset"}; do
            if [ -e "$folder/${ARG[dataset]}" ] || [ -e "$folder/${ARG[dataset]}.json" ]; then
                ARG[dataset_path]="$folder"
            fi
        done
    fi
    PYTHONPATH="$REPO${PYTHONPATH:+:$PYTHONPATH}" "$PYTHON" - "${ARG[dataset]}" "${ARG[dataset_path]}" <<'EOF' || exit 2
import sys
from pysot.toolkit.datasets import load_dataset, missing_frames
try:
    missing = missing_frames(load_dataset(*sys.argv[1:]))
except (ValueError, OSError) as error:
    sys.exit(f"error: {error}")
if missing:
    sys.exit(f"error: {len(missing)} sequences have no frames to track, for example {missing[0]}")
EOF
}

# Set OPTIONS, the config values of the arguments, and DETERMINISTIC, the switch of train.py and test.py, or empty.
gather_options() {
    case "${ARG[deterministic]}" in
        true) DETERMINISTIC=--deterministic ;;
        false) DETERMINISTIC="" ;;
        *) fail "--deterministic: expected true or false, got ${ARG[deterministic]}" ;;
    esac
    local precision="${ARG[precision_mode]}"
    OPTIONS=(TRAIN.NUM_WORKERS "${ARG[workers]}")
    [ -n "$precision" ] || [ "${ARG[device]}" != npu ] || precision=fp16
    case "$precision" in
        "") ;;
        fp32 | O0) OPTIONS+=(TRAIN.PRECISION fp32) ;;
        fp16 | O1) OPTIONS+=(TRAIN.PRECISION fp16) ;;
        bf16) OPTIONS+=(TRAIN.PRECISION bf16) ;;
        apex) OPTIONS+=(TRAIN.PRECISION fp16 NPU.APEX True) ;;
        *) fail "--precision_mode: expected fp32, fp16, bf16, apex, O0 or O1, got $precision" ;;
    esac
    [ -z "${ARG[loss_scale]}" ] || OPTIONS+=(TRAIN.LOSS_SCALE "${ARG[loss_scale]}")
    [ -z "${ARG[batch_size]}" ] || OPTIONS+=(TRAIN.BATCH_SIZE "${ARG[batch_size]}")
    local words
    read -r -a words <<<"${ARG[opts]}"
    OPTIONS+=("${words[@]}")
}

# shellcheck disable=SC2120
# train [argument ...]: execute tools/train.py on all ranks with a log per rank; the output of rank 0 is also printed.
train() {
    local command=("$PYTHON" -u tools/train.py --cfg "${ARG[config]}")
    local append="" resume="${ARG[resume]}" status=0 first=$((ARG[node_rank] * LOCAL_RANKS))
    case "$resume" in
        none) resume="" ;;
        auto) [ ! -d "$SNAPSHOTS" ] || append=yes ;;
        *) resume="$(cd "$CALLER" && realpath -e -- "$resume")" || fail "--resume: there is no ${ARG[resume]}" ;;
    esac
    [ -z "${ARG[data_path]}" ] || command+=(--data_path "${ARG[data_path]}")
    [ -z "${ARG[seed]}" ] || command+=(--seed "${ARG[seed]}")
    [ -z "$DETERMINISTIC" ] || command+=("$DETERMINISTIC")
    [ -z "${ARG[max_steps]}" ] || command+=(--max_steps "${ARG[max_steps]}")
    [ -z "${ARG[train_epochs]}" ] || command+=(--train_epochs "${ARG[train_epochs]}")
    command+=("$@")
    local options=(--opts TRAIN.SNAPSHOT_DIR "$SNAPSHOTS" TRAIN.LOG_DIR "$OUTPUT/logs_${RANKS_OF_NAME}p_$KIND")
    options+=(TRAIN.RESUME "$resume" "${OPTIONS[@]}")
    if [ "$RANK_SIZE" -eq 1 ]; then
        local card="${ARG[device]}:${ARG[device_id]}"
        TRAIN_LOG="$OUTPUT/train_${ARG[device_id]}.log"
        [ "${ARG[device]}" != cpu ] || card=cpu
        "${command[@]}" --device "$card" "${options[@]}" 2>&1 |
            tee ${append:+-a} "$TRAIN_LOG" || status=${PIPESTATUS[0]}
        [ "$status" -eq 0 ] || fail_with "$TRAIN_LOG" "$status" "the training"
        return
    fi
    TRAIN_LOG="$OUTPUT/train_$first.log"
    local meet=(--standalone --nproc_per_node="$LOCAL_RANKS")
    if [ "${ARG[nnodes]}" -gt 1 ] || [ -n "${ARG[master_port]}" ]; then
        meet=(--nnodes="${ARG[nnodes]}" --node_rank="${ARG[node_rank]}" --nproc_per_node="$LOCAL_RANKS"
            --master_addr="${ARG[master_addr]}" --master_port="${ARG[master_port]:-29500}")
    fi
    [ -n "${OMP_NUM_THREADS:-}" ] || export OMP_NUM_THREADS=$((($(nproc) + LOCAL_RANKS - 1) / LOCAL_RANKS))
    # shellcheck disable=SC2016
    local rank='log="$1/train_$RANK.log"; first="$2"; append="$3"; shift 3; [ -n "$append" ] || : >"$log"
        if [ "$RANK" = "$first" ]; then exec "$@" > >(tee -a "$log") 2>&1; else exec "$@" >>"$log" 2>&1; fi'
    "$PYTHON" -m torch.distributed.run "${meet[@]}" --no-python \
        bash -c "$rank" rank "$OUTPUT" "$first" "$append" "${command[@]}" --device "${ARG[device]}" "${options[@]}" \
        2>"$OUTPUT/torchrun.log" || status=$?
    [ "$status" -eq 0 ] || fail_rank "$status"
}

# Print the end of the log of the rank that failed first in torchrun's report, or of torchrun's log if no rank failed.
fail_rank() {
    local rank
    rank="$(sed -n '/Root Cause/,$ s/^ *rank *: *\([0-9]*\).*/\1/p' "$OUTPUT/torchrun.log" | head -n 1)"
    if [ -n "$rank" ]; then
        grep -m 1 -A 6 'Root Cause' "$OUTPUT/torchrun.log" | grep -E 'exitcode|signal' >&2 || true
        fail_with "$OUTPUT/train_$rank.log" "$1" "rank $rank of the training"
    fi
    fail_with "$OUTPUT/torchrun.log" "$1" "torchrun"
}

# choose_snapshots: set SNAPSHOT to the checkpoints to evaluate.
choose_snapshots() {
    local from to epoch names name
    SNAPSHOT=()
    if [ -n "${ARG[snapshot]}" ]; then
        IFS=, read -r -a names <<<"${ARG[snapshot]}"
        for name in "${names[@]}"; do
            SNAPSHOT+=("$(cd "$CALLER" && realpath -m -- "$name")")
        done
    elif [ -n "${ARG[epochs]}" ]; then
        [[ "${ARG[epochs]}" =~ ^[0-9]+(-[0-9]+)?$ ]] || fail "--epochs: expected A or A-B, got ${ARG[epochs]}"
        from="${ARG[epochs]%-*}" to="${ARG[epochs]#*-}"
        for ((epoch = from; epoch <= to; epoch++)); do
            SNAPSHOT+=("$SNAPSHOTS/checkpoint_e$epoch.pth")
        done
    else
        name="$(find "$SNAPSHOTS" -maxdepth 1 -name 'checkpoint_e*.pth' 2>/dev/null | sort -V | tail -n 1)"
        # a training run that --max_steps ended inside an epoch has its state in latest.pth
        [ -n "$name" ] && [ ! "$SNAPSHOTS/latest.pth" -nt "$name" ] || name="$SNAPSHOTS/latest.pth"
        SNAPSHOT=("$name")
    fi
    for name in "${SNAPSHOT[@]}"; do
        [ -f "$name" ] || fail "there is no checkpoint $name; train first, or name one: --snapshot=FILE or --epochs=A-B"
    done
    [ "${#SNAPSHOT[@]}" -gt 0 ] || fail "--epochs=${ARG[epochs]}: expected A-B with A <= B"
}

# evaluate: track the benchmark with each snapshot, the sequences split over the ranks of this machine, and score the
# results. Sets ACCURACY_LOG and EAO.
evaluate() {
    local snapshot tracker folder part pids log device trackers=()
    [ "${ARG[node_rank]}" -eq 0 ] || return 0 # only the first machine has the snapshots
    ACCURACY_LOG="$OUTPUT/${NETWORK}_${RANK_SIZE}p_acc.log"
    choose_snapshots
    for snapshot in "${SNAPSHOT[@]}"; do
        tracker="$(basename "${snapshot%.*}")"
        trackers+=("$tracker")
        folder="$RESULTS/${ARG[dataset]}/$tracker"
        [ ! "$snapshot" -nt "$folder/network.json" ] || rm -rf "$folder" # results of an earlier training run
        echo "tracking ${ARG[dataset]} with $snapshot"
        pids=()
        for ((part = 1; part <= LOCAL_RANKS; part++)); do
            device="${ARG[device]}:$((part - 1))"
            [ "$LOCAL_RANKS" -gt 1 ] || device="${ARG[device]}:${ARG[device_id]}"
            [ "${ARG[device]}" != cpu ] || device=cpu
            "$PYTHON" tools/test.py --config "${ARG[config]}" --snapshot "$snapshot" \
                --dataset "${ARG[dataset]}" --datasetdir "${ARG[dataset_path]}" --results_dir "$RESULTS" \
                --device "$device" --part "$part/$LOCAL_RANKS" ${DETERMINISTIC:+"$DETERMINISTIC"} \
                --opts "${OPTIONS[@]}" >"$OUTPUT/test_$part.log" 2>&1 &
            pids+=($!)
        done
        for part in "${!pids[@]}"; do
            log="$OUTPUT/test_$((part + 1)).log"
            wait "${pids[$part]}" || fail_with "$log" $? "part $((part + 1)) of the tracking"
        done
    done
    "$PYTHON" tools/eval.py --tracker_path "$RESULTS" --tracker_prefix "${trackers[@]}" \
        --dataset "${ARG[dataset]}" --datasetdir "${ARG[dataset_path]}" --num "$LOCAL_RANKS" \
        --json "$OUTPUT/scores.json" >"$ACCURACY_LOG" 2>"$OUTPUT/eval.log" ||
        fail_with "$OUTPUT/eval.log" $? "the evaluation"
    cat "$ACCURACY_LOG"
    EAO="$("$PYTHON" - "$OUTPUT/scores.json" <<'EOF'
import json
import sys
eao = [(scores["eao"]["all"], tracker) for tracker, scores in json.load(open(sys.argv[1])).items()]
eao = [pair for pair in eao if pair[0] >= 0]
print("%.3f %s" % max(eao) if eao else "- (the videos are too short)")
EOF
    )"
    echo "best EAO : $EAO" | tee -a "$ACCURACY_LOG"
    EAO="${EAO%% *}"
}

# last_number WORDS: print the number after the last occurrence of WORDS in the training log.
last_number() {
    grep -F -- "$1" "$TRAIN_LOG" | tail -n 1 | sed 's/.*: *//' | grep -oE '^[0-9.]+' || echo -
}

# finish: print the final lines and write the logs that Ascend's scripts read.
finish() {
    local fps=- loss=- batch=- step_ms=- case accuracy="${EAO:--}" key
    if [ -n "${TRAIN_LOG:-}" ]; then
        fps="$(last_number 'Final Performance images/sec : ')"
        loss="$(last_number 'Final Train Loss : ')"
        batch="$(last_number 'Batch size per rank : ')"
        grep -E 'Progress: |FPS |Speed pairs/s' "$TRAIN_LOG" >"$OUTPUT/train_per_${ARG[device_id]}.log" || true
        step_ms="$(awk -v b="$batch" -v r="$RANK_SIZE" -v f="$fps" \
            'BEGIN { if (f > 0) printf "%.2f", b * r * 1000 / f; else print "-" }')"
    fi
    case="${NETWORK}_bs${batch}_${RANK_SIZE}p_$KIND"
    local -A value=([Network]="$NETWORK" [RankSize]="$RANK_SIZE" [BatchSize]="$batch" [DeviceType]="$(uname -m)"
        [CaseName]="$case" [ActualFPS]="$fps" [TrainingTime]="$step_ms" [TrainAccuracy]="$accuracy"
        [ActualLoss]="$loss" [E2ETrainingTime]="$SECONDS")
    for key in Network RankSize BatchSize DeviceType CaseName ActualFPS TrainingTime TrainAccuracy ActualLoss \
        E2ETrainingTime; do
        echo "$key = ${value[$key]}"
    done >"$OUTPUT/$case.log"
    echo "------------------ Final result ------------------"
    [ -z "${TRAIN_LOG:-}" ] || grep -F 'Speed pairs/s : ' "$TRAIN_LOG" | tail -n 1 || true
    [ "$fps" = - ] || echo "Final Performance images/sec : $fps"
    [ "$accuracy" = - ] || echo "Final Train Accuracy : $accuracy"
    echo "E2E Training Duration sec : $SECONDS"
}
