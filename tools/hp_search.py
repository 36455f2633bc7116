"""Search the TRACK settings of a tracker that score best on a data set.

A RANGE is LOW,HIGH,STEP; a grid stops below HIGH. Results of finished settings, the best one as a
config, the study and a page with plots are written. The same command goes on after an
interruption; in several processes at once they share the work.
"""

import argparse

import _cli

_cli.prepare_process()

import _arguments
import _tuning
from pysot.tuning.study import METHODS

EXAMPLES = (
    "python tools/hp_search.py --snapshot quickstart/trained.pth --dataset VOT-QUICKSTART --trials 20",
    "python tools/hp_search.py --snapshot snapshot/checkpoint_e20.pth --dataset VOT2018 --method grid "
    "--penalty-k 0.05,0.5,0.05",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number(1)
    add("--snapshot", required=True, metavar="FILE", help="checkpoint; its file name begins those of the results")
    _arguments.add_dataset_arguments(parser)
    add("--experiment", metavar="NAME", help="of VOT sets: baseline (default) or unsupervised")
    add("--method", choices=METHODS, default=METHODS[0], help="tpe proposes settings, grid tries all (default: tpe)")
    add("--trials", type=count, default=100, metavar="N", help="tpe: settings of the study in all (default: 100)")
    for flag, (key, default) in _tuning.FLAGS.items():
        add(flag, metavar="RANGE", help=f"range of TRACK.{key}" + (f" (default: {default})" if default else ""))
    add("--param", nargs=2, action="append", default=[], metavar=("KEY", "RANGE"), help="range of another key of TRACK")
    add("--settings", type=count, metavar="N", help="settings of a round (default: 16, of a grid 64)")
    add("--hold-out", metavar="PART", default=None, help="sequences kept aside for the score of the best setting: a "
        "number, a share or names a,b; 0 for none (default: 0.3)")  # fmt: skip
    add("--tune-on", metavar="PART", help="sequences to tune on, as --hold-out (default: all others)")
    add("--no-prune", action="store_true", help="track every setting to the end, even if it is bad")
    add("--study", metavar="NAME", help="name of the study (default: that of the snapshot)")
    add("--storage", metavar="URL", help="database of the study, for several machines (default: an SQLite file)")
    add("--results_dir", default="hp_search_result", metavar="FOLDER", help="default: hp_search_result")
    add("--seed", type=_arguments.whole_number(0), default=0, metavar="N", help="of settings and parts (default: 0)")
    add(
        "--workers",
        type=count,
        metavar="N",
        help="threads, each with a sequence (default: one per core, on a card one)",
    )
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
