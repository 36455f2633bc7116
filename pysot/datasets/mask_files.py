"""Checks of the mask files of a data set: does every crop have one, and can it be used?

The folders of a data set are listed once. The result is kept in its index until the annotation changes; a mask that is
removed later counts as an unreadable crop.
"""

import contextlib
import os
from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.crop_files import MaskSizeError, decode_mask
from pysot.datasets.index import MappedAnnotation
from pysot.datasets.raw.video import MASK
from pysot.datasets.storage import CropFiles, CropPack
from pysot.utils.files import file_lock, read_json, write_json

_CHECKED = "masks.json"  # in the folder of an index: the folder of crops that has all masks
_EMPTY = "masks have no pixel"
_REMEDY = (
    "Make them: run the command that made the crops (tools/prepare_data.py or par_crop.py) again with --with-masks; or "
    "set DATASET.{name}.MASKS to false"
)


def require_masks(storage: CropFiles | CropPack) -> None:
    """Raise ValueError unless every crop of a data set has a mask file, or the pack was made with masks."""
    annotation = storage.annotation
    if isinstance(storage, CropPack):
        if storage.mask_entries is None:
            raise ValueError(
                f"{annotation.name}: DATASET.{annotation.name}.MASKS is true, but {storage.root} was packed without "
                f"masks. Pack the data set again with tools/pack_data.py --with-masks, or set it to false"
            )
        return
    if not isinstance(annotation, MappedAnnotation):
        _require_files(annotation)
        return
    checked = annotation.folder / _CHECKED
    if _is_checked(checked, annotation.root):
        return
    with file_lock(checked.with_suffix(".lock")):  # one process lists the folders while the others wait for it
        if _is_checked(checked, annotation.root):
            return
        _require_files(annotation)
        with contextlib.suppress(OSError):
            write_json(checked, str(annotation.root.resolve()))


def _is_checked(path: Path, root: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return read_json(path, "list of masks") == str(root.resolve())
    return False


def _require_files(annotation: TrackAnnotation) -> None:
    missing, first = missing_masks(annotation)
    if missing:
        raise ValueError(
            f"{annotation.name}: DATASET.{annotation.name}.MASKS is true, but {missing} of {len(annotation.boxes)} "
            f"crops have no mask, the first: {first}. {_REMEDY.format(name=annotation.name)}"
        )


def missing_masks(annotation: TrackAnnotation) -> tuple[int, Path | None]:
    """Return how many crops in the folder of an annotation have no mask file, and the path of the first one's mask.

    Crops that are missing themselves do not count.
    """
    count, first = 0, None
    video_of_files, names = -1, set[str]()
    for video, track, box in annotation.targets(np.arange(len(annotation.boxes))):
        if video != video_of_files:
            video_of_files, names = video, _file_names(annotation.root / annotation.videos[video].decode())
        crop, mask = annotation.crop_path(video, track, box), annotation.crop_path(video, track, box, MASK)
        if mask.name not in names and crop.name in names:
            count, first = count + 1, first or mask
    return count, first


def _file_names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()


class MaskCheck:
    """Masks of a data set that are read and counted.

    `counts` has their number by what is wrong with them, and as "masks" the number of those that can be used.
    """

    def __init__(self, storage: CropFiles | CropPack) -> None:
        self.storage = storage
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}  # kind -> message of the first mask

    def read(self, target: tuple[int, int, int], side: int) -> np.ndarray | None:
        """Read and count the mask (side, side) of a box, given as video, track, box; None if it cannot be used."""
        try:
            data, name = self.storage.read_mask(*target)
            mask = decode_mask(data, name, side, side)
        except (OSError, ValueError) as error:
            kind = {FileNotFoundError: "masks are missing", MaskSizeError: "masks have another size than their crop"}
            self._count(kind.get(type(error), "masks cannot be read"), str(error))
            return None
        self.counts["masks"] += 1
        if not mask.any():
            self._count(_EMPTY, str(name))
        return mask

    def _count(self, kind: str, message: str) -> None:
        self.counts[kind] += 1
        self._first.setdefault(kind, message)

    def sentences(self) -> list[str]:
        """Return a sentence for each kind of masks that cannot be used, and one if most masks are empty."""
        kinds = [kind for kind in self._first if kind != _EMPTY or self.counts[kind] > 0.5 * self.counts["masks"]]
        return [f"{self.counts[kind]} {kind}, the first: {self._first[kind]}" for kind in kinds]
