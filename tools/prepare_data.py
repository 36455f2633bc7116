"""Make training crops and annotation from a raw data set.

Crops, train.json and dataset.yaml go to training_dataset/NAME; DATASET.NAMES [NAME] trains on it.
"""

import argparse
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import _cli

_cli.prepare_process()

import _arguments
import _parts
import _prepare
from pysot.datasets.dataset_yaml import (
    DESCRIPTION,
    config_name,
    describes_masks,
    find_described_pack,
    write_description,
)
from pysot.datasets.parts import PartSettings, recorded_splits, remove_parts
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.video import RawVideo, annotation_json, format_counts
from pysot.utils.files import write_json

EXAMPLES = (
    "python tools/prepare_data.py otb ../OTB100 --name otb --except Deer,Man",
    "python tools/prepare_data.py got10k ../GOT-10k/train --name got10k --part 2/8",
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
    group = parser.add_mutually_exclusive_group()
    _parts.add_part_argument(group, "--merge")
    group.add_argument("--merge", action="store_true", help="check and join the parts; reads no raw data")
    args = parser.parse_args()
    if args.merge and args.dry_run:
        parser.error("--merge makes no crops, so --dry-run has nothing to count; leave it out")
    if not args.name and not args.out:
        parser.error("give the set a --name, or a folder --out")
    args.out = args.out or Path("training_dataset") / args.name
    return args


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging(quiet=True)
    if args.with_masks:
        _prepare.check_has_masks(args.set)
    settings = PartSettings(args.set, 511, args.with_z, args.with_masks, args.only, args.excluded)
    crops = args.out / "crop511"
    if args.merge:
        contents = merge(args, settings, crops)
    else:
        contents = prepare(args, settings, crops)
    if contents:
        report_unlisted(crops, {name for content in contents for name in content})
        name = config_name(args.name or args.out.resolve().name)
        print(
            f"To train on it: DATASET.NAMES [{name}]; {args.out / DESCRIPTION} says where it lies and how often it is "
            "drawn"
        )


def prepare(args: argparse.Namespace, settings: PartSettings, crops: Path) -> list[dict[str, Any]]:
    """Prepare all splits, or only a part of them; return the annotations, none for a part or a dry run."""
    splits, contents = RAW_SETS[args.set].splits(args.root), []
    for split in splits:
        counts: Counter = Counter()
        videos = _prepare.read_videos(args.set, args.root, split, counts, args.only, args.excluded, args.with_masks)

        def make(videos: list[RawVideo], label: str = f"{args.set} {split}") -> str:
            return _prepare.make_crops(videos, crops, label, args.procs, 511, args)

        if (part := _parts.part_of(args, split, splits, settings)) is not None:
            print(_parts.prepare_part(part, videos, counts, crops, make, args.dry_run))
            continue
        done = make(videos)
        if args.dry_run:
            print(f"{split}: {len(videos)} videos, {done}; not used: {format_counts(counts)}")
            continue
        contents.append(annotation_json(videos, crops, counts))
        remove_parts(crops, split)
        write_split(args, split, contents[-1], counts, done, is_last=split == splits[-1])
    return contents


def merge(args: argparse.Namespace, settings: PartSettings, crops: Path) -> list[dict[str, Any]]:
    """Join the parts of all splits, after all of them have been checked; return the annotations."""
    splits = recorded_splits(crops)
    joined = [_parts.merge(crops, split, **settings.as_json()) for split in splits]
    for split, merged in zip(splits, joined, strict=True):
        done = f"joined from {merged.parts} parts"
        write_split(args, split, merged.annotation, merged.counts, done, is_last=split == splits[-1])
    return [merged.annotation for merged in joined]


def write_split(
    args: argparse.Namespace, split: str, content: dict[str, Any], counts: Counter, done: str, is_last: bool
) -> None:
    """Write the annotation of a split, and with the last one the description of the set."""
    write_json(args.out / f"{split}.json", content)
    print(f"{len(content)} sequences, {done}; in {split}.json: {format_counts(counts)}")
    if not is_last:
        return
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
    write_description(args.out, split, RAW_SETS[args.set].frame_range, counts["boxes"], args.with_masks)


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
