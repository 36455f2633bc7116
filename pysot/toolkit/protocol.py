"""Types of a protocol: one record that says how the trackers of a data set are run, loaded, scored and reported.

The records are in `protocols`, one file each. Their parts are defined here: the interfaces of trackers, a task to
track, a timeline to draw, the score of a tracker, and the scores of several trackers.
"""

import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from collections.abc import Sequence as Listing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pysot.toolkit.content.page_tables import PageTable
from pysot.toolkit.content.plot import Plot
from pysot.toolkit.datasets.label_files import LabelImages
from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.results.paths import written_form
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.masks import Mask
from pysot.utils.registry import lookup

NAN = float("nan")
Rows = list[list[str]]  # cells of a table; the first row is the head
# paint(text, role) returns a text in the colour of a role: "best", "second", "unscored" or "warning".
Paint = Callable[[str, str], str]
# Accepted names of an arithmetic, and the name that is used for it.
MODES = {
    "pysot": "pysot",
    "official": "official",
    "vot": "official",
    "both": "both",
}


def plain(text: str, role: str) -> str:
    """Return a text without colour, see `Paint`."""
    return text


def mode_of(name: str) -> str:
    """Return "pysot", "official" or "both". Raises ValueError for a name that is not in MODES."""
    return lookup(MODES, name, key="mode")


class Tracker(typing.Protocol):
    """Interface of a tracker. Images are (H, W, 3) uint8 BGR, boxes xywh.

    `init` gets the region that an attribute `starts_on` names: "box" (4 numbers, also without the attribute), "polygon"
    (8 numbers) or "mask" (bool (H, W)), see `pysot.toolkit.tracking.start`.
    `track` returns {'bbox': xywh, 'best_score': confidence[, 'polygon': 8 numbers][, 'target_mask'][, 'mask']}:
    'target_mask' with the methods of `pysot.tracker.target_mask.TargetMask`, or 'mask' (H, W), bool or probabilities.
    Trackers of others may return a box, or a pair (box, confidence).
    """

    def init(self, image: np.ndarray, region: Any, /) -> object: ...

    def track(self, image: np.ndarray, /) -> Any: ...


@typing.runtime_checkable
class BatchTracker(typing.Protocol):
    """Interface of a tracker of several targets in lockstep. Each slot holds one target, or is idle.

    start(slots, frames, boxes_xywh) starts targets, also in slots that hold one. Raises ValueError for a frame or a box
    that can't be used; then no target has started. track(frames) has one frame (H, W, 3) uint8 BGR per slot, None for
    an idle one. It returns boxes (N, 4) xywh and confidences (N,), NaN in idle slots and in those of `failures`: the
    slots whose target failed in this call, and why; they are idle afterwards. stop(slots) makes slots idle, if they are
    not. A tracker of masks also has `masks`: those of the last frame, by slot, as in the outputs of `Tracker`.
    """

    slots: int
    failures: dict[int, Exception]

    def start(self, slots: Listing[int], frames: Listing[np.ndarray], boxes_xywh: Any, /) -> object: ...

    def track(self, frames: Listing[np.ndarray | None], /) -> tuple[np.ndarray, np.ndarray]: ...

    def stop(self, slots: Listing[int], /) -> object: ...


@dataclass(frozen=True)
class Request:
    """Request to a tracker: start on frame `index`, from 0, with a box xywh; or without a box, track that frame.

    A start also has what the box was made of, for trackers that start on it: the annotated `mask`, and the annotated
    `region` (4 or 8 numbers); each is None if there is none.
    """

    index: int
    box_xywh: np.ndarray | None = None
    mask: Mask | None = None
    region: np.ndarray | None = None


@dataclass(frozen=True)
class Answer:
    """Answer to a request: the frame (H, W, 3), the tracker's outputs (None after a start) and the seconds it took.

    `batch` is the number of targets that shared these seconds equally, 0 for a tracker of one target.
    """

    image: np.ndarray
    outputs: dict[str, Any] | None
    seconds: float
    batch: int = 0


# Way to track a sequence: yields requests, is sent the answer to each, and returns the trajectory.
Steps = Generator[Request, Answer, Trajectory]


@dataclass(frozen=True)
class Task:
    """Part of a sequence to track, and the file of its result.

    steps(sequence, on_frame) tracks it, save(path, trajectory) writes the file, and load(path, frames) reads it back or
    raises ResultError. Label images, which the tasks of several objects share, are only looked for, not read.
    """

    sequence: Sequence
    path: Path
    steps: Callable[..., Steps]
    save: Callable[[Path, Trajectory], object]
    load: Callable[[Path, int], Any]


@dataclass(frozen=True)
class Timeline:
    """Timeline of a tracker on a sequence, for the report to draw.

    overlap (N,): NaN on frames that do not count. losses: frames, from 0. regions (N, 4) or (N, 8): NaN on frames
    without a region; None if the images of the sequence are not on the disk, or if results are masks of objects. Those
    are `labels`, label images that are read when they are drawn. `masks` are the regions that are masks, by frame.
    """

    overlap: np.ndarray
    losses: list[int]
    regions: np.ndarray | None
    labels: LabelImages | None = None
    masks: Mapping[int, Mask] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrackerScore(ABC):
    """Score of one tracker: the fields that all protocols have in common.

    With `problems` (sentences that name files and lines) the tracker is not scored. `notes` are sentences on results
    that were left out, repaired or simulated. `coverage`, such as "5 of 6 videos", says how much was scored if not all.
    `timelines` are by sequence, if they were asked for.
    """

    name: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    coverage: str = ""
    timelines: dict[str, Timeline] = field(default_factory=dict, compare=False, repr=False)

    @property
    @abstractmethod
    def rank_by(self) -> float:
        """Value that ranks the trackers, higher is better; NaN comes last."""

    @property
    @abstractmethod
    def by_video(self) -> dict[str, dict[str, float]]:
        """Values of each video, by name."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the score as plain values."""


@dataclass(frozen=True)
class Report:
    """Functions that report scores. `mode` is "pysot", "official" or "both"; a score is of the protocol's score class.

    text(scores, mode, spread, paint) returns the printed text, with the colours of `paint`; `spread` adds mean and
    spread of several trackers.
    tables(scores, mode) returns rows by name: "" is the table of trackers; `titles` has the titles of the others,
    "attributes", "tags", "videos" and "objects".
    by_tag(score) returns {tag or attribute: value} of one tracker.
    plots(scores, official) describes the plots of all trackers, see `pysot.toolkit.content.plot`.
    overview(scores) returns the first tables of an HTML page, see `pysot.toolkit.content.page_tables`.
    """

    text: Callable[["Scores", str, bool, Paint], str]
    tables: Callable[["Scores", str], dict[str, Rows]]
    titles: dict[str, str]
    by_tag: Callable[[Any], dict[str, float]]
    plots: Callable[["Scores", bool], list[Plot]]
    overview: Callable[["Scores"], list[PageTable]]


@dataclass(frozen=True)
class Protocol:
    """Way to run and score trackers. Worker processes receive it, so its functions are module functions or partials.

    `dataset_protocols` are the values of `Dataset.protocol` that it is for. `experiment` is the folder of its results
    in the folder of a tracker, "" for that folder itself. tasks(dataset, sequence, tracker_dir) lists the tasks of a
    sequence. wrap_tracker(tracker), if any, returns the tracker that is run instead. check(dataset), if any, raises
    ValueError for a data set that the protocol can't run on.

    load(dataset, sequence, tracker_dir, notes) returns the results of a sequence for `score`, raises ValueError for
    results that can't be used and appends remarks for the reader of the score to `notes`.
    score(dataset, {sequence: loaded results}, mode, with_timelines) returns a score of the class `score_class`.
    `sources` are other experiments whose results can be used.

    `is_default`: its data sets are tracked this way by default. `restarts`: trackers start again after a loss. `timed`:
    results depend on the time a frame takes, so no other process should share the machine. `has_binary`: results may
    also be binary files of the official toolkit.
    """

    name: str
    dataset_protocols: tuple[str, ...]
    experiment: str
    tasks: Callable[[Dataset, Sequence, Path], list[Task]]
    load: Callable[[Dataset, Sequence, Path, list[str]], object]
    score: Callable[[Dataset, dict[str, Any], str, bool], TrackerScore]
    score_class: type[TrackerScore]
    report: Report
    wrap_tracker: Callable[[Tracker], Tracker] | None = None
    check: Callable[[Dataset], None] | None = None
    sources: tuple[str, ...] = ()
    is_default: bool = False
    restarts: bool = False
    timed: bool = False
    has_binary: bool = False

    def check_form(self, binary: bool) -> None:
        """Raise ValueError if results are asked for in a form that the protocol does not have."""
        if binary and not self.has_binary:
            raise ValueError(
                f"results of the protocol {self.name!r} have no binary form, only those of VOT sets have; leave out "
                "--binary"
            )

    def written_result(self, task: Task) -> Path:
        """Return the file of a task's result, in the form in which it exists."""
        return written_form(task.path) if self.has_binary else task.path


@dataclass(frozen=True)
class Scores:
    """Scores of all trackers on one data set, the best first; trackers that could not be scored come last."""

    dataset: Dataset
    protocol: Protocol
    trackers: list[TrackerScore]

    def __post_init__(self) -> None:
        def order(score: TrackerScore) -> tuple[bool, bool, float, str]:
            rank = NAN if score.problems else score.rank_by
            return bool(score.problems), rank != rank, 0.0 if rank != rank else -rank, score.name

        object.__setattr__(self, "trackers", sorted(self.trackers, key=order))

    def __str__(self) -> str:
        """Return the table of the trackers in pysot's arithmetic, with notes, as tools/test.py prints it."""
        return self.protocol.report.text(self, "pysot", False, plain)

    @property
    def scored(self) -> list[TrackerScore]:
        """Scores of the trackers that could be scored."""
        return [score for score in self.trackers if not score.problems]

    @property
    def name(self) -> str:
        """Name of these scores in file names: that of the data set, and the experiment unless it is the default."""
        return self.dataset.name if self.protocol.is_default else f"{self.dataset.name}_{self.protocol.experiment}"

    def timelines(self, sequence: str) -> dict[str, Timeline]:
        """Return {tracker: timeline} of the trackers that were scored on a sequence.

        Raises ValueError if the scores were made without timelines.
        """
        if not any(score.timelines for score in self.scored):
            raise ValueError(
                f"the scores of {self.dataset.name} were made without timelines; ask for them: "
                "score_trackers(..., with_timelines=True)"
            )
        return {score.name: score.timelines[sequence] for score in self.scored if sequence in score.timelines}

    def to_json(self) -> dict[str, Any]:
        """Return {tracker: its score} of the trackers that could be scored."""
        return {score.name: score.to_json() for score in self.scored}
