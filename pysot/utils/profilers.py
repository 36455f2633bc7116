"""Recordings of torch.profiler and torch_npu.profiler: a trace for viewers, and a text with the operators by time."""

import csv
import functools
import glob
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from pysot.utils.device import device_name, profiler_module
from pysot.utils.files import atomic_write

ROWS = 60  # of a table
_NAME_WIDTH, _SHAPES_WIDTH = 60, 80  # characters of a table
PARSE_WITHIN = 500.0  # seconds for torch_npu to turn what it has collected into files
# torch_npu would fork this process, with its threads and signal handlers, and change how later helpers start.
_PARSE = "import sys; from torch_npu.profiler.profiler import analyse; analyse(sys.argv[1])"


def start_recording(device: torch.device, first: int, last: int, folder: Path, worker: str) -> Any:
    """Start the profiler of a device for the steps `first` to `last`, counted from 1, and return it.

    A step of warm-up precedes the first one. Call its `step()` after each step, and after the last one `stop()`, which
    may come early; then `write_recording` writes the files. torch_npu's profiler only prints its errors.
    """
    module = profiler_module(device)
    kinds = module.ProfilerActivity
    options: dict[str, Any] = {}
    if device.type == "npu":
        # This tells torch_npu the folder, and that the data are parsed later.
        options["on_trace_ready"] = module.tensorboard_trace_handler(str(folder), worker, analyse_flag=False)
        options["experimental_config"] = module._ExperimentalConfig(profiler_level=module.ProfilerLevel.Level1)
    profiler = module.profile(
        activities=[kinds.CPU, *([] if device.type == "cpu" else [getattr(kinds, device.type.upper())])],
        # Its step 0 is the time before the first step, so that its numbers are ours.
        schedule=module.schedule(wait=first - 1, warmup=1, active=last - first + 1, repeat=1),
        record_shapes=True,
        **options,
    )
    profiler.start()
    profiler.step()
    return profiler


def write_recording(profiler: Any, device: torch.device, folder: Path, worker: str) -> tuple[Path, str]:
    """Write the trace of a recording and `summary_<worker>.txt`.

    Returns the path of the trace, and what is wrong with it or "". Raises OSError or RuntimeError.
    """
    if device.type == "npu":
        trace, tables = _parse_npu_recording(folder, worker)
        is_complete = (trace.parent / "kernel_details.csv").exists()
    else:
        torch.profiler.tensorboard_trace_handler(str(folder), worker)(profiler)
        trace = _newest(f"{folder}/{glob.escape(worker)}.*.pt.trace.json")
        rows = profiler.key_averages()
        is_complete = device.type == "cpu" or any(row.self_device_time_total > 0 for row in rows)
        tables = _torch_tables(profiler, "device" if is_complete and device.type != "cpu" else "cpu")
    head = f"{device_name(device)}, torch {torch.__version__}\ntrace: {trace}\n"
    with atomic_write(folder / f"summary_{worker}.txt") as stream:
        stream.write("\n".join([head, *tables]))
    problem = f"it has no kernels of {device}, which the driver or another profiler may forbid"
    return trace, "" if is_complete else problem


def _newest(pattern: str) -> Path:
    paths = [path for path in glob.glob(pattern) if not os.path.isfile(path) or os.path.getsize(path)]
    if not paths:
        raise RuntimeError(f"the profiler has written no {pattern}")
    return Path(max(paths, key=os.path.getmtime))


def _torch_tables(profiler: Any, clock: str) -> list[str]:
    """Return the operators of a recording by time, and the same with the shapes of their inputs."""
    make_table = functools.partial(
        _torch_table, sort_by=f"self_{clock}_time_total", row_limit=ROWS, max_name_column_width=_NAME_WIDTH
    )
    by_shape = make_table(profiler.key_averages(group_by_input_shape=True), max_shapes_column_width=_SHAPES_WIDTH)
    return [
        "operators\n" + make_table(profiler.key_averages()),
        "operators with the shapes of their inputs\n" + by_shape,
    ]


def _torch_table(averages: Any, **options: Any) -> str:
    return averages.table(**options)


def _parse_npu_recording(folder: Path, worker: str) -> tuple[Path, list[str]]:
    """Turn what torch_npu has collected into files; return the path of the trace, and tables of operators and kernels.

    Another process does so.
    """
    data = _newest(f"{folder}/{glob.escape(worker)}_{os.getpid()}_*_ascend_pt")
    command = [sys.executable, "-c", _PARSE, str(data)]
    later = f"later: {shlex.join(['python', *command[1:]])}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PARSE_WITHIN, start_new_session=True)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"torch_npu has not parsed {data} within {PARSE_WITHIN:.0f} s; {later}") from None
    output = data / "ASCEND_PROFILER_OUTPUT"
    trace = output / "trace_view.json"
    if done.returncode or not trace.exists():
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise RuntimeError(f"torch_npu cannot parse {data} ({reason[0]}); {later}")
    operators = _csv_table(
        output / "operator_details.csv", "Name", ("Device Self Duration(us)", "Host Self Duration(us)")
    )
    kernels = _csv_table(output / "kernel_details.csv", "Type", ("Duration(us)",))
    return trace, ["kernels of the NPU\n" + kernels, "operators of torch\n" + operators]


def _csv_table(path: Path, key: str, columns: tuple[str, ...]) -> str:
    """Return the sums of some columns of a csv file for each value of the column `key`, the largest first."""
    if not path.exists():
        return f"none: {path.name} is missing\n"
    with open(path, newline="", encoding="utf-8") as stream:
        sums = _sum_columns(csv.DictReader(stream), key, columns)
    ranked = sorted(sums.items(), key=lambda item: item[1][1:], reverse=True)[:ROWS]
    lines = [f"{key:{_NAME_WIDTH}}{'calls':>9}" + "".join(f"{column:>28}" for column in columns)]
    for name, (calls, *values) in ranked:
        numbers = "".join(f"{value:28.1f}" for value in values)
        lines.append(f"{name[: _NAME_WIDTH - 1]:{_NAME_WIDTH}}{calls:9.0f}{numbers}")
    return "\n".join(lines) + "\n"


def _sum_columns(rows: Iterable[dict[str, str]], key: str, columns: tuple[str, ...]) -> dict[str, list[float]]:
    """Return for each value of `key` the number of rows and the sum of each column."""
    sums: dict[str, list[float]] = {}
    for row in rows:
        total = sums.setdefault(row[key], [0.0] * (1 + len(columns)))
        for index, value in enumerate((1.0, *(float(row[column] or 0) for column in columns))):
            total[index] += value
    return sums
