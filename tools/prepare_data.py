"""Training crops and annotation from a raw data set: python tools/prepare_data.py SET ROOT --name NAME.

python tools/prepare_data.py otb ../OTB100 --name otb --except Deer,Man
python tools/prepare_data.py csv ../boats --name boats

Crops, train.json and dataset.yaml go to training_dataset/NAME, or to --out; `DATASET.NAMES [NAME]` then trains on the set.
"""

import argparse
from collections import Counter
from pathlib import Path

import _prepare

import _cli
from pysot.datasets.dataset_yaml import DESCRIPTION, config_name, described_pack, write_description
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.video import annotation_json, describe
from pysot.utils.files import write_json


def parse_arguments() -> argparse.Namespace:
    sets = "\n".join(f"  {name:<12} {raw.shape}" for name, raw in RAW_SETS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"sets, and what ROOT holds:\n{sets}",
    )
    parser.add_argument("set", choices=list(RAW_SETS), metavar="SET", help="which data set or layout")
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the raw data set")
    parser.add_argument("--name", help="name of the set in configs (default: that of the folder --out)")
    parser.add_argument("--out", type=Path, help="folder for crop511/ and the jsons (default: training_dataset/NAME)")
    _cli.add_sequence_arguments(parser)
    parser.add_argument("--procs", type=_cli.whole_number(1), default=2, help="processes")
    _prepare.add_crop_arguments(parser)
    args = parser.parse_args()
    if not args.name and not args.out:
        parser.error("give the set a --name, or a folder --out")
    args.out = args.out or Path("training_dataset") / args.name
    return args


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging(quiet=True)
    raw, name = RAW_SETS[args.set], config_name(args.name or args.out.resolve().name)
    splits, listed = raw.splits(args.root), set()
    for split in splits:
        counts = Counter()
        videos = _prepare.read_videos(args.set, args.root, split, counts, args.only, args.excluded)
        done = _prepare.make_crops(
            videos, args.out / "crop511", f"{args.set} {split}", args.procs, 511, args.with_z, args.dry_run
        )
        if args.dry_run:
            print(f"{split}: {len(videos)} videos, {done}; not used: {describe(counts)}")
            continue
        content = annotation_json(videos, args.out / "crop511", counts)
        listed |= set(content)
        write_json(args.out / f"{split}.json", content)
        print(f"{len(content)} sequences, {done}; in {split}.json: {describe(counts)}")
        if split == splits[-1]:
            if (packed := described_pack(args.out)) is not None:
                print(
                    f"{args.out / DESCRIPTION} named {packed}, which does not have the crops of this call; it names crop511 again, until they are packed"
                )
            write_description(args.out, split, raw.reach, counts["boxes"])
    if not args.dry_run:
        others = sorted(
            str(folder.relative_to(args.out / "crop511"))
            for folder in _lowest(args.out / "crop511")
            if folder.relative_to(args.out / "crop511").as_posix() not in listed
        )
        if others:
            print(
                f"crops of {len(others)} videos that this call did not read lie in {args.out / 'crop511'} and are in no json: {', '.join(others[:5])}"
            )
        print(
            f"To train on it: DATASET.NAMES [{name}]; {args.out / DESCRIPTION} says where it lies and how often it is drawn"
        )


def _lowest(folder: Path) -> list[Path]:
    """The folders that hold crops."""
    return sorted({path.parent for path in folder.rglob("*.x.jpg")})


if __name__ == "__main__":
    _cli.run(main)
