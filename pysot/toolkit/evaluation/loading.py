"""A tracker's results on all videos of a set, or the reasons why some cannot be used."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence


@dataclass(frozen=True)
class LoadedResults:
    """What `load` gave for each video, by name, and the data set of these videos. With `problems` the tracker is not to be scored. `notes` are for the reader
    of its scores, and `covers` tells how many videos they are of where it is not all.
    """

    dataset: Dataset
    results: dict[str, object] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    covers: str = ""


def load_results(dataset: Dataset, load: Callable[[Sequence], object], partial: bool = False) -> LoadedResults:
    """Load the results of every video. A ValueError or OSError of `load` is a problem of the tracker; with `partial`, a note, and the video is left out."""
    results, problems = {}, []
    for sequence in dataset.sequences:
        try:
            results[sequence.name] = load(sequence)
        except (ValueError, OSError) as error:
            problems.append(str(error) if sequence.name in str(error) else f"{sequence.name}: {error}")
    if not problems:
        return LoadedResults(dataset, results)
    if not partial or not results:
        return LoadedResults(dataset, problems=tuple(problems))
    notes = tuple(f"left out: {problem}" for problem in problems)
    return LoadedResults(dataset.only(results), results, notes=notes, covers=f"{len(results)} of {len(dataset)} videos")


def repetition_notes(counts: Iterable[int], means: str = "some may be missing") -> list[str]:
    """A sentence on the numbers of repetitions of the videos, where these differ, and what that `means`."""
    found = Counter(counts)
    told = ", ".join(f"{videos} with {runs}" for runs, videos in sorted(found.items()))
    return [f"videos have different numbers of repetitions ({told}): {means}"] if len(found) > 1 else []


def shown_regions(sequence: Sequence, regions: np.ndarray) -> np.ndarray | None:
    """The regions of a `Timeline`: they are kept where they can be drawn on images alone, since long sets have millions of them."""
    return regions if os.path.isfile(sequence.frame_paths[0]) else None


def drops(overlap: np.ndarray) -> list[int]:
    """Frames at which an overlap (N,) becomes 0: the losses of a run without restarts."""
    return (np.flatnonzero((overlap[1:] == 0) & (overlap[:-1] > 0)) + 1).tolist()
