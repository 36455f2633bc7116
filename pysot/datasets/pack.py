"""Packed crops: millions of small files become tar files of some thousand crops each.

Object stores and network file systems handle these better. A pack is a folder of

* `crops-00000.tar` and so on: for each box its original JPEG, and its centre without compression, which is sufficient
  for a template; in a pack with masks also its mask,
* `places.npy`: position and checksum of each crop and centre; `masks.npy`: of each mask,
* `index/`: the annotation,
* `pack.json`: the description.

A tar appears when it is complete, so an interrupted command resumes with the next one.
"""

import functools
import io
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.crop import single_threaded
from pysot.datasets.crop_files import decode_mask
from pysot.datasets.index import write_index
from pysot.datasets.mask_files import missing_masks
from pysot.datasets.raw.video import CROP, MASK
from pysot.datasets.storage import (
    ENTRY_DTYPE,
    MASK_DTYPE,
    MASK_PLACES,
    PACK,
    PLACES,
    CropPack,
    encode_centre,
    shard_path,
    source_signature,
)
from pysot.utils.files import atomic_write, read_json, write_json
from pysot.utils.image import read_image, read_image_bytes
from pysot.utils.processes import worker_pool

SIDE = 511
BOXES_PER_SHARD = 8192  # about a gigabyte


def pack(
    annotation: TrackAnnotation,
    out: Path,
    centre: int,
    procs: int,
    source: Path,
    progress: Callable[..., Iterable[list[str]]],
    with_masks: bool = False,
) -> tuple[int, list[str]]:
    """Write the pack of an annotation to `out`, and return the number of packed crops and the problems of the others.

    `with_masks` also packs the mask of each crop; a crop whose mask cannot be used is left out. `progress` wraps the
    shards, as tqdm does. Raises OSError if the pack can't be written, ValueError for an `out` that holds a pack of
    another annotation or centre, or if crops have no mask.
    """
    missing, first = missing_masks(annotation) if with_masks else (0, None)
    if missing:
        raise ValueError(
            f"{missing} of {len(annotation.boxes)} crops have no mask, the first: {first}. Make them: run the command "
            "that made the crops again with --with-masks, or pack without --with-masks"
        )
    out.mkdir(parents=True, exist_ok=True)
    description = {
        "version": 1,
        "centre": centre,
        "side": SIDE,
        "boxes": len(annotation.boxes),
        "source": source.name,
        **source_signature(source),
        "boxes_crc": zlib.crc32(np.ascontiguousarray(annotation.boxes).data),
        **({"masks": True} if with_masks else {}),
    }
    _claim_folder(out, description)
    shards = range(-(-len(annotation.boxes) // BOXES_PER_SHARD))
    problems = [
        problem
        for shard_problems in progress(
            _pack_shards(annotation, out, centre, procs, shards, with_masks), total=len(shards)
        )
        for problem in shard_problems
    ]
    names = (PLACES, MASK_PLACES) if with_masks else (PLACES,)
    for name in names:
        entries = np.concatenate([np.load(_shard_entries_path(out, name, shard)) for shard in shards])
        packed = int((entries["length"] > 0).sum())  # as many masks as crops
        _save_array(out / name, entries)
    write_index(annotation, out / "index")
    write_json(out / PACK, description)
    for name in names:
        for shard in shards:
            _shard_entries_path(out, name, shard).unlink()
    (out / f".{PACK}").unlink()
    return packed, problems


def _claim_folder(out: Path, description: dict) -> None:
    """Record the description of an unfinished pack, so that a resumed command packs the same crops."""
    claim_path = out / f".{PACK}"
    for path in (claim_path, out / PACK):
        if path.exists():
            found = read_json(path, "packed crops")
            if found != description:
                raise ValueError(
                    f"{out} holds a pack {_difference(found, description)}; remove it, or give another --out"
                )
    write_json(claim_path, description)


def _difference(found: dict, wanted: dict) -> str:
    """Return in words how a pack differs from the wanted one, by their descriptions."""
    if {**found, "masks": None} == {**wanted, "masks": None}:
        return "with masks, expected one without" if found.get("masks") else "without masks, expected one with them"
    if {**found, "centre": None} == {**wanted, "centre": None}:
        return f"with --centre {found['centre']}, expected {wanted['centre']}"
    return "of another annotation"


def _pack_shards(
    annotation: TrackAnnotation, out: Path, centre: int, procs: int, shards: range, with_masks: bool
) -> Iterator[list[str]]:
    """Write the shards in `procs` processes and yield the problems of each."""
    write = functools.partial(pack_shard, annotation, out, centre, with_masks=with_masks)
    if procs == 1:
        yield from map(write, shards)
        return
    with worker_pool(procs, functools.partial(single_threaded, write)) as submit:
        for future in [submit(shard) for shard in shards]:
            yield future.result()


def pack_shard(annotation: TrackAnnotation, out: Path, centre: int, shard: int, with_masks: bool = False) -> list[str]:
    """Write one tar and its entries, unless they exist, and return the problems of crops that are left out."""
    entries_path, mask_path = _shard_entries_path(out, PLACES, shard), _shard_entries_path(out, MASK_PLACES, shard)
    if entries_path.exists() and shard_path(out, shard).exists():
        return []
    first, end = shard * BOXES_PER_SHARD, min((shard + 1) * BOXES_PER_SHARD, len(annotation.boxes))
    entries, mask_entries = np.zeros(end - first, ENTRY_DTYPE), np.zeros(end - first, MASK_DTYPE)
    problems = []
    with (
        atomic_write(shard_path(out, shard), "wb") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for row, target in enumerate(annotation.targets(np.arange(first, end))):
            path = annotation.crop_path(*target)
            try:
                encoded_centre = _encode_checked_centre(path, centre)
                mask = _read_checked_mask(annotation.crop_path(*target, MASK)) if with_masks else b""
            except (OSError, ValueError) as error:
                problems.append(str(error))
                continue
            entry = entries[row]
            entry["shard"] = shard
            name = str(path.relative_to(annotation.root)).removesuffix(CROP)
            _append_member(tar, f"{name}{CROP}", path.read_bytes(), entry)
            _append_member(tar, f"{name}.z.ppm", encoded_centre, entry, "centre_")
            if with_masks:
                _append_member(tar, f"{name}{MASK}", mask, mask_entries[row])
    if with_masks:
        _save_array(mask_path, mask_entries)
    _save_array(entries_path, entries)
    return problems


def _encode_checked_centre(path: Path, centre: int) -> bytes:
    """Return the encoded centre of a crop. Raises OSError or ValueError for a crop that cannot be used."""
    pixels = read_image(path)
    encoded_centre = encode_centre(pixels, centre)
    if pixels.shape[:2] != (SIDE, SIDE):
        raise ValueError(
            f"crop {path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, expected {SIDE} x {SIDE}; make it again"
        )
    return encoded_centre


def _read_checked_mask(path: Path) -> bytes:
    """Return the file of a mask. Raises OSError or ValueError for a mask that cannot be used."""
    data = read_image_bytes(path)
    decode_mask(data, path, SIDE, SIDE)
    return data


def _append_member(tar: tarfile.TarFile, name: str, data: bytes, entry: np.void, prefix: str = "") -> None:
    """Append a file to a tar, and write its position and checksum to the fields of `entry` with this prefix."""
    entry[f"{prefix}start"] = _append_file(tar, name, data)
    entry[f"{prefix}length"] = len(data)
    entry[f"{prefix}crc"] = zlib.crc32(data)


def _save_array(path: Path, array: np.ndarray) -> None:
    with atomic_write(path, "wb") as stream:
        np.save(stream, array)


def _append_file(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a file to a tar and return the offset of its data."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    header_size = len(info.tobuf(tar.format, tar.encoding, tar.errors))
    start = tar.offset + header_size
    tar.addfile(info, io.BytesIO(data))
    return start


def _shard_entries_path(out: Path, name: str, shard: int) -> Path:
    return out / f".{name.removesuffix('.npy')}-{shard:05d}.npy"


def verify(annotation: TrackAnnotation, progress: Callable[..., Iterable[tuple[int, int, int]]]) -> list[str]:
    """Read and verify every crop of a pack, and its mask in a pack with masks, and return the problems."""
    storage = CropPack(annotation)
    problems = []
    targets = annotation.targets(np.arange(len(annotation.boxes)))
    for video, track, box in progress(targets, total=len(annotation.boxes)):
        try:
            for required_side in (None, 1):  # the complete crop, then its centre
                _ = storage.read(video, track, box, required_side).pixels
            if storage.mask_entries is not None:
                storage.read_mask(video, track, box)
        except (OSError, ValueError) as error:
            problems.append(str(error))
    return problems
