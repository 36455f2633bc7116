"""Index of an annotation: flat files beside its json, mapped into memory.

It opens quickly, and all processes of a machine share its memory. `.<name>.index/` holds an array per field of
`TrackAnnotation`, and `made_from.json` with their checksums, the size and time of the json, and a hash of the excluded
boxes. The index is made again when these change or when it is damaged. If the folder can't be written, the annotation
stays in memory.
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
from typing import Any

import numpy as np

from pysot.datasets.annotation import ARRAYS, TrackAnnotation, find_data_path, index_annotation
from pysot.datasets.raw.video import crop_name, is_complete_image
from pysot.datasets.storage import is_pack, read_pack_description, source_signature
from pysot.utils.files import atomic_write, file_lock, publish_folder, read_json, write_json

logger = logging.getLogger(__name__)
VERSION = 3
_NOTHING_DROPPED = {"boxes": 0, "excluded": 0, "tracks": 0, "videos": 0}


@dataclasses.dataclass(frozen=True, eq=False)
class MappedAnnotation(TrackAnnotation):
    """`TrackAnnotation` whose arrays are mapped from `folder`; a process that unpickles it maps them too."""

    folder: Path = Path()

    def __reduce__(self) -> tuple[Callable[..., "MappedAnnotation"], tuple[str, Path, Path]]:
        return open_index, (self.name, self.root, self.folder)


def load_annotation(name: str, root: str | Path, anno: str | Path, folder: str | Path | None = None) -> TrackAnnotation:
    """Load the annotation file `anno` of data set `name` with its crops in `root`, without the excluded boxes.

    Relative paths are resolved by `find_path` with `folder`. Excluded boxes are those listed in `<anno>.excluded.json`
    (see `check`). Dropped and excluded boxes are counted in the log. Raises FileNotFoundError for a missing file or
    folder, ValueError for a file that is cut off, has another layout, or has no usable box.
    """
    with contextlib.suppress(FileNotFoundError):
        pack_root = find_data_path(root, f"DATASET.{name}.ROOT", folder)
        if is_pack(pack_root):
            return _load_packed(name, pack_root, anno, folder)
    anno_path = find_data_path(anno, f"DATASET.{name}.ANNO", folder)
    crop_root = find_data_path(root, f"DATASET.{name}.ROOT", folder)

    excluded = read_excluded(anno_path, crop_root)

    def read_annotation() -> TrackAnnotation:
        try:
            content = read_json(anno_path, f"annotation of {name}")
            return index_annotation(name, crop_root, content, str(anno_path), excluded)
        except ValueError as error:
            if not excluded:
                raise ValueError(str(error)) from None
            raise ValueError(
                f"{error}. {len(excluded)} boxes are excluded by {excluded_path(anno_path)}, which "
                "tools/check_data.py made; remove it to try them again"
            ) from None

    annotation = _load_indexed(name, crop_root, anno_path, excluded, read_annotation)
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
            "%s: left out %d boxes that are empty, NaN, zero or negative and %d that %s lists, then %d tracks and %d "
            "videos without a box",
            name,
            dropped["boxes"],
            dropped["excluded"],
            excluded_path(anno_path),
            dropped["tracks"],
            dropped["videos"],
        )
    return annotation


def _load_packed(name: str, root: Path, anno: str | Path, folder: str | Path | None) -> TrackAnnotation:
    """Load the annotation inside a pack. If the json exists, the pack must have been made from it."""
    description = read_pack_description(root)
    try:
        annotation = _open_verified(name, root, root / "index")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the index of the pack {root} is damaged ({error}); copy it again, or pack the data set again"
        ) from None
    with contextlib.suppress(FileNotFoundError):
        source = find_data_path(anno, f"DATASET.{name}.ANNO", folder)
        signature = source_signature(source)
        # Packs of earlier versions have no checksum.
        if any(description.get(key, value) != value for key, value in signature.items()):
            raise ValueError(
                f"{root} was packed from another annotation than {source} (DATASET.{name}.ANNO); pack the data set "
                "again"
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
    """Return the path of the list of excluded boxes that belongs to an annotation file.

    Layout: {folder of the crops: [[video, track, frame, reason, state], ...]}. The state of a crop is [size, time of
    its last change], or null if it was missing.
    """
    return Path(f"{anno}.excluded.json")


def read_excluded(anno: Path, root: Path) -> list[tuple[str, str, int]]:
    """Return the excluded boxes whose crops in `root` have not changed since they were listed.

    Empty without a list of this folder of crops. Raises ValueError for a list of another layout.
    """
    return [row[:3] for row in _unchanged_rows(root, _read_exclusions(anno, root).get(_folder_key(root), []))]


def update_excluded(anno: Path, root: Path, bad: Iterable[tuple[str, str, int, str]]) -> None:
    """Add boxes to the list of excluded ones, and remove those whose crops have changed since.

    Lists of other folders of crops stay.
    """
    exclusions = _read_exclusions(anno, root)
    rows = {row[:3]: row for row in _unchanged_rows(root, exclusions.get(_folder_key(root), []))}
    rows |= {item[:3]: (*item, _crop_state(root, *item[:3])) for item in bad}
    exclusions[_folder_key(root)] = sorted(rows.values(), key=lambda row: row[:3])
    write_json(excluded_path(anno), exclusions, indent=1)


def _folder_key(root: Path) -> str:
    return str(Path(root).resolve())


def _read_exclusions(anno: Path, root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Read the lists of all folders of crops.

    Earlier versions wrote one list without a folder and states; it counts as the list of `root`.
    """
    path = excluded_path(anno)
    if not path.exists():
        return {}
    if not path.read_bytes().strip():
        logger.warning("%s is empty, so no box is excluded; make it again with tools/check_data.py", path)
        return {}
    content = read_json(path, "boxes to leave out")
    try:
        content = {_folder_key(root): content} if isinstance(content, list) else content
        return {
            folder: [(str(video), str(track), int(frame), *more[:2]) for video, track, frame, *more in rows]
            for folder, rows in content.items()
        }
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} must have a list of [video, track, frame, reason, state] for each folder of crops ({error}); make "
            "it again with tools/check_data.py, or remove it"
        ) from None


def _unchanged_rows(root: Path, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row for row in rows if _is_unchanged(root, *row)]


def _is_unchanged(root: Path, video: str, track: str, frame: int, reason: str = "", state: object = "unknown") -> bool:
    """Return whether a listed crop is in its recorded state; without one, whether it is still missing or cut off."""
    current = _crop_state(root, video, track, frame)
    if state != "unknown":
        return current == state
    return current is None or not is_complete_image(_crop_path(root, video, track, frame))


def _crop_path(root: Path, video: str, track: str, frame: int) -> Path:
    return Path(root) / video / crop_name(frame, track)


def _crop_state(root: Path, video: str, track: str, frame: int) -> list[int] | None:
    """Return size and modification time of a crop, None if it is missing."""
    try:
        status = _crop_path(root, video, track, frame).stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _load_indexed(
    name: str,
    root: Path,
    anno: Path,
    excluded: list[tuple[str, str, int]],
    read_annotation: Callable[[], TrackAnnotation],
) -> TrackAnnotation:
    """Return the annotation of the json `anno` without the `excluded` boxes, from its index.

    A missing or outdated index is made from `read_annotation`, by one process while the others wait for it. Errors are
    those of `read_annotation`.
    """
    folder, state = anno.with_name(f".{anno.name}.index"), _source_state(anno, excluded)
    with contextlib.suppress(OSError, ValueError):
        if _read_source_state(folder)[0] == state:
            return _open_verified(name, root, folder)
    with file_lock(folder.with_suffix(".lock")) as locked:
        with contextlib.suppress(OSError, ValueError):
            if _read_source_state(folder)[0] == state:
                return _open_verified(name, root, folder)
        annotation = read_annotation()
        try:
            if locked:
                write_index(annotation, folder, state)
                return open_index(name, root, folder)
        except OSError as error:
            logger.warning("no index of %s could be kept (%s): every process reads the json again", anno, error)
        return annotation


def open_index(name: str, root: Path, folder: Path) -> MappedAnnotation:
    """Map an index. Raises OSError or ValueError if it is incomplete."""
    try:
        # Plain views of the mapped arrays, since indexing a memmap is slower.
        arrays = {field: np.asarray(np.load(folder / f"{field}.npy", mmap_mode="r")) for field in ARRAYS}
    except EOFError as error:
        raise ValueError(f"{folder} has an empty file ({error})") from None
    dropped = dict(_NOTHING_DROPPED)
    with contextlib.suppress(OSError, ValueError, TypeError):  # only for the log: a damaged file is ignored
        dropped |= json.loads((folder / "dropped.json").read_text(encoding="utf-8"))
    return MappedAnnotation(name, Path(root), **arrays, dropped=dropped, folder=folder)


def _open_verified(name: str, root: Path, folder: Path) -> MappedAnnotation:
    """Map an index and verify its checksums. Raises as `open_index`."""
    annotation = open_index(name, root, folder)
    expected: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):  # packs of earlier versions have no checksums
        expected = _read_source_state(folder)[1]
    for field in ARRAYS:
        if field in expected and _checksum(getattr(annotation, field)) != expected[field]:
            raise ValueError(f"{folder / field}.npy does not have its checksum")
    return annotation


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if array.size else 0


def _source_state(anno: Path, excluded: list[tuple[str, str, int]]) -> dict[str, Any]:
    """Return what an index depends on: name, size and time of the json, and a hash of the excluded boxes."""
    status = anno.stat()
    return {
        "version": VERSION,
        "files": [[anno.name, status.st_size, status.st_mtime_ns]],
        "excluded": hashlib.sha256(repr(excluded).encode()).hexdigest() if excluded else "",
    }


def _read_source_state(folder: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Read the source state that an index was made from, and the checksums of its arrays.

    Raises OSError or ValueError if they cannot be read.
    """
    content = json.loads((folder / "made_from.json").read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{folder / 'made_from.json'} holds no object")
    checksums = content.pop("checksums", {})
    return content, checksums if isinstance(checksums, dict) else {}


def write_index(annotation: TrackAnnotation, folder: Path, state: dict[str, Any] | None = None) -> None:
    """Write an index, made from `state`, atomically: into a temporary folder that is renamed. Raises OSError."""
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
