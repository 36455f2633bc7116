"""Training speed of a device: the step and its kernels, precisions and layouts, ways to correlate, the plain step.

All use synthetic batches in memory, so no loader is involved.
"""

import itertools
import statistics
import time
from collections.abc import Iterator

import torch
from torch.autograd import DeviceType

from pysot.benchmarks.case_builder import Case
from pysot.benchmarks.networks import (
    make_batch,
    make_case,
    make_trainer,
    pin_batch,
    precisions,
    training_data_opts,
    ways_to_step,
)
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.train_step import describe_bottleneck, seconds_per_step
from pysot.benchmarks.training import StepTiming, release_memory, time_plain, time_trainer
from pysot.benchmarks.xcorr import correlation_times
from pysot.engine.train_loop import Trainer
from pysot.utils.device import synchronize
from pysot.utils.device_builder import open_device
from pysot.utils.meter import elapsed_ms

LISTED_KERNELS = 25
PROFILED_STEPS = 3
# By kind of device: pairs/s of the recipe's network with a frozen backbone, and its speed over that of the plain step.
TARGET_SPEED = {"cuda": 1000.0}
TARGET_GRAPH_SPEED = {"cuda": 2000.0}  # as a graph, with weights converted from torchvision
TARGET_RATIO = {"cuda": 4.0, "npu": 3.0, "cpu": 1.3}
STEP_FORMS: dict[str, dict[str, bool]] = {
    "frozen step": {},
    "frozen step, converted weights": {"converted": True},
    "unfrozen step": {"unfrozen": True},
}
EXIT_SECONDS = 3  # kept for the end of the process


def fast_precision_opts(setting: Setting) -> list[object]:
    """Return config values of the precision in which the device is fast."""
    return [] if setting.device == "cpu" else ["TRAIN.PRECISION", "bf16"]


def tool_opts(setting: Setting, case: Case) -> list[object]:
    """Return the config values with which a tool trains the network of a case on the data of the check."""
    return [
        *fast_precision_opts(setting),
        *training_data_opts(setting),
        "BACKBONE.PRETRAINED",
        "",
        "BACKBONE.TRAIN_EPOCH",
        case.unfreeze_epoch,
        "TRAIN.BATCH_SIZE",
        case.batch_size,
    ]


def start_trainer(setting: Setting, *opts: object, unfrozen: bool = False, converted: bool = False) -> Trainer:
    """Return a started trainer of synthetic batches, see `make_trainer`, with the backbone frozen or training."""
    case = make_case(setting, *opts)
    device = open_device(setting.device, case.cfg)
    batches = [pin_batch(make_batch(case, seed=number), device) for number in range(2)]
    return make_trainer(case, device, batches, case.unfreeze_epoch if unfrozen else 0, converted=converted)


def steps_and_repeats(setting: Setting) -> tuple[int, int]:
    """Return the steps of a repetition, and the number of repetitions."""
    return (1, 2) if setting.short else (10, 3)


def record_timing(record: Record, name: str, timing: StepTiming, batch: int, target: float | None = None) -> float:
    """Record speed and memory of a step; return the median speed."""
    speed = statistics.median(timing.speeds(batch))
    record.measurement(name, speed, "pairs/s", target)
    record.measurement(f"{name}, spread", statistics.pstdev(timing.speeds(batch)), "pairs/s")
    record.measurement(f"{name}, peak memory", timing.memory, "MiB")
    if timing.reserved is not None:
        record.measurement(f"{name}, reserved memory", timing.reserved, "MiB")
    return speed


def frozen_step(setting: Setting, record: Record) -> None:
    """Measure the eager step with the backbone frozen: speed, parts, milliseconds by device events, kernels."""
    trainer = start_trainer(setting, *fast_precision_opts(setting))
    timing = time_trainer(trainer, trainer.loader, *steps_and_repeats(setting))
    target = None if setting.short else TARGET_SPEED.get(trainer.device.type)
    record_timing(record, "frozen step", timing, trainer.settings.batch_size, target)
    for part, seconds in timing.parts.items():
        record.measurement(f"frozen step, {part}", 1000 * seconds, "ms")
    record.note(describe_bottleneck(timing.parts))
    batches = itertools.cycle(trainer.loader)
    spent = [elapsed_ms(trainer.device, lambda: trainer.step(next(batches))) for _ in range(3 if setting.short else 10)]
    record.measurement("frozen step, between device events", statistics.median(spent), "ms")
    if trainer.device.type == "npu":
        record.note("no profile: an NPU has its own profiler, see the documentation of torch_npu.profiler")
    else:
        profile(trainer, record, statistics.median(spent))


def profile(trainer: Trainer, record: Record, step_ms: float) -> None:
    """Record the longest kernels of a step (operators on a CPU), their number, and the share of the step they take."""
    activities = torch.profiler.ProfilerActivity
    on_card = trainer.device.type != "cpu"
    with torch.profiler.profile(activities=[activities.CPU, *([activities.CUDA] if on_card else [])]) as profiler:
        for batch in itertools.islice(itertools.cycle(trainer.loader), PROFILED_STEPS):
            trainer.step(batch)
        synchronize(trainer.device)
    device_type = DeviceType.CUDA if on_card else DeviceType.CPU
    rows = [
        (row.self_device_time_total if on_card else row.self_cpu_time_total, row.count, row.key)
        for row in profiler.key_averages()
        if row.device_type == device_type
        and not getattr(row, "is_user_annotation", False)
        and not row.key.startswith(("Optimizer.", "ProfilerStep"))
    ]
    kernel = "kernel" if on_card else "operator"
    record.measurement(f"{kernel}s in a step", sum(count for _, count, _ in rows) / PROFILED_STEPS, "")
    if on_card:
        busy_ms = sum(micro for micro, _, _ in rows) / 1000 / PROFILED_STEPS
        record.measurement("the device computes", 100 * busy_ms / step_ms, "% of a step")
    record.note(f"{'ms a step':>9} {'times':>6}  {kernel}")
    for micro, count, name in sorted(rows, reverse=True)[:LISTED_KERNELS]:
        record.note(f"{micro / 1000 / PROFILED_STEPS:9.3f} {count / PROFILED_STEPS:6.1f}  {name[:110]}")


def variants(setting: Setting, record: Record) -> None:
    """Measure the frozen step in each precision and layout, and with cudnn.benchmark.

    The variants expected to be fastest come first. Variants that do not fit into the time limit are skipped and noted.
    """
    began, longest = time.monotonic(), 0.0
    speeds: dict[str, float] = {}
    skipped = []
    for name, opts in _variants(setting):
        if time.monotonic() - began + 1.3 * longest > setting.seconds - EXIT_SECONDS:
            skipped.append(name)
            continue
        start = time.monotonic()
        trainer = start_trainer(setting, *opts)
        steps, repeats = steps_and_repeats(setting)
        warm_up = 2 if setting.short else 5
        seconds = seconds_per_step(trainer.step, trainer.loader, trainer.device, steps, repeats, warm_up=warm_up)
        speeds[name] = trainer.settings.batch_size / statistics.median(seconds)
        record.measurement(f"frozen step, {name}", speeds[name], "pairs/s")
        del trainer
        release_memory(compiled=False)
        longest = max(longest, time.monotonic() - start)
    if speeds:
        record.note(f"the fastest: {max(speeds, key=speeds.__getitem__)}")
    if skipped:
        record.note(f"left out for lack of time: {'; '.join(skipped)}")


def _layout_name(channels_last: bool) -> str:
    return "channels last" if channels_last else "contiguous"


def _variants(setting: Setting) -> Iterator[tuple[str, list[object]]]:
    """Yield the name and the config values of each variant."""
    kind = setting.kind
    all_precisions = precisions(kind)
    for precision in ["fp32", "bf16"] if setting.short else reversed(all_precisions):
        for benchmark in (False, True) if kind == "cuda" else (False,):
            for channels_last in (False,) if kind == "npu" else (True, False):
                name = f"{precision}, {_layout_name(channels_last)}"
                if benchmark:
                    name += ", cudnn.benchmark"
                switches = ["TRAIN.CHANNELS_LAST", channels_last, "GPU.CUDNN_BENCHMARK", benchmark]
                yield name, [*all_precisions[precision], *switches]


def correlation(setting: Setting, record: Record) -> None:
    """Record the milliseconds of each way to correlate, forward and backward, in layouts and precisions of training."""
    kind = setting.kind
    used_precisions = ("fp32",) if kind == "cpu" else ("bf16", "fp16", "fp32")
    layouts = (False,) if kind == "npu" else (False, True)
    size, repeats = ((4, 64), 3) if setting.short else ((28, 256), 10)
    for precision, channels_last in itertools.product(used_precisions, layouts):
        device = open_device(setting.device, make_case(setting).cfg)
        times = correlation_times(device, precision, repeats, channels_last, compiled=False, size=size)
        variant = f"{precision}, {_layout_name(channels_last)}"
        for way, (forward, backward) in times.items():
            record.measurement(f"{way}, {variant}, forward", 1000 * forward, "ms")
            record.measurement(f"{way}, {variant}, backward", 1000 * backward, "ms")
        totals = {way: sum(seconds) for way, seconds in times.items()}
        record.note(f"the fastest in {variant}: {min(totals, key=totals.__getitem__)}")


def step_forms(setting: Setting, record: Record) -> None:
    """Measure the frozen step, with weights as converted from torchvision, and the unfrozen step; each as a graph."""
    for way, graph_opts in ways_to_step(open_device(setting.device, make_case(setting).cfg)).items():
        for name, options in STEP_FORMS.items():
            trainer = start_trainer(setting, *fast_precision_opts(setting), *graph_opts, **options)
            timing = time_trainer(trainer, trainer.loader, *steps_and_repeats(setting))
            has_target = way and "converted" in options and not setting.short
            target = TARGET_GRAPH_SPEED.get(trainer.device.type) if has_target else None
            record_timing(record, f"{name}{way}, forms", timing, trainer.settings.batch_size, target)
            del trainer
            release_memory(compiled=False)


def unfrozen_step(setting: Setting, record: Record) -> None:
    """Measure the step with the backbone training."""
    trainer = start_trainer(setting, *fast_precision_opts(setting), unfrozen=True)
    timing = time_trainer(trainer, trainer.loader, *steps_and_repeats(setting))
    record_timing(record, "unfrozen step", timing, trainer.settings.batch_size)
    record.note(describe_bottleneck(timing.parts))


def plain_step(setting: Setting, record: Record) -> None:
    """Measure the frozen step against the plain step; the trainer is freed before the plain step starts."""
    opts = fast_precision_opts(setting)
    case = make_case(setting, *opts)
    trainer = start_trainer(setting, *opts)
    device, freeze, batches = trainer.device, trainer.freeze, list(trainer.loader)
    timing = time_trainer(trainer, batches, *steps_and_repeats(setting))
    speed = record_timing(record, "frozen step", timing, case.batch_size)
    del trainer
    release_memory(compiled=False)
    plain_timing = time_plain(case, freeze, 0, batches, device, *steps_and_repeats(setting))
    plain_speed = record_timing(record, "plain way", plain_timing, case.batch_size)
    target = None if setting.short else TARGET_RATIO[device.type]
    record.measurement("times the plain way", speed / plain_speed, "x", target)


def compiled_step(setting: Setting, record: Record) -> None:
    """Measure the frozen step and the shifted products with torch.compile."""
    device = open_device(setting.device, make_case(setting).cfg)
    for way, graph_opts in ways_to_step(device).items():
        began = time.monotonic()
        trainer = start_trainer(setting, *fast_precision_opts(setting), "TRAIN.COMPILE", True, *graph_opts)
        trainer.step(trainer.loader[0])
        synchronize(trainer.device)
        record.measurement(f"compiled frozen step{way}, the first one", time.monotonic() - began, "s")
        timing = time_trainer(trainer, trainer.loader, *steps_and_repeats(setting))
        record_timing(record, f"compiled frozen step{way}", timing, trainer.settings.batch_size)
        del trainer
        release_memory(compiled=True)
    times = correlation_times(device, "bf16", 10, channels_last=True)
    forward, backward = times["shifted products, compiled"]
    record.measurement("shifted products, compiled, bf16, channels last, forward", 1000 * forward, "ms")
    record.measurement("shifted products, compiled, bf16, channels last, backward", 1000 * backward, "ms")
