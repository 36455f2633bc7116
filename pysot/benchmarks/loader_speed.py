"""Speed of the training loader, and of a complete training run of tools/train.py."""

import gc
import re
import subprocess
import sys
import time

from pysot.benchmarks.networks import LARGE, SMALL, make_case, training_data_opts
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.step_speed import TARGET_SPEED, tool_opts
from pysot.datasets.data_builder import build_train_loader
from pysot.utils.cores import usable_cores
from pysot.utils.device import needs_pinned_memory
from pysot.utils.device_builder import open_device
from pysot.utils.files import REPO_ROOT

WORKERS = (4, 8, 14)
PAIRS_PER_EPOCH = 10**6  # more than a loader makes while it is measured
# Patterns of what tools/train.py prints, and units, by the end of the name under which a value is recorded.
PRINTED = {
    "": (r"Speed pairs/s : mean ([\d.]+)", "pairs/s"),
    ", spread": (r"spread ([\d.]+)", "pairs/s"),
    ", waiting for data": (r"Waiting for data : ([\d.]+)%", "%"),
    ", peak memory": (r"Peak memory MiB : (\d+)", "MiB"),
    ", reserved memory": (r"Reserved memory MiB : (\d+)", "MiB"),
}


def loaders(setting: Setting, record: Record) -> None:
    """Record pairs per second of loaders with increasing numbers of processes, below the number of cores.

    Nothing else uses the batches.
    """
    cores = len(usable_cores())
    if setting.short:
        worker_counts, seconds = [1], 2.0
    else:
        worker_counts = [count for count in WORKERS if count < cores] or [max(1, cores - 2)]
        seconds = 4.0
    for count in worker_counts:
        opts = ["TRAIN.NUM_WORKERS", count, "DATASET.VIDEOS_PER_EPOCH", PAIRS_PER_EPOCH]
        case = make_case(setting, *training_data_opts(setting), *opts)
        pin_memory = needs_pinned_memory(open_device(setting.device, case.cfg))
        loader = build_train_loader(case.cfg, seed=0, pin_memory=pin_memory)
        stream = iter(loader)
        for _ in range(2 * count):  # batches that the processes prepared in advance
            next(stream)
        began, pairs = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds:
            pairs += len(next(stream)["search"])
        processes = "1 process" if count == 1 else f"{count} processes"
        record.measurement(f"loader of {processes}", pairs / spent, "pairs/s")
        del stream, loader
        gc.collect()  # ends the loader processes


def train_run(setting: Setting, record: Record) -> None:
    """Record speed and memory of a training run of tools/train.py, data loading included.

    Raises RuntimeError with the last line of its error output if the training run fails.
    """
    name, steps, print_freq = (SMALL, 8, 2) if setting.short else (LARGE, 60, 10)
    case = make_case(setting, *training_data_opts(setting))
    opts = [
        *tool_opts(setting, case),
        "TRAIN.PRINT_FREQ",
        print_freq,
        "TRAIN.LOG_DIR",
        setting.work / "logs",
    ]
    command = [
        sys.executable,
        REPO_ROOT / "tools" / "train.py",
        "--cfg",
        REPO_ROOT / "experiments" / name / "config.yaml",
        "--device",
        setting.device,
        "--max_step",
        steps,
        "--is_performance",
        "--opts",
        *opts,
    ]
    began = time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"tools/train.py ended with status {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
        )
    speed_target = None if setting.short else TARGET_SPEED.get(setting.kind)
    for suffix, (pattern, unit) in PRINTED.items():
        if match := re.search(pattern, done.stdout):
            target = None if suffix else speed_target
            record.measurement(f"tools/train.py, {steps} steps{suffix}", float(match.group(1)), unit, target)
    record.measurement(f"tools/train.py, {steps} steps, all in all", time.monotonic() - began, "s")
