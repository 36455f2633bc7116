"""Pack the crops of a data set into a few large files: python tools/pack_data.py training_dataset/coco/train2017.json.

The pack is written to training_dataset/coco/train2017.pack. DATASET.COCO.ROOT then names it instead of crop511 (--use
writes this into the dataset.yaml of a set of tools/prepare_data.py). Training reads the same items from both, faster
from the pack, which takes about two and a half times the disk space. After an interruption, run the same command again:
it resumes.
"""

import argparse
import functools
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.datasets.dataset_yaml import DESCRIPTION, check_masks_described, set_crop_root
from pysot.datasets.index import load_annotation
from pysot.datasets.pack import pack, verify


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__)
    parser.add_argument("anno", type=Path, help="annotation of the data set, train.json")
    parser.add_argument("--root", type=Path, help="folder of the crops (default: crop511 beside the annotation)")
    parser.add_argument("--out", type=Path, help="folder of the pack (default: the annotation's name with .pack)")
    parser.add_argument(
        "--centre",
        type=_arguments.whole_number(127),
        default=160,
        help="pixels of the centre that are stored for templates; if their scale and shift need more "
        "(142 as published), templates read the entire crop",
    )
    parser.add_argument("--procs", type=_arguments.whole_number(1), default=2, help="processes")
    parser.add_argument(
        "--use",
        action="store_true",
        help="name the pack in the dataset.yaml of tools/prepare_data.py, beside the annotation",
    )
    parser.add_argument("--with-masks", action="store_true", help="also pack the mask of each crop, for SiamMask")
    parser.add_argument(
        "--verify", action="store_true", help="read an existing pack and check every crop; writes nothing"
    )
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging(quiet=True)
    name, out = args.anno.resolve().parent.name, (args.out or args.anno.with_suffix(".pack")).absolute()
    bar = functools.partial(_cli.progress_bar, description=out.name)
    if args.verify:
        wrong = verify(load_annotation(name, out, args.anno.absolute()), bar)
        for problem in wrong[:20]:
            print(problem)
        if wrong:
            raise ValueError(f"{len(wrong)} crops of {out} cannot be read; pack the data set again")
        print(f"{out}: every crop is as it was written")
        return
    annotation = load_annotation(name, (args.root or args.anno.parent / "crop511").absolute(), args.anno.absolute())
    if args.use:
        check_masks_described(args.anno, args.with_masks)
    count, problems = pack(annotation, out, args.centre, args.procs, args.anno, bar, args.with_masks)
    for problem in problems[:20]:
        print(f"left out: {problem}")
    files = list(out.glob("*.tar"))
    size = sum(path.stat().st_size for path in files)
    print(
        f"{out}: {count} crops in {len(files)} files of {size / 2**20:.0f} MiB together, "
        f"{len(annotation.boxes) - count} left out"
    )
    if args.use:
        set_crop_root(args.anno, out)
        print(f"{args.anno.with_name(DESCRIPTION)} names it: training on this set reads it")


if __name__ == "__main__":
    _cli.run(main)
