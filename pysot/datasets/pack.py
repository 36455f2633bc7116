"""Packed crops: millions of small files become tar files of some thousand crops each.

Object stores and network file systems handle these better. A pack is a folder of

* `crops-00000.tar` and so on: for each box its original JPEG, and its centre without compression, which is sufficient
  for a template,
* `places.npy`: position and checksum of each of them,
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
from pysot.datasets.index import write_index
from pysot.datasets.storage import ENTRY_DTYPE, PACK, CropPack, encode_centre, shard_path, source_signature
from pysot.utils.files import atomic_write, read_json, write_json
from pysot.utils.image import read_image
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
) -> tuple[int, list[str]]:
    """Write the pack of an annotation to `out`, and return the number of packed crops and the problems of the others.

    `progress` wraps the shards, as tqdm does. Raises OSError if the pack can't be written, ValueError for an `out` that
    holds a pack of another annotation or centre.
    """
    out.mkdir(parents=True, exist_ok=True)
    description = {
        "version": 1,
        "centre": centre,
        "side": SIDE,
        "boxes": len(annotation.boxes),
        "source": source.name,
        **source_signature(source),
        "boxes_crc": zlib.crc32(np.ascontiguousarray(annotation.boxes).data),
    }
    _claim_folder(out, description)
    shards = range(-(-len(annotation.boxes) // BOXES_PER_SHARD))
    problems = [
        problem
        for shard_problems in progress(_pack_shards(annotation, out, centre, procs, shards), total=len(shards))
        for problem in shard_problems
    ]
    entries = np.concatenate([np.load(_shard_entries_path(out, shard)) for shard in shards])
    with atomic_write(out / "places.npy", "wb") as stream:
        np.save(stream, entries)
    write_index(annotation, out / "index")
    write_json(out / PACK, description)
    for shard in shards:
        _shard_entries_path(out, shard).unlink()
    (out / f".{PACK}").unlink()
    return int((entries["length"] > 0).sum()), problems


def _claim_folder(out: Path, description: dict) -> None:
    """Record the description of an unfinished pack, so that a resumed command packs the same crops."""
    claim_path = out / f".{PACK}"
    for path in (claim_path, out / PACK):
        if path.exists():
            if read_json(path, "packed crops") != description:
                raise ValueError(
                    f"{out} holds a pack of another annotation or another --centre; remove it, or give another --out"
                )
    write_json(claim_path, description)


def _pack_shards(annotation: TrackAnnotation, out: Path, centre: int, procs: int, shards: range) -> Iterator[list[str]]:
    """Write the shards in `procs` processes and yield the problems of each."""
    write = functools.partial(pack_shard, annotation, out, centre)
    if procs == 1:
        yield from map(write, shards)
        return
    with worker_pool(procs, functools.partial(single_threaded, write)) as submit:
        for future in [submit(shard) for shard in shards]:
            yield future.result()


def pack_shard(annotation: TrackAnnotation, out: Path, centre: int, shard: int) -> list[str]:
    """Write one tar and its entries, unless they exist, and return the problems of crops that are left out."""
    entries_path = _shard_entries_path(out, shard)
    if entries_path.exists() and shard_path(out, shard).exists():
        return []
    first, end = shard * BOXES_PER_SHARD, min((shard + 1) * BOXES_PER_SHARD, len(annotation.boxes))
    entries = np.zeros(end - first, ENTRY_DTYPE)
    problems = []
    with (
        atomic_write(shard_path(out, shard), "wb") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry, (video, track, box) in zip(entries, annotation.targets(np.arange(first, end)), strict=True):
            path = annotation.crop_path(video, track, box)
            try:
                pixels = read_image(path)
                encoded_centre = encode_centre(pixels, centre)
                if pixels.shape[:2] != (SIDE, SIDE):
                    raise ValueError(
                        f"crop {path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, expected {SIDE} x {SIDE}; make "
                        "it again"
                    )
            except (OSError, ValueError) as error:
                problems.append(str(error))
                continue
            entry["shard"] = shard
            name = str(path.relative_to(annotation.root))
            members = (("", name, path.read_bytes()), ("centre_", f"{name[:-6]}.z.ppm", encoded_centre))
            for prefix, member, data in members:
                entry[f"{prefix}start"] = _append_file(tar, member, data)
                entry[f"{prefix}length"] = len(data)
                entry[f"{prefix}crc"] = zlib.crc32(data)
    with atomic_write(entries_path, "wb") as stream:
        np.save(stream, entries)
    return problems


def _append_file(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a file to a tar and return the offset of its data."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    header_size = len(info.tobuf(tar.format, tar.encoding, tar.errors))
    start = tar.offset + header_size
    tar.addfile(info, io.BytesIO(data))
    return start


def _shard_entries_path(out: Path, shard: int) -> Path:
    return out / f".places-{shard:05d}.npy"


def verify(annotation: TrackAnnotation, progress: Callable[..., Iterable[tuple[int, int, int]]]) -> list[str]:
    """Read and verify every crop of a pack, in their order on disk, and return the problems."""
    storage = CropPack(annotation)
    problems = []
    targets = annotation.targets(np.arange(len(annotation.boxes)))
    for video, track, box in progress(targets, total=len(annotation.boxes)):
        for required_side in (None, 1):  # the complete crop, then its centre
            try:
                _ = storage.read(video, track, box, required_side).pixels
            except (OSError, ValueError) as error:
                problems.append(str(error))
                break
    return problems
