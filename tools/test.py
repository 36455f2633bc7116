"""Track a data set and score it: python tools/test.py --config experiments/<name>/config.yaml --snapshot model.pth --dataset VOT2018.

Several snapshots, as 'snapshot/checkpoint_e{11..20}.pth' or 'snapshot/*.pth', give one table with mean and spread. Videos that have a result
already are kept, so that the same command goes on after an interrupt.
"""

import argparse
import logging
from pathlib import Path

import _cli
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.toolkit.datasets import load_dataset, missing_frames
from pysot.toolkit.evaluate import evaluate_vot
from pysot.toolkit.evaluate_ope import evaluate_one_pass
from pysot.toolkit.render import render
from pysot.toolkit.report import score_table
from pysot.toolkit.report_ope import ope_table
from pysot.toolkit.results import Trajectory, baseline_file, claim_tracker_dir, find_ope, load_baseline, load_ope
from pysot.toolkit.runner import run_dataset
from pysot.tracker.tracker_builder import build_tracker, results_fingerprint
from pysot.utils.device import device_name, seed_everything
from pysot.utils.expand import expand_paths
from pysot.utils.model_load import load_pretrain

logger = logging.getLogger("test")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshot", nargs="+", help="checkpoint, or several, or patterns with {a..b} and *; the file name without suffix names the results "
                                                      "(default: an untrained network)")
    _cli.add_dataset_arguments(parser)
    parser.add_argument("--video", default="", help="only this video")
    parser.add_argument("--part", type=_cli.part, default=(1, 1), metavar="I/N", help="only the I-th of N parts of the videos, for N processes at once")
    parser.add_argument("--vis", action="store_true", help="also write <results>/<video>.mp4 with ground truth and tracked boxes to the folder vis")
    parser.add_argument("--results_dir", default="results", help="results go to <results_dir>/<DATASET>/<model> (default: results)")
    _cli.add_config_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging()
    cfg = load_config(args.config, args.opts)
    dataset = load_dataset(args.dataset, args.datasetdir)
    if args.video:
        dataset = dataset.only([args.video])
    dataset = dataset.part(*args.part)
    if dataset is None:
        logger.info("part %d of %d has no video", *args.part)
        return
    missing = missing_frames(dataset)
    if len(missing) == len(dataset):
        raise FileNotFoundError(f"{dataset.name} has no frames to track: {missing[0]}. Put the frames below {args.datasetdir}")
    device = _cli.open_device(args, cfg)
    folders, failed = [], {}
    for snapshot in expand_paths(args.snapshot, "--snapshot") if args.snapshot else [None]:
        folder = Path(args.results_dir) / dataset.name / (snapshot.stem if snapshot else "untrained")
        model = load_model(cfg, snapshot).to(device).eval()
        claim_tracker_dir(folder, results_fingerprint(model, cfg))
        logger.info("tracking %d videos of %s with %s on %s", len(dataset), dataset.name, folder.name, device_name(device))
        failed |= {name: f"{name} with {folder.name}: {reason}" for name, reason in track(build_tracker(model, cfg), dataset, folder).failed.items()}
        folders.append(folder)
    finished = [sequence.name for sequence in dataset.sequences if sequence.name not in failed]
    if finished:
        dataset = dataset.only(finished)
        for folder in folders if args.vis else ():
            draw(dataset, folder)
        print(ope_table(evaluate_one_pass(dataset, folders)) if dataset.one_pass else score_table(evaluate_vot(dataset, folders), summary=True))
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(failed) + len(finished)} videos failed and are not in the table: {'; '.join(failed.values())}")


def load_model(cfg, snapshot):
    seed_everything(0)
    model = build_model(cfg)
    if snapshot:
        return load_pretrain(model, snapshot)
    logger.warning("no --snapshot: this network is untrained, its weights are random")
    return model


def track(tracker, dataset, folder):
    with _cli.progress_bar(None, total=sum(map(len, dataset.sequences)), description=dataset.name) as bar:

        def on_sequence(sequence, state, trajectory):
            if state == "kept":
                logger.info("Video: %s has a result already in %s", sequence.name, folder)
                bar.update(len(sequence))
            elif trajectory is not None:
                speed, lost = len(sequence) / trajectory.seconds.sum(), "" if dataset.one_pass else f" Lost: {len(trajectory.failures)}"
                logger.info("Video: %-12s Speed: %.1ffps%s", sequence.name, speed, lost)

        return run_dataset(tracker, dataset, folder, on_frame=lambda sequence, step: bar.update(), on_sequence=on_sequence)


def draw(dataset, folder):
    with _cli.progress_bar(None, total=sum(map(len, dataset.sequences)), description="drawing") as bar:
        for sequence in dataset.sequences:
            if dataset.one_pass:
                trajectory = Trajectory.from_frames(load_ope(find_ope(folder, sequence.name), len(sequence)))
            else:
                trajectory = load_baseline(baseline_file(folder, sequence.name), len(sequence))
            logger.info("wrote %s", render(sequence, trajectory, folder / "vis" / f"{sequence.name}.mp4", bar.update))


if __name__ == "__main__":
    _cli.run(main)
