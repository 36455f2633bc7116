"""Data that benchmarks and device checks make themselves."""

import contextlib
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pysot.datasets.quickstart.data import generate
from pysot.utils.files import REPO_ROOT

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def temporary_data(missing: str) -> Iterator[Path]:
    """Return a folder for data that stand in for `missing` data; it is removed at the end. Both are logged."""
    with tempfile.TemporaryDirectory(prefix="pysot_benchmark_") as folder:
        logger.warning("no %s given: generated data in %s are used, and removed at the end", missing, folder)
        yield Path(folder)


def make_raw_set(folder: Path, sequences: int = 40, frames: int = 8) -> None:
    """Render training sequences of about `frames` frames in the raw layout of VOT. Raises as `generate`."""
    generate(folder, "train", sequences=sequences, frames=frames)


def make_crops(raw: Path, folder: Path, name: str) -> str:
    """Crop a raw VOT set with tools/prepare_data.py; return what that printed first.

    `folder` then has crop511/, a json and dataset.yaml of the set `name`. Raises RuntimeError if cropping fails.
    """
    command = [sys.executable, REPO_ROOT / "tools" / "prepare_data.py", "vot", raw, "--out", folder, "--name", name]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"crops could not be made: {done.stderr.strip()}")
    return done.stdout.splitlines()[0]


def find_annotation(folder: Path) -> Path | None:
    """Return the annotation of a folder of crops, None if there is none."""
    return next((path for path in (folder / "train2017.json", folder / "train.json") if path.exists()), None)


def training_set_opts(folder: Path) -> list[object]:
    """Return the config values that select the crops of `folder`, in the place of COCO's, as training data."""
    return [
        "DATASET.NAMES",
        ["COCO"],
        "DATASET.COCO.ROOT",
        str(folder / "crop511"),
        "DATASET.COCO.ANNO",
        str(find_annotation(folder)),
    ]


@contextlib.contextmanager
def temporary_training_set() -> Iterator[list[object]]:
    """Return the config values that select generated training data, which are removed at the end."""
    with temporary_data("training data") as folder:
        make_raw_set(folder / "raw")
        make_crops(folder / "raw", folder / "COCO", "COCO")
        yield training_set_opts(folder / "COCO")
