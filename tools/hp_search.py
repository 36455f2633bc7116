"""Search the TRACK settings of a tracker that score best on a data set.

python tools/hp_search.py --cfg experiments/<name>/config.yaml --snapshot model.pth --dataset VOT2018
python tools/hp_search.py --cfg ... --snapshot ... --dataset VOT2018 --method grid --penalty-k 0.05,0.5,0.05

Settings follow the sequences in lockstep: a frame is decoded once, and equal crops are computed once. The results of
finished settings are in hp_search_result/<DATASET>, in the layout of tools/test.py; the best one as a config for it,
the study, and a page with plots beside that folder. The same command goes on after an interruption, and in several
processes at once they share the work.
"""

import argparse

import _cli

_cli.prepare_process()

import _arguments
import _tuning
from pysot.tuning.study import METHODS


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__)
    add, count = parser.add_argument, _arguments.whole_number(1)
    add("--snapshot", required=True, help="checkpoint; its file name without suffix begins the names of the results")
    _arguments.add_dataset_arguments(parser)
    add("--experiment", help="of VOT sets: baseline (default) or unsupervised")
    add("--method", choices=METHODS, default=METHODS[0], help="tpe proposes settings, grid tries all (default: tpe)")
    add("--trials", type=count, default=100, help="tpe: settings of the study in all (default: 100)")
    for flag, (key, default) in _tuning.FLAGS.items():
        text = f"TRACK.{key}: LOW,HIGH,STEP; a grid stops below HIGH" + (f" (default: {default})" if default else "")
        add(flag, metavar="RANGE", help=text)
    add(
        "--param",
        nargs=2,
        action="append",
        default=[],
        metavar=("KEY", "RANGE"),
        help="another number of TRACK and its range",
    )
    add("--settings", type=count, help="settings that are tracked together in a round (default: 16, of a grid 64)")
    add("--hold-out", metavar="PART", default=None, help="sequences to keep aside for the score of the best one: a "
        "number, a share or names a,b; 0 for none (default: 0.3)")  # fmt: skip
    add("--tune-on", metavar="PART", help="sequences to tune on, as --hold-out (default: all others)")
    add("--no-prune", action="store_true", help="track all settings to the end, not only those that may be the best")
    add("--study", metavar="NAME", help="name of the study (default: that of the snapshot)")
    add("--storage", metavar="URL", help="database of the study, for several machines such as mysql://... (default: a "
        "file of SQLite beside the results)")  # fmt: skip
    add("--results_dir", default="hp_search_result", help="folder of all results (default: hp_search_result)")
    add("--seed", type=_arguments.whole_number(0), default=0, help="of the drawn settings and parts (default: 0)")
    add("--workers", type=count, help="threads, each with a sequence (default: one per core, on a card one)")
    _arguments.add_deterministic_argument(parser)
    _arguments.add_config_arguments(parser, from_snapshot=True)
    args = parser.parse_args()
    args.settings = args.settings or _tuning.ROUNDS[args.method]
    return args


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging()
    with _tuning.open_search(args) as tuning:
        tuning.search.run(args.trials, args.settings)
        print(_tuning.conclude(tuning, args))


if __name__ == "__main__":
    _cli.run(main)
