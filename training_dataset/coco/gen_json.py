"""Training annotation of COCO, `train2017.json` and `val2017.json`; run par_crop.py before, so that only boxes with a crop are listed."""

import argparse
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))

import _cli  # noqa: E402
from pysot.datasets.raw import annotation_json, describe  # noqa: E402
from pysot.datasets.raw_coco import available_splits, iter_coco  # noqa: E402
from pysot.utils.files import write_json  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=HERE, help="folder with annotations/ (default: this folder)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder with crop511/, where the jsons go (default: this folder)")
    args = parser.parse_args()
    for split in available_splits(args.root):
        crops, counts = args.out / "crop511", Counter()
        if not (crops / split).is_dir():
            print(f"{split}: no crops in {crops / split} yet, so every box is listed; run par_crop.py, then this again")
        content = annotation_json(iter_coco(args.root, split, counts), crops if (crops / split).is_dir() else None, counts)
        write_json(args.out / f"{split}.json", content)
        print(f"{split}.json: {len(content)} images, {describe(counts)}")


if __name__ == "__main__":
    _cli.run(main)
