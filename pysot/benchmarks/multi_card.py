"""Speed of several cards against one, and bandwidth of the gradient all-reduce. On a CPU two processes are compared."""

import subprocess
import sys
from pathlib import Path

from pysot.benchmarks.networks import LARGE, SMALL, make_case
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.step_speed import tool_opts
from pysot.utils.device import accelerators
from pysot.utils.files import REPO_ROOT, read_json


def scale(setting: Setting, record: Record) -> None:
    """Record the results of `tools/benchmark.py scale` over all cards.

    Raises RuntimeError with the last line of its error output if the benchmark fails.
    """
    kind = setting.kind
    count = 2 if kind == "cpu" else len(accelerators())
    if count < 2:
        record.note("one card: there is nothing to scale over")
        return
    results = setting.work / "scale.json"
    done = subprocess.run(list(map(str, _scale_command(setting, count, results))), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"tools/benchmark.py scale ended with status {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
        )
    rows = {row["name"].partition(": ")[2]: row for row in read_json(results, "results of several cards")}
    for name, row in rows.items():
        record.measurement(name, row["value"], row["unit"])
    gradient_bytes = rows["gradients"]["value"] * 2**20
    all_reduce_seconds = rows["all-reduce of the gradients alone"]["value"] / 1000
    # In a ring each card sends 2 (n - 1) / n of the bytes.
    sent_per_second = 2 * (count - 1) / count * gradient_bytes / all_reduce_seconds
    record.measurement("all-reduce, bytes that each card sends", sent_per_second / 1e9, "GB/s")


def _scale_command(setting: Setting, processes: int, results: Path) -> list[object]:
    """Return the command line of `tools/benchmark.py scale` that writes JSON to `results`."""
    case = make_case(setting)
    opts = [
        *tool_opts(setting, case),
        *(["TRAIN.NUM_WORKERS", 0] if setting.short else []),
    ]
    steps, repeats = (1, 1) if setting.short else (10, 3)
    return [
        sys.executable,
        REPO_ROOT / "tools" / "benchmark.py",
        "scale",
        "--cfg",
        REPO_ROOT / "experiments" / (SMALL if setting.short else LARGE) / "config.yaml",
        "--device",
        setting.kind,
        "--processes",
        processes,
        "--steps",
        steps,
        "--repeats",
        repeats,
        "--json",
        results,
        "--opts",
        *opts,
    ]
