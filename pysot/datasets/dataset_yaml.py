"""A prepared data set says itself how to train on it: `dataset.yaml` beside its annotation has the keys of a data set's section in a config."""

import contextlib
import os
import re
from pathlib import Path

import yaml

from pysot.datasets.storage import is_pack
from pysot.utils.files import REPO_ROOT, atomic_write

DESCRIPTION = "dataset.yaml"
KEYS = {"ROOT": str, "ANNO": str, "FRAME_RANGE": int, "NUM_USE": int}


def config_name(name: str) -> str:
    """The name of a data set in configs: capital letters, digits and underscores."""
    return re.sub(r"\W", "_", name).upper()


def write_description(folder: Path, split: str, frame_range: int, num_use: int) -> None:
    """Describe the annotation `<split>.json` of a folder; paths in it are relative to the folder. Raises OSError as `atomic_write`."""
    content = {"ROOT": "crop511", "ANNO": f"{split}.json", "FRAME_RANGE": frame_range, "NUM_USE": num_use}
    with atomic_write(Path(folder) / DESCRIPTION) as stream:
        yaml.safe_dump(content, stream, sort_keys=False)


def use_crops(anno: Path, root: Path) -> None:
    """Let the description of an annotation name other crops, such as a pack. Raises FileNotFoundError without a description, ValueError for one that is of
    another annotation.
    """
    path = anno.with_name(DESCRIPTION)
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}: the set was not made by tools/prepare_data.py. Name the pack in the config, as DATASET.<SET>.ROOT"
        )
    described = _read(path)
    if Path(described["ANNO"]).resolve() != anno.resolve():
        raise ValueError(
            f"{path} describes {described['ANNO']}, not {anno}; name the pack in the config, as DATASET.<SET>.ROOT"
        )
    place = os.path.relpath(root.resolve(), anno.resolve().parent)
    with atomic_write(path) as stream:
        yaml.safe_dump({**described, "ANNO": anno.name, "ROOT": place}, stream, sort_keys=False)


def described_pack(folder: Path) -> Path | None:
    """The pack that the description in a folder names, None where it names crops, is not whole, or is not there."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        root = Path(_read(Path(folder) / DESCRIPTION)["ROOT"])
        return root if is_pack(root) else None
    return None


def find_description(name: str, folder: str | Path | None = None) -> dict | None:
    """ROOT and ANNO (paths), FRAME_RANGE and NUM_USE of the set that a config calls `name`; None if none is described.

    Looked for in the folders of `training_dataset`, and of it alone, below `folder`; without one, here and in the repository. Raises ValueError for a
    description that is not whole.
    """
    bases = [Path(folder)] if folder is not None else [Path.cwd(), REPO_ROOT]
    for path in (
        path
        for base in bases
        for sub in ("training_dataset", ".")
        for path in sorted((base / sub).glob(f"*/{DESCRIPTION}"))
    ):
        if config_name(path.parent.name) == config_name(name):
            return _read(path)
    return None


def _read(path: Path) -> dict:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML ({str(error).splitlines()[0]}); prepare the data set again") from None
    if not isinstance(content, dict) or not all(isinstance(content.get(key), kind) for key, kind in KEYS.items()):
        wanted = ", ".join(f"{key} ({kind.__name__})" for key, kind in KEYS.items())
        raise ValueError(f"{path} must have {wanted}, got {content!r}; prepare the data set again")
    return {**content, **{key: str(path.parent.absolute() / content[key]) for key in ("ROOT", "ANNO")}}
