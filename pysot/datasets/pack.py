"""Packs crops: millions of small files become tar files of some thousand crops each, which object stores and network file systems like.

A pack is a folder: `crops-00000.tar` and so on with, for each box, its JPEG as it was, and the middle of it without compression, which is all that a
template needs; `places.npy`, where they lie and their checksums; `index/`, the annotation; and `pack.json`. A tar appears when it is whole, so a run that
was stopped goes on with the next one.
"""

import functools
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.crop import on_one_thread
from pysot.datasets.index import write_index
from pysot.datasets.storage import PACK, PLACE, CropPack, encode_centre, shard_path, state_of
from pysot.utils.files import atomic_write, read_json, write_json
from pysot.utils.image import read_image
from pysot.utils.processes import worker_pool

SIDE = 511
PER_SHARD = 8192  # boxes: about a gigabyte


def pack(
    annotation: TrackAnnotation, out: Path, centre: int, procs: int, source: Path, progress: Callable
) -> tuple[int, list[str]]:
    """Write the pack of an annotation to `out`; the number of crops in it, and what is wrong with the others. `progress` wraps the shards, as tqdm does.

    Raises OSError if it can't be written, ValueError for an `out` that holds a pack of something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    description = {
        "version": 1,
        "centre": centre,
        "side": SIDE,
        "boxes": len(annotation.boxes),
        "source": source.name,
        **state_of(source),
        "boxes_crc": zlib.crc32(np.ascontiguousarray(annotation.boxes)),
    }
    _claim(out, description)
    shards = range(-(-len(annotation.boxes) // PER_SHARD))
    problems = [
        problem
        for found in progress(_packed(annotation, out, centre, procs, shards), total=len(shards))
        for problem in found
    ]
    places = np.concatenate([np.load(_places_path(out, shard)) for shard in shards])
    with atomic_write(out / "places.npy", "wb") as stream:
        np.save(stream, places)
    write_index(annotation, out / "index")
    write_json(out / PACK, description)
    for shard in shards:
        _places_path(out, shard).unlink()
    (out / f".{PACK}").unlink()
    return int((places["length"] > 0).sum()), problems


def _claim(out: Path, description: dict) -> None:
    """Say what the folder is for, so that a run which goes on packs the same."""
    begun = out / f".{PACK}"
    for path in (begun, out / PACK):
        if path.exists():
            if read_json(path, "packed crops") != description:
                raise ValueError(
                    f"{out} holds a pack of another annotation or another --centre; remove it, or give another --out"
                )
    write_json(begun, description)


def _packed(annotation: TrackAnnotation, out: Path, centre: int, procs: int, shards: range) -> Iterator[list[str]]:
    write = functools.partial(pack_shard, annotation, out, centre)
    if procs == 1:
        yield from map(write, shards)
        return
    with worker_pool(procs, functools.partial(on_one_thread, write)) as submit:
        for future in [submit(shard) for shard in shards]:
            yield future.result()


def pack_shard(annotation: TrackAnnotation, out: Path, centre: int, shard: int) -> list[str]:
    """Write one tar and the places in it, unless they are there; what is wrong with crops that are not in it."""
    places_path = _places_path(out, shard)
    if places_path.exists() and shard_path(out, shard).exists():
        return []
    first, end = shard * PER_SHARD, min((shard + 1) * PER_SHARD, len(annotation.boxes))
    places, problems = np.zeros(end - first, PLACE), []
    with (
        atomic_write(shard_path(out, shard), "wb") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for place, (video, track, box) in zip(places, annotation.targets(np.arange(first, end)), strict=True):
            path = annotation.crop_path(video, track, box)
            try:
                pixels = read_image(path)
                middle = encode_centre(pixels, centre)
                if pixels.shape[:2] != (SIDE, SIDE):
                    raise ValueError(
                        f"crop {path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, expected {SIDE} x {SIDE}; make it again"
                    )
            except (OSError, ValueError) as error:
                problems.append(str(error))
                continue
            place["shard"] = shard
            name = str(path.relative_to(annotation.root))
            for prefix, data, member in (("", path.read_bytes(), name), ("centre_", middle, f"{name[:-6]}.z.ppm")):
                place[f"{prefix}start"], place[f"{prefix}length"], place[f"{prefix}crc"] = (
                    _add(tar, member, data),
                    len(data),
                    zlib.crc32(data),
                )
    with atomic_write(places_path, "wb") as stream:
        np.save(stream, places)
    return problems


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a file; where its data begins."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    head = len(info.tobuf(tar.format, tar.encoding, tar.errors))
    start = tar.offset + head
    tar.addfile(info, io.BytesIO(data))
    return start


def _places_path(out: Path, shard: int) -> Path:
    return out / f".places-{shard:05d}.npy"


def verify(annotation: TrackAnnotation, progress: Callable) -> list[str]:
    """What is wrong in a pack: every crop is read, in the order in which they lie, and checked."""
    storage, wrong = CropPack(annotation), []
    for target in progress(annotation.targets(np.arange(len(annotation.boxes))), total=len(annotation.boxes)):
        for needed in (None, 1):
            try:
                storage.read(*target, needed=needed)
            except (OSError, ValueError) as error:
                wrong.append(str(error))
                break
    return wrong
