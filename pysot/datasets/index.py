"""The annotation of a data set as flat files beside its json, mapped into memory: opened in no time, and shared by all processes of a machine.

`.<name>.index/` holds an array per field of `TrackAnnotation`, and `made_from.json` with their checksums and the size and time of the json (and a word for the
boxes left out) that it was made from. It is made again when these change, and when it is damaged. A folder that can't be written is no error: the annotation
then stays in memory.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pysot.datasets.annotation import ARRAYS, TrackAnnotation, find_data_path, index_annotation
from pysot.datasets.raw.video import crop_name, is_whole
from pysot.datasets.storage import is_pack, read_pack, state_of
from pysot.utils.files import atomic_write, file_lock, publish_folder, read_json, write_json

logger = logging.getLogger(__name__)
VERSION = 3
_NOTHING_DROPPED = {"boxes": 0, "excluded": 0, "tracks": 0, "videos": 0}


@dataclasses.dataclass(frozen=True, eq=False)
class MappedAnnotation(TrackAnnotation):
    """A `TrackAnnotation` whose arrays are mapped from `folder`. Another process that gets it maps them too."""

    folder: Path = Path()

    def __reduce__(self):
        return open_index, (self.name, self.root, self.folder)


def load_annotation(name: str, root: str | Path, anno: str | Path, folder: str | Path | None = None) -> TrackAnnotation:
    """The annotation file `anno` of data set `name` with its crops in `root`; relative paths start at `folder`, see `find_path`. Boxes that are listed in
    `<anno>.excluded.json` (see `check`) are left out.

    What is left out is logged as counts. Raises FileNotFoundError for a missing file or folder, ValueError for a file that is cut off, of another layout,
    or has no usable box.
    """
    with contextlib.suppress(FileNotFoundError):
        found = find_data_path(root, f"DATASET.{name}.ROOT", folder)
        if is_pack(found):
            return _packed(name, found, anno, folder)
    anno = find_data_path(anno, f"DATASET.{name}.ANNO", folder)
    root = find_data_path(root, f"DATASET.{name}.ROOT", folder)

    excluded = read_excluded(anno, root)

    def make() -> TrackAnnotation:
        try:
            return index_annotation(name, root, read_json(anno, f"annotation of {name}"), str(anno), excluded)
        except ValueError as error:
            told = f" {len(excluded)} boxes are left out by {excluded_path(anno)}, which tools/check_data.py made; remove it to try them again"
            raise ValueError(f"{error}.{told}" if excluded else str(error)) from None

    annotation = _indexed(name, root, anno, excluded, make)
    dropped = annotation.dropped
    logger.info(
        "%s: %d videos, %d tracks, %d boxes",
        name,
        annotation.video_count,
        annotation.track_count,
        len(annotation.boxes),
    )
    if any(dropped.values()):
        logger.warning(
            "%s: left out %d boxes that are empty, NaN, zero or negative and %d that %s lists, then %d tracks and %d videos without a box",
            name,
            dropped["boxes"],
            dropped["excluded"],
            excluded_path(anno),
            dropped["tracks"],
            dropped["videos"],
        )
    return annotation


def _packed(name: str, root: Path, anno: str | Path, folder: str | Path | None) -> TrackAnnotation:
    """The annotation inside a pack, which must be that of the json if this is there."""
    described = read_pack(root)
    try:
        annotation = _checked(name, root, root / "index")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the index of the pack {root} is damaged ({error}); copy it again, or pack the data set again"
        ) from None
    with contextlib.suppress(FileNotFoundError):
        found = find_data_path(anno, f"DATASET.{name}.ANNO", folder)
        now = state_of(found)
        if any(described.get(key, now[key]) != now[key] for key in now):  # packs of earlier versions have no checksum
            raise ValueError(
                f"{root} was packed from another annotation than {found} (DATASET.{name}.ANNO); pack the data set again"
            )
    logger.info(
        "%s: %d videos, %d tracks, %d boxes, packed in %s",
        name,
        annotation.video_count,
        annotation.track_count,
        len(annotation.boxes),
        root,
    )
    return annotation


def excluded_path(anno: Path) -> Path:
    """The list of boxes to leave out that belongs to an annotation file: {folder of the crops: [[video, track, frame, reason, state], ...]}, where the state of
    a crop is [size, time of its last change], or null where there was none.
    """
    return Path(f"{anno}.excluded.json")


def read_excluded(anno: Path, root: Path) -> list[tuple[str, str, int]]:
    """The boxes to leave out: those whose crops in `root` are still as they were when they were listed; none without a list of this folder of crops. Raises
    ValueError for a list of another layout.
    """
    return [row[:3] for row in _as_they_were(root, _listed(anno, root).get(_folder(root), []))]


def remember_excluded(anno: Path, root: Path, bad: Iterable[tuple[str, str, int, str]]) -> None:
    """Add boxes to the list of those to leave out, and take those off it whose crops have changed since. Lists of other folders of crops stay."""
    listed = _listed(anno, root)
    known = {row[:3]: row for row in _as_they_were(root, listed.get(_folder(root), []))}
    known |= {item[:3]: (*item, _crop_state(root, *item[:3])) for item in bad}
    write_json(
        excluded_path(anno), {**listed, _folder(root): sorted(known.values(), key=lambda row: row[:3])}, indent=1
    )


def _folder(root: Path) -> str:
    return str(Path(root).resolve())


def _listed(anno: Path, root: Path) -> dict[str, list[tuple]]:
    """What the lists of all folders of crops say; one list of earlier versions, without a folder and states, is of `root`."""
    path = excluded_path(anno)
    if not path.exists():
        return {}
    if not path.read_bytes().strip():
        logger.warning("%s is empty, so no box is left out; make it again with tools/check_data.py", path)
        return {}
    content = read_json(path, "boxes to leave out")
    try:
        content = {_folder(root): content} if isinstance(content, list) else content
        return {
            folder: [(str(video), str(track), int(frame), *more[:2]) for video, track, frame, *more in rows]
            for folder, rows in content.items()
        }
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} must have a list of [video, track, frame, reason, state] for each folder of crops ({error}); make it again with "
            "tools/check_data.py, or remove it"
        ) from None


def _as_they_were(root: Path, rows: Iterable[tuple]) -> list[tuple]:
    return [row for row in rows if _is_as_it_was(root, *row)]


def _is_as_it_was(root: Path, video: str, track: str, frame: int, reason: str = "", state: object = "unknown") -> bool:
    now = _crop_state(root, video, track, frame)
    return now == state if state != "unknown" else now is None or not is_whole(_crop_path(root, video, track, frame))


def _crop_path(root: Path, video: str, track: str, frame: int) -> Path:
    return Path(root) / video / crop_name(frame, track)


def _crop_state(root: Path, video: str, track: str, frame: int) -> list[int] | None:
    try:
        found = _crop_path(root, video, track, frame).stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _indexed(
    name: str, root: Path, anno: Path, excluded: list[tuple], make: Callable[[], TrackAnnotation]
) -> TrackAnnotation:
    """The annotation of the json `anno` without the `excluded` boxes, from its index; `make` reads it where there is none, or one of others. Processes wait for
    the one that makes it. Errors are those of `make`.
    """
    folder, state = anno.with_name(f".{anno.name}.index"), _state(anno, excluded)
    with contextlib.suppress(OSError, ValueError):
        if _made_from(folder)[0] == state:
            return _checked(name, root, folder)
    with file_lock(folder.with_suffix(".lock")) as locked:
        with contextlib.suppress(OSError, ValueError):
            if _made_from(folder)[0] == state:
                return _checked(name, root, folder)
        made = make()
        try:
            if locked:
                write_index(made, folder, state)
                return open_index(name, root, folder)
        except OSError as error:
            logger.warning("no index of %s could be kept (%s): every process reads the json anew", anno, error)
        return made


def open_index(name: str, root: Path, folder: Path) -> MappedAnnotation:
    """Map an index. Raises OSError or ValueError if it is not whole."""
    try:
        arrays = {
            field: np.asarray(np.load(folder / f"{field}.npy", mmap_mode="r")) for field in ARRAYS
        }  # plain views: a memmap is slower to take from
    except EOFError as error:
        raise ValueError(f"{folder} has an empty file ({error})") from None
    dropped = dict(_NOTHING_DROPPED)
    with contextlib.suppress(OSError, ValueError, TypeError):  # for a line in the log: a damaged one stops nothing
        dropped |= json.loads((folder / "dropped.json").read_text(encoding="utf-8"))
    return MappedAnnotation(name, Path(root), **arrays, dropped=dropped, folder=folder)


def _checked(name: str, root: Path, folder: Path) -> MappedAnnotation:
    """Map an index whose bytes are those that were written. Raises as `open_index`."""
    annotation, expected = open_index(name, root, folder), {}
    with contextlib.suppress(OSError, ValueError):  # packs of earlier versions have no checksums
        expected = _made_from(folder)[1]
    for field in ARRAYS:
        if field in expected and _checksum(getattr(annotation, field)) != expected[field]:
            raise ValueError(f"{folder / field}.npy does not have its checksum")
    return annotation


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8)) if array.size else 0


def _state(anno: Path, excluded: list[tuple]) -> dict:
    """What the index is made from: name, size and time of the json, and a word for the boxes left out."""
    found = anno.stat()
    return {
        "version": VERSION,
        "files": [[anno.name, found.st_size, found.st_mtime_ns]],
        "excluded": hashlib.sha256(repr(excluded).encode()).hexdigest() if excluded else "",
    }


def _made_from(folder: Path) -> tuple[dict, dict[str, int]]:
    """The state that an index was made from, and the checksums of its arrays. Raises OSError or ValueError if they cannot be read."""
    content = json.loads((folder / "made_from.json").read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{folder / 'made_from.json'} holds no object")
    checksums = content.pop("checksums", {})
    return content, checksums if isinstance(checksums, dict) else {}


def write_index(annotation: TrackAnnotation, folder: Path, state: dict | None = None) -> None:
    """Write an index, made from `state`. It appears whole: it is made beside its place and renamed. Raises OSError."""
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}.", suffix=".tmp"))
    try:
        for field in ARRAYS:
            with atomic_write(part / f"{field}.npy", "wb") as stream:
                np.save(stream, getattr(annotation, field))
        checksums = {field: _checksum(getattr(annotation, field)) for field in ARRAYS}
        write_json(part / "dropped.json", annotation.dropped)
        write_json(part / "made_from.json", {**(state or {}), "checksums": checksums})
        os.chmod(part, 0o755)
        shutil.rmtree(folder, ignore_errors=True)
        publish_folder(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
