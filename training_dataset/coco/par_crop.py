"""Crops of COCO for training: `python par_crop.py 511 12` (crop size, processes), then `python gen_json.py`."""

import argparse
import functools
import logging
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))

import _cli  # noqa: E402
from pysot.datasets.crop import crop_all  # noqa: E402
from pysot.datasets.raw import describe  # noqa: E402
from pysot.datasets.raw_coco import available_splits, iter_coco  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", type=int, default=511, help="pixels of a crop; training expects 511")
    parser.add_argument("procs", nargs="?", type=int, default=12, help="processes")
    parser.add_argument("--root", type=Path, default=HERE, help="folder with annotations/, train2017/ and val2017/ (default: this folder)")
    parser.add_argument("--out", type=Path, default=HERE, help="crops go to OUT/crop511 (default: this folder)")
    args = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    for split in available_splits(args.root):
        counts = Counter()
        videos = list(iter_coco(args.root, split, counts))
        progress = functools.partial(tqdm, desc=split, unit="image", disable=None)
        result = crop_all(videos, args.out / f"crop{args.size}", args.procs, args.size, progress)
        print(f"{split}: {len(videos)} images, {result.written} crops written, {result.present} were there, {len(result.problems)} images or boxes "
              f"left out; not used: {describe(counts)}")


if __name__ == "__main__":
    _cli.run(main)
