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

if [ "${etp_running_flag:-}" != true ]; then
    use_cann
    export TASK_QUEUE_ENABLE="${TASK_QUEUE_ENABLE-2}"             # operators are prepared and launched by two threads
    export CPU_AFFINITY_CONF="${CPU_AFFINITY_CONF-2}"             # torch_npu binds each rank's threads to cores near its card; no taskset beside it
    export HCCL_CONNECT_TIMEOUT="${HCCL_CONNECT_TIMEOUT-600}"     # seconds: ranks reach their first collective at different times
    export ASCEND_GLOBAL_LOG_LEVEL="${ASCEND_GLOBAL_LOG_LEVEL-3}" # errors only
fi
