"""The photographs the quick-start data are cut from: files inside the wheels of scikit-image and matplotlib.

The splits 'train' and 'test' share no photograph. A photograph is named 'package/file'.
"""

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

FOLDERS = {"skimage": "data", "matplotlib": "mpl-data/sample_data"}  # inside the package
PIP_NAMES = {"skimage": "scikit-image", "matplotlib": "matplotlib"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Split:
    """number: enters the seed. sequences, frames: defaults. objects, backgrounds: photographs as 'package/file'."""

    number: int
    sequences: int
    frames: int
    objects: tuple[str, ...]
    backgrounds: tuple[str, ...]


# skimage's motorcycle_right.png is in neither split: it is the other eye's view of motorcycle_left.png.
_TRAIN_OBJECTS = ("astronaut.png", "coffee.png", "motorcycle_left.png", "camera.png", "ihc.png", "text.png")
_TRAIN_GROUNDS = ("brick.png", "grass.png", "moon.png", "hubble_deep_field.jpg")
CAT, COINS, PAGE, ROCKET = "skimage/chelsea.png", "skimage/coins.png", "skimage/page.png", "skimage/rocket.jpg"
GRAVEL, RETINA, HOPPER = "skimage/gravel.png", "skimage/retina.jpg", "matplotlib/grace_hopper.jpg"

SPLITS = {
    "train": Split(
        number=0,
        sequences=100,
        frames=16,
        objects=tuple(f"skimage/{name}" for name in _TRAIN_OBJECTS),
        backgrounds=tuple(f"skimage/{name}" for name in _TRAIN_OBJECTS[:5] + _TRAIN_GROUNDS),
    ),
    "test": Split(
        number=1,
        sequences=8,
        frames=100,
        objects=(CAT, COINS, PAGE, ROCKET, HOPPER),
        backgrounds=(CAT, COINS, GRAVEL, RETINA, ROCKET, HOPPER),
    ),
}


def photograph_path(name: str) -> Path:
    """File of the photograph 'package/file'.

    Raises ImportError where the package is not installed and FileNotFoundError where it has no such file.
    """
    package, _, file = name.partition("/")
    pip_name = PIP_NAMES[package]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"the quick-start data need photographs from {pip_name}; install it: pip install {pip_name}")
    path = Path(spec.origin).parent / FOLDERS[package] / file
    if not path.is_file():
        raise FileNotFoundError(f"the installed {pip_name} has no {path}; renew it: pip install --upgrade {pip_name}")
    return path


def load_photographs(split: str) -> dict[str, np.ndarray]:
    """Name -> (H, W, 3) BGR uint8, for every photograph of the split.

    Raises what `photograph_path` raises, and OSError for a file that cannot be decoded.
    """
    photos = {}
    for name in sorted({*SPLITS[split].objects, *SPLITS[split].backgrounds}):
        path = photograph_path(name)
        photo = cv2.imdecode(np.frombuffer(_without_profile(path.read_bytes()), np.uint8), cv2.IMREAD_COLOR)
        if photo is None:
            raise OSError(f"{path} is not an image that OpenCV can read; reinstall the package it belongs to")
        photos[name] = photo
    return photos


def _without_profile(data: bytes) -> bytes:
    """PNG bytes without their colour profile, of which libpng would complain on stderr; other bytes as they are."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    kept, at = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunk = data[at : at + length + 12]  # length, name, content, checksum
        if chunk[4:8] != b"iCCP":
            kept.append(chunk)
        at += len(chunk)
    return b"".join(kept)
