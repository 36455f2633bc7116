"""Sets of many starts, VOT since 2020: a run from each anchor, without restarts; EAO, accuracy and robustness.

Only the official toolkit's arithmetic exists.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation import multistart
from pysot.toolkit.evaluation.runs import Run, RunScore, score_runs
from pysot.toolkit.protocol import Protocol, Task
from pysot.toolkit.protocols.shared import check_settings, run_report, run_task
from pysot.toolkit.results.files import load_run
from pysot.toolkit.results.paths import anchor_file, anchor_files
from pysot.toolkit.tracking.step import is_usable


def tasks(dataset: Dataset, sequence: Sequence, tracker_dir: Path, experiment: str = "baseline") -> list[Task]:
    """Return one run from each anchor; a tracker of masks is scored by them where the ground truth has masks."""
    return [
        run_task(
            sequence.run_from(frame, backwards),
            anchor_file(tracker_dir, sequence.name, frame, experiment, sequence.similar_names),
            with_mask=bool(sequence.masks),
        )
        for frame, backwards in sequence.anchors
    ]


def load_starts(
    dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str], experiment: str = "baseline"
) -> list[Run]:
    """Load the run from each anchor. Raises ResultError."""
    runs, files = [], anchor_files(tracker_dir, sequence.name, experiment, sequence.similar_names)
    for frame, backwards in sequence.anchors:
        path = files.get(frame) or anchor_file(tracker_dir, sequence.name, frame, experiment, sequence.similar_names)
        trajectory = load_run(path, frame + 1 if backwards else len(sequence) - frame)
        runs.append(Run(sequence.run_from(frame, backwards), trajectory, frame, backwards))
    return runs


def measure(dataset: Dataset, results: dict[str, list[Run]], mode: str) -> dict[str, Any]:
    """Return EAO, accuracy and robustness, and the expected overlap by length, as fields of a RunScore."""
    settings = dataset.settings
    assert settings is not None  # `check` requires them
    all_runs, scores, videos = [], [], {}
    for sequence in dataset.sequences:
        runs = [multistart.AnchorRun(run.overlap, _visible(run.sequence)) for run in results[sequence.name]]
        scores.append(multistart.sequence_score(runs, len(sequence)))
        videos[sequence.name] = {"accuracy": scores[-1].accuracy, "robustness": scores[-1].robustness}
        all_runs += runs
    curve = multistart.expected_overlap(all_runs, settings.high)
    accuracy, robustness = multistart.accuracy_robustness(scores)
    numbers = {
        "eao": multistart.expected_average_overlap(curve, settings.low, settings.high),
        "accuracy": accuracy,
        "robustness": robustness,
    }
    return {"numbers": numbers, "videos": videos, "curve_x": np.arange(settings.high), "curve": curve}


def _visible(sequence: Sequence) -> np.ndarray:
    """Return in which frames (N,) a tracker can miss the target: a mask needs two rows and two columns for that."""
    smallest = [1 if frame in sequence.masks else 0 for frame in range(len(sequence))]
    regions = zip(sequence.ground_truth, smallest, strict=True)
    return np.array([is_usable(truth) and (len(truth) == 8 or min(truth[2:]) > size) for truth, size in regions])


def check(dataset: Dataset) -> None:
    """Raise ValueError for a set without settings, or with a sequence without anchors."""
    check_settings(dataset)
    without_anchors = [sequence.name for sequence in dataset.sequences if not sequence.anchors]
    if without_anchors:
        raise ValueError(
            f"data set {dataset.name} is tracked from anchors, but these sequences have none: "
            f"{', '.join(without_anchors)} (anchor.value: 1 or -1 on the lines of start frames, else 0)"
        )


MULTI_START = Protocol(
    name="many starts",
    dataset_protocols=("multistart",),
    experiment="baseline",
    tasks=tasks,
    load=load_starts,
    score=partial(score_runs, measure),
    score_class=RunScore,
    report=run_report("expected overlap by length in frames"),
    check=check,
    is_default=True,
    has_binary=True,
)
