"""Crop storage of a data set: one file per crop, or crops packed into a few large files (`pack`)."""

import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.raw.video import CROP, MASK
from pysot.utils.files import read_json
from pysot.utils.image import decode_image, read_image_bytes
from pysot.utils.jpeg import JpegSegments, decode_region, find_segments

PACK = "pack.json"
PLACES, MASK_PLACES = "places.npy", "masks.npy"
# Position and checksum of a box's crop in a pack. Length 0: the crop did not exist when the data set was packed.
ENTRY_DTYPE = np.dtype(
    [
        ("shard", "<i4"),
        ("start", "<i8"),
        ("length", "<i4"),
        ("crc", "<u4"),
        ("centre_start", "<i8"),
        ("centre_length", "<i4"),
        ("centre_crc", "<u4"),
    ]
)


# Position and checksum of a box's mask in a pack with masks.
MASK_DTYPE = np.dtype([("start", "<i8"), ("length", "<i4"), ("crc", "<u4")])


def source_signature(source: Path) -> dict[str, int]:
    """Return the size and the checksum of an annotation file, which a pack keeps to recognise its source."""
    data = source.read_bytes()
    return {"source_bytes": len(data), "source_crc": zlib.crc32(data)}


@dataclass(frozen=True)
class CropView:
    """Decoded pixels (h, w, 3) uint8 BGR of a crop or of a part of it.

    The first pixel lies at (left, top) of the complete crop, which has width x height pixels.
    """

    pixels: np.ndarray
    left: int
    top: int
    width: int
    height: int

    def cut(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Return the pixels of a region of the complete crop."""
        row, column = top - self.top, left - self.left
        return self.pixels[row : row + height, column : column + width]


@dataclass(frozen=True)
class JpegView:
    """Crop in a JPEG of which regions can be decoded; `name` names it in errors."""

    data: bytes
    segments: JpegSegments
    name: object

    @property
    def width(self) -> int:
        """Width of the crop in pixels."""
        return self.segments.width

    @property
    def height(self) -> int:
        """Height of the crop in pixels."""
        return self.segments.height

    @property
    def pixels(self) -> np.ndarray:
        """The decoded crop (height, width, 3) uint8 BGR. Raises ValueError if it is damaged."""
        return decode_image(self.data, self.name)

    def cut(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Decode a region. Raises ValueError if the crop is damaged."""
        region = decode_region(self.data, self.segments, left, top, width, height)
        if region is None:
            return full_view(self.pixels).cut(left, top, width, height)
        return CropView(*region, self.width, self.height).cut(left, top, width, height)


def full_view(pixels: np.ndarray) -> CropView:
    """Return the view of a complete crop."""
    return CropView(pixels, 0, 0, pixels.shape[1], pixels.shape[0])


def view_image(data: bytes, name: object) -> CropView | JpegView:
    """Return the view of a crop from the bytes of its file.

    Raises ValueError if it cannot be decoded; only the header of a JpegView has been read.
    """
    segments = find_segments(data)
    return full_view(decode_image(data, name)) if segments is None else JpegView(data, segments, name)


class CropFiles:
    """One JPEG file per crop, in the folder `annotation.root`."""

    def __init__(self, annotation: TrackAnnotation) -> None:
        self.annotation = annotation

    def read(self, video: int, track: int, box: int, required_side: int | None = None) -> CropView | JpegView:
        """Return the complete crop of a box; `required_side` is ignored.

        Raises FileNotFoundError for a missing crop, ValueError for one that cannot be decoded (of a JpegView, later).
        """
        path = self.annotation.crop_path(video, track, box)
        return view_image(read_image_bytes(path), path)

    def read_bytes(self, video: int, track: int, box: int, required_side: int | None = None) -> bytes:
        """Return the file that `read` decodes. Raises FileNotFoundError."""
        return read_image_bytes(self.annotation.crop_path(video, track, box))

    def read_mask(self, video: int, track: int, box: int) -> tuple[bytes, object]:
        """Return the file of the mask of a box and its path. Raises FileNotFoundError."""
        path = self.annotation.crop_path(video, track, box, MASK)
        return read_image_bytes(path), path

    def name(self, video: int, track: int, box: int) -> str:
        """Return the path of a crop, for messages."""
        return str(self.annotation.crop_path(video, track, box))


class CropPack:
    """Crops in the tar files of the pack `annotation.root`. Every read is verified against its checksum."""

    def __init__(self, annotation: TrackAnnotation) -> None:
        self.annotation = annotation
        self.root = annotation.root
        self.description = read_pack_description(self.root)
        self.entries = self._load_entries(PLACES, ENTRY_DTYPE)
        has_masks = self.description.get("masks", False)
        self.mask_entries = self._load_entries(MASK_PLACES, MASK_DTYPE) if has_masks else None
        self.centre = self.description["centre"]
        self.side = self.description["side"]
        self._files: dict[int, int] = {}
        self._opening = threading.Lock()

    def _load_entries(self, name: str, dtype: np.dtype) -> np.ndarray:
        entries = np.asarray(np.load(self.root / name, mmap_mode="r"))
        if entries.dtype != dtype or len(entries) != len(self.annotation.boxes):
            raise ValueError(
                f"{self.root / name} does not have an entry for each of {len(self.annotation.boxes)} boxes; "
                "pack the data set again"
            )
        return entries

    def __reduce__(self) -> tuple[type["CropPack"], tuple[TrackAnnotation]]:
        return CropPack, (self.annotation,)

    def read(self, video: int, track: int, box: int, required_side: int | None = None) -> CropView | JpegView:
        """Return the crop of a box, or only its stored centre if that covers the centred square of `required_side`.

        Raises as `CropFiles.read`, and ValueError for a damaged pack.
        """
        data, name = self.read_bytes(video, track, box, required_side), _LazyName(self, video, track, box)
        if self._needs_complete_crop(required_side):
            return view_image(data, name)
        pixels = decode_image(data, name)
        first = self.side // 2 - self.centre // 2
        return CropView(pixels, first, first, self.side, self.side)

    def _needs_complete_crop(self, required_side: int | None) -> bool:
        return required_side is None or required_side > self.centre

    def read_bytes(self, video: int, track: int, box: int, required_side: int | None = None) -> bytes:
        """Return the verified file that `read` decodes."""
        entry = self.entries[box]
        prefix = "" if self._needs_complete_crop(required_side) else "centre_"
        shard, start, length, crc = entry[["shard", f"{prefix}start", f"{prefix}length", f"{prefix}crc"]].item()
        return self._read_verified(_LazyName(self, video, track, box), shard, start, length, crc)

    def read_mask(self, video: int, track: int, box: int) -> tuple[bytes, object]:
        """Return the verified file of the mask of a box, and its name. Raises as `read`."""
        if self.mask_entries is None:
            raise ValueError(f"{self.root} was packed without masks; pack it again with --with-masks")
        start, length, crc = self.mask_entries[box].item()
        name = _LazyName(self, video, track, box, MASK)
        return self._read_verified(name, int(self.entries[box]["shard"]), start, length, crc), name

    def _read_verified(self, name: "_LazyName", shard: int, start: int, length: int, crc: int) -> bytes:
        if length == 0:
            raise FileNotFoundError(f"{name} did not exist when the data set was packed")
        data = os.pread(self._file(shard), length, start)
        if len(data) < length or zlib.crc32(data) != crc:
            raise ValueError(
                f"{name} is damaged: the content of {shard_path(self.root, shard)} is not what was written; copy or "
                "pack it again"
            )
        return data

    def _file(self, shard: int) -> int:
        """Return the file descriptor of a tar, opened at the first use."""
        if shard not in self._files:
            with self._opening:
                if shard not in self._files:
                    self._files[shard] = os.open(shard_path(self.root, shard), os.O_RDONLY)
        return self._files[shard]

    def name(self, video: int, track: int, box: int, kind: str = CROP) -> str:
        """Return the pack and the path of a crop in it, or of its MASK, for messages."""
        return f"{self.root}:{self.annotation.crop_path(video, track, box, kind).relative_to(self.root)}"


@dataclass(frozen=True)
class _LazyName:
    """Name of a packed crop, composed only when a message needs it."""

    storage: CropPack
    video: int
    track: int
    box: int
    kind: str = CROP

    def __str__(self) -> str:
        return self.storage.name(self.video, self.track, self.box, self.kind)


def shard_path(root: Path, shard: int) -> Path:
    """Return the path of a pack's tar file by its number."""
    return Path(root) / f"crops-{shard:05d}.tar"


def is_pack(root: Path) -> bool:
    """Return whether a folder is a pack instead of a folder of crops."""
    return (Path(root) / PACK).is_file()


def read_pack_description(root: Path) -> dict:
    """Read the description of a pack. Raises ValueError for another version or layout."""
    content = read_json(Path(root) / PACK, "packed crops")
    if (
        not isinstance(content, dict)
        or content.get("version") != 1
        or not all(isinstance(content.get(key), int) for key in ("centre", "side", "boxes"))
    ):
        raise ValueError(
            f"{Path(root) / PACK} is not the description of a pack that this version can read; pack the data set again"
        )
    return content


def open_storage(annotation: TrackAnnotation) -> CropFiles | CropPack:
    """Open the crops of an annotation."""
    return CropPack(annotation) if is_pack(annotation.root) else CropFiles(annotation)


def encode_centre(pixels: np.ndarray, centre: int) -> bytes:
    """Encode the centred square of `centre` pixels of a crop in a lossless format that cv2 decodes quickly.

    Raises ValueError for a crop that is smaller than the square.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < centre:
        raise ValueError(f"the crop has {width} x {height} pixels, less than the centre of {centre}")
    top, left = height // 2 - centre // 2, width // 2 - centre // 2
    return cv2.imencode(".ppm", pixels[top : top + centre, left : left + centre])[1].tobytes()
