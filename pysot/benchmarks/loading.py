"""How fast training items come, and a whole run of tools/train.py over them."""

import gc
import re
import subprocess
import sys
import time

from pysot.benchmarks.networks import LARGE, SMALL, case_of, training_data
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.step_speed import TARGETS, fast
from pysot.datasets.data_builder import build_train_loader
from pysot.utils.cores import usable_cores
from pysot.utils.device import wants_pinned_memory
from pysot.utils.device_builder import open_device
from pysot.utils.files import REPO_ROOT

WORKERS = (4, 8, 14)
PRINTED = {  # by tools/train.py
    "": (r"Speed pairs/s : mean ([\d.]+)", "pairs/s"),
    ", spread": (r"spread ([\d.]+)", "pairs/s"),
    ", waiting for data": (r"Waiting for data : ([\d.]+)%", "%"),
    ", peak memory": (r"Peak memory MiB : (\d+)", "MiB"),
    ", reserved memory": (r"Reserved memory MiB : (\d+)", "MiB"),
}


def loaders(setting: Setting, record: Record) -> None:
    """Pairs per second of loaders with more and more processes, as many as there are cores for; nothing takes the batches but this."""
    cores = len(usable_cores())
    wanted, seconds = (
        ((1,), 2.0) if setting.short else ([count for count in WORKERS if count < cores] or [max(1, cores - 2)], 4.0)
    )
    for count in wanted:
        case = case_of(setting, *training_data(setting), "TRAIN.NUM_WORKERS", count)
        pin_memory = wants_pinned_memory(open_device(setting.device, case.cfg))
        loader = build_train_loader(case.cfg, seed=0, pin_memory=pin_memory)
        stream = iter(loader)
        for _ in range(2 * count):  # what the processes make while they start, and keep ready
            next(stream)
        began, pairs = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds:
            pairs += len(next(stream)["search"])
        record.figure(f"loader of {count} process{'es' * (count > 1)}", pairs / spent, "pairs/s")
        del stream, loader
        gc.collect()  # the processes end


def train_run(setting: Setting, record: Record) -> None:
    """A run of tools/train.py, loader and all. Raises RuntimeError with its last words if it fails."""
    name, steps, every = (SMALL, 8, 2) if setting.short else (LARGE, 60, 10)
    case = case_of(setting, *training_data(setting))
    opts = [
        *fast(setting),
        *training_data(setting),
        "BACKBONE.PRETRAINED",
        "",
        "BACKBONE.TRAIN_EPOCH",
        case.unfreeze_epoch,
        "TRAIN.BATCH_SIZE",
        case.batch_size,
        "TRAIN.PRINT_FREQ",
        every,
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
    target = None if setting.short else TARGETS.get(setting.kind, (None,))[0]
    for what, (pattern, unit) in PRINTED.items():
        if match := re.search(pattern, done.stdout):
            record.figure(f"tools/train.py, {steps} steps{what}", float(match.group(1)), unit, None if what else target)
    record.figure(f"tools/train.py, {steps} steps, all in all", time.monotonic() - began, "s")
