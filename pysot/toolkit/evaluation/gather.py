"""A tracker's results on all videos of a set, or the reasons why some cannot be used."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pysot.toolkit.datasets.sequence import Dataset, Sequence


@dataclass(frozen=True)
class Gathered:
    """What `load` gave for each video, by name, and the data set of these videos. With `problems` the tracker is not to be scored. `notes` are for the reader
    of its scores, and `covers` tells how many videos they are of where it is not all.
    """

    dataset: Dataset
    results: dict[str, object] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    covers: str = ""


def gather(dataset: Dataset, load: Callable[[Sequence], object], partial: bool = False) -> Gathered:
    """Load the results of every video. A ValueError or OSError of `load` is a problem of the tracker; with `partial`, a note, and the video is left out."""
    results, problems = {}, []
    for sequence in dataset.sequences:
        try:
            results[sequence.name] = load(sequence)
        except (ValueError, OSError) as error:
            problems.append(str(error) if sequence.name in str(error) else f"{sequence.name}: {error}")
    if not problems:
        return Gathered(dataset, results)
    if not partial or not results:
        return Gathered(dataset, problems=tuple(problems))
    notes = tuple(f"left out: {problem}" for problem in problems)
    return Gathered(dataset.only(results), results, notes=notes, covers=f"{len(results)} of {len(dataset)} videos")


def repetition_notes(counts: Iterable[int], means: str = "some may be missing") -> list[str]:
    """A sentence on the numbers of repetitions of the videos, where these differ, and what that `means`."""
    found = Counter(counts)
    told = ", ".join(f"{videos} with {runs}" for runs, videos in sorted(found.items()))
    return [f"videos have different numbers of repetitions ({told}): {means}"] if len(found) > 1 else []
