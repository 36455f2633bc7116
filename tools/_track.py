"""Parts of test.py: load a network, track with one worker or several, and draw the results on the frames."""

import argparse
import itertools
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

import _cli
from pysot.load import load_network, read_config
from pysot.models.model_builder import build_model
from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.experiments.parallel import run_in_processes, run_in_threads
from pysot.toolkit.experiments.render import render, render_objects
from pysot.toolkit.experiments.runner import Progress, frames_to_track, run_dataset
from pysot.toolkit.protocol import BatchTracker, Protocol, Tracker
from pysot.toolkit.results.target_masks import load_target_masks
from pysot.toolkit.results.trajectory import Trajectory
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker
from pysot.utils.device import seed_everything
from pysot.utils.model_load import read_checkpoint

logger = logging.getLogger("test")


def load_model(cfg: CfgNode, snapshot: Path | None) -> torch.nn.Module:
    """Build the network and load its snapshot; without one its weights are random, which is logged."""
    seed_everything(0)
    if snapshot:
        return load_network(cfg, read_checkpoint(snapshot), snapshot)
    model = build_model(cfg)
    logger.warning("no --snapshot: this network is untrained, its weights are random")
    return model


def build_for_slots(model: torch.nn.Module, cfg: CfgNode, slots: int) -> Tracker | BatchTracker:
    """Build the tracker of one target, or for more slots that of a batch."""
    return build_tracker(model, cfg) if slots == 1 else build_batch_tracker(model, cfg, slots)


def build_in_process(
    args: argparse.Namespace, snapshot: Path | None, slots: int, number: int
) -> Tracker | BatchTracker:
    """Build the tracker of a worker process on its card."""
    _cli.setup_logging(quiet=True)
    cfg = read_config(args.config, [snapshot] if snapshot else [], args.opts)
    device = _cli.open_device(args, cfg, _cli.card_of_process(number))
    return build_for_slots(load_model(cfg, snapshot).to(device).eval(), cfg, slots)


def make_run(
    args: argparse.Namespace, cfg: CfgNode, model: torch.nn.Module, snapshot: Path | None, slots: int, workers: int
) -> Callable[..., Progress]:
    """Return a function that tracks a data set with workers.

    It is called as run(dataset, folder, on_frames, on_sequence, experiment, binary), see `run_in_threads`. On a CPU the
    workers are threads that share the network, on cards they are processes.
    """
    if next(model.parameters()).device.type == "cpu":
        return partial(run_in_threads, lambda number: build_for_slots(model, cfg, slots), workers)
    if workers > 1:
        return partial(run_in_processes, partial(build_in_process, args, snapshot, slots), workers)

    def run(dataset: Dataset, folder: Path, on_frames: Callable[[int], None], *rest: Any) -> Progress:
        frames = itertools.count(1)
        tracker = build_for_slots(model, cfg, slots)
        return run_dataset(tracker, dataset, folder, lambda sequence, step: on_frames(next(frames)), *rest)

    return run


def track(
    run: Callable[..., Progress], dataset: Dataset, folder: Path, protocol: Protocol, binary: bool
) -> dict[str, str]:
    """Track with a function of `make_run`; return the failed sequences with the reasons.

    `binary`: results are the official toolkit's binary files.
    """
    experiment = protocol.experiment
    frames = {sequence.name: frames_to_track(dataset, sequence, folder, experiment) for sequence in dataset.sequences}
    with _cli.progress_bar(None, total=sum(frames.values()), description=dataset.name) as bar:

        def on_sequence(sequence: Sequence, state: str, trajectory: Trajectory | None) -> None:
            if state == "kept":
                logger.info("Video: %s has a result already in %s", sequence.name, folder)
                bar.update(frames[sequence.name])
            elif trajectory is not None:
                speed = len(trajectory) / trajectory.seconds.sum()
                lost = f" Lost: {len(trajectory.failures)}" if protocol.restarts else ""
                shared = "" if trajectory.batch is None else " in a batch"
                logger.info("Video: %-12s Speed: %.1ffps%s%s", sequence.name, speed, shared, lost)

        tracked = 0

        def on_frames(count: int) -> None:
            nonlocal tracked
            bar.update(count - tracked)
            tracked = count

        return run(dataset, folder, on_frames, on_sequence, experiment, binary).failed


def draw(dataset: Dataset, folder: Path, protocol: Protocol, with_masks: bool) -> None:
    """Write one video per sequence, with ground truth, tracked regions and the outlines of masks.

    `with_masks`: the tracker has masks, and a sequence without is worth a warning.
    """
    videos = folder / ("vis" if protocol.is_default else f"vis_{protocol.experiment}")
    with _cli.progress_bar(None, total=sum(map(len, dataset.sequences)), description="drawing") as bar:
        for sequence in dataset.sequences:
            task, path = protocol.tasks(dataset, sequence, folder)[0], videos / f"{sequence.name}.mp4"
            if sequence.labels:
                logger.info("wrote %s", render_objects(sequence, task.path, path, bar.update))
                continue
            result = protocol.written_result(task)
            trajectory, masks = task.load(result, len(task.sequence)), load_target_masks(result)
            logger.info("wrote %s", render(task.sequence, trajectory, path, bar.update, masks))
            if with_masks and not masks and not trajectory.masks:
                text = "%s has no masks to draw: it was tracked without --vis; remove it to track %s again"
                logger.warning(text, result, sequence.name)
