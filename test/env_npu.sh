# shellcheck shell=bash
# Sourced: sets the environment of a training run on Ascend NPUs. Finds CANN if it is not active yet, and sets the
# variables that the user has not set. torch_npu 2.13 reads all of them.
# etp_running_flag=true: the platform has prepared the environment, so nothing is changed.

use_cann() {
    local script
    [ ! -d "${ASCEND_HOME_PATH:-}" ] || return 0 # set_env.sh of CANN has been sourced
    for script in "${ASCEND_TOOLKIT_HOME:-/nowhere}"/../set_env.sh \
        {/usr/local,"$HOME"}/Ascend/{cann,ascend-toolkit,nnae}/set_env.sh; do
        if [ -f "$script" ]; then
            echo "CANN: $script"
            set +u # CANN's script reads variables that may be unset
            # shellcheck disable=SC1090
            source "$script"
            set -u
            return 0
        fi
    done
    echo "CANN: no set_env.sh found below /usr/local/Ascend or $HOME/Ascend; if it is elsewhere, source it first" >&2
}

# cores_of_cards CORES VISIBLE NUMBER ...: print CPU_AFFINITY_CONF for a machine with CORES cores and the cards NUMBER,
# of which the VISIBLE ones (such as 2,3; empty: all) are in use. torch_npu itself counts the visible cards from 0, so
# two jobs with one card each would be bound to the same cores. Here, the cores of a card depend on its number on the
# machine. Prints 0 (torch_npu binds nothing) if a container hides some cards or there are fewer cores than cards.
cores_of_cards() {
    local cores="$1" visible="${2//,/ }" conf=2 count each card index=0
    shift 2
    count=$#
    [ "$count" -gt 0 ] && [ "$count" -le "$cores" ] && [ "$*" = "$(seq -s ' ' 0 $((count - 1)))" ] || {
        echo 0
        return
    }
    each=$((cores / count))
    for card in ${visible:-"$@"}; do
        [[ "$card" =~ ^[0-9]+$ ]] && [ "$card" -lt "$count" ] || {
            echo 0
            return
        }
        conf+=",npu$index:$((card * each))-$(((card + 1) * each - 1))"
        index=$((index + 1))
    done
    echo "$conf"
}

# The same for this machine. torch_npu also binds nothing if taskset or a cpuset limits the process to some cores.
cores_of_this_machine() {
    local all numbers
    all="$(getconf _NPROCESSORS_ONLN)"
    numbers="$(find /dev -maxdepth 1 -name 'davinci[0-9]*' | sed 's/.*davinci//' | sort -n)"
    [ "$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)" -eq "$all" ] || numbers=""
    # shellcheck disable=SC2086
    cores_of_cards "$all" "${ASCEND_RT_VISIBLE_DEVICES:-}" $numbers
}

if [ "${etp_running_flag:-}" != true ]; then
    use_cann
    # Two threads prepare and launch operators.
    export TASK_QUEUE_ENABLE="${TASK_QUEUE_ENABLE-2}"
    # torch_npu binds the threads of each rank to cores of its card.
    export CPU_AFFINITY_CONF="${CPU_AFFINITY_CONF-$(cores_of_this_machine)}"
    # Seconds: ranks reach their first collective at different times.
    export HCCL_CONNECT_TIMEOUT="${HCCL_CONNECT_TIMEOUT-600}"
    # Errors only.
    export ASCEND_GLOBAL_LOG_LEVEL="${ASCEND_GLOBAL_LOG_LEVEL-3}"
fi
