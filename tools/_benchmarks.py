"""The benchmarks of tools/benchmark.py. Each takes the arguments, the config, the device and this process's rank, and returns rows of what, value, unit and,
where there is something to compare with, ratio and target; and a verdict in words.
"""

import argparse
import functools
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

import _cli
from pysot.benchmarks.evaluation import measure_scale
from pysot.benchmarks.index import measure_index
from pysot.benchmarks.loader import loader_times, ratio_to_decoding
from pysot.benchmarks.prepare import prepare_times
from pysot.benchmarks.scaling import Scaling, measure_scaling
from pysot.benchmarks.train_step import correlation_times, time_parts, verdict
from pysot.benchmarks.training import free, time_plain, time_trainer
from pysot.datasets.data_builder import build_dataset, build_train_loader
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.storage import is_pack
from pysot.engine.engine_builder import build_trainer, wants_channels_last
from pysot.models.model_builder import build_model
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.experiments.scoring import evaluate_tracker
from pysot.toolkit.results.files import tracker_dirs
from pysot.utils.cores import usable_cores
from pysot.utils.device import wants_pinned_memory
from pysot.utils.distributed import Rank

FORESEEN = (8, 64)  # cards


def build(args: argparse.Namespace, cfg, device: torch.device, me: Rank):
    """A trainer and the loader of the config's data, as tools/train.py has them."""
    loader = build_train_loader(cfg, seed=0, rank=me.rank, world_size=me.world_size, pin_memory=wants_pinned_memory(device),
                                workers=_cli.claim_cores(me, device), data_path=args.data_path)
    return build_trainer(cfg, build_model(cfg), loader, device, me, save=False), loader


def time_ours(args: argparse.Namespace, cfg, device: torch.device, me: Rank, epoch: int):
    """The step as it is timed; the batches and the freeze plan, for another way to step. The trainer is gone when it returns."""
    trainer, loader = build(args, cfg, device, me)
    stream = iter(loader)
    trainer.begin(epoch)
    batches = [next(stream) for _ in range(4)]
    return time_trainer(trainer, batches, args.steps, args.repeats, stream), batches, trainer.freeze


def train(args: argparse.Namespace, cfg, device: torch.device, me: Rank) -> tuple[list[tuple], str]:
    """The training step. The trainer is gone before the plain way has its turn: the peak memory of each is its own."""
    epoch = cfg.BACKBONE.TRAIN_EPOCH if args.backbone else 0
    ours, batches, freeze = time_ours(args, cfg, device, me, epoch)
    free(cfg.TRAIN.COMPILE)
    plain = time_plain(cfg, freeze, epoch, batches, device, args.steps, args.repeats)
    speeds, plain_speeds, parts = ours.speeds(cfg.TRAIN.BATCH_SIZE), plain.speeds(cfg.TRAIN.BATCH_SIZE), ours.parts
    ratio = statistics.median(speeds) / statistics.median(plain_speeds)
    outside = 1 - (parts["forward"] + parts["backward"]) / sum(parts.values())
    return [
        ("speed", statistics.median(speeds), "pairs/s", ratio, 1.3 if device.type == "cpu" else 3.0 if args.backbone else 4.0),
        ("speed, spread", statistics.pstdev(speeds), "pairs/s"),
        ("plain way", statistics.median(plain_speeds), "pairs/s"),
        ("plain way, spread", statistics.pstdev(plain_speeds), "pairs/s"),
        ("peak memory", ours.memory, "MiB", ours.memory / plain.memory, 1.0),
        ("peak memory of the plain way", plain.memory, "MiB"),
        *(("reserved memory" + way, run.reserved, "MiB") for way, run in (("", ours), (" of the plain way", plain)) if run.reserved is not None),
        *((part, 1000 * seconds, "ms") for part, seconds in parts.items()),
        ("outside forward and backward", 100 * outside, "%", None, 5.0),
    ], verdict(parts)


def scale(args: argparse.Namespace, cfg, device: torch.device, me: Rank) -> tuple[list[tuple], str]:
    """Several processes against one. Every process calls it."""
    trainer, loader = build(args, cfg, device, me)
    trainer.begin(0)
    stream = iter(loader)
    batches = [next(stream) for _ in range(2)]
    seen = measure_scaling(trainer, batches, args.steps, args.repeats)
    with trainer.wrapped.no_sync():
        parts = time_parts(trainer, stream, min(2 * args.steps, len(loader) - len(batches)))
    return scale_rows(seen, cfg.TRAIN.BATCH_SIZE), verdict(parts | {"communication": seen.communication})


def scale_rows(seen: Scaling, batch: int) -> list[tuple]:
    """The figures of a measurement, and the model."""
    count = seen.processes
    rows = [
        ("one process", batch / seen.alone, "pairs/s"),
        (f"{count} processes", count * batch / seen.together, "pairs/s", seen.alone * count / seen.together),
        ("parallel efficiency", 100 * seen.efficiency, "%"),
        ("lost to sharing a machine", 100 * (seen.apart - seen.alone) / seen.together, "%"),
        ("lost to communication", 100 * seen.communication / seen.together, "%"),
        ("gradients", seen.gradient_bytes / 2**20, "MiB"),
        ("all-reduce of the gradients alone", 1000 * seen.reduce, "ms"),
        ("all-reduce of one number", 1000 * seen.latency, "ms"),
    ]
    for cards in FORESEEN:
        rows += [(f"model of {cards}", cards * batch / seen.step_of(cards), "pairs/s", cards * seen.efficiency_of(cards)),
                 (f"model of {cards}, efficiency", 100 * seen.efficiency_of(cards), "%")]
    return rows


def xcorr(args: argparse.Namespace, cfg, device: torch.device, me: Rank) -> tuple[list[tuple], str]:
    """The ways to correlate; the ratio is the time of the grouped convolution to theirs, forward and backward."""
    times = correlation_times(device, cfg.TRAIN.PRECISION, args.repeats, wants_channels_last(cfg, device))
    whole = {way: sum(parts) for way, parts in times.items()}
    rows = [(f"{way}{part}", 1000 * seconds, "ms", ratio) for way, (forward, backward) in times.items() for part, seconds, ratio in (
        ("", forward + backward, whole["grouped convolution"] / whole[way]), (", forward", forward, None), (", backward", backward, None))]
    return rows, f"the fastest: {min(whole, key=whole.get)}"


def loader(args: argparse.Namespace, cfg, device: torch.device, me: Rank) -> tuple[list[tuple], str]:
    """Training items on one core; the ratio is to decoding the two crops of a pair and nothing else."""
    dataset = build_dataset(cfg, seed=0, data_path=args.data_path)
    times = loader_times(dataset, cfg.TRAIN.BATCH_SIZE, args.steps, args.repeats)
    packed, pairs = any(is_pack(annotation.root) for annotation in dataset.annotations), [1 / seconds for seconds in times["pair"]]
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    rows = [("pairs on a core", statistics.median(pairs), "pairs/s", ratio_to_decoding(times), 1.3 if packed else 0.85),
            ("pairs on a core, spread", statistics.pstdev(pairs), "pairs/s"), ("decoding two crops", 1 / medians["decode two"], "pairs/s")]
    parts = {name: seconds for name, seconds in medians.items() if name not in ("pair", "decode two")}
    most = max(parts, key=parts.get)
    return rows + [(name, 1000 * seconds, "ms") for name, seconds in parts.items()], f"most of the time, {parts[most] / medians['pair']:.0%}, goes into: {most}"


def index(args: argparse.Namespace, cfg, device: torch.device, me: Rank) -> tuple[list[tuple], str]:
    """The annotation index at the scale of YouTube-BB."""
    with tempfile.TemporaryDirectory() as folder:
        seen = measure_index(Path(folder) / "data", args.videos)
    rows = [("boxes", seen["boxes"], "boxes"), ("made once", seen["made"], "s"), ("opened", seen["opened"], "s", None, 2.0),
            ("parent", seen["parent"], "MiB", None, 200.0), ("order of an epoch", seen["order"], "MiB")]
    return rows + [(name, mib, "MiB more", None, 20.0) for name, mib in seen.items() if name.startswith("worker")], "memory is what no other process shares"


def prepare(args: argparse.Namespace, cfg, device: torch.device, me: Rank) -> tuple[list[tuple], str]:
    """Cropping a raw data set; the ratio is to decoding its images and encoding its crops and nothing else."""
    if not args.raw:
        raise ValueError("give --raw SET ROOT, as for tools/prepare_data.py")
    name, root = args.raw
    if name not in RAW_SETS:
        raise ValueError(f"--raw: {name!r} is no set; known: {', '.join(RAW_SETS)}")
    videos = [video for split in RAW_SETS[name].splits(Path(root)) for video in RAW_SETS[name].videos(Path(root), split, Counter())]
    count, procs = sum(len(video.frames) for video in videos), sorted({1, len(usable_cores())})
    times = prepare_times(videos, procs, args.repeats)
    medians = {way: statistics.median(seconds) for way, seconds in times.items()}
    boxes, plain = sum(len(frame.boxes) for video in videos for frame in video.frames), medians.pop("plain")
    rows = [("plain decode and encode", count / plain, "images/s"), ("boxes per image", boxes / count, "boxes")]
    rows += [(f"{way} process{'es' * (way != '1')}", count / seconds, "images/s", plain / seconds) for way, seconds in medians.items()]
    return rows, f"{procs[-1]} processes make {medians['1'] / medians[str(procs[-1])]:.2f} times as many as one"


def evaluation(args: argparse.Namespace, cfg, device: torch.device, me: Rank) -> tuple[list[tuple], str]:
    """Scoring one tracker's results on a VOT set, from files on disk; and the memory of this process, torch and all."""
    if not args.results:
        raise ValueError("give --results FOLDER DATASET DATASETDIR, as for tools/eval.py")
    folder, name, root = args.results
    spent: dict[str, list[float]] = {"read the data set": [], "score, mode pysot": [], "score, mode vot and pysot": []}
    for _ in range(args.repeats + 1):
        marks = [time.perf_counter()]
        dataset = load_dataset(name, root)
        tracker = tracker_dirs(folder, name)[0]
        marks.append(time.perf_counter())
        for mode in ("pysot", "both"):
            evaluate_tracker(dataset, tracker, mode=mode)
            marks.append(time.perf_counter())
        for what, before, after in zip(spent, marks, marks[1:], strict=False):
            spent[what].append(after - before)
    medians = {what: statistics.median(seconds[1:]) for what, seconds in spent.items()}
    frames, whole = sum(map(len, dataset.sequences)), medians["read the data set"] + medians["score, mode pysot"]
    return [("one tracker, all in all", whole, "s", None, 0.25), *((what, seconds, "s") for what, seconds in medians.items()),
            ("frames", frames, "frames")], f"{frames / whole:.0f} frames a second"


def eval_many(args: argparse.Namespace, cfg, device: torch.device, me: Rank) -> tuple[list[tuple], str]:
    """Scoring many trackers on many sequences, made for it, with all cores."""
    workers = len(usable_cores())
    with tempfile.TemporaryDirectory() as folder:
        seen = measure_scale(Path(folder), args.sequences, args.trackers, workers, functools.partial(_cli.progress_bar, description="making results"))
    return [("all trackers", seen["seconds"], "s"), ("one tracker, of one process", workers * seen["seconds"] / args.trackers, "s"),
            ("frames of a tracker", seen["frames"], "frames"), ("memory of a worker, torch and all", seen["worker"], "MiB", None, 1024.0),
            ("memory of this process, torch and all", seen["here"], "MiB")], f"{args.sequences} sequences, {args.trackers} trackers, {workers} processes"


BENCHMARKS = {"train": train, "scale": scale, "xcorr": xcorr, "loader": loader, "index": index, "prepare": prepare, "eval": evaluation, "eval-many": eval_many}
