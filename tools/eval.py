"""Score result folders.

Needs neither torch nor images. VOT sets are scored by their protocol (restarts until 2019,
multi-start since, long-term), sets with masks of objects (DAVIS) by J and F, other sets (OTB100,
UAV123, LaSOT, GOT-10k, a folder of sequences, ...) as one pass.
"""

import argparse
import logging
import sys
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
import _terminal
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocol import MODES, Protocol, Scores
from pysot.toolkit.protocols.table import experiments, find_protocol
from pysot.toolkit.report.figures import FORMATS, write_figures
from pysot.toolkit.report.html_report import check_report, write_report
from pysot.toolkit.report.summary import full_text, rows_of
from pysot.toolkit.report.table_files import check_suffix, write_table
from pysot.toolkit.results.paths import tracker_dirs
from pysot.toolkit.results.server_zip import incomplete_note, zip_results
from pysot.utils.cores import usable_cores
from pysot.utils.files import check_folder, write_json
from pysot.utils.progress import brief_bar, progress_bar

logger = logging.getLogger("eval")
EXAMPLES = (
    "python tools/eval.py -p quickstart/results -d VOT-QUICKSTART",
    "python tools/eval.py -p results -d VOT2018 -t checkpoint_e2 -s --report report.html",
)
MAX_DRAWING_PROCESSES = 8  # each loads its own libraries


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("--tracker_path", "-p", required=True, metavar="FOLDER", help="results/<DATASET>, its parent, or the folder of "
        "one tracker")  # fmt: skip
    _arguments.add_dataset_arguments(parser)
    add("--num", "-n", type=int, metavar="N", help="processes (default: one to score, one per core to draw)")
    add("--tracker_prefix", "-t", nargs="+", default=[""], metavar="NAME", help="only trackers whose names begin so")
    add("--mode", choices=list(MODES), default="pysot", metavar="MODE", help="arithmetic: pysot as in papers "
        "(default), official (also called vot) as in the set's own toolkit, or both")  # fmt: skip
    add("--experiment", choices=experiments(), metavar="NAME", help="of VOT sets: baseline (default), realtime, "
        "unsupervised or longterm")  # fmt: skip
    add("--partial", action="store_true", help="score each tracker on the videos with usable results")
    add("--show_video_level", "-s", action="store_true", help="also print tables of videos, and of tags of VOT sets")
    add_output_arguments(parser)
    return parser.parse_args()


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--vis", action="store_true", help="also draw scores, curves and overlaps by frame, beside the results")
    add("--vis_format", choices=FORMATS, default="png", help="format of --vis (default: png)")
    add("--report", metavar="FILE.html|FOLDER", help="also write an HTML report: one page, or for large sets a folder")
    add("--table", metavar="FILE", help="also write the tables as .csv, .tex or .md")
    add("--zip", metavar="FILE", help="also pack the results of one tracker for the server of its set (GOT-10k, "
        "TrackingNet, LaSOT, DAVIS, YouTube-VOS)")  # fmt: skip
    add("--json", metavar="FILE", help="also write the scores as JSON")


def check_outputs(args: argparse.Namespace) -> None:
    """Check the output files before anything is computed. Raises ValueError or OSError."""
    outputs = [Path(file).resolve() for file in (args.json, args.report, args.table, args.zip) if file]
    if len(set(outputs)) < len(outputs):
        raise ValueError(
            f"two outputs have the same name, got {', '.join(map(str, outputs))}; give each a different name"
        )
    for file in outputs:
        check_folder(file.parent)
    if args.table:
        check_suffix(args.table)
    if args.report:
        check_report(args.report)


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging()
    check_outputs(args)
    if not Path(args.tracker_path).is_dir():
        tracker_dirs(args.tracker_path, args.dataset)  # raises an error before a large data set is read
    dataset = load_dataset(args.dataset, args.datasetdir, brief_bar)
    protocol = find_protocol(dataset, args.experiment)
    folders = tracker_dirs(
        args.tracker_path, args.dataset, args.tracker_prefix, [protocol.experiment, *protocol.sources]
    )
    if args.zip:
        write_zip(args.zip, dataset, folders)
    if dataset.hidden_truth:
        logger.info(
            "%s has ground truth in first frames only: its server scores it%s",
            dataset.name,
            "" if args.zip else "; --zip packs the results for it",
        )
        return
    scores = score_trackers(
        dataset,
        folders,
        1 if args.num is None else args.num,
        brief_bar,
        args.experiment,
        args.mode,
        args.partial,
        with_timelines=bool(args.report or args.vis),
    )
    print(full_text(scores, args.mode, args.show_video_level, _terminal.painter(sys.stdout)))
    if not scores.scored:
        raise ValueError("no tracker could be scored, see the warnings above; nothing was written")
    write_outputs(args, dataset, protocol, folders, scores)


def write_zip(file: str, dataset: Dataset, folders: list[Path]) -> None:
    if len(folders) != 1 or dataset.protocol not in ("one pass", "objects"):
        raise ValueError(
            "--zip takes one tracker on a one-pass set or a set with masks of objects, got "
            f"{len(folders)} on {dataset.name} ({dataset.protocol}); choose one with -t"
        )
    zip_results(folders[0], dataset, file, progress_bar)
    logger.info("wrote %s%s", file, incomplete_note(dataset))


def write_outputs(
    args: argparse.Namespace, dataset: Dataset, protocol: Protocol, folders: list[Path], scores: Scores
) -> None:
    """Write the files of --json, --table, --report and --vis."""
    official = MODES[args.mode] == "official"
    if args.json:
        write_json(args.json, scores.to_json(), indent=1)
        logger.info("wrote %s", args.json)
    if args.table:
        for name, rows in rows_of(scores, args.mode, args.show_video_level).items():
            path = Path(args.table)
            logger.info("wrote %s", write_table(path.with_stem(f"{path.stem}_{name}") if name else path, rows))
    if args.report:
        settings = {"data set": dataset.name, "results": args.tracker_path, "mode": args.mode}
        if protocol.experiment:
            settings["experiment"] = protocol.experiment
        if dataset.settings:
            eao = dataset.settings
            settings["EAO"] = f"lengths {eao.low} to {eao.high}, burn-in {eao.burn_in}"
        logger.info("wrote %s", write_report(args.report, scores, settings, progress_bar, official))
    if args.vis:
        workers = min(len(usable_cores()), MAX_DRAWING_PROCESSES) if args.num is None else args.num
        for path in write_figures(folders[0].parent, scores, args.vis_format, progress_bar, official, workers):
            logger.info("wrote %s", path)


if __name__ == "__main__":
    _cli.run(main)
