"""The parts of test.py: a network on its device, tracking with one process or several, and the results drawn on their frames."""

import functools
import logging

import torch

import _cli
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.toolkit.experiments.parallel import run_in_processes
from pysot.toolkit.experiments.render import render
from pysot.toolkit.experiments.runner import frames_to_track, run_dataset
from pysot.tracker.tracker_builder import build_tracker
from pysot.utils.device import seed_everything
from pysot.utils.model_load import load_pretrain

logger = logging.getLogger("test")


def load_model(cfg, snapshot):
    seed_everything(0)
    model = build_model(cfg)
    if snapshot:
        return load_pretrain(model, snapshot)
    logger.warning("no --snapshot: this network is untrained, its weights are random")
    return model


def build_in_process(args, snapshot, number):
    """The tracker of a worker process."""
    _cli.setup_logging(quiet=True)
    cfg = load_config(args.config, args.opts)
    device = _cli.open_device(args, cfg, _cli.card_of(number))
    if device.type == "cpu":
        torch.set_num_threads(1)  # see device.one_thread
    return build_tracker(load_model(cfg, snapshot).to(device).eval(), cfg)


def track(args, tracker, workers, snapshot, dataset, folder, protocol) -> dict[str, str]:
    """Track with `tracker`, or without one with several processes; returns which sequences failed, and why."""
    experiment = protocol.experiment
    frames = {sequence.name: frames_to_track(dataset, sequence, folder, experiment) for sequence in dataset.sequences}
    with _cli.progress_bar(None, total=sum(frames.values()), description=dataset.name) as bar:

        def on_sequence(sequence, state, trajectory):
            if state == "kept":
                logger.info("Video: %s has a result already in %s", sequence.name, folder)
                bar.update(frames[sequence.name])
            elif trajectory is not None:
                speed, lost = (
                    len(trajectory) / trajectory.seconds.sum(),
                    f" Lost: {len(trajectory.failures)}" * protocol.restarts,
                )
                logger.info("Video: %-12s Speed: %.1ffps%s", sequence.name, speed, lost)

        if tracker is None:
            build, tracked = functools.partial(build_in_process, args, snapshot), [0]

            def on_frames(count):
                bar.update(count - tracked[0])
                tracked[0] = count

            return run_in_processes(build, workers, dataset, folder, on_frames, on_sequence, experiment).failed
        return run_dataset(
            tracker, dataset, folder, lambda sequence, step: bar.update(), on_sequence, experiment
        ).failed


def draw(dataset, folder, protocol):
    shown = folder / ("vis" if protocol.usual else f"vis_{protocol.experiment}")
    with _cli.progress_bar(None, total=sum(map(len, dataset.sequences)), description="drawing") as bar:
        for sequence in dataset.sequences:
            task = protocol.tasks(dataset, sequence, folder)[0]
            trajectory = task.load(task.path, len(task.sequence))
            logger.info("wrote %s", render(task.sequence, trajectory, shown / f"{sequence.name}.mp4", bar.update))
