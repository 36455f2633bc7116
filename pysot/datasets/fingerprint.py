"""A word for the content of a training set, the same on every machine that has the same boxes and crops."""

import hashlib

import numpy as np

from pysot.datasets.annotation import ARRAYS, TrackAnnotation
from pysot.datasets.storage import CropFiles, CropPack

SAMPLE = 32  # crops; all of them would take hours to read


def annotation_fingerprint(annotation: TrackAnnotation) -> str:
    """A word for all names, frames and boxes, wherever they lie."""
    digest = hashlib.sha256()
    for field in ARRAYS:
        array = np.ascontiguousarray(getattr(annotation, field))
        digest.update(f"{field} {array.dtype} {array.shape} ".encode())
        digest.update(array.view(np.uint8).reshape(-1) if array.size else b"")
    return digest.hexdigest()


def fingerprint(annotation: TrackAnnotation, storage: CropFiles | CropPack) -> str:
    """A word for the boxes, and for the bytes of SAMPLE crops that are drawn from them; a crop that cannot be read counts as missing."""
    digest, count = hashlib.sha256(annotation_fingerprint(annotation).encode()), len(annotation.boxes)
    chosen = np.random.default_rng(0).choice(count, min(SAMPLE, count), replace=False)
    for target in annotation.targets(np.sort(chosen)):
        try:
            digest.update(hashlib.sha256(storage.data(*target)).digest())
        except (OSError, ValueError):
            digest.update(b"missing")
    return digest.hexdigest()
