"""Make the quick-start data: a training and a test set rendered from photographs inside scikit-image and matplotlib.

python tools/make_quickstart_data.py --train training_dataset/quickstart/sequences --test
testing_dataset/VOT-QUICKSTART
"""

import argparse
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

if find_spec("pysot") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pysot.datasets.quickstart_data import generate  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, help="folder for the training sequences")
    parser.add_argument("--test", type=Path, help="folder for the test sequences")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other sequences (default: 0)")
    args = parser.parse_args()
    if args.train is None and args.test is None:
        parser.error("pass --train FOLDER, --test FOLDER or both")
    return args


def main() -> int:
    args = parse_args()
    for split, root in (("train", args.train), ("test", args.test)):
        if root is None:
            continue
        try:
            folders = generate(root, split, seed=args.seed, progress=partial(tqdm, desc=split, unit="sequence"))
        except (ValueError, OSError, ImportError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        print(f"{split}: {len(folders)} sequences in {root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
