"""Masks of the objects of a sequence as results: a label image of each frame, <tracker>/<sequence>/00000.png, ...

A file has the name of its frame. This is the official layout of DAVIS and YouTube-VOS.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.label_files import LabelImages
from pysot.toolkit.datasets.names import match_name
from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.soft_masks import join_masks
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.files import file_lock, publish_folder
from pysot.utils.label_images import encode_label_image, read_numbers

_MAX_NAMED = 3  # missing files in a message


def label_folder(tracker_dir: Path, sequence: Sequence) -> Path:
    """Return the folder of a sequence's results, in any spelling of its name; the expected one if there is none.

    Raises ValueError if two folders fit.
    """
    if (tracker_dir / sequence.name).is_dir() or not tracker_dir.is_dir():
        return tracker_dir / sequence.name
    names = [entry.name for entry in tracker_dir.iterdir() if entry.is_dir()]
    return tracker_dir / (match_name(sequence.name, names, sequence.similar_names, tracker_dir) or sequence.name)


def label_file(folder: Path, sequence: Sequence, index: int) -> Path:
    """Return the path of the result of a frame, from 0."""
    return folder / f"{Path(sequence.frame_paths[index]).stem}.png"


def result_labels(folder: Path, sequence: Sequence) -> LabelImages:
    """Return the results of a sequence as label images, one for each frame, whether or not they exist."""
    assert sequence.labels is not None
    paths: list[Path | None] = [label_file(folder, sequence, index) for index in range(len(sequence))]
    return LabelImages(paths, sequence.labels.joined)


def check_label_files(folder: Path, sequence: Sequence, frames: Iterable[int]) -> None:
    """Raise ResultError if the results of some of these frames do not exist; it names the first ones."""
    frames = list(frames)
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    missing = [name for index in frames if (name := label_file(folder, sequence, index).name) not in present]
    if missing:
        listed = ", ".join(missing[:_MAX_NAMED]) + (" ..." if len(missing) > _MAX_NAMED else "")
        raise ResultError(
            f"{folder} has no mask for {len(missing)} of {len(frames)} frames ({listed}); track this video again"
        )


def read_label_result(folder: Path, sequence: Sequence, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the numbers (H, W) uint8 of the objects in the result of a frame, from 0.

    `shape` is that of the annotation or the frame, (H, W). Raises ResultError that names the file.
    """
    labels, path = sequence.labels, label_file(folder, sequence, index)
    assert labels is not None
    try:
        numbers = read_numbers(path, labels.joined)
    except (OSError, ValueError) as error:
        raise ResultError(str(error)) from None
    if numbers.shape != shape:
        raise ResultError(
            f"{path} has {numbers.shape[1]} x {numbers.shape[0]} pixels, its frame {shape[1]} x {shape[0]}; "
            "save masks in the size of the frames"
        )
    if numbers.max() > max(labels.objects):
        known = f"object{'s' if len(labels.objects) > 1 else ''} {', '.join(map(str, labels.objects))}"
        raise ResultError(
            f"{path} has object {numbers.max()}, but {sequence.name} has {known}; "
            "the pixels of an object need its number in the first annotation"
        )
    return numbers


class ObjectTrajectories:
    """Trajectories of a sequence's objects, which end one by one; the last one writes the result."""

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        self._of_object: dict[int, Trajectory] = {}

    def add(self, number: int, folder: Path, trajectory: Trajectory) -> None:
        """Add the trajectory of an object, with soft masks; with that of the last one, write all label images.

        The `folder` is complete or absent. One that exists is replaced, since it is not complete. Raises OSError that
        names it if it cannot be written.
        """
        labels = self.sequence.labels
        assert labels is not None
        self._of_object[number] = trajectory
        if self._of_object.keys() < labels.objects.keys():
            return
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with file_lock(folder.with_name(f".{folder.name}.lock")):  # of two processes that track the same sequence
                self._write(folder, labels.objects)
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot write {folder}: {error.strerror or error}. Choose a folder you may write to, with free space",
            ) from error
        self._of_object.clear()

    def _write(self, folder: Path, starts: Mapping[int, int]) -> None:
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            for index in range(len(self.sequence)):
                numbers = self._numbers(index, starts)
                label_file(part, self.sequence, index).write_bytes(encode_label_image(numbers))
            shutil.rmtree(folder, ignore_errors=True)
            publish_folder(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _numbers(self, index: int, starts: Mapping[int, int]) -> np.ndarray:
        """Return the numbers (H, W) uint8 of the objects on a frame, from 0."""
        masks = {
            number: self._of_object[number].soft_masks[index - start]
            for number, start in starts.items()
            if start <= index
        }
        assert self.sequence.height is not None and self.sequence.width is not None
        return join_masks(masks, self.sequence.height, self.sequence.width)
