"""Loading of a tracker's results on all videos of a set, with the reasons why some cannot be used."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.utils.progress import Bar, no_bar


@dataclass(frozen=True)
class LoadedResults:
    """Results of each video, by name, and the data set of these videos.

    With `problems` the tracker is not to be scored. `notes` are for the reader of its scores. `coverage` is the number
    of loaded videos, such as "5 of 6 videos", empty if all are loaded.
    """

    dataset: Dataset
    results: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    coverage: str = ""


def load_results(
    dataset: Dataset,
    load: Callable[[Sequence], object],
    partial: bool = False,
    bar: Bar = no_bar,
    explain: Callable[[dict[str, str]], Iterable[str]] = dict.values,
) -> LoadedResults:
    """Load the results of every video, which `bar` shows.

    A ValueError or OSError of `load` is a problem of the tracker; with `partial`, it is a note, and the video is left
    out. `explain` turns the problems by video into sentences.
    """
    results: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for sequence in bar(dataset.sequences):
        try:
            results[sequence.name] = load(sequence)
        except (ValueError, OSError) as error:
            problems[sequence.name] = str(error) if sequence.name in str(error) else f"{sequence.name}: {error}"
    if not problems:
        return LoadedResults(dataset, results)
    sentences = tuple(explain(problems))
    if not partial or not results:
        return LoadedResults(dataset, problems=sentences)
    notes = tuple(f"left out: {sentence}" for sentence in sentences)
    return LoadedResults(
        dataset.only(results), results, notes=notes, coverage=f"{len(results)} of {len(dataset)} videos"
    )


def repetition_notes(counts: Iterable[int], consequence: str = "some may be missing") -> list[str]:
    """Return a note if the videos have different numbers of repetitions, else nothing; it ends in the consequence."""
    videos_by_count = Counter(counts)
    listed = ", ".join(f"{videos} with {repetitions}" for repetitions, videos in sorted(videos_by_count.items()))
    note = f"videos have different numbers of repetitions ({listed}): {consequence}"
    return [note] if len(videos_by_count) > 1 else []


def drawable_regions(sequence: Sequence, regions: np.ndarray) -> np.ndarray | None:
    """Return the regions of a `Timeline`; None without images to draw them on.

    Long sets have millions of regions, so they are kept only where the report can draw them.
    """
    return regions if os.path.isfile(sequence.frame_paths[0]) else None


def find_losses(overlap: np.ndarray) -> list[int]:
    """Return the frames at which an overlap (N,) becomes 0: the losses of a run without restarts."""
    return (np.flatnonzero((overlap[1:] == 0) & (overlap[:-1] > 0)) + 1).tolist()
