"""Make the quickstart's data: a training and a test set.

Both are rendered from photographs in the wheels of scikit-image and matplotlib.

python tools/make_quickstart_data.py --train training_dataset/quickstart/sequences --test testing_dataset/VOT-QUICKSTART
"""

from functools import partial
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.datasets.quickstart.data import generate


def main() -> None:
    parser = _arguments.make_parser(__doc__)
    parser.add_argument("--train", type=Path, help="folder for the training sequences")
    parser.add_argument("--test", type=Path, help="folder for the test sequences")
    parser.add_argument("--seed", type=int, default=0, help="seed; each seed gives different sequences (default: 0)")
    parser.add_argument(
        "--sequences",
        type=_arguments.whole_number(1),
        help="sequences in each set (default: 100 for training, 8 for testing)",
    )
    args = parser.parse_args()
    if args.train is None and args.test is None:
        parser.error("pass --train FOLDER, --test FOLDER or both")
    _cli.setup_logging(quiet=True)
    for split, root in (("train", args.train), ("test", args.test)):
        if root is not None:
            bar = partial(_cli.progress_bar, description=f"{split} sequences")
            folders = generate(root, split, seed=args.seed, sequences=args.sequences, progress=bar)
            print(f"{split}: {len(folders)} sequences in {root}")


if __name__ == "__main__":
    _cli.run(main)
