"""Track a data set and score the results.

python tools/test.py --config experiments/<name>/config.yaml --snapshot model.pth --dataset VOT2018

--config may be left out for checkpoints that training here has written: they know it. An exported tracker, which needs
no torch, comes with --engine FOLDER instead of --config and --snapshot.

Several snapshots, as 'snapshot/checkpoint_e{11..20}.pth' or 'snapshot/*.pth', give one table with mean and spread.
Videos that already have a result are kept, so the same command resumes after an interruption. --workers N tracks with N
workers at once; --batch N tracks N videos at a time in each of them.
"""

import argparse
import functools
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
from pysot.toolkit.results.server_zip import zip_if_complete

logger = logging.getLogger("test")


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__)
    parser.add_argument(
        "--snapshot",
        nargs="+",
        help="one or more checkpoints, or patterns with {a..b} and *; the file name without suffix names the results "
        "(default: an untrained network)",
    )
    _arguments.add_dataset_arguments(parser)
    parser.add_argument("--video", default="", help="only this video")
    parser.add_argument("--experiment", help="of VOT sets: baseline (default), realtime or unsupervised")
    parser.add_argument(
        "--workers",
        type=_arguments.whole_number(1),
        help="on a CPU: threads that share the network (default: one per core); else: processes, assigned to the cards "
        "round-robin (default: one)",
    )
    parser.add_argument(
        "--batch",
        type=_arguments.whole_number(1),
        help="videos that each worker tracks in lockstep, of multi-start sets starts, of sets with masks objects "
        "(default: the objects of a video, else 1); not for realtime",
    )
    parser.add_argument(
        "--part",
        type=_arguments.parse_part,
        default=(1, 1),
        metavar="I/N",
        help="only the I-th of N parts of the videos, for N processes at once",
    )
    parser.add_argument(
        "--vis",
        action="store_true",
        help="also write <video>.mp4 with ground truth, tracked regions and the outlines of masks to the folder vis "
        "beside the results",
    )
    parser.add_argument(
        "--binary",
        action="store_true",
        help="of VOT sets: write results as the official toolkit's binary files (.bin) instead of text",
    )
    parser.add_argument(
        "--results_dir",
        default="results",
        help="results are written to <results_dir>/<DATASET>/<model> (default: results)",
    )
    parser.add_argument(
        "--check-against",
        metavar="FOLDER",
        type=Path,
        help="also compare the boxes with published results, the folder of one tracker on this set: first frame that "
        "differs, mean overlap and losses of both for each video",
    )
    _engine_tracking.add_arguments(parser)
    _arguments.add_deterministic_argument(parser)
    _arguments.add_config_arguments(parser, from_snapshot=True)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging()
    sources = find_trackers(args)
    dataset = complete = load_dataset(args.dataset, args.datasetdir)
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
    folders, failed = track_with_each(sources, args, dataset, protocol)
    finished = [sequence.name for sequence in dataset.sequences if sequence.name not in failed]
    if finished:
        dataset = dataset.only(finished)
        for source, folder in zip(sources, folders, strict=True) if args.vis else ():
            draw(dataset, folder, protocol, source.has_masks)
        if complete.hidden_truth:
            for folder in folders:
                bar = functools.partial(_cli.progress_bar, description="packing")
                logger.info("%s", zip_if_complete(folder, complete, folder.with_name(f"{folder.name}.zip"), bar))
        else:
            scores, paint = score_trackers(dataset, folders, experiment=args.experiment), _terminal.painter(sys.stdout)
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
    sources: list[TrackerSource], args: argparse.Namespace, dataset: Dataset, protocol: Protocol
) -> tuple[list[Path], dict[str, str]]:
    """Track the data set with each tracker; return the result folders, and the failed videos with the reasons."""
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
    for source in sources:
        folder = Path(args.results_dir) / dataset.name / source.name
        tracker = source.load()
        claim_tracker_dir(folder, tracker.fingerprint)
        slots = lockstep_slots(batch, workers, dataset, folder, protocol.experiment)
        with tracker.computing():
            text = "tracking %d videos of %s with %s on %s, workers: %d, targets of each: %d"
            logger.info(text, len(dataset), dataset.name, folder.name, tracker.device, workers, slots)
            reasons = track(make_run(tracker, slots, workers), dataset, folder, protocol, args.binary)
        failed |= {name: f"{name} with {folder.name}: {reason}" for name, reason in reasons.items()}
        folders.append(folder)
    return folders, failed


if __name__ == "__main__":
    _cli.run(main)
