"""Benchmark of tracking: one stream and batches in each precision and form, against the plain tracker."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from yacs.config import CfgNode

from pysot.benchmarks.case_builder import build_plain_tracker, with_track_options
from pysot.benchmarks.device_limits import has_amx_bf16, processor_name
from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.networks import make_network
from pysot.benchmarks.plain_tracker import PlainTracker
from pysot.benchmarks.set_speed import sequences_to_track
from pysot.benchmarks.tracking_profile import PARTS, describe_tracking, profile_steps
from pysot.benchmarks.tracking_ways import (
    Clip,
    ManyTargets,
    OneTarget,
    Runner,
    TwoInFlight,
    Way,
    clips_of,
    step_name,
    timed_parts,
)
from pysot.models.model_builder import ModelBuilder, build_model
from pysot.toolkit.datasets import load_dataset
from pysot.tracker.compiled import can_compile
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker
from pysot.utils.cores import usable_cores
from pysot.utils.device import peak_memory_mib, reset_peak_memory, synchronize
from pysot.utils.model_load import load_pretrain

BATCHES = (1, 4, 8, 16, 64)
CARD_BATCHES = (1, 8, 32, 64)
MIN_STEPS = 3
# Other forms of one stream, by kind of device: values of the TRACK section.
FORMS: dict[str, dict[str, dict[str, object]]] = {
    "cpu": {"crops by torch": {"CROPS": "device"}, "compiled": {"COMPILE": True}},
    "cuda": {"no graph": {"GRAPH": "off"}, "crops by OpenCV": {"CROPS": "host"}, "compiled": {"COMPILE": True}},
    "npu": {"no graph": {"GRAPH": "off"}, "crops by OpenCV": {"CROPS": "host"}},
}
# Targets of the ratio per frame by kind of device and the beginning of the experiment's name; on a CPU, those of bf16
# need AMX.
TARGETS = {
    "cpu": {
        "siamrpn_r50_l234": {"fp32, one stream": 1.15, "bf16, one stream": 2.5, "bf16, batch 8": 4.0},
        "siamrpn_alex": {"fp32, one stream": 1.35, "bf16, one stream": 3.0, "bf16, batch 8": 5.0},
        "siamrpn_mobilev2_l234": {"fp32, one stream": 1.25, "bf16, one stream": 2.0, "bf16, batch 8": 2.7},
    },
    "cuda": {"siamrpn_r50_l234": {"bf16, one stream": 4.0, "bf16, batch 32": 15.0}},
}


def track(job: Job) -> Result:
    """Measure tracking one stream and batches in each precision; the ratio compares the plain way's time per frame.

    One stream is also measured in other forms: with the crops cut elsewhere, compiled, on a card without graph and with
    two frames in flight. A sentence names the bottleneck of the plain way, of one stream and of the largest batch.

    A repetition tracks `job.steps` frames, a batch at least MIN_STEPS steps; all ways take turns. The memory of a way
    is what it adds to the peak of the process, or of the device, while it is built and takes its first steps; ways of a
    precision share a network, which counts for the first.
    """
    precisions = job.precisions or _default_precisions(job)
    with sequences_to_track(job, frames=40) as source, ThreadPoolExecutor(len(usable_cores())) as threads:
        clips = clips_of(load_dataset(*source))
        runner = Runner(clips, threads)
        ways = list(_build_ways(job, precisions, runner))
        for _ in job.progress(range(job.repeats), description="repetitions"):
            for way in ways:
                runner.repeat(way, steps_of(job, way))
        for way in ways:
            with timed_parts(way, partial(synchronize, job.device)) as timer:
                runner.run(way, steps_of(job, way), timer)
        rows = [row for way in ways for row in _rows(job, way, ways[0])]
        sentences = [describe_machine(clips)]
        for way in _profiled(ways):
            share, sentence = _bottleneck(job, way, runner)
            rows.append(Row(f"{way.name}, crops and decoding", 100 * share, "% of a step"))
            sentences.append(f"{way.name}: {sentence}")
        return rows, "\n".join(sentences)


def _default_precisions(job: Job) -> tuple[str, ...]:
    if job.device.type != "cpu":
        return "fp32", "bf16", "fp16"
    return ("fp32", "bf16") if has_amx_bf16() else ("fp32",)


def _profiled(ways: Sequence[Way]) -> list[Way]:
    """Return the ways whose bottleneck is named."""
    largest = max(ways, key=lambda way: way.targets)
    one_stream = next(way for way in ways if way.name.endswith(", one stream"))
    return list({way.name: way for way in (ways[0], one_stream, largest)}.values())


def _bottleneck(job: Job, way: Way, runner: Runner) -> tuple[float, str]:
    """Return the share of crops and decoding in a step, and a sentence about what limits its speed."""
    images = runner.start(way)
    is_plain = isinstance(way.tracker, OneTarget) and isinstance(way.tracker.tracker, PlainTracker)
    profile = profile_steps(job.device, way.tracker.set_timer, lambda: way.tracker.track(images), is_plain)
    reading, tracking = (statistics.median(map(statistics.median, each)) for each in (way.reading, way.tracking))
    return profile.small_share, describe_tracking(profile, 1000 * reading, 1000 * tracking)


def steps_of(job: Job, way: Way) -> int:
    """Return the steps of a repetition of a way."""
    return max(MIN_STEPS, math.ceil(job.steps / way.targets))


def load_network(job: Job) -> ModelBuilder:
    """Return the network of a job on its device: with the weights of --snapshot, or synthetic ones."""
    if job.snapshot:
        model = build_model(job.case.cfg)
        load_pretrain(model, job.snapshot)
    else:
        model = make_network(job.case, job.experiment)
    return model.to(job.device).eval()


def _build_ways(job: Job, precisions: Sequence[str], runner: Runner) -> Iterator[Way]:
    """Yield the plain way, then the others; each has taken its first steps, and its memory is known."""
    # The plain way has a network of its own, since the others share a converted copy of theirs.
    model, plain_model = load_network(job), load_network(job)
    yield _build_way(job, runner, "plain way", 1, lambda: OneTarget(build_plain_tracker(plain_model, job.case.cfg)))
    on_card = job.device.type != "cpu"
    for precision in precisions:
        cfg = with_track_options(job.case.cfg, PRECISION=precision)
        name = f"{precision}, one stream"
        yield _build_way(job, runner, name, 1, partial(_one_stream, model, cfg))
        for form, options in _forms(job.device.type).items():
            form_cfg = with_track_options(cfg, **options)
            yield _build_way(job, runner, f"{name}, {form}", 1, partial(_one_stream, model, form_cfg))
        if on_card:
            in_flight = partial(_batch, model, cfg, 1, TwoInFlight)
            yield _build_way(job, runner, f"{name}, two frames in flight", 1, in_flight)
        for targets in job.batches or (CARD_BATCHES if on_card else BATCHES):
            build = partial(_batch, model, cfg, targets, ManyTargets)
            yield _build_way(job, runner, f"{precision}, batch {targets}", targets, build)


def _forms(kind: str) -> dict[str, dict[str, object]]:
    """Return the other forms of one stream on a kind of device, the compiled one where torch can compile."""
    return {name: values for name, values in FORMS[kind].items() if "COMPILE" not in values or can_compile(kind)}


def _one_stream(model: ModelBuilder, cfg: CfgNode) -> OneTarget:
    return OneTarget(build_tracker(model, cfg))


def _batch(model: ModelBuilder, cfg: CfgNode, targets: int, kind: type[ManyTargets]) -> ManyTargets:
    return kind(build_batch_tracker(model, cfg, targets))


def _build_way(job: Job, runner: Runner, name: str, targets: int, build: Callable[[], OneTarget | ManyTargets]) -> Way:
    reset_peak_memory(job.device)
    before = peak_memory_mib(job.device)
    way = Way(name, targets, build())
    runner.run(way, MIN_STEPS)
    way.memory = peak_memory_mib(job.device) - before
    return way


def _rows(job: Job, way: Way, plain: Way) -> list[Row]:
    """Return what was measured of a way."""
    name, steps = way.name, [seconds for repetition in way.tracking for seconds in repetition]
    parts = {part: statistics.median(way.parts[part]) for part in PARTS}
    # A timed step differs from others in its waits, so the rest is counted in timed steps as well.
    rest = statistics.median(way.parts["track"]) - sum(parts.values())
    reading = statistics.median(seconds for repetition in way.reading for seconds in repetition)
    rows = [
        Row(name, way.speed(), "frames/s", way.ratio(plain), _target(job, name)),
        Row(f"{name}, without reading", way.speed(reading=False), "frames/s", way.ratio(plain, reading=False)),
        Row(f"{name}, {step_name(way.tracker)}", 1000 * statistics.median(steps), "ms"),
        Row(f"{name}, 95 % within", 1000 * float(np.percentile(steps, 95)), "ms"),
        Row(f"{name}, read", 1000 * reading, "ms"),
        *(Row(f"{name}, {part}", 1000 * seconds, "ms") for part, seconds in (parts | {"rest": rest}).items()),
        Row(f"{name}, memory", way.memory, "MiB"),
    ]
    return rows if way is plain else [*rows, Row(f"{name}, overlap with the plain way's boxes", way.overlap(plain), "")]


def _target(job: Job, name: str) -> float | None:
    """Return the target of a way's ratio, None where there is none."""
    if job.device.type == "cpu" and name.startswith("bf16") and not has_amx_bf16():
        return None
    networks = TARGETS.get(job.device.type, {})
    return next((value for key, value in networks.items() if job.experiment.startswith(key)), {}).get(name)


def describe_machine(clips: Sequence[Clip]) -> str:
    """Return a sentence about the machine and the frames."""
    threads = f"{torch.get_num_threads()} threads"
    amx = "with amx_bf16" if has_amx_bf16() else "without amx_bf16, so bf16 has no targets"
    return f"{processor_name()} {amx}, {threads}; {len(clips)} sequences"
