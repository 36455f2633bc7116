"""Annotated masks of the objects of a sequence: label images, read when they are needed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pysot.utils.label_images import read_numbers
from pysot.utils.masks import Mask


@dataclass(frozen=True)
class LabelImages:
    """Label images of the frames of a sequence.

    paths    (N,) of each frame, None for frames without one
    joined   all objects are one, number 1 (DAVIS 2016)
    """

    paths: list[Path | None]
    joined: bool

    def read(self, index: int) -> np.ndarray:
        """Return the numbers (H, W) uint8 of the objects on a frame. Errors are those of `read_numbers`."""
        path = self.paths[index]
        if path is None:
            raise ValueError(f"frame {index + 1} is not annotated")
        return read_numbers(path, self.joined)

    def read_of_size(self, index: int, width: int, height: int) -> np.ndarray:
        """Return what `read` returns. Raises its errors, and ValueError unless it has the size of the frames."""
        numbers = self.read(index)
        if numbers.shape != (height, width):
            raise ValueError(
                f"mask {self.paths[index]} has {numbers.shape[1]} x {numbers.shape[0]} pixels, its frame {width} x "
                f"{height}; use frames and masks of one resolution"
            )
        return numbers


@dataclass(frozen=True)
class LabelFiles(LabelImages):
    """Label images of a sequence with the objects to track.

    objects  {number: frame, from 0, on which a tracker starts}, ascending numbers; an empty one raises ValueError
    asked    frames whose masks the set's server takes
    """

    objects: dict[int, int]
    asked: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.objects:
            raise ValueError(
                "label images need at least one object to track, {number: frame on which it starts}, got {}"
            )

    @cached_property
    def annotated(self) -> list[int]:
        """Frames with annotation, ascending."""
        return [index for index, path in enumerate(self.paths) if path is not None]

    @property
    def is_hidden(self) -> bool:
        """Return whether only the frames on which trackers start are annotated, and there are others."""
        return {*self.annotated} <= {*self.objects.values()} and len(self.paths) > len(self.annotated)

    def start_mask(self, number: int) -> Mask:
        """Return the mask on which a tracker of an object starts.

        Raises ValueError for an empty one, and the errors of `read`.
        """
        index = self.objects[number]
        mask = Mask(0, 0, self.read(index) == number)
        if not mask.pixels.any():
            raise ValueError(f"mask {self.paths[index]} has no pixel of object {number}, so no tracker can start on it")
        return mask
