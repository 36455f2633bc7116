# shellcheck shell=bash
# Sourced: the environment of an Ascend run. Finds CANN if it is not in use yet, and sets what the user has not set. Each variable is one that torch_npu 2.13 reads.
# etp_running_flag=true: the platform has prepared the environment, and nothing is touched.

use_cann() {
    local script
    [ ! -d "${ASCEND_HOME_PATH:-}" ] || return 0 # its set_env.sh has been sourced
    for script in "${ASCEND_TOOLKIT_HOME:-/nowhere}"/../set_env.sh {/usr/local,"$HOME"}/Ascend/{cann,ascend-toolkit,nnae}/set_env.sh; do
        if [ -f "$script" ]; then
            echo "CANN: $script"
            set +u # CANN's script reads variables that may not be there
            # shellcheck disable=SC1090
            source "$script"
            set -u
            return 0
        fi
    done
    echo "CANN: no set_env.sh found below /usr/local/Ascend or $HOME/Ascend; if it lies elsewhere, source it first" >&2
}

# cores_of_cards CORES VISIBLE NUMBER ...: CPU_AFFINITY_CONF for a machine with so many cores and the cards of these numbers, of which the VISIBLE ones (such as
# 2,3; empty: all) are used. By itself torch_npu counts the visible cards from 0, so that two jobs with one card each are bound to the same cores: here a card has
# the cores of its number on the machine. 0, nothing is bound by torch_npu, where a container hides some cards or there are fewer cores than cards.
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

# The same for this machine. torch_npu binds nothing either where the process may not run on all cores, under taskset or with a cpuset.
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
    export TASK_QUEUE_ENABLE="${TASK_QUEUE_ENABLE-2}"                          # operators are prepared and launched by two threads
    export CPU_AFFINITY_CONF="${CPU_AFFINITY_CONF-$(cores_of_this_machine)}" # torch_npu binds each rank's threads to cores of its card
    export HCCL_CONNECT_TIMEOUT="${HCCL_CONNECT_TIMEOUT-600}"                  # seconds: ranks reach their first collective at different times
    export ASCEND_GLOBAL_LOG_LEVEL="${ASCEND_GLOBAL_LOG_LEVEL-3}"              # errors only
fi
