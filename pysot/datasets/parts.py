"""Parts of a data set that several machines prepare, and their merge.

Each part crops its share of the videos and then writes a record beside the folder of crops, in `crop511.parts`: the
annotation of its videos, how the part was made, and a hash of the videos of all parts. The merge reads the records and
no raw data. It refuses what could not have come from one run.
"""

import contextlib
import hashlib
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

import pysot
from pysot.datasets.raw.video import CROP, EXEMPLAR, MASK, RawVideo, annotation_json, crop_name, present_crops
from pysot.utils.files import lock_for_writing, write_json
from pysot.utils.parts import (
    begun_counts,
    command_of,
    command_template,
    find_records,
    lock_file,
    part_file,
    read_record,
    recorded_jobs,
    share,
    share_size,
)

FORM = 1  # of a record
_MADE = ("boxes", "no crop")  # counts of `annotation_json`; the others are of the reader and equal in all parts
_FIELDS = ("splits", "settings", "versions", "all_videos", "read", "videos", "made", "command", "annotation")
_COMMON = {  # fields that must be equal in all parts, and what to say if they are not
    "splits": "other splits",
    "settings": "other settings",
    "versions": "been made by other versions",
    "all_videos": "other lists of videos (from raw data that differ, or that lie in folders of other names)",
    "read": "other counts of the raw data",
}


@dataclass(frozen=True)
class PartSettings:
    """Settings that all parts have in common: of the layout, the crops, and the choice of videos."""

    layout: str
    size: int = 511
    exemplars: bool = False
    masks: bool = False
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the settings as a record has them."""
        return {**asdict(self), "only": sorted(self.only), "excluded": sorted(self.excluded)}


@dataclass(frozen=True)
class Part:
    """Part `number` (from 1) of `count` of a split, one of `splits`, made by the command line `arguments`."""

    number: int
    count: int
    split: str
    splits: Sequence[str]
    settings: PartSettings
    arguments: Sequence[str]

    def __str__(self) -> str:
        return f"part {self.number} of {self.count} of {self.split}"

    def choose(self, videos: Sequence[RawVideo]) -> list[tuple[int, RawVideo]]:
        """Return the videos of this part, the longest first, each with its index in the list of all."""
        indexed = list(enumerate(videos))
        return share(indexed, self.number, self.count, lambda item: (len(item[1].frames), item[1].name))


@dataclass(frozen=True)
class Merged:
    """Annotation of a split and its counts, as one run has them, from so many `parts` of these settings."""

    annotation: dict[str, Any]
    counts: Counter
    parts: int
    settings: PartSettings


def parts_folder(crops: Path) -> Path:
    """Return the folder of the records of the parts that crop into `crops`."""
    return crops.with_name(f"{crops.name}.parts")


@contextlib.contextmanager
def open_part(part: Part, crops: Path) -> Iterator[None]:
    """Hold the lock of a part; its record of an earlier run is removed, so that the part counts as unfinished.

    Raises ValueError if the split was begun in another number of parts, or if another process makes this part.
    """
    folder = parts_folder(crops)
    if others := [count for count in begun_counts(folder, part.split) if count != part.count]:
        raise ValueError(
            f"{part}: {folder} has parts of {', '.join(map(str, others))}. Split it as before, or, when no part is "
            f"being made, remove that folder (finished crops are kept) and prepare all {part.count} parts"
        )
    record = part_file(folder, part.split, part.number, part.count)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock_for_writing(lock_file(record), f"process {os.getpid()} on {platform.node()}"))
        except BlockingIOError as error:
            raise ValueError(
                f"{part} is being made by {error.strerror}; wait for it, or give this machine another part"
            ) from None
        record.unlink(missing_ok=True)
        yield


def write_part(part: Part, crops: Path, videos: Sequence[RawVideo], read: Counter) -> Counter:
    """Write the record of a part whose crops are finished; return the counts of the part.

    `videos` are those of all parts, and `read` what their reader counted.
    """
    chosen, made = part.choose(videos), Counter(dict.fromkeys(_MADE, 0))
    annotation = annotation_json([video for _, video in chosen], crops, made)
    record = {
        "form": FORM,
        "part": [part.number, part.count],
        "splits": list(part.splits),
        "settings": part.settings.as_json(),
        "versions": {"pysot": pysot.__version__, "OpenCV": cv2.__version__},
        "all_videos": describe_videos(videos),
        "read": dict(read),
        "videos": [index for index, _ in chosen],
        "made": dict(made),
        "command": command_template(part.arguments, part.number, part.count),
        "annotation": [
            [index, video.name, annotation[video.name]] for index, video in chosen if video.name in annotation
        ],
    }
    write_json(part_file(parts_folder(crops), part.split, part.number, part.count), record)
    return made


def describe_videos(videos: Iterable[RawVideo]) -> dict[str, Any]:
    """Return numbers of videos and boxes, and a hash of names, boxes, and what a crop records of its image's path."""
    digest, count, boxes = hashlib.sha256(), 0, 0
    for video in videos:
        count += 1
        digest.update(f"{video.name}\n".encode())
        for frame in video.frames:
            boxes += len(frame.boxes)
            digest.update(f"{frame.number} {'/'.join(frame.image.parts[-3:])} {frame.boxes}\n".encode())
    return {"videos": count, "boxes": boxes, "sha256": digest.hexdigest()}


def has_parts(crops: Path, split: str) -> bool:
    """Return whether a split has the record of a part."""
    return bool(find_records(parts_folder(crops), split))


def recorded_splits(crops: Path) -> list[str]:
    """Return the splits that the records name. Raises FileNotFoundError without a record."""
    folder = parts_folder(crops)
    for name in recorded_jobs(folder):
        key, path = next(iter(find_records(folder, name).items()))
        return list(_read(path, key)["splits"])
    raise FileNotFoundError(f"no finished part in {folder}; prepare the parts first, with --part I/N")


def remove_parts(crops: Path, split: str) -> None:
    """Remove the records of a split, which one run has prepared as a whole."""
    for path in find_records(parts_folder(crops), split).values():
        path.unlink(missing_ok=True)


def merge_parts(
    crops: Path,
    split: str,
    expected: Mapping[str, Any],
    progress: Callable[..., Iterable] = lambda items, **_: items,
) -> Merged:
    """Join the parts of a split into what one run has.

    `expected` are settings that the parts must have. `progress` wraps the videos, as tqdm does. Raises
    FileNotFoundError for a part that is missing or lacks crops, ValueError for parts that do not belong together.
    """
    folder = parts_folder(crops)
    paths = find_records(folder, split)
    if not paths:
        raise FileNotFoundError(f"no finished part of {split} in {folder}; prepare the parts first, with --part I/N")
    if len(counts := sorted({count for count, _ in paths})) > 1:
        raise ValueError(
            f"{folder} has parts of {split} of {' and of '.join(map(str, counts))}; remove the files of the division "
            f"that is not wanted ({', '.join(path.name for path in paths.values())})"
        )
    records = {key: _read(path, key) for key, path in paths.items()}
    _check_alike(folder, split, records)
    first = next(iter(records.values()))
    if other := _differences(first["settings"], {**first["settings"], **expected}):
        raise ValueError(
            f"the parts in {folder} were made with {other}, this command has "
            f"{_differences(expected, first['settings'])}; use the same options, with --merge in the place of --part"
        )
    _check_complete(folder, split, records)
    rows = sorted((row for record in records.values() for row in record["annotation"]), key=lambda row: row[0])
    if not rows:
        raise ValueError(f"no part of {split} could make a crop; check the folder of the raw data")
    settings = PartSettings(**first["settings"])
    _check_crops(crops, split, records, settings, progress)
    total = Counter(first["read"])
    for record in records.values():
        total.update(record["made"])
    return Merged({name: tracks for _, name, tracks in rows}, total, counts[0], settings)


def _read(path: Path, key: tuple[int, int]) -> dict[str, Any]:
    return read_record(path, key, FORM, _FIELDS, "prepare that part again")


def _check_alike(folder: Path, split: str, records: dict[tuple[int, int], dict[str, Any]]) -> None:
    """Raise ValueError unless all parts have the settings, versions and videos of the first."""
    (first_key, first), *others = records.items()
    for key, record in others:
        for name, meaning in _COMMON.items():
            if record[name] != first[name]:
                raise ValueError(
                    f"the parts of {split} in {folder} have {meaning}: part {first_key[1]} has "
                    f"{_differences(first[name], record[name])}, part {key[1]} has "
                    f"{_differences(record[name], first[name])}. Prepare the wrong one again: "
                    f"{_command(record, key)} (or {_command(first, first_key)})"
                )


def _differences(own: Any, other: Any) -> str:
    """Return the values of `own` that are not those of `other`, as text."""
    if not isinstance(own, Mapping):
        return str(own)
    return ", ".join(f"{name} {value}" for name, value in own.items() if other.get(name) != value)


def _command(record: dict[str, Any], key: tuple[int, int]) -> str:
    return command_of(record["command"], key[1], key[0])


def _check_complete(folder: Path, split: str, records: dict[tuple[int, int], dict[str, Any]]) -> None:
    """Raise FileNotFoundError for missing parts, ValueError unless each video is in one part."""
    (count, _), first = next(iter(records.items()))
    total = first["all_videos"]["videos"]
    missing = [
        f"part {number} of {count} of {split} is missing or unfinished, {share_size(total, number, count)} of {total} "
        f"videos; run: {_command(first, (count, number))}"
        for number in range(1, count + 1)
        if (count, number) not in records
    ]
    if missing:
        raise FileNotFoundError(
            f"{chr(10).join(missing)}\nor, if another machine has made it, copy its {folder.name} and its crops to "
            f"{folder.parent}"
        )
    seen = Counter(index for record in records.values() for index in record["videos"])
    if seen != Counter(range(total)):
        twice = sum(times > 1 for times in seen.values())
        raise ValueError(
            f"the parts of {split} in {folder} have {twice} videos twice and {total - len(seen)} in no part, expected "
            f"each of {total} once; remove that folder (crops are kept) and prepare all parts again"
        )


def _check_crops(
    crops: Path,
    split: str,
    records: dict[tuple[int, int], dict[str, Any]],
    settings: PartSettings,
    progress: Callable[..., Iterable],
) -> None:
    """Raise FileNotFoundError unless all files of the annotation's boxes are in the folder and complete."""
    kinds = [CROP, *([EXEMPLAR] if settings.exemplars else ()), *([MASK] if settings.masks else ())]
    rows = [(key, name, tracks) for key, record in records.items() for _, name, tracks in record["annotation"]]
    missing: dict[tuple[int, int], list[Path]] = {}
    for key, name, tracks in progress(rows, total=len(rows)):
        for kind in kinds:
            present = set(present_crops(crops / name, kind))
            files = (crop_name(int(frame), track, kind) for track, frames in tracks.items() for frame in frames)
            missing.setdefault(key, []).extend(crops / name / file for file in files if file not in present)
    for key, lost in missing.items():
        if lost:
            raise FileNotFoundError(
                f"{len(lost)} crops or masks of part {key[1]} of {key[0]} of {split} are not in {crops}, the first: "
                f"{lost[0]}. Copy them from the machine that made them, or run: {_command(records[key], key)}"
            )
