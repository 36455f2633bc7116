"""Trackers of networks of torch, for test.py and demo.py, which import this file when they track with one."""

import argparse
import functools
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from yacs.config import CfgNode

import _cli
from _track import LoadedTracker, TrackerSource
from pysot.load import load_network, read_config
from pysot.models.model_builder import build_model
from pysot.toolkit.protocol import BatchTracker, Tracker
from pysot.tracker import batch_tracker
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker, results_fingerprint
from pysot.utils.device import device_name, one_thread, seed_everything
from pysot.utils.expand import expand_paths
from pysot.utils.model_load import read_checkpoint

logger = logging.getLogger("test")


def network_sources(args: argparse.Namespace) -> list[TrackerSource]:
    """Return the trackers of test.py: one for each snapshot, or that of an untrained network.

    Raises as `expand_paths` and `read_config`.
    """
    snapshots = expand_paths(args.snapshot, "--snapshot") if args.snapshot else []
    cfg = _read_config(args, snapshots)
    open_device = functools.cache(lambda: _cli.open_device(args, cfg))
    return [
        TrackerSource(
            name=snapshot.stem if snapshot else "untrained",
            has_masks=cfg.TRACK.TYPE == "SiamMaskTracker",
            default_workers=lambda videos: _cli.default_tracking_workers(open_device(), videos),
            load=functools.partial(_load, args, cfg, snapshot, open_device),
        )
        for snapshot in snapshots or [None]
    ]


def demo_tracker(args: argparse.Namespace) -> Callable[[int], batch_tracker.BatchTracker]:
    """Load the network of demo.py; return build(slots), which returns its tracker."""
    cfg = read_config(args.config, [args.snapshot], args.opts)
    seed_everything(0)
    device = _cli.open_device(args, cfg)
    model = load_network(cfg, read_checkpoint(args.snapshot), args.snapshot).to(device).eval()
    return functools.partial(build_batch_tracker, model, cfg)


def _read_config(args: argparse.Namespace, snapshots: list[Path]) -> CfgNode:
    """Return the config of test.py's arguments; for --vis, masks are a part of the results."""
    return read_config(args.config, snapshots, [*args.opts, *(("TRACK.MASK_OUTPUT", True) if args.vis else ())])


def _load(
    args: argparse.Namespace, cfg: CfgNode, snapshot: Path | None, open_device: Callable[[], torch.device]
) -> LoadedTracker:
    """Load a network. On a CPU, workers are threads that share it; on cards they are processes."""
    device = open_device()
    model = _load_model(cfg, snapshot).to(device).eval()
    with one_thread(device):
        name = device_name(device)
    return LoadedTracker(
        build=functools.partial(_build, model, cfg),
        fingerprint=results_fingerprint(model, cfg),
        device=name,
        computing=functools.partial(one_thread, device),
        build_in_process=None if device.type == "cpu" else functools.partial(_build_in_process, args, snapshot),
    )


def _load_model(cfg: CfgNode, snapshot: Path | None) -> torch.nn.Module:
    """Build the network and load its snapshot; without one its weights are random, which is logged."""
    seed_everything(0)
    if snapshot:
        return load_network(cfg, read_checkpoint(snapshot), snapshot)
    model = build_model(cfg)
    logger.warning("no --snapshot: this network is untrained, its weights are random")
    return model


def _build(model: torch.nn.Module, cfg: CfgNode, slots: int) -> Tracker | BatchTracker:
    """Build the tracker of one target, or for more slots that of a batch."""
    return build_tracker(model, cfg) if slots == 1 else build_batch_tracker(model, cfg, slots)


def _build_in_process(
    args: argparse.Namespace, snapshot: Path | None, slots: int, number: int
) -> Tracker | BatchTracker:
    """Build the tracker of a worker process on its card."""
    _cli.setup_logging(quiet=True)
    cfg = _read_config(args, [snapshot] if snapshot else [])
    device = _cli.open_device(args, cfg, _cli.card_of_process(number))
    return _build(_load_model(cfg, snapshot).to(device).eval(), cfg, slots)
