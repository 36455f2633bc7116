"""Exported trackers, for test.py and demo.py: --engine FOLDER. Needs no torch."""

import argparse
import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

import _cli
from _track import LoadedTracker, TrackerSource
from pysot.deploy.engine_network import EngineNetwork
from pysot.deploy.engines import AUTO
from pysot.deploy.tracker import Tracker, load_batch_tracker, load_network, results_fingerprint
from pysot.toolkit import protocol
from pysot.tracker.batch_tracker import BatchTracker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --engine FOLDER and --provider NAME."""
    add = parser.add_argument
    add("--engine", metavar="FOLDER", type=Path, help="exported tracker of tools/export.py, instead of a snapshot")
    add("--provider", metavar="NAME", help="what computes it: onnxruntime:cpu, openvino:bf16, om, ... (default: the "
        "fastest on a CPU that is installed)")  # fmt: skip


def check_arguments(args: argparse.Namespace) -> None:
    """Raise ValueError for arguments of an exported tracker together with those of a network of torch."""
    if args.engine is None:
        if args.provider is not None:
            raise ValueError("--provider is of an exported tracker: name its folder with --engine")
        return
    given = {"--snapshot": args.snapshot, "--cfg": args.config, "--opts": args.opts}
    extra = [name for name, value in given.items() if value] + ([] if args.device == "auto" else ["--device"])
    if extra:
        raise ValueError(
            f"an exported tracker has its own weights and settings: leave out {', '.join(extra)}, or export again"
        )


def engine_sources(args: argparse.Namespace) -> list[TrackerSource]:
    """Load the exported tracker of test.py; its results are named like its folder.

    Workers are threads that share it, each with one thread of the engine. Raises as `load_network`.
    """
    network = load_network(args.engine, args.provider or AUTO, threads=1, mask_output=args.vis)
    loaded = LoadedTracker(
        build=functools.partial(_build, network),
        fingerprint=results_fingerprint(network),
        device=network.name,
        computing=contextlib.nullcontext,
        build_in_process=None,
    )
    name = args.engine.resolve().name
    return [TrackerSource(name, network.masks, _cli.workers_on_cpu, lambda: loaded)]


def demo_tracker(args: argparse.Namespace) -> Callable[[int], BatchTracker]:
    """Load the exported tracker of demo.py; return build(slots). Raises as `load_network`."""
    return functools.partial(load_batch_tracker, load_network(args.engine, args.provider or AUTO))


def _build(network: EngineNetwork, slots: int) -> protocol.Tracker | protocol.BatchTracker:
    return Tracker(network) if slots == 1 else load_batch_tracker(network, slots)
