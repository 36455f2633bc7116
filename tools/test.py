"""Track a data set and score the results.

A checkpoint that training here has written needs no --config; an exported tracker comes with
--engine FOLDER instead, and needs no torch. Several snapshots give one table with mean and spread.
Videos that have a result are kept, so the same command goes on after an interruption.
"""

import argparse
import logging
import sys
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
import _engine_tracking
import _terminal
import _torch_import
from _track import TrackerSource, draw, make_run, track
from pysot.toolkit.datasets import load_dataset, missing_frames
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.evaluation.agreement import check_comparable, compare_results
from pysot.toolkit.experiments.runner import default_batch, lockstep_slots
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocol import Protocol
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.report.agreement_text import agreement_text
from pysot.toolkit.report.summary import score_text
from pysot.toolkit.results.claims import claim_tracker_dir
from pysot.toolkit.results.parts import record_part
from pysot.toolkit.results.server_zip import zip_if_complete
from pysot.utils.progress import brief_bar, progress_bar

logger = logging.getLogger("test")
EXAMPLES = (
    "python tools/test.py --config experiments/quickstart/config.yaml --snapshot quickstart/trained.pth "
    "--dataset VOT-QUICKSTART",
    "python tools/test.py --snapshot 'snapshot/checkpoint_e{11..20}.pth' --dataset VOT2018 --batch 4",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number(1)
    add("--snapshot", nargs="+", metavar="FILE", help="checkpoints, or patterns with {a..b} and *; the file name names "
        "the results (default: an untrained network)")  # fmt: skip
    _arguments.add_dataset_arguments(parser)
    add("--video", default="", metavar="NAME", help="only this video")
    add("--experiment", metavar="NAME", help="of VOT sets: baseline (default), realtime or unsupervised")
    add("--workers", type=count, metavar="N", help="threads on a CPU (default: one per core), elsewhere processes, "
        "spread over the cards (default: one)")  # fmt: skip
    add("--batch", type=count, metavar="N", help="videos that a worker tracks in lockstep, or starts or objects "
        "(default: the objects of a video, else 1); not for realtime")  # fmt: skip
    add("--part", type=_arguments.parse_part, default=(1, 1), metavar="I/N", help="only part I of N of the videos")
    add("--vis", action="store_true", help="also write videos with the regions drawn, beside the results")
    add("--binary", action="store_true", help="of VOT sets: write results as .bin files instead of text")
    add("--results_dir", default="results", metavar="FOLDER", help="where <DATASET>/<model> goes (default: results)")
    add("--check-against", metavar="FOLDER", type=Path, help="also compare with published results, the folder of one "
        "tracker")  # fmt: skip
    _engine_tracking.add_arguments(parser)
    _arguments.add_deterministic_argument(parser)
    _arguments.add_config_arguments(parser, from_snapshot=True)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging()
    sources = find_trackers(args)
    dataset = complete = load_dataset(args.dataset, args.datasetdir, brief_bar)
    if args.video:
        dataset = dataset.only([args.video])
    dataset = dataset.part(*args.part)
    if dataset is None:
        logger.info("part %d of %d has no video", *args.part)
        return
    protocol, missing = find_protocol(dataset, args.experiment), missing_frames(dataset)
    protocol.check_form(args.binary)
    if args.check_against:
        check_comparable(dataset, args.check_against)
    if len(missing) == len(dataset):
        raise FileNotFoundError(
            f"{dataset.name} has no frames to track: {missing[0]}. Put the frames below {args.datasetdir}"
        )
    folders, failed = track_with_each(sources, args, dataset, protocol, complete)
    finished = [sequence.name for sequence in dataset.sequences if sequence.name not in failed]
    if finished:
        dataset = dataset.only(finished)
        for source, folder in zip(sources, folders, strict=True) if args.vis else ():
            draw(dataset, folder, protocol, source.has_masks)
        if complete.hidden_truth:
            for folder in folders:
                file = folder.with_name(f"{folder.name}.zip")
                logger.info("%s", zip_if_complete(folder, complete, file, progress_bar))
        else:
            scores = score_trackers(dataset, folders, bar=brief_bar, experiment=args.experiment)
            paint = _terminal.painter(sys.stdout)
            print(score_text(scores, spread=True, paint=paint))
            if len(dataset) < len(complete):
                print(paint(f"Note: scores of {len(dataset)} of {len(complete)} videos", "warning"))
        for folder in folders if args.check_against else ():
            rows = compare_results(dataset, folder, args.check_against, protocol)
            print(agreement_text(rows, folder.name, str(args.check_against)))
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {len(failed) + len(finished)} videos failed and are not in the table: "
            f"{'; '.join(failed.values())}"
        )


def find_trackers(args: argparse.Namespace) -> list[TrackerSource]:
    """Return the trackers of the arguments, at least one."""
    _engine_tracking.check_arguments(args)
    if args.engine is not None:
        return _engine_tracking.engine_sources(args)
    with _torch_import.explained():
        from _torch_tracking import network_sources
    return network_sources(args)


def track_with_each(
    sources: list[TrackerSource], args: argparse.Namespace, dataset: Dataset, protocol: Protocol, complete: Dataset
) -> tuple[list[Path], dict[str, str]]:
    """Track the data set, a part of the `complete` one, with each tracker.

    Returns the result folders, and the failed videos with the reasons.
    """
    # In a timed protocol, more workers would take time from each other.
    default_workers = 1 if protocol.timed else sources[0].default_workers(len(dataset))
    workers = args.workers or default_workers
    batch = args.batch or default_batch(dataset)
    if protocol.timed and batch > 1:
        raise ValueError(
            f"{protocol.experiment} counts the seconds of one target, a batch shares them; leave out --batch"
        )
    folders: list[Path] = []
    failed: dict[str, str] = {}
    for source in progress_bar(sources, description="trackers") if len(sources) > 1 else sources:
        folder = Path(args.results_dir) / dataset.name / source.name
        tracker = source.load()
        claim_tracker_dir(folder, tracker.fingerprint)
        slots = lockstep_slots(batch, workers, dataset, folder, protocol.experiment)
        with tracker.computing():
            text = "tracking %d videos of %s with %s on %s, workers: %d, targets of each: %d"
            logger.info(text, len(dataset), dataset.name, folder.name, tracker.device, workers, slots)
            reasons = track(make_run(tracker, slots, workers), dataset, folder, protocol, args.binary)
        if args.part[1] > 1 and not reasons and not args.video:
            record_part(folder, complete, protocol.experiment, args.part, tracker.fingerprint, sys.argv)
        failed |= {name: f"{name} with {folder.name}: {reason}" for name, reason in reasons.items()}
        folders.append(folder)
    return folders, failed


if __name__ == "__main__":
    _cli.run(main)
