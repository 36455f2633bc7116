"""Sampling of an epoch's training pairs and their order.

Everything is a function of (seed, epoch, position): neither the number of workers nor of ranks changes which pairs are
drawn. A *pick* is (data set, video). Position p of an epoch starts from pick p, and the random numbers of the item
determine the pair of crops.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pysot.datasets.annotation import TrackAnnotation

# Separates the order's random numbers from those of the items, default_rng([seed, epoch, position]).
ORDER_STREAM = (0, 1)


@dataclass(frozen=True)
class Target:
    """One box of one track, as indices into `TrackAnnotation` number `dataset`."""

    dataset: int
    video: int
    track: int
    box: int

    @property
    def object(self) -> tuple[int, int]:
        return self.dataset, self.track


@dataclass(frozen=True)
class Pair:
    """Template and search target; negative if they are different objects."""

    template: Target
    search: Target
    negative: bool


def epoch_order(seed: int, epoch: int, video_counts: Sequence[int], num_use: Sequence[int], length: int) -> np.ndarray:
    """Draw the picks of an epoch, (length, 2) int32: data set and video.

    Every data set gives num_use picks from its shuffled videos, shuffled again when they are used up (-1: every video
    once). The union is shuffled. This repeats until there are `length` picks. Raises ValueError when there is nothing
    to pick or num_use is below -1.
    """
    _check_counts(video_counts, num_use, length)
    rng = np.random.default_rng([seed, epoch, *ORDER_STREAM])
    order = np.empty((length, 2), np.int32)
    filled = 0
    while filled < length:
        union = np.concatenate(
            [
                _draw_picks(rng, dataset, count, use)
                for dataset, (count, use) in enumerate(zip(video_counts, num_use, strict=True))
            ]
        )
        chosen = rng.permutation(len(union))[: length - filled]
        np.take(union, chosen, axis=0, out=order[filled : filled + len(chosen)])
        filled += len(chosen)
    return order


def _check_counts(video_counts: Sequence[int], num_use: Sequence[int], length: int) -> None:
    if length < 1:
        raise ValueError(f"DATASET.VIDEOS_PER_EPOCH must be 1 or more, got {length}")
    if any(use < -1 for use in num_use):
        raise ValueError(f"NUM_USE must be -1 (every video once), 0 or a number of videos, got {list(num_use)}")
    if sum(count * abs(use) for count, use in zip(video_counts, num_use, strict=True)) == 0:
        raise ValueError(
            f"no video to draw: the data sets have {list(video_counts)} videos, and NUM_USE is {list(num_use)}"
        )


def _draw_picks(rng: np.random.Generator, dataset: int, count: int, use: int) -> np.ndarray:
    """Draw `use` picks, (use, 2) int32, from the `count` videos of a data set."""
    use = count if use == -1 else use
    if count == 0 or use == 0:
        return np.empty((0, 2), np.int32)
    picks = np.empty((use, 2), np.int32)
    picks[:, 0] = dataset
    for first in range(0, use, count):
        picks[first : first + count, 1] = rng.permutation(count)[: use - first]
    return picks


def draw_pair(
    rng: np.random.Generator,
    annotations: Sequence[TrackAnnotation],
    frame_ranges: Sequence[int],
    pick: Sequence[int] | np.ndarray,
    negative_share: float,
) -> Pair:
    """Draw template and search target for a pick (data set, video).

    A positive pair is two boxes of a random track, at most frame_range entries of the track apart. With probability
    negative_share the pair is negative: any box of the video, and a random target of a random data set that is another
    object.
    """
    dataset, video = int(pick[0]), int(pick[1])
    template = _draw_target(rng, annotations, dataset, video)
    if rng.random() >= negative_share:
        first, end = annotations[dataset].box_range(template.track)
        frame_range = frame_ranges[dataset]
        box = rng.integers(max(first, template.box - frame_range), min(end - 1, template.box + frame_range) + 1)
        return Pair(template, Target(dataset, video, template.track, int(box)), negative=False)
    return Pair(template, _draw_other_object(rng, annotations, template), negative=True)


def _draw_target(rng: np.random.Generator, annotations: Sequence[TrackAnnotation], dataset: int, video: int) -> Target:
    """Draw a random track of a video and a random box of it."""
    annotation = annotations[dataset]
    track = int(rng.integers(*annotation.track_range(video)))
    return Target(dataset, video, track, int(rng.integers(*annotation.box_range(track))))


def _draw_other_object(rng: np.random.Generator, annotations: Sequence[TrackAnnotation], template: Target) -> Target:
    """Draw a random target that is not the template's object.

    The draw is repeated until it is another object. With two objects or more, that takes two draws on average at most.
    """
    require_two_objects(annotations)
    while True:
        dataset = int(rng.integers(len(annotations)))
        target = _draw_target(rng, annotations, dataset, int(rng.integers(annotations[dataset].video_count)))
        if target.object != template.object:
            return target


def require_two_objects(annotations: Sequence[TrackAnnotation]) -> None:
    """Raise ValueError if no negative pair can be drawn."""
    if sum(annotation.track_count for annotation in annotations) < 2:
        raise ValueError(
            "negative pairs need two objects, but the training data has one: set DATASET.NEG to 0 or add data"
        )


class EpochBatchSampler:
    """Batches of (epoch, position) for one rank.

    Global batch g is the positions g*B*W to (g+1)*B*W for batch size B and world size W. Rank r takes the r-th B of
    them. Call `set_epoch` before every epoch. Its start_step skips the batches that a resumed training run has done
    already.
    """

    def __init__(self, length: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"expected TRAIN.BATCH_SIZE >= 1 and 0 <= rank < world size, got {batch_size}, {rank}, {world_size}"
            )
        self.steps = length // (batch_size * world_size)
        if self.steps == 0:
            raise ValueError(
                f"an epoch of {length} pairs has no full batch of {batch_size} x {world_size} processes: raise "
                "DATASET.VIDEOS_PER_EPOCH or lower TRAIN.BATCH_SIZE"
            )
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.start_step = 0

    def set_epoch(self, epoch: int, start_step: int = 0) -> None:
        """Set the epoch of the next iteration and the step it starts at."""
        if epoch < 0 or not 0 <= start_step <= self.steps:
            raise ValueError(f"expected epoch >= 0 and 0 <= start_step <= {self.steps}, got {epoch} and {start_step}")
        self.epoch = epoch
        self.start_step = start_step

    def __len__(self) -> int:
        """Return the number of steps of a complete epoch, also when start_step skips some of them."""
        return self.steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = self.epoch
        for step in range(self.start_step, self.steps):
            yield self.batch(epoch, step)

    def batch(self, epoch: int, step: int) -> list[tuple[int, int]]:
        """Return the items of this rank in a step."""
        first = (step * self.world_size + self.rank) * self.batch_size
        return [(epoch, position) for position in range(first, first + self.batch_size)]
