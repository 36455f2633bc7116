"""Masks of the target beside a result: one line per frame, a mask (see `pysot.utils.masks`) or 0."""

from pathlib import Path

from pysot.toolkit.results.paths import mask_file
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.files import atomic_write
from pysot.utils.masks import Mask, parse_mask
from pysot.utils.numbers import parse_lines


def save_target_masks(path: Path, trajectory: Trajectory) -> None:
    """Write the target's masks beside the result `path`; without, remove the file of an earlier result."""
    if not trajectory.target_masks:
        mask_file(path).unlink(missing_ok=True)
        return
    with atomic_write(mask_file(path)) as stream:
        stream.writelines(f"{text or 0}\n" for text in trajectory.target_masks)


def load_target_masks(path: Path) -> dict[int, Mask]:
    """Read the target's masks beside the result `path` by frame, from 0; empty if there are none.

    Raises ValueError that names the file and the line.
    """
    if not mask_file(path).is_file():
        return {}
    masks = parse_lines(mask_file(path), lambda line: parse_mask(line) if line != "0" else None)
    return {index: mask for index, mask in enumerate(masks) if mask is not None}
