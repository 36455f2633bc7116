"""Description of a prepared data set: `dataset.yaml` beside its annotation, with the keys of a config section."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any

import yaml

from pysot.datasets.storage import is_pack
from pysot.utils.files import REPO_ROOT, atomic_write

DESCRIPTION = "dataset.yaml"
KEYS = {"ROOT": str, "ANNO": str, "FRAME_RANGE": int, "NUM_USE": int, "MASKS": bool}


def config_name(name: str) -> str:
    """Return the name of a data set in configs: capital letters, digits and underscores."""
    return re.sub(r"\W", "_", name).upper()


def write_description(folder: Path, split: str, frame_range: int, num_use: int, masks: bool = False) -> None:
    """Describe the annotation `<split>.json` of a folder, with paths relative to the folder.

    `masks` says that every crop has a mask file. Raises OSError as `atomic_write`.
    """
    content = {"ROOT": "crop511", "ANNO": f"{split}.json", "FRAME_RANGE": frame_range, "NUM_USE": num_use}
    if masks:
        content["MASKS"] = True
    with atomic_write(Path(folder) / DESCRIPTION) as stream:
        yaml.safe_dump(content, stream, sort_keys=False)


def check_masks_described(anno: Path, with_masks: bool) -> None:
    """Check that the crops for a description are packed with masks if, and only if, it has masks.

    Raises ValueError if not, FileNotFoundError without a description of the annotation `anno`.
    """
    described = _find_described(anno)["MASKS"]
    if described != with_masks:
        state, remedy = ("true", "add --with-masks") if described else ("not true", "leave out --with-masks")
        raise ValueError(f"MASKS of {anno.with_name(DESCRIPTION)} is {state}: {remedy}, or prepare the data set again")


def set_crop_root(anno: Path, root: Path) -> None:
    """Set the crops in the description of an annotation to the folder or pack `root`.

    Raises FileNotFoundError without a description, ValueError for the description of another annotation.
    """
    path, description = anno.with_name(DESCRIPTION), _find_described(anno)
    relative_root = os.path.relpath(root.resolve(), anno.resolve().parent)
    with atomic_write(path) as stream:
        yaml.safe_dump({**description, "ANNO": anno.name, "ROOT": relative_root}, stream, sort_keys=False)


def _find_described(anno: Path) -> dict[str, Any]:
    """Return the description beside an annotation, which must be of it. Raises as `set_crop_root`."""
    path = anno.with_name(DESCRIPTION)
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}: the set was not made by tools/prepare_data.py. Name the pack in the config, as "
            "DATASET.<SET>.ROOT"
        )
    description = _read_description(path)
    if Path(description["ANNO"]).resolve() != anno.resolve():
        raise ValueError(
            f"{path} describes {description['ANNO']}, not {anno}; name the pack in the config, as DATASET.<SET>.ROOT"
        )
    return description


def find_described_pack(folder: Path) -> Path | None:
    """Return the pack that the description in a folder names.

    None if it names a folder of crops, is invalid, or does not exist.
    """
    with contextlib.suppress(FileNotFoundError, ValueError):
        root = Path(_read_description(Path(folder) / DESCRIPTION)["ROOT"])
        return root if is_pack(root) else None
    return None


def describes_masks(folder: Path) -> bool:
    """Return whether the description in a folder says that every crop has a mask; False without a valid one."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return _read_description(Path(folder) / DESCRIPTION)["MASKS"]
    return False


def find_description(name: str, folder: str | Path | None = None) -> dict[str, Any] | None:
    """Return ROOT and ANNO (paths), FRAME_RANGE, NUM_USE and MASKS of the set that a config calls `name`, or None.

    Descriptions are searched in the subfolders of `folder` and of `folder`/training_dataset; without `folder`, of the
    current folder and of the repository. Raises ValueError for an invalid description.
    """
    bases = [Path(folder)] if folder is not None else [Path.cwd(), REPO_ROOT]
    parents = [base / sub for base in bases for sub in ("training_dataset", ".")]
    for path in (path for parent in parents for path in sorted(parent.glob(f"*/{DESCRIPTION}"))):
        if config_name(path.parent.name) == config_name(name):
            return _read_description(path)
    return None


def _read_description(path: Path) -> dict[str, Any]:
    """Read a description and make its paths absolute."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML ({str(error).splitlines()[0]}); prepare the data set again") from None
    if isinstance(content, dict):
        content.setdefault("MASKS", False)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), kind) for key, kind in KEYS.items()):
        expected = ", ".join(f"{key} ({kind.__name__})" for key, kind in KEYS.items())
        raise ValueError(f"{path} must have {expected}, got {content!r}; prepare the data set again")
    return {**content, **{key: str(path.parent.absolute() / content[key]) for key in ("ROOT", "ANNO")}}
