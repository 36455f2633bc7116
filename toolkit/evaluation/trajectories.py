"""What the benchmarks have in common: the trackers to evaluate, and their trajectories as `pysot.toolkit` has them."""

import os
import sys
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from colorama import Fore, Style

from pysot.toolkit.datasets.sequence import Sequence as AnnotatedSequence
from pysot.toolkit.evaluation.accuracy_robustness import Run, measure
from pysot.toolkit.report.text_tables import number, table
from pysot.toolkit.results.trajectory import Trajectory
from toolkit.datasets.dataset import Dataset
from toolkit.datasets.video import Regions, Video

LISTED = 20  # trackers that a table has
FEWER_THAN = 10  # trackers in a table of videos


def tracker_names(dataset: Dataset, eval_trackers: Sequence[str] | str | None) -> list[str]:
    """Return the trackers to evaluate, by default those of `dataset.set_tracker`."""
    names = dataset.tracker_names if eval_trackers is None else eval_trackers
    return [names] if isinstance(names, str) else list(names)


def results_of(dataset: Dataset, video: Video, tracker: str) -> list | tuple:
    """Return what `load_tracker` has stored in a video, else what is in the tracker's files."""
    if tracker in video.pred_trajs:
        return video.pred_trajs[tracker]
    loaded = video.load_tracker(dataset.tracker_path, tracker, False)
    assert loaded is not None  # without `store` it returns the results
    return loaded


def trajectory_of(regions: Regions) -> Trajectory:
    """Return the trajectory of one repetition: a code or a region per frame."""
    return Trajectory.from_frames([region[0] if len(region) == 1 else region for region in regions])


def runs_of(dataset: Dataset, tracker: str) -> dict[str, list[Run]]:
    """Return the repetitions of a tracker on each video of a supervised set, with their overlaps."""
    sequences, trajectories = [], []
    for video in dataset:
        if not hasattr(video, "tags"):  # of VOTVideo, and of videos like it
            raise TypeError(f"{dataset.name}: accuracy, robustness and EAO need videos of a VOT set, got {video.name}")
        sequence = _sequence_of(video)
        for repetition in results_of(dataset, video, tracker):
            sequences.append(sequence)
            trajectories.append(trajectory_of(repetition))
    grouped: dict[str, list[Run]] = {video.name: [] for video in dataset}
    for run in measure(sequences, trajectories):
        grouped[run.sequence.name].append(run)
    return grouped


def _sequence_of(video: Video) -> AnnotatedSequence:
    unknown = [float("nan")] * 4
    truth = [unknown if len(region) == 1 else region for region in video.gt_traj]
    all_tags: dict[str, list[int]] = video.tags  # type: ignore[attr-defined]  # the caller has checked it
    tags = {name: np.asarray(values) for name, values in all_tags.items() if name not in ("all", "empty")}
    regions = [np.asarray(region) for region in truth]
    return AnnotatedSequence(video.name, list(video.img_names), regions, video.width, video.height, tags)


def print_table(rows: list[list[str]], low: Collection[tuple[int, int]] = ()) -> None:
    """Print rows of cells, the first is the header; the cells of `low`, as (row, column), are red on a terminal."""
    has_colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    red = dict.fromkeys(low, "low") if has_colours else {}
    print(table(rows, red, lambda text, role: f"{Fore.RED}{text}{Style.RESET_ALL}"))


def print_videos(
    columns: Sequence[str],
    values: Mapping[str, Mapping[str, tuple[float, ...]]],
    is_low: Sequence,
) -> None:
    """Print {tracker: {video: values}} with one row per video; is_low[i](value) says which values are red."""
    rows, low = [["Video name", *(f"{tracker} {column}" for tracker in values for column in columns)]], set()
    for video in next(iter(values.values())):
        cells = [value for by_video in values.values() for value in by_video[video]]
        low |= {(len(rows), at + 1) for at, value in enumerate(cells) if is_low[at % len(columns)](value)}
        rows.append([video, *(number(float(value), 3) for value in cells)])
    print("\n\n")
    print_table(rows, low)
