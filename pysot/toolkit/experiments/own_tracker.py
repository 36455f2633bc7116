"""Track and score a data set with any tracker, in two calls: `run`, then `report`.

A tracker is an object with `init(frame, box)` and `track(frame)`. The two are also `pysot.run` and `pysot.report`.
"""

import os
from collections.abc import Sequence as Listing
from pathlib import Path
from typing import Any

from pysot.toolkit.datasets.load import load_dataset, split_dataset_path
from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.experiments.runner import frames_to_track, run_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocol import BatchTracker, Scores, Tracker
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.results.paths import tracker_dirs
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.files import find_path
from pysot.utils.progress import brief_bar, progress_bar

PathLike = str | os.PathLike[str]


def run(
    tracker: Tracker | BatchTracker | Any,
    dataset: str | Dataset,
    root: PathLike = "testing_dataset",
    name: str = "",
    results: PathLike = "results",
    videos: Listing[str] = (),
    experiment: str | None = None,
) -> Path:
    """Track a data set and write the official result files; return the tracker's folder <results>/<set>/<name>.

    `tracker.init(frame, box)` starts on a target and `tracker.track(frame)` returns it on each further frame: a box, a
    pair (box, confidence), or {"bbox": box, "best_score": confidence} with more, see `Tracker`. Frames are (H, W, 3)
    uint8 BGR, boxes are x, y, width, height in pixels. A `BatchTracker` tracks several sequences in lockstep.

    `dataset` is a name such as VOT2018 below `root`, a path of its folder or json, or a `Dataset`; `videos` are some of
    its sequences. `name` is by default that of the tracker's class. `experiment` is one of the set's, by default its
    default one. Sequences that have a result are kept, so the same call resumes; for a tracker that has changed remove
    the folder or take another name.

    Raises TypeError for a tracker without these methods, RuntimeError if sequences failed, with the reasons (what a
    tracker returned wrongly, by sequence and frame), and as `load_dataset` and `find_protocol`. The results of the
    other sequences are written.
    """
    _check_tracker(tracker)
    chosen = _open(dataset, root, videos)
    folder = Path(results) / chosen.name / (name or type(tracker).__name__)
    frames = {sequence.name: frames_to_track(chosen, sequence, folder, experiment) for sequence in chosen.sequences}
    with progress_bar(None, total=sum(frames.values()), description=f"{chosen.name}, {folder.name}") as bar:

        def on_sequence(sequence: Sequence, state: str, trajectory: Trajectory | None) -> None:
            if state == "kept":
                bar.update(frames[sequence.name])

        progress = run_dataset(tracker, chosen, folder, lambda *_: bar.update(), on_sequence, experiment)
    if progress.failed:
        reasons = "; ".join(f"{video}: {reason}" for video, reason in progress.failed.items())
        raise RuntimeError(f"{len(progress.failed)} of {len(frames)} sequences have no result: {reasons}")
    return folder


def report(
    names: str | Listing[str],
    dataset: str | Dataset,
    root: PathLike = "testing_dataset",
    results: PathLike = "results",
    videos: Listing[str] = (),
    experiment: str | None = None,
) -> Scores:
    """Return the scores of trackers by their names, the best first; printed, they are a table.

    A name that no tracker has takes all that begin with it, "" takes all. The other arguments are those of `run`. A
    tracker whose results are missing or damaged is listed with the reasons. Raises FileNotFoundError for a name without
    results, ValueError for a set that only its server can score, and as `load_dataset` and `find_protocol`.
    """
    chosen = _open(dataset, root, videos)
    if chosen.hidden_truth:
        raise ValueError(
            f"{chosen.name} has ground truth in first frames only: its server scores it. Pack the results for it: "
            "python tools/eval.py --zip"
        )
    protocol = find_protocol(chosen, experiment)
    prefixes = [names] if isinstance(names, str) else list(names)
    folders = tracker_dirs(results, chosen.name, prefixes, [protocol.experiment, *protocol.sources])
    return score_trackers(chosen, folders, bar=brief_bar, experiment=experiment)


def _check_tracker(tracker: object) -> None:
    """Raise TypeError for an object that is no tracker."""
    if isinstance(tracker, type):
        raise TypeError(f"expected a tracker, got the class {tracker.__name__}; pass an object: {tracker.__name__}()")
    start = "start" if hasattr(tracker, "slots") else "init"
    missing = [method for method in (start, "track") if not callable(getattr(tracker, method, None))]
    if missing:
        raise TypeError(
            f"expected a tracker with init(frame, box) and track(frame), got {type(tracker).__name__} without "
            f"{' and '.join(missing)}"
        )


def _open(dataset: str | Dataset, root: PathLike, videos: Listing[str]) -> Dataset:
    """Return a data set by its name, its path, or as it is, with some of its sequences if any are named."""
    if isinstance(dataset, str):
        name, folder = split_dataset_path(dataset)
        folder = folder or find_path(root, "root", "It is the folder that holds the data sets")
        dataset = load_dataset(name, folder, brief_bar)
    return dataset.only(videos) if videos else dataset
