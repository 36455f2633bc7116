"""Benchmark of exported trackers: engines and precisions against the tracker of torch, and the ways to correlate."""

import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pysot.benchmarks.case_builder import read_case, with_track_options
from pysot.benchmarks.device_limits import has_amx_bf16
from pysot.benchmarks.exports import write_export
from pysot.benchmarks.generated import make_crops, make_raw_set, training_set_opts
from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.set_speed import sequences_to_track
from pysot.benchmarks.tracking_speed import MIN_STEPS, describe_machine, load_network, steps_of
from pysot.benchmarks.tracking_ways import ManyTargets, OneTarget, Runner, Way, clips_of
from pysot.deploy.engine_network import EngineNetwork
from pysot.deploy.engines import choose_engine
from pysot.deploy.package import Package
from pysot.deploy.tracker import Tracker, load_batch_tracker
from pysot.models.model_builder import ModelBuilder
from pysot.toolkit.datasets import load_dataset
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker
from pysot.utils.cores import usable_cores

STREAM = "one stream"
BATCHES = (1, 8)  # a batch of 1 is one stream
# Exports in fp32 by the ends of the names of their ways, and their options. Batches have that of any batch.
ONE_STREAM, ANY_BATCH = "", ", any batch"
EXPORTS: dict[str, dict[str, Any]] = {
    ONE_STREAM: {"xcorr": "shift"},
    ANY_BATCH: {"xcorr": "shift", "batch": None},
    ", grouped": {"xcorr": "grouped"},
    ", matmul": {"xcorr": "matmul"},
}
# Engines by precision.
ENGINES = {
    "fp32": ("onnxruntime:cpu", "openvino:fp32"),
    "bf16": ("openvino:bf16",),
    "int8": ("onnxruntime:cpu", "openvino:int8"),
}
# Targets of the ratio by the beginning of the experiment's name, on a CPU with AMX: of the fastest export in fp32, and
# of the fastest of OpenVINO in bf16 and int8.
TARGETS = {"siamrpn_r50_l234": (1.25, 5.0), "siamrpn_alex": (1.4, 6.0), "siamrpn_mobilev2_l234": (1.7, 4.5)}
_VIDEOS, _FRAMES = 12, 6  # of the generated training set, on whose crops int8 is calibrated


def deploy(job: Job) -> Result:
    """Measure the tracker of torch and exported ones: one stream and batches, in each precision and with each engine.

    A frame is timed from its pixels to the box: crop, network and decoding, without reading its file. The ratio
    compares the time per frame with that of torch in fp32, one stream. One stream is also measured with the other
    exports: the other ways to correlate, and that of any batch. All ways take turns, and have as many threads as torch.
    Engines that are not installed are left out.

    Raises ImportError if packages of the export are missing, and ValueError on another device than a CPU.
    """
    if job.device.type != "cpu":
        raise ValueError("deploy measures engines on a CPU: add --device cpu; tools/check_device.py measures a card")
    precisions = job.precisions or (("fp32", "bf16", "int8") if has_amx_bf16() else ("fp32", "int8"))
    with (
        sequences_to_track(job, frames=40) as source,
        tempfile.TemporaryDirectory(prefix="pysot_benchmark_") as folder,
        ThreadPoolExecutor(len(usable_cores())) as threads,
    ):
        clips = clips_of(load_dataset(*source))
        runner, model = Runner(clips, threads), load_network(job)
        packages, sentences = _write_exports(job, model, precisions, Path(folder))
        networks, missing = _open_networks(packages, precisions)
        ways = [*_torch_ways(job, model, precisions), *_engine_ways(job, networks)]
        for way in ways:
            runner.run(way, MIN_STEPS)
        for _ in job.progress(range(job.repeats), description="repetitions"):
            for way in ways:
                runner.repeat(way, steps_of(job, way))
    rows = [row for way in ways for row in _rows(way, ways[0])]
    best, best_sentences = _best(job, ways)
    return [*rows, *best], "\n".join([describe_machine(clips), *sentences, *missing, *best_sentences])


def _write_exports(
    job: Job, model: ModelBuilder, precisions: Sequence[str], folder: Path
) -> tuple[dict[str, Package], list[str]]:
    """Write the exports of a network; return them by name, int8 as "int8", and a sentence on what was quantised."""
    write = partial(write_export, model, bar=job.progress, snapshot=job.snapshot)
    packages = {
        name: write(cfg=job.case.cfg, folder=folder / str(index), **options)[0]
        for index, (name, options) in enumerate(EXPORTS.items())
    }
    if "int8" not in precisions:
        return packages, []
    make_raw_set(folder / "raw", _VIDEOS, _FRAMES)
    make_crops(folder / "raw", folder / "COCO", "COCO")
    cfg = read_case(job.config, [*job.opts, *training_set_opts(folder / "COCO")]).cfg
    packages["int8"], quantised = write(cfg=cfg, folder=folder / "int8", precision="int8", batch=None)
    assert quantised is not None
    count = quantised.convolutions
    sentence = (
        f"int8: {count - len(quantised.left_out)} of {count} convolutions of the search, mean error of the outputs "
        f"{100 * quantised.error:.1f} %"
    )
    return packages, [sentence]


def _open_networks(
    packages: Mapping[str, Package], precisions: Sequence[str]
) -> tuple[dict[str, dict[str, EngineNetwork]], list[str]]:
    """Load the exports: networks by engine and precision, then by export; also say which engines are left out."""
    networks: dict[str, dict[str, EngineNetwork]] = {}
    missing: dict[str, str] = {}
    exports = {"fp32": [*EXPORTS], "bf16": [ONE_STREAM, ANY_BATCH], "int8": ["int8"]}
    for precision, engine in [(each, engine) for each in precisions for engine in ENGINES[each]]:
        kind = engine.partition(":")[0]
        try:
            chosen = choose_engine(engine)
        except ImportError as error:
            missing[kind] = f"{kind} is left out: {error}"
            continue
        networks[f"{kind} {precision}"] = {
            name: EngineNetwork(packages[name], *chosen, torch.get_num_threads()) for name in exports[precision]
        }
    return networks, [*missing.values()]


def _torch_ways(job: Job, model: ModelBuilder, precisions: Sequence[str]) -> Iterator[Way]:
    """Yield the baseline, then batches, and the same in bf16."""
    for precision in ("fp32", *(["bf16"] if "bf16" in precisions else [])):
        cfg = with_track_options(job.case.cfg, PRECISION=precision)
        yield Way(f"torch {precision}, {STREAM}", 1, OneTarget(build_tracker(model, cfg)))
        for targets in _batches(job):
            tracker = build_batch_tracker(model, cfg, targets)
            yield Way(f"torch {precision}, batch {targets}", targets, ManyTargets(tracker))


def _engine_ways(job: Job, networks: Mapping[str, Mapping[str, EngineNetwork]]) -> Iterator[Way]:
    """Yield one stream, batches, and one stream with the other exports, of each engine and precision."""
    for name, exports in networks.items():
        first, *others = exports
        yield Way(f"{name}, {STREAM}", 1, OneTarget(Tracker(exports[first])))
        for targets in _batches(job):
            tracker = load_batch_tracker(exports.get(ANY_BATCH, exports[first]), targets)
            yield Way(f"{name}, batch {targets}", targets, ManyTargets(tracker))
        for other in others:
            yield Way(f"{name}, {STREAM}{other}", 1, OneTarget(Tracker(exports[other])))


def _batches(job: Job) -> list[int]:
    """Return the sizes of batches; one stream is measured in any case."""
    return [targets for targets in job.batches or BATCHES if targets > 1]


def _rows(way: Way, baseline: Way) -> list[Row]:
    """Return what was measured of a way."""
    steps = [seconds for repetition in way.tracking for seconds in repetition]
    rows = [
        Row(way.name, way.speed(reading=False), "frames/s", way.ratio(baseline, reading=False)),
        Row(f"{way.name}, latency", 1000 * statistics.median(steps), "ms"),
    ]
    return (
        rows if way is baseline else [*rows, Row(f"{way.name}, overlap with torch's boxes", way.overlap(baseline), "")]
    )


def _best(job: Job, ways: Sequence[Way]) -> tuple[list[Row], list[str]]:
    """Return a row for the fastest export of one stream in fp32, and of OpenVINO in bf16 and int8; and their names."""
    groups = {
        "the fastest export in fp32": [f"{kind} fp32, {STREAM}" for kind in ("onnxruntime", "openvino")],
        "the fastest of OpenVINO in bf16 and int8": [f"openvino {kind}, {STREAM}" for kind in ("bf16", "int8")],
    }
    rows, sentences = [], []
    for index, (title, names) in enumerate(groups.items()):
        found = [way for way in ways if way.name in names]
        if not found:
            continue
        best = max(found, key=lambda way: way.ratio(ways[0], reading=False))
        ratio = best.ratio(ways[0], reading=False)
        rows.append(Row(title, best.speed(reading=False), "frames/s", ratio, _targets(job)[index]))
        sentences.append(f"{title}: {best.name}")
    return rows, sentences


def _targets(job: Job) -> tuple[float | None, float | None]:
    """Return the targets of an experiment, see TARGETS, None where there are none."""
    found = [targets for name, targets in TARGETS.items() if job.experiment.startswith(name)]
    return found[0] if found and has_amx_bf16() else (None, None)
