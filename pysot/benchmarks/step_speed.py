"""How fast a device trains: the step and its kernels, precisions and layouts, ways to correlate, and the plain way for comparison. Batches are drawn ones that
lie in memory, so that no loader takes part.
"""

import itertools
import statistics
import time
from collections.abc import Iterator

import torch
from torch.autograd import DeviceType

from pysot.benchmarks.networks import batch_of, case_of, pinned, precisions, trainer_of
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.train_step import seconds_per_step, verdict
from pysot.benchmarks.training import Timed, free, time_plain, time_trainer
from pysot.benchmarks.xcorr import correlation_times
from pysot.engine.train_loop import Trainer
from pysot.utils.device import synchronize
from pysot.utils.device_builder import open_device
from pysot.utils.meter import elapsed_ms

KERNELS = 25
PROFILED = 3  # steps
TARGETS = {
    "cuda": (1000.0, 4.0),
    "cpu": (None, 1.3),
}  # pairs/s of the recipe's network with the backbone frozen, and times the plain way


def fast(setting: Setting) -> list:
    """Config values of the precision in which a device is fast."""
    return [] if setting.device == "cpu" else ["TRAIN.PRECISION", "bf16"]


def begun(setting: Setting, *opts, trains: bool = False) -> Trainer:
    """A trainer of drawn batches, begun with the backbone frozen or training."""
    case = case_of(setting, *opts)
    device = open_device(setting.device, case.cfg)
    batches = [pinned(batch_of(case, seed=number), device) for number in range(2)]
    return trainer_of(case, device, batches, case.unfreeze_epoch if trains else 0)


def counts(setting: Setting) -> dict[str, int]:
    """Steps of a repetition, and repetitions."""
    return {"steps": 1, "repeats": 2} if setting.short else {"steps": 10, "repeats": 3}


def tell(record: Record, name: str, timed: Timed, batch: int, target: float | None = None) -> float:
    """Speed and memory of a step; returns the median speed."""
    speed = statistics.median(timed.speeds(batch))
    record.figure(name, speed, "pairs/s", target)
    record.figure(f"{name}, spread", statistics.pstdev(timed.speeds(batch)), "pairs/s")
    record.figure(f"{name}, peak memory", timed.memory, "MiB")
    if timed.reserved is not None:
        record.figure(f"{name}, reserved memory", timed.reserved, "MiB")
    return speed


def step(setting: Setting, record: Record) -> None:
    """The eager step with the backbone frozen: speed, its parts, milliseconds by device events, its kernels."""
    trainer = begun(setting, *fast(setting))
    timed = time_trainer(trainer, trainer.loader, **counts(setting))
    tell(
        record,
        "frozen step",
        timed,
        trainer.settings.batch_size,
        None if setting.short else TARGETS.get(trainer.device.type, (None,))[0],
    )
    for part, seconds in timed.parts.items():
        record.figure(f"frozen step, {part}", 1000 * seconds, "ms")
    record.note(verdict(timed.parts))
    batches = itertools.cycle(trainer.loader)
    spent = [elapsed_ms(trainer.device, lambda: trainer.step(next(batches))) for _ in range(3 if setting.short else 10)]
    record.figure("frozen step, between device events", statistics.median(spent), "ms")
    if trainer.device.type == "npu":
        record.note("no profile: that of an NPU is torch_npu's own (torch_npu.profiler), see its documentation")
    else:
        profile(trainer, record, statistics.median(spent))


def profile(trainer: Trainer, record: Record, step_ms: float) -> None:
    """The kernels of a step that take longest (on a CPU the operators), how many there are, and the share of the step's time in which the device computes."""
    kinds = torch.profiler.ProfilerActivity
    on_card = trainer.device.type != "cpu"
    with torch.profiler.profile(activities=[kinds.CPU, *([kinds.CUDA] if on_card else [])]) as seen:
        for batch in itertools.islice(itertools.cycle(trainer.loader), PROFILED):
            trainer.step(batch)
        synchronize(trainer.device)
    wanted = DeviceType.CUDA if on_card else DeviceType.CPU
    rows = [
        (row.self_device_time_total if on_card else row.self_cpu_time_total, row.count, row.key)
        for row in seen.key_averages()
        if row.device_type == wanted
        and not getattr(row, "is_user_annotation", False)
        and not row.key.startswith(("Optimizer.", "ProfilerStep"))
    ]
    record.figure(
        "kernels in a step" if on_card else "operators in a step", sum(count for _, count, _ in rows) / PROFILED, ""
    )
    if on_card:
        record.figure(
            "the device computes", 100 * sum(micro for micro, _, _ in rows) / 1000 / PROFILED / step_ms, "% of a step"
        )
    record.note(f"{'ms a step':>9} {'times':>6}  {'kernel' if on_card else 'operator'}")
    for micro, count, name in sorted(rows, reverse=True)[:KERNELS]:
        record.note(f"{micro / 1000 / PROFILED:9.3f} {count / PROFILED:6.1f}  {name[:110]}")


def variants(setting: Setting, record: Record) -> None:
    """The frozen step in each precision, layout and with cudnn.benchmark, the likely fastest first, as many as there is time for."""
    began, longest, found, left = time.monotonic(), 0.0, {}, []
    for name, opts in _variants(setting):
        if time.monotonic() - began + 1.3 * longest > setting.seconds - 3:
            left.append(name)
            continue
        start = time.monotonic()
        trainer = begun(setting, *opts)
        warm_up = 2 if setting.short else 5
        seconds = seconds_per_step(trainer.step, trainer.loader, trainer.device, **counts(setting), warm_up=warm_up)
        found[name] = trainer.settings.batch_size / statistics.median(seconds)
        record.figure(f"frozen step, {name}", found[name], "pairs/s")
        del trainer
        free(False)
        longest = max(longest, time.monotonic() - start)
    if found:
        record.note(f"the fastest: {max(found, key=found.get)}")
    if left:
        record.note(f"left out for lack of time: {'; '.join(left)}")


def _variants(setting: Setting) -> Iterator[tuple[str, list]]:
    kind = setting.kind
    known = precisions(kind)
    for precision in ["fp32", "bf16"] if setting.short else reversed(known):
        for benchmark in (False, True) if kind == "cuda" else (False,):
            for last in (False,) if kind == "npu" else (True, False):
                name = f"{precision}, {'channels last' if last else 'contiguous'}{', cudnn.benchmark' * benchmark}"
                yield name, [*known[precision], "TRAIN.CHANNELS_LAST", last, "GPU.CUDNN_BENCHMARK", benchmark]


def correlation(setting: Setting, record: Record) -> None:
    """Milliseconds of each way to correlate, forward and backward, in the layouts and precisions of runs."""
    kind = setting.kind
    wanted = ("fp32",) if kind == "cpu" else ("bf16", "fp16", "fp32")
    for precision, last in itertools.product(wanted, (False,) if kind == "npu" else (False, True)):
        device = open_device(setting.device, case_of(setting).cfg)
        size = {"size": (4, 64)} if setting.short else {}
        times = correlation_times(
            device, precision, 3 if setting.short else 10, channels_last=last, compiled=False, **size
        )
        told = f"{precision}, {'channels last' if last else 'contiguous'}"
        for way, (forward, backward) in times.items():
            record.figure(f"{way}, {told}, forward", 1000 * forward, "ms")
            record.figure(f"{way}, {told}, backward", 1000 * backward, "ms")
        record.note(f"the fastest in {told}: {min(times, key=lambda way: sum(times[way]))}")  # noqa: B023 (called at once)


def unfrozen(setting: Setting, record: Record) -> None:
    """The step with the backbone training."""
    trainer = begun(setting, *fast(setting), trains=True)
    timed = time_trainer(trainer, trainer.loader, **counts(setting))
    tell(record, "unfrozen step", timed, trainer.settings.batch_size)
    record.note(verdict(timed.parts))


def plain(setting: Setting, record: Record) -> None:
    """The frozen step against the plain way of doing it, each with the memory to itself."""
    case = case_of(setting, *fast(setting))
    trainer = begun(setting, *fast(setting))
    device, freeze, batches = trainer.device, trainer.freeze, list(trainer.loader)
    ours = tell(record, "frozen step", time_trainer(trainer, batches, **counts(setting)), case.batch_size)
    del trainer
    free(False)
    timed = time_plain(case, freeze, 0, batches, device, **counts(setting))
    theirs = tell(record, "plain way", timed, case.batch_size)
    record.figure(
        "times the plain way", ours / theirs, "x", None if setting.short else TARGETS.get(device.type, (None, 3.0))[1]
    )


def compiled(setting: Setting, record: Record) -> None:
    """The frozen step through torch.compile, and the shifted products."""
    began = time.monotonic()
    trainer = begun(setting, *fast(setting), "TRAIN.COMPILE", True)
    trainer.step(trainer.loader[0])
    synchronize(trainer.device)
    record.figure("compiled frozen step, the first one", time.monotonic() - began, "s")
    tell(
        record,
        "compiled frozen step",
        time_trainer(trainer, trainer.loader, **counts(setting)),
        trainer.settings.batch_size,
    )
    times = correlation_times(trainer.device, "bf16", 10, channels_last=True)
    forward, backward = times["shifted products, compiled"]
    record.figure("shifted products, compiled, bf16, channels last, forward", 1000 * forward, "ms")
    record.figure("shifted products, compiled, bf16, channels last, backward", 1000 * backward, "ms")
