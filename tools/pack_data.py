"""Pack the crops of a training set into a few large files, which load faster.

train2017.json gives the folder train2017.pack beside it, two and a half times as large as the
crops; DATASET.<SET>.ROOT then names it instead of crop511. Training reads the same items from
both. The same command goes on after an interruption.
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
from pysot.utils.progress import progress_bar

EXAMPLES = (
    "python tools/pack_data.py training_dataset/quickstart/train.json --use",
    "python tools/pack_data.py training_dataset/coco/train2017.json --procs 8 --with-masks",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number
    add("anno", type=Path, metavar="ANNO", help="annotation of the data set, train.json")
    add("--root", type=Path, metavar="FOLDER", help="folder of the crops (default: crop511 beside ANNO)")
    add("--out", type=Path, metavar="FOLDER", help="folder of the pack (default: ANNO's name with .pack)")
    add("--centre", type=count(127), default=160, metavar="N", help="pixels of the centre that are stored for "
        "templates; larger ones read the entire crop (default: 160; 142 are published)")  # fmt: skip
    add("--procs", type=count(1), default=2, metavar="N", help="processes (default: 2)")
    add("--use", action="store_true", help="name the pack in dataset.yaml of prepare_data.py, beside ANNO")
    add("--with-masks", action="store_true", help="also pack the mask of each crop, for SiamMask")
    add("--verify", action="store_true", help="read an existing pack and check every crop; write nothing")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging(quiet=True)
    name, out = args.anno.resolve().parent.name, (args.out or args.anno.with_suffix(".pack")).absolute()
    bar = functools.partial(progress_bar, description=out.name)
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
