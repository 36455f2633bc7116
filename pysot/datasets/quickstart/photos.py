"""Source photographs of the quick-start data: files inside the wheels of scikit-image and matplotlib.

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
    """Settings of a split.

    number: enters the seed. sequences, frames: defaults. objects, backgrounds: photographs as 'package/file'.
    """

    number: int
    sequences: int
    frames: int
    objects: tuple[str, ...]
    backgrounds: tuple[str, ...]


# skimage's motorcycle_right.png is in neither split: it is the other image of a stereo pair with motorcycle_left.png.
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
    """Return the file of the photograph 'package/file'.

    Raises ImportError if the package is not installed, FileNotFoundError if it has no such file.
    """
    package, _, file = name.partition("/")
    pip_name = PIP_NAMES[package]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"the quick-start data need photographs from {pip_name}; install it: pip install {pip_name}")
    path = Path(spec.origin).parent / FOLDERS[package] / file
    if not path.is_file():
        raise FileNotFoundError(f"the installed {pip_name} has no {path}; update it: pip install --upgrade {pip_name}")
    return path


def load_photographs(split: str) -> dict[str, np.ndarray]:
    """Load every photograph of a split, as name -> (H, W, 3) BGR uint8.

    Raises as `photograph_path`, and OSError for a file that cannot be decoded.
    """
    photos = {}
    for name in sorted({*SPLITS[split].objects, *SPLITS[split].backgrounds}):
        path = photograph_path(name)
        photo = cv2.imdecode(np.frombuffer(_remove_colour_profile(path.read_bytes()), np.uint8), cv2.IMREAD_COLOR)
        if photo is None:
            raise OSError(f"{path} is not an image that OpenCV can read; reinstall the package it belongs to")
        photos[name] = photo
    return photos


def _remove_colour_profile(data: bytes) -> bytes:
    """Remove the colour profile of a PNG, about which libpng warns on stderr; return other files unchanged."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    kept = [PNG_SIGNATURE]
    position = len(PNG_SIGNATURE)
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        chunk = data[position : position + length + 12]  # length, name, content, checksum
        if chunk[4:8] != b"iCCP":
            kept.append(chunk)
        position += len(chunk)
    return b"".join(kept)
