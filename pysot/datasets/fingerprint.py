"""Hash of a training set's content, equal on every machine that has the same boxes and crops."""

import hashlib

import numpy as np

from pysot.datasets.annotation import ARRAYS, TrackAnnotation
from pysot.datasets.storage import CropFiles, CropPack

SAMPLED_CROPS = 32  # reading all crops would take hours


def annotation_fingerprint(annotation: TrackAnnotation) -> str:
    """Return the hash of all names, frames and boxes, independent of where the files are."""
    digest = hashlib.sha256()
    for field in ARRAYS:
        array = np.ascontiguousarray(getattr(annotation, field))
        digest.update(f"{field} {array.dtype} {array.shape} ".encode())
        digest.update(array.view(np.uint8).reshape(-1).data if array.size else b"")
    return digest.hexdigest()


def fingerprint(annotation: TrackAnnotation, storage: CropFiles | CropPack, with_masks: bool = False) -> str:
    """Return the hash of the boxes and of the bytes of SAMPLED_CROPS random crops, and `with_masks` of their masks.

    A crop that cannot be read counts as missing.
    """
    digest = hashlib.sha256(annotation_fingerprint(annotation).encode())
    count = len(annotation.boxes)
    chosen = np.random.default_rng(0).choice(count, min(SAMPLED_CROPS, count), replace=False)
    for target in annotation.targets(np.sort(chosen)):
        try:
            digest.update(hashlib.sha256(storage.read_bytes(*target)).digest())
            if with_masks:
                digest.update(hashlib.sha256(storage.read_mask(*target)[0]).digest())
        except (OSError, ValueError):
            digest.update(b"missing")
    return digest.hexdigest()
