"""Quick-start data set: sequences rendered from photographs that scikit-image and matplotlib ship in their wheels.

Nothing is downloaded. The layout of a root is that of the raw VOT data: list.txt (one sequence per line),
`<sequence>/color/%08d.jpg` from 1 on, `<sequence>/groundtruth.txt` (a polygon of 8 numbers per line, comma separated),
`<sequence>/<tag>.tag` (0 or 1 per line). In addition, quickstart.json holds the settings that the root was made with.
render.py defines the pixel conventions and the tags.

The splits 'train' and 'test' share no photograph. Sequence i is drawn from default_rng([seed, split, i]): the same
settings give the same files. A sequence is written under a hidden name and renamed when it is complete, so the command
can be repeated after it was killed.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pysot.datasets.quickstart.photos import (
    CAT,
    COINS,
    GRAVEL,
    HOPPER,
    PAGE,
    RETINA,
    ROCKET,
    SPLITS,
    Split,
    load_photographs,
)
from pysot.datasets.quickstart.render import compute_tags, render_frame
from pysot.datasets.quickstart.scene import SHAPES, Recipe, draw_scene
from pysot.utils.files import publish_folder, write_bytes, write_json

logger = logging.getLogger(__name__)

VERSION = 1  # of the rendering; increase it with every change that alters a file
JPEG_QUALITY = 88
SETTINGS_FILE = "quickstart.json"
IMAGE_SIZES = ((480, 360), (512, 352), (432, 384))  # width, height

# The benchmark has eight real objects: photograph, background, length, image size, region, shape, side. The length is
# in percent of QuickstartSettings.frames.
_SMALL, _WIDE, _TALL = IMAGE_SIZES
_BENCH = partial(Recipe, margin=0.9, growth=0.22, defocus=0.8)
TEST_RECIPES = (
    _BENCH(CAT, GRAVEL, 64, _SMALL, (110, 60, 245, 210), "ellipse", 100, speed=(0.02, 0.06), light=0.25),
    _BENCH(
        COINS, RETINA, 72, _SMALL, (313, 156, 65, 64), "ellipse", 62, speed=(0.03, 0.09), distractors=2, lookalikes=True
    ),
    _BENCH(HOPPER, CAT, 84, _TALL, (150, 20, 228, 295), "ellipse", 95, occlusions=1, camera=0.3),
    _BENCH(HOPPER, COINS, 96, _WIDE, (322, 486, 132, 42), "rounded", 60, rotation_deg=40, light=0.15),
    _BENCH(CAT, ROCKET, 104, _SMALL, (128, 78, 88, 78), "ellipse", 56, speed=(0.03, 0.1), light=0.3, distractors=1),
    _BENCH(ROCKET, GRAVEL, 112, _TALL, (290, 118, 58, 150), "rounded", 72, growth=0.33, rotation_deg=20),
    _BENCH(PAGE, HOPPER, 124, _WIDE, (60, 42, 130, 82), "rounded", 74, occlusions=2, distractors=1),
    _BENCH(HOPPER, ROCKET, 148, _SMALL, (150, 128, 225, 180), side=80, light=0.2, occlusions=2, distractors=2),
)


@dataclass(frozen=True)
class QuickstartSettings:
    """Settings that a root is made with.

    frames: mean length of a sequence; the lengths are 0.6 to 1.5 times that.
    """

    split: str
    seed: int = 0
    sequences: int = 200
    frames: int = 16
    version: int = VERSION

    def __post_init__(self) -> None:
        _find_split(self.split)
        for name, minimum in (("seed", 0), ("sequences", 1), ("frames", 4)):
            value = getattr(self, name)
            if type(value) is not int or value < minimum:  # True is not accepted as 1
                raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")


def _find_split(name: str) -> Split:
    if name not in SPLITS:
        raise ValueError(f"split is {name!r}; known: {', '.join(SPLITS)}")
    return SPLITS[name]


def generate(
    root: Path,
    split: str,
    *,
    seed: int = 0,
    sequences: int | None = None,
    frames: int | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] | None = None,
) -> list[Path]:
    """Make the missing sequences of a split under `root`, and return the folders of all its sequences.

    `sequences` and `frames` (mean length) default to those of the split: 100 x 16 for 'train', 8 x 100 for 'test'.
    `progress` wraps the iteration over the sequences, as `tqdm` does.

    Raises ValueError for invalid settings or settings that differ from those `root` was made with, ImportError if the
    photographs' package is missing, OSError if a photograph is missing or `root` cannot be written.
    """
    defaults = _find_split(split)
    settings = QuickstartSettings(
        split,
        seed,
        defaults.sequences if sequences is None else sequences,
        defaults.frames if frames is None else frames,
    )
    photos = load_photographs(split)
    root = Path(root)
    _claim_root(root, settings)
    folders = []
    for index in (progress or iter)(range(settings.sequences)):
        rng = np.random.default_rng([settings.seed, SPLITS[split].number, index])
        recipe = draw_recipe(rng, settings, index)
        folder = root / sequence_name(recipe, index)
        if not folder.is_dir():
            _write_sequence(folder, rng, recipe, photos, SPLITS[split].objects)
        folders.append(folder)
    write_bytes(root / "list.txt", "".join(f"{folder.name}\n" for folder in folders).encode())
    logger.info("%d sequences of the %s split are in %s", len(folders), split, root)
    return folders


def sequence_name(recipe: Recipe, index: int) -> str:
    """Return the name of a sequence: the target's photograph and the index, as in 'coins_001'."""
    return f"{Path(recipe.target).stem}_{index:03d}"


def draw_recipe(rng: np.random.Generator, settings: QuickstartSettings, index: int) -> Recipe:
    """Return the recipe of sequence `index`: from the table for 'test', drawn for 'train'."""
    if settings.split == "test":
        recipe = TEST_RECIPES[index % len(TEST_RECIPES)]
        return replace(recipe, frames=max(3, round(recipe.frames * settings.frames / 100)))
    split = SPLITS[settings.split]
    target = split.objects[index % len(split.objects)]
    slowest = rng.uniform(0.01, 0.06)
    return Recipe(
        target=target,
        background=str(rng.choice([name for name in split.backgrounds if name != target])),
        frames=max(3, round(settings.frames * rng.uniform(0.75, 1.25))),
        size_wh=IMAGE_SIZES[rng.integers(len(IMAGE_SIZES))],
        shape=str(rng.choice(SHAPES)),
        side=float(rng.uniform(40, 125)),
        stride=int(rng.integers(2, 5)),
        speed=(slowest, slowest + rng.uniform(0.02, 0.08)),
        rotation_deg=float(rng.choice([5.0, 15.0, 50.0])),
        growth=float(rng.uniform(0.1, 0.45)),
        stretch=float(rng.uniform(0, 0.12)),
        light=float(rng.choice([0.0, 0.2, 0.4])),
        defocus=float(rng.choice([0.0, 0.0, 1.8])),
        camera=float(rng.uniform(0, 1)),
        margin=0.35,
        tint=0.2,
        occlusions=int(rng.integers(0, 3)),
        distractors=int(rng.integers(0, 4)),
        lookalikes=bool(rng.random() < 0.4),
    )


def _claim_root(root: Path, settings: QuickstartSettings) -> None:
    """Make `root` and record the settings, or check that it was made with the same ones."""
    settings_path = root / SETTINGS_FILE
    if settings_path.is_file():
        try:
            recorded = json.loads(settings_path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{settings_path} is damaged ({error}); delete {root} or pass another folder") from error
        if recorded != asdict(settings):
            raise ValueError(
                f"{root} was made with {recorded}, not with {asdict(settings)}; delete it or pass another folder"
            )
        return
    if root.is_dir() and any(not path.name.startswith(f".{settings_path.name}.") for path in root.iterdir()):
        raise ValueError(
            f"{root} is not empty and has no {SETTINGS_FILE}, so it is not quick-start data; pass another folder"
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        write_json(settings_path, asdict(settings), indent=1)
    except OSError as error:
        raise OSError(
            f"cannot write the quick-start data to {root} ({error.strerror}); pass a folder that can be written"
        ) from error


def _write_sequence(
    folder: Path, rng: np.random.Generator, recipe: Recipe, photos: dict[str, np.ndarray], objects: tuple[str, ...]
) -> None:
    """Render a sequence into a hidden folder and rename it when it is complete."""
    part = _part_path(folder)
    if part.exists():
        shutil.rmtree(part)
    (part / "color").mkdir(parents=True)
    scene = draw_scene(rng, recipe, photos, objects)
    visible = np.zeros(len(scene))
    for t in range(len(scene)):
        image, visible[t] = render_frame(scene, t)
        path = part / "color" / f"{t + 1:08d}.jpg"
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f"cannot write {path}; is the disk full?")
    rows = (",".join(f"{number:.4f}" for number in scene.target.polygon(t)) for t in range(len(scene)))
    (part / "groundtruth.txt").write_text("".join(f"{row}\n" for row in rows))
    for name, flags in compute_tags(scene, visible).items():
        (part / f"{name}.tag").write_text("".join(f"{int(flag)}\n" for flag in flags))
    publish_folder(part, folder)


def _part_path(path: Path) -> Path:
    """Return the hidden name that a file or folder has until it is complete."""
    return path.with_name(f".{path.name}.part")
