"""Make the quickstart's data: a training and a test set.

Both are rendered from photographs in the wheels of scikit-image and matplotlib.
"""

from functools import partial
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.datasets.quickstart.data import generate
from pysot.utils.progress import progress_bar

EXAMPLES = (
    "python tools/make_quickstart_data.py --train training_dataset/quickstart/sequences "
    "--test testing_dataset/VOT-QUICKSTART",
    "python tools/make_quickstart_data.py --test testing_dataset/VOT-OTHER --seed 1 --sequences 20",
)


def main() -> None:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number(1)
    add("--train", type=Path, metavar="FOLDER", help="folder for the training sequences")
    add("--test", type=Path, metavar="FOLDER", help="folder for the test sequences")
    add("--seed", type=int, default=0, metavar="N", help="each seed gives different sequences (default: 0)")
    add("--sequences", type=count, metavar="N", help="in each set (default: 100 for training, 8 for testing)")
    args = parser.parse_args()
    if args.train is None and args.test is None:
        parser.error("pass --train FOLDER, --test FOLDER or both")
    _cli.setup_logging(quiet=True)
    for split, root in (("train", args.train), ("test", args.test)):
        if root is not None:
            bar = partial(progress_bar, description=f"{split} sequences")
            folders = generate(root, split, seed=args.seed, sequences=args.sequences, progress=bar)
            print(f"{split}: {len(folders)} sequences in {root}")


if __name__ == "__main__":
    _cli.run(main)
