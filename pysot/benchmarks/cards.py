"""Several cards: what they gain over one, and how fast they add up their gradients. On a CPU two processes."""

import subprocess
import sys

from pysot.benchmarks.networks import LARGE, SMALL, case_of, training_data
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.step_speed import fast
from pysot.utils.device import accelerators
from pysot.utils.files import REPO_ROOT, read_json


def scale(setting: Setting, record: Record) -> None:
    """The figures of tools/benchmark.py scale over all cards. Raises RuntimeError with its last words if it fails."""
    kind = setting.kind
    count = 2 if kind == "cpu" else len(accelerators())
    if count < 2:
        record.note("one card: there is nothing to add up")
        return
    case, found = case_of(setting), setting.work / "scale.json"
    opts = [
        *fast(setting),
        *training_data(setting),
        "BACKBONE.PRETRAINED",
        "",
        "BACKBONE.TRAIN_EPOCH",
        case.unfreeze_epoch,
        "TRAIN.BATCH_SIZE",
        case.batch_size,
        *(["TRAIN.NUM_WORKERS", 0] if setting.short else []),
    ]
    repeat = [1, 1] if setting.short else [10, 3]
    command = [
        sys.executable,
        REPO_ROOT / "tools" / "benchmark.py",
        "scale",
        "--cfg",
        REPO_ROOT / "experiments" / (SMALL if setting.short else LARGE) / "config.yaml",
        "--device",
        kind,
        "--processes",
        count,
        "--steps",
        repeat[0],
        "--repeats",
        repeat[1],
        "--json",
        found,
        "--opts",
        *opts,
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"tools/benchmark.py scale ended with status {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
        )
    rows = {row["name"].partition(": ")[2]: row for row in read_json(found, "figures of several cards")}
    for name, row in rows.items():
        record.figure(name, row["value"], row["unit"])
    moved = (
        2
        * (count - 1)
        / count
        * rows["gradients"]["value"]
        * 2**20
        / (rows["all-reduce of the gradients alone"]["value"] / 1000)
    )
    record.figure("all-reduce, bytes that each card sends", moved / 1e9, "GB/s")
