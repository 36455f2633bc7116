"""Make training crops and annotation from a raw data set.

Crops, train.json and dataset.yaml are written to training_dataset/NAME, or to --out;
`DATASET.NAMES [NAME]` then trains on the set.
"""

import argparse
import textwrap
from collections import Counter
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
import _prepare
from pysot.datasets.dataset_yaml import (
    DESCRIPTION,
    config_name,
    describes_masks,
    find_described_pack,
    write_description,
)
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.video import annotation_json, format_counts
from pysot.utils.files import write_json

EXAMPLES = (
    "python tools/prepare_data.py otb ../OTB100 --name otb --except Deer,Man",
    "python tools/prepare_data.py davis ../DAVIS --name davis --with-masks",
)


def parse_arguments() -> argparse.Namespace:
    layouts = [f"{name:<11} {raw_set.layout}" for name, raw_set in RAW_SETS.items()]
    sets = [textwrap.fill(layout, 98, initial_indent="  ", subsequent_indent=" " * 14) for layout in layouts]
    remarks = "\n".join(["sets, and the contents of ROOT:", *sets, "", ""])
    parser = _arguments.make_parser(__doc__, EXAMPLES, remarks)
    add = parser.add_argument
    add("set", choices=list(RAW_SETS), metavar="SET", help="data set or layout")
    add("root", type=Path, metavar="ROOT", help="folder of the raw data set")
    add("--name", metavar="NAME", help="name of the set in configs (default: that of the folder --out)")
    add("--out", type=Path, metavar="FOLDER", help="folder to write (default: training_dataset/NAME)")
    _arguments.add_sequence_arguments(parser)
    add("--procs", type=_arguments.whole_number(1), default=2, metavar="N", help="processes (default: 2)")
    _prepare.add_crop_arguments(parser)
    args = parser.parse_args()
    if not args.name and not args.out:
        parser.error("give the set a --name, or a folder --out")
    args.out = args.out or Path("training_dataset") / args.name
    return args


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging(quiet=True)
    if args.with_masks:
        _prepare.check_has_masks(args.set)
    raw_set, name = RAW_SETS[args.set], config_name(args.name or args.out.resolve().name)
    crops = args.out / "crop511"
    splits = raw_set.splits(args.root)
    listed: set[str] = set()
    for split in splits:
        counts: Counter = Counter()
        videos = _prepare.read_videos(args.set, args.root, split, counts, args.only, args.excluded, args.with_masks)
        label = f"{args.set} {split}"
        done = _prepare.make_crops(videos, crops, label, args.procs, 511, args)
        if args.dry_run:
            print(f"{split}: {len(videos)} videos, {done}; not used: {format_counts(counts)}")
            continue
        content = annotation_json(videos, crops, counts)
        listed |= set(content)
        write_json(args.out / f"{split}.json", content)
        print(f"{len(content)} sequences, {done}; in {split}.json: {format_counts(counts)}")
        if split == splits[-1]:
            if (packed := find_described_pack(args.out)) is not None:
                print(
                    f"{args.out / DESCRIPTION} named {packed}, which does not have the crops of this call; it names "
                    "crop511 again, until they are packed"
                )
            if describes_masks(args.out) and not args.with_masks:
                print(
                    f"{args.out / DESCRIPTION} had MASKS: true, but this call made no masks, so that it no longer says "
                    "so; run it with --with-masks to have them again"
                )
            write_description(args.out, split, raw_set.frame_range, counts["boxes"], args.with_masks)
    if not args.dry_run:
        report_unlisted(crops, listed)
        print(
            f"To train on it: DATASET.NAMES [{name}]; {args.out / DESCRIPTION} says where it lies and how often it is "
            "drawn"
        )


def report_unlisted(crops: Path, listed: set[str]) -> None:
    """Print the videos that have crops but are not `listed` in a json of this call."""
    folders = sorted({path.parent for path in crops.rglob("*.x.jpg")})
    names = [folder.relative_to(crops) for folder in folders]
    others = sorted(str(name) for name in names if name.as_posix() not in listed)
    if others:
        print(
            f"crops of {len(others)} videos that this call did not read lie in {crops} and are in no json: "
            f"{', '.join(others[:5])}"
        )


if __name__ == "__main__":
    _cli.run(main)
