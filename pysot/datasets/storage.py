"""Where the crops of a data set lie: a file each, or packed into a few large files (`pack`)."""

import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pysot.datasets.annotation import TrackAnnotation
from pysot.utils.files import read_json
from pysot.utils.image import decode_image, read_file

PACK = "pack.json"
PLACE = np.dtype(
    [
        ("shard", "<i4"),
        ("start", "<i8"),
        ("length", "<i4"),
        ("crc", "<u4"),
        ("centre_start", "<i8"),
        ("centre_length", "<i4"),
        ("centre_crc", "<u4"),
    ]
)  # of a box's crop in a pack; length 0: there was none


def state_of(source: Path) -> dict[str, int]:
    """What a pack remembers of the annotation file that it was made from: its size, and a checksum."""
    data = source.read_bytes()
    return {"source_bytes": len(data), "source_crc": zlib.crc32(data)}


@dataclass(frozen=True)
class Picture:
    """A crop (h, w, 3) uint8 BGR, or the part of it whose first pixel lies at (left, top) of the whole, which has width x height pixels."""

    pixels: np.ndarray
    left: int
    top: int
    width: int
    height: int


def whole(pixels: np.ndarray) -> Picture:
    """A picture that is not a part of another."""
    return Picture(pixels, 0, 0, pixels.shape[1], pixels.shape[0])


class CropFiles:
    """A JPEG per crop, in the folder `annotation.root`."""

    def __init__(self, annotation: TrackAnnotation):
        self.annotation = annotation

    def read(self, video: int, track: int, box: int, needed: int | None = None) -> Picture:
        """The crop of a box. Raises FileNotFoundError, or ValueError for one that cannot be decoded. `needed` changes nothing here."""
        path = self.annotation.crop_path(video, track, box)
        return whole(decode_image(read_file(path), path))

    def data(self, video: int, track: int, box: int, needed: int | None = None) -> bytes:
        """The file of `read`. Raises FileNotFoundError."""
        return read_file(self.annotation.crop_path(video, track, box))

    def name(self, video: int, track: int, box: int) -> str:
        """The crop's path, for messages."""
        return str(self.annotation.crop_path(video, track, box))


class CropPack:
    """Crops in the tar files of the pack `annotation.root`; every read is checked against its checksum."""

    def __init__(self, annotation: TrackAnnotation):
        self.annotation, self.root = annotation, annotation.root
        self.description = read_pack(self.root)
        self.places = np.asarray(np.load(self.root / "places.npy", mmap_mode="r"))
        if self.places.dtype != PLACE or len(self.places) != len(annotation.boxes):
            raise ValueError(
                f"{self.root / 'places.npy'} does not have a place for each of {len(annotation.boxes)} boxes; pack the data set again"
            )
        self.centre, self.side = self.description["centre"], self.description["side"]
        self._files: dict[int, int] = {}
        self._opening = threading.Lock()

    def __reduce__(self):
        return CropPack, (self.annotation,)

    def read(self, video: int, track: int, box: int, needed: int | None = None) -> Picture:
        """The crop of a box, or its centre if `needed`, the pixels that are needed of the middle, lie in it. Raises as `CropFiles.read`, and ValueError for a
        pack that is damaged.
        """
        pixels = decode_image(self.data(video, track, box, needed), _Name(self, video, track, box))
        if self._wants_all(needed):
            return whole(pixels)
        first = self.side // 2 - self.centre // 2
        return Picture(pixels, first, first, self.side, self.side)

    def _wants_all(self, needed: int | None) -> bool:
        return needed is None or needed > self.centre

    def data(self, video: int, track: int, box: int, needed: int | None = None) -> bytes:
        """The file of `read`, checked."""
        place, prefix = self.places[box], "" if self._wants_all(needed) else "centre_"
        shard, start, length, crc = place[["shard", f"{prefix}start", f"{prefix}length", f"{prefix}crc"]].item()
        if length == 0:
            raise FileNotFoundError(f"{self.name(video, track, box)} was not there when the data set was packed")
        data = os.pread(self._file(shard), length, start)
        if len(data) < length or zlib.crc32(data) != crc:
            raise ValueError(
                f"{self.name(video, track, box)} is damaged: {shard_path(self.root, shard)} is not what was written; copy or pack it again"
            )
        return data

    def _file(self, shard: int) -> int:
        if shard not in self._files:
            with self._opening:
                if shard not in self._files:
                    self._files[shard] = os.open(shard_path(self.root, shard), os.O_RDONLY)
        return self._files[shard]

    def name(self, video: int, track: int, box: int) -> str:
        """The crop in its pack, for messages."""
        return f"{self.root}:{self.annotation.crop_path(video, track, box).relative_to(self.root)}"


@dataclass(frozen=True)
class _Name:
    """The name of a crop, put together when a message needs it."""

    storage: CropPack
    video: int
    track: int
    box: int

    def __str__(self) -> str:
        return self.storage.name(self.video, self.track, self.box)


def shard_path(root: Path, shard: int) -> Path:
    """The tar of a number."""
    return Path(root) / f"crops-{shard:05d}.tar"


def is_pack(root: Path) -> bool:
    """Whether a folder is a pack, and not one of crops."""
    return (Path(root) / PACK).is_file()


def read_pack(root: Path) -> dict:
    """The description of a pack. Raises ValueError for another version or layout."""
    content = read_json(Path(root) / PACK, "packed crops")
    if (
        not isinstance(content, dict)
        or content.get("version") != 1
        or not all(isinstance(content.get(key), int) for key in ("centre", "side", "boxes"))
    ):
        raise ValueError(
            f"{Path(root) / PACK} is not the description of a pack that this version reads; pack the data set again"
        )
    return content


def open_storage(annotation: TrackAnnotation) -> CropFiles | CropPack:
    """The crops of an annotation."""
    return CropPack(annotation) if is_pack(annotation.root) else CropFiles(annotation)


def encode_centre(pixels: np.ndarray, centre: int) -> bytes:
    """The middle of a crop, which cv2 decodes without loss and in no time. Raises ValueError for a crop that is smaller than it."""
    height, width = pixels.shape[:2]
    if min(height, width) < centre:
        raise ValueError(f"the crop has {width} x {height} pixels, less than the centre of {centre}")
    top, left = height // 2 - centre // 2, width // 2 - centre // 2
    return cv2.imencode(".ppm", pixels[top : top + centre, left : left + centre])[1].tobytes()
