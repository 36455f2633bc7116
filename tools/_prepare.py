"""Shared parts of the commands that prepare training data: crops and annotation of a raw data set."""

import argparse
import functools
import shutil
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import _arguments
import _cli
import _parts
from pysot.datasets.crop import crop_all, estimate_crop_bytes
from pysot.datasets.parts import PartSettings, has_parts, remove_parts
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.video import RawVideo, annotation_json, crop_name, format_counts, present_crops
from pysot.utils.files import write_json
from pysot.utils.progress import progress_bar


def add_crop_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --with-z, --with-masks and --dry-run."""
    add = parser.add_argument
    add("--with-z", action="store_true", help="also write exemplars as .z.jpg; training does not need them")
    add("--with-masks", action="store_true", help=f"also write masks, for SiamMask ({', '.join(mask_sets())})")
    add("--dry-run", action="store_true", help="count boxes and the disk space of their crops; write nothing")


def check_has_masks(name: str) -> None:
    """Raise ValueError if a set has no masks, for --with-masks."""
    known = mask_sets()
    if name not in known:
        raise ValueError(f"--with-masks: {name} has no masks, only {', '.join(known)} have; leave the option out")


def read_videos(
    name: str,
    root: Path,
    split: str,
    counts: Counter,
    only: Collection[str] = (),
    excluded: Collection[str] = (),
    with_masks: bool = False,
) -> list[RawVideo]:
    """Return the videos of a split, read with a progress bar.

    Raises the errors of the set's reader, and ValueError if no video has a box.
    """
    raw_set = RAW_SETS[name]
    source = raw_set.videos(root, split, counts, only, excluded, with_masks)
    videos = list(progress_bar(source, description=f"reading {name} {split}"))
    if not videos:
        raise ValueError(
            f"no box in {split} of {Path(root).absolute()} (left out: {format_counts(counts)}); "
            f"{name} is {raw_set.layout}"
        )
    return videos


def mask_sets() -> list[str]:
    """Return the names of the sets that have masks."""
    return [name for name, raw_set in RAW_SETS.items() if raw_set.has_masks]


def make_crops(videos: list[RawVideo], crops: Path, label: str, procs: int, size: int, args: argparse.Namespace) -> str:
    """Crop the videos of a split; return a sentence about what was done, or for a dry run about what would be.

    `args` has the arguments of `add_crop_arguments`, and --part. The images of a part may all be unreadable.
    """
    if args.dry_run:
        return describe_dry_run(videos, crops)
    progress = functools.partial(progress_bar, description=label)
    is_part = args.part is not None
    result = crop_all(videos, crops, procs, size, progress, args.with_z, args.with_masks, is_part)
    crops_made = f"{result.written} crops written, {result.present} already present"
    if not args.with_masks:
        return f"{crops_made}, {len(result.problems)} images or boxes left out"
    crops_made += f", {result.masks} masks written ({result.empty_masks} of them empty)"
    return f"{crops_made}, {len(result.problems)} images, boxes or masks left out"


def describe_dry_run(videos: list[RawVideo], crops: Path) -> str:
    """Return a sentence about the crops that exist, and the disk space that the others need."""
    boxes = sum(len(frame.boxes) for video in videos for frame in video.frames)
    present = 0
    for video in videos:
        names = set(present_crops(crops / video.name))
        if names:
            present += sum(crop_name(frame.number, track) in names for frame in video.frames for track in frame.boxes)
    existing_folder = next(folder for folder in (crops, *crops.absolute().parents) if folder.is_dir())
    needed = (boxes - present) * estimate_crop_bytes(videos) / 2**20
    free = shutil.disk_usage(existing_folder).free / 2**20
    return f"{boxes} boxes, {present} crops exist; the others need about {needed:.0f} MiB, {free:.0f} MiB are free"


def par_crop(name: str, folder: Path) -> None:
    """Run the command training_dataset/<set>/par_crop.py [size] [processes]."""
    command = f"python training_dataset/{name}/par_crop.py"
    parser = _arguments.make_parser(
        f"Make training crops of {name}; run gen_json.py afterwards.", (f"{command} 511 12", f"{command} --dry-run")
    )
    parser.add_argument("size", nargs="?", type=int, default=511, help="pixels of a crop; training expects 511")
    parser.add_argument("procs", nargs="?", type=int, default=12, help="processes")
    _add_folder_arguments(parser, folder)
    add_crop_arguments(parser)
    _parts.add_part_argument(parser, "gen_json.py")
    args = parser.parse_args()
    _cli.setup_logging(quiet=True)
    if args.with_masks:
        check_has_masks(name)
    settings = PartSettings(name, args.size, args.with_z, args.with_masks)
    splits, crops = RAW_SETS[name].splits(args.root), args.out / f"crop{args.size}"
    for split in splits:
        counts: Counter = Counter()
        videos = read_videos(name, args.root, split, counts, with_masks=args.with_masks)
        make = functools.partial(make_crops, crops=crops, label=split, procs=args.procs, size=args.size, args=args)
        if (part := _parts.part_of(args, split, splits, settings)) is not None:
            print(_parts.prepare_part(part, videos, counts, crops, make, args.dry_run))
            continue
        done = make(videos)
        if not args.dry_run:
            remove_parts(crops, split)
        print(f"{split}: {len(videos)} {_unit(name)}, {done}; not used: {format_counts(counts)}")


def gen_json(name: str, folder: Path) -> None:
    """Run the command training_dataset/<set>/gen_json.py."""
    command = f"python training_dataset/{name}/gen_json.py"
    parser = _arguments.make_parser(
        f"Write the training annotation of {name}, one json per split.\n\n"
        "Run par_crop.py first, so that only boxes with a crop are listed. Parts that par_crop.py --part has made\n"
        "are checked and joined; a part that is missing is named.",
        (command, f"{command} --root ../{name} --out training_dataset/{name}"),
    )
    _add_folder_arguments(parser, folder)
    args = parser.parse_args()
    _cli.setup_logging(quiet=True)
    crops, splits = args.out / "crop511", RAW_SETS[name].splits(args.root)
    for split in splits:
        if any(has_parts(crops, other) for other in splits):
            merged = _parts.merge(crops, split, layout=name)
            write_json(args.out / f"{split}.json", merged.annotation)
            text = f"{split}.json: {len(merged.annotation)} {_unit(name)}, {format_counts(merged.counts)}"
            print(f"{text}; joined from {merged.parts} parts")
            continue
        counts: Counter = Counter()
        videos = read_videos(name, args.root, split, counts)
        cropped = any((crops / video.name).is_dir() for video in videos)
        if not cropped:
            print(f"{split}: no crops in {crops} yet, so every box is listed; run par_crop.py, then this again")
        content = annotation_json(videos, crops if cropped else None, counts)
        write_json(args.out / f"{split}.json", content)
        print(f"{split}.json: {len(content)} {_unit(name)}, {format_counts(counts)}")


def _unit(name: str) -> str:
    return "images" if name in ("coco", "det") else "videos"


def _add_folder_arguments(parser: argparse.ArgumentParser, folder: Path) -> None:
    parser.add_argument("--root", type=Path, default=folder, help="folder of the raw data set (default: this folder)")
    parser.add_argument(
        "--out",
        type=Path,
        default=folder,
        help="crops are written to OUT/crop511, jsons to OUT (default: this folder)",
    )


COMMANDS: dict[str, Callable[[str, Path], None]] = {"par_crop": par_crop, "gen_json": gen_json}


def run(script: str) -> None:
    """Run training_dataset/<set>/<command>.py, whose path is `script`."""
    path = Path(script).resolve()
    _cli.run(functools.partial(COMMANDS[path.stem], path.parent.name, path.parent))
