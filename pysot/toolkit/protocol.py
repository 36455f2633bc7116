"""What a protocol is: one record that says how the trackers of a data set are run, loaded, scored and reported.

The records are in `protocols`, one file each. What they share is here: a task to track, a track to show, a tracker's score, and the scores of several trackers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.registry import lookup

NAN = float("nan")
Rows = list[list[str]]  # cells of a table; the first row is the head
MODES = {
    "pysot": "pysot",
    "official": "official",
    "vot": "official",
    "both": "both",
}  # arithmetics, by the names that they may have


def mode_of(name: str) -> str:
    """ "pysot", "official" or "both". Raises ValueError for another name than those of MODES."""
    return lookup(MODES, name, key="mode")


@dataclass(frozen=True)
class Task:
    """A part of a sequence to track and the file that its result goes to. run(tracker, sequence, on_frame) tracks it, save(trajectory) writes the file, and
    load(path, frames) reads it back or raises ResultError.
    """

    sequence: Sequence
    path: Path
    run: Callable[..., Trajectory]
    save: Callable[[Trajectory], object]
    load: Callable[[Path, int], Trajectory]


@dataclass(frozen=True)
class Timeline:
    """What a tracker did on a sequence, to be drawn: overlap (N,), NaN where none counts; the frames, from 0, of its losses; regions (N, 4) or (N, 8), NaN
    where there is none, or None where the sequence has no images on the disk.
    """

    overlap: np.ndarray
    losses: list[int]
    regions: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class TrackerScore(ABC):
    """What the scores of all protocols have in common. With `problems` (sentences that name files and lines) the tracker is not scored. `notes` are sentences
    on what was left out, repaired or simulated, and `covers`, such as "5 of 6 videos", says how much was scored where it is not all. `timelines` are by
    sequence, where they were asked for.
    """

    name: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    covers: str = ""
    timelines: dict[str, Timeline] = field(default_factory=dict, compare=False, repr=False)

    @property
    @abstractmethod
    def rank_by(self) -> float:
        """The number that ranks, the more the better; NaN comes last."""

    @property
    @abstractmethod
    def by_video(self) -> dict[str, dict[str, float]]:
        """The numbers of each video, by name."""

    @abstractmethod
    def to_json(self) -> dict:
        """The scores as plain values."""


@dataclass(frozen=True)
class Report:
    """How scores are reported. `mode` is "pysot", "official" or "both".

    text(scores, mode, spread) is what is printed of the trackers; `spread` adds mean and spread of several.
    tables(scores, mode) are rows by name: "" is the table of trackers, those of "attributes", "tags" and "videos" are called as `titles` says.
    by_tag(score) is {tag or attribute: value} of one tracker.
    figures(scores, named, official) draws to the files named(what) and returns them.
    overview(scores, colours) is the first part of an HTML page; `colours` are by tracker.
    """

    text: Callable[["Scores", str, bool], str]
    tables: Callable[["Scores", str], dict[str, Rows]]
    titles: dict[str, str]
    by_tag: Callable[[TrackerScore], dict[str, float]]
    figures: Callable[["Scores", Callable[[str], Path], bool], list[Path]]
    overview: Callable[["Scores", dict[str, str]], str]


@dataclass(frozen=True)
class Protocol:
    """A way to run and score trackers. It is handed to worker processes, so its functions are those of modules, or partials of them.

    `sets` are the values of `Dataset.protocol` that it is for, `experiment` is the folder of its results below that of a tracker, "" for that folder itself.
    tasks(dataset, sequence, tracker_dir) lists what is to be tracked; `wrap`, if any, makes the tracker that is run of the one that is given;
    check(dataset), if any, raises ValueError for a set that it can't run on.

    load(dataset, sequence, tracker_dir, notes) reads what `score` needs to know of a sequence, raises ValueError for results that can't be used and adds to
    `notes` what the reader of scores has to know. score(dataset, {sequence: what was loaded}, mode, with_timelines) computes a score, of the class `score_class`.
    `sources` are other experiments that results may come from.

    `usual`: its sets are tracked this way where nobody says otherwise. `restarts`: trackers start again after a loss. `timed`: results depend on how long
    frames take, so no other process should share the machine.
    """

    name: str
    sets: tuple[str, ...]
    experiment: str
    tasks: Callable[[Dataset, Sequence, Path], list[Task]]
    load: Callable[[Dataset, Sequence, Path, list[str]], object]
    score: Callable[[Dataset, dict[str, object], str, bool], TrackerScore]
    score_class: type[TrackerScore]
    report: Report
    wrap: Callable | None = None
    check: Callable[[Dataset], None] | None = None
    sources: tuple[str, ...] = ()
    usual: bool = False
    restarts: bool = False
    timed: bool = False


@dataclass(frozen=True)
class Scores:
    """All trackers on one data set, the best first, those that could not be scored last."""

    dataset: Dataset
    protocol: Protocol
    trackers: list[TrackerScore]

    def __post_init__(self):
        def order(score: TrackerScore) -> tuple:
            rank = NAN if score.problems else score.rank_by
            return bool(score.problems), rank != rank, 0.0 if rank != rank else -rank, score.name

        object.__setattr__(self, "trackers", sorted(self.trackers, key=order))

    @property
    def scored(self) -> list[TrackerScore]:
        """The trackers that could be scored."""
        return [score for score in self.trackers if not score.problems]

    @property
    def name(self) -> str:
        """The name of the data set, with that of the experiment unless it is the usual one: what files of scores are called by."""
        return self.dataset.name if self.protocol.usual else f"{self.dataset.name}_{self.protocol.experiment}"

    def timelines(self, sequence: str) -> dict[str, Timeline]:
        """{tracker: its timeline} of those that were scored on a sequence. Raises ValueError if the scores were made without timelines."""
        if not any(score.timelines for score in self.scored):
            raise ValueError(
                f"the scores of {self.dataset.name} were made without timelines; ask for them: score_trackers(..., with_timelines=True)"
            )
        return {score.name: score.timelines[sequence] for score in self.scored if sequence in score.timelines}

    def to_json(self) -> dict:
        """{tracker: its scores} of the trackers that could be scored."""
        return {score.name: score.to_json() for score in self.scored}
