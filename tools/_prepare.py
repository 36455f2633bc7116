"""What the commands share that prepare training data: crops and annotation of a raw data set."""

import argparse
import functools
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import _cli
from pysot.datasets.crop import crop_all, crop_bytes
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.video import RawVideo, annotation_json, crop_name, describe, present_crops
from pysot.utils.files import write_json


def add_crop_arguments(parser: argparse.ArgumentParser) -> None:
    """--with-z and --dry-run."""
    parser.add_argument(
        "--with-z", action="store_true", help="also write each exemplar as .z.jpg; training does not need it"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="count boxes and the disk that their crops need; write nothing"
    )


def read_videos(name: str, root: Path, split: str, counts: Counter, only=(), excluded=()) -> list[RawVideo]:
    """The videos of a split, read with a bar. Raises what the set's reader raises, and ValueError where no video has a box."""
    videos = list(
        _cli.progress_bar(
            RAW_SETS[name].videos(root, split, counts, only, excluded), description=f"reading {name} {split}"
        )
    )
    if not videos:
        raise ValueError(
            f"no box in {split} of {Path(root).absolute()} (left out: {describe(counts)}); {name} is {RAW_SETS[name].shape}"
        )
    return videos


def make_crops(
    videos: list[RawVideo], crops: Path, label: str, procs: int, size: int, with_z: bool, dry_run: bool
) -> str:
    """Crop the videos of a split; what was done, in words."""
    if dry_run:
        return foresee(videos, crops)
    progress = functools.partial(_cli.progress_bar, description=label)
    result = crop_all(videos, crops, procs, size, progress, with_z)
    return (
        f"{result.written} crops written, {result.present} were there, {len(result.problems)} images or boxes left out"
    )


def foresee(videos: list[RawVideo], crops: Path) -> str:
    """What cropping would do."""
    boxes = sum(len(frame.boxes) for video in videos for frame in video.frames)
    present = 0
    for video in videos:
        there = set(present_crops(crops / video.name))
        present += (
            sum(crop_name(frame.number, track) in there for frame in video.frames for track in frame.boxes)
            if there
            else 0
        )
    place = next(folder for folder in (crops, *crops.absolute().parents) if folder.is_dir())
    needed, free = (boxes - present) * crop_bytes(videos) / 2**20, shutil.disk_usage(place).free / 2**20
    return f"{boxes} boxes, {present} crops are there; the others need about {needed:.0f} MiB, {free:.0f} MiB are free"


def par_crop(name: str, here: Path) -> None:
    """The command training_dataset/<set>/par_crop.py [size] [processes]."""
    parser = argparse.ArgumentParser(description=f"Crops of {name} for training; gen_json.py comes next.")
    parser.add_argument("size", nargs="?", type=int, default=511, help="pixels of a crop; training expects 511")
    parser.add_argument("procs", nargs="?", type=int, default=12, help="processes")
    _add_places(parser, here)
    add_crop_arguments(parser)
    args = parser.parse_args()
    _cli.setup_logging(quiet=True)
    for split in RAW_SETS[name].splits(args.root):
        counts = Counter()
        videos = read_videos(name, args.root, split, counts)
        done = make_crops(
            videos, args.out / f"crop{args.size}", split, args.procs, args.size, args.with_z, args.dry_run
        )
        print(f"{split}: {len(videos)} {_things(name)}, {done}; not used: {describe(counts)}")


def gen_json(name: str, here: Path) -> None:
    """The command training_dataset/<set>/gen_json.py."""
    parser = argparse.ArgumentParser(
        description=f"Training annotation of {name}, a json per split; run par_crop.py before, so that only boxes with a crop "
        "are listed."
    )
    _add_places(parser, here)
    args = parser.parse_args()
    _cli.setup_logging(quiet=True)
    for split in RAW_SETS[name].splits(args.root):
        counts = Counter()
        videos = read_videos(name, args.root, split, counts)
        crops = args.out / "crop511"
        cropped = any((crops / video.name).is_dir() for video in videos)
        if not cropped:
            print(f"{split}: no crops in {crops} yet, so every box is listed; run par_crop.py, then this again")
        content = annotation_json(videos, crops if cropped else None, counts)
        write_json(args.out / f"{split}.json", content)
        print(f"{split}.json: {len(content)} {_things(name)}, {describe(counts)}")


def _things(name: str) -> str:
    return "images" if name in ("coco", "det") else "videos"


def _add_places(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument("--root", type=Path, default=here, help="folder of the raw data set (default: this folder)")
    parser.add_argument(
        "--out", type=Path, default=here, help="crops go to OUT/crop511, jsons to OUT (default: this folder)"
    )


COMMANDS: dict[str, Callable[[str, Path], None]] = {"par_crop": par_crop, "gen_json": gen_json}


def run(script: str) -> None:
    """Run training_dataset/<set>/<command>.py, whose path is `script`."""
    path = Path(script).resolve()
    _cli.run(functools.partial(COMMANDS[path.stem], path.parent.name, path.parent))
