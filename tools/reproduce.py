"""Reproduce a published result; without a name, list them.

Names every deviation of data, weights, config, code and devices before anything is computed,
trains, tracks and scores, and ends with a table of published and measured values. One folder has
everything, and --verify checks it, on any machine with the benchmark. The same command goes on
after an interruption.
"""

import argparse
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
import _reproduce

EXAMPLES = (
    "python tools/reproduce.py quickstart --seeds 1,2,3",
    "python tools/reproduce.py --verify reproductions/quickstart",
)
DEFAULT_SEED = 123456  # that of tools/train.py


def parse_seeds(text: str) -> tuple[int, ...]:
    """Parse an argument N or N,N,...: different whole numbers."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len({int(part) for part in parts}) < len(parts):
        raise argparse.ArgumentTypeError(f"expected different whole numbers such as 1,2,3, got {text!r}")
    return tuple(map(int, parts))


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number(1)
    add("name", nargs="?", metavar="NAME", help="published result (default: list them)")
    add("--data_path", type=Path, metavar="FOLDER", help="folder with training_dataset/ and testing_dataset/ (default: "
        "the repository)")  # fmt: skip
    add("--out", type=Path, metavar="FOLDER", help="folder of the run (default: reproductions/NAME)")
    _arguments.add_device_argument(parser)
    add("--seed", "--seeds", dest="seeds", type=parse_seeds, metavar="N[,N]", help="seeds of training runs, one after "
        f"the other (default: {DEFAULT_SEED})")  # fmt: skip
    add("--devices", type=count, metavar="N", help="devices to train on (default: as published)")
    add("--batch_size", type=count, metavar="N", help="pairs of each device in a step (default: as published)")
    add("--check", action="store_true", help="examine the inputs, print what differs, and stop")
    add("--with-deviations", action="store_true", help="go on although inputs differ; the table then says so")
    add("--tune", type=count, default=0, metavar="TRIALS", help="afterwards search tracker settings")
    add("--small", action="store_true", help="a small form in a minute on a CPU, which is not comparable")
    add("--verify", type=Path, metavar="FOLDER", help="check the folder of a finished run, also somebody else's")
    args = parser.parse_args()
    if args.verify is not None and args.name is not None:
        parser.error("--verify takes the folder of a run, which knows its NAME; leave out NAME")
    return args


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging()
    if args.verify is not None:
        _reproduce.verify(args.verify.resolve(), args.data_path)
    elif args.name is None:
        _reproduce.list_claims()
    else:
        _reproduce.reproduce(args, DEFAULT_SEED)


if __name__ == "__main__":
    _cli.run(main)
