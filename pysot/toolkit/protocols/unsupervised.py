"""VOT's unsupervised experiment: one run without restarts; mean overlap.

Only the official toolkit's arithmetic exists.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.loading import repetition_notes
from pysot.toolkit.evaluation.runs import Run, RunScore, score_runs
from pysot.toolkit.protocol import Protocol
from pysot.toolkit.protocols.shared import check_settings, run_report, single_run_tasks
from pysot.toolkit.region.raster import region_table
from pysot.toolkit.results.files import load_run
from pysot.toolkit.results.paths import vot_files
from pysot.toolkit.results.trajectory import START

NAME = "unsupervised"


def load(dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str]) -> list[Run]:
    """Load all repetitions. Raises ResultError."""
    return [
        Run(sequence, load_run(path, len(sequence)))
        for path in vot_files(tracker_dir, sequence.name, NAME, sequence.similar_names)
    ]


def measure(dataset: Dataset, results: dict[str, list[Run]], mode: str) -> dict[str, Any]:
    """Return the mean overlap, and the share of frames above an overlap, as fields of a RunScore.

    Frames count from `burn_in` after the first. Videos weigh by their length.
    """
    burn_in = _burn_in(dataset)
    videos, all_overlaps = {}, []
    for sequence in dataset.sequences:
        means = []
        for run in results[sequence.name]:
            overlap = _counted_overlap(run, burn_in)
            means.append(float(overlap.mean()) if len(overlap) else 0.0)
            all_overlaps.append(overlap)
        videos[sequence.name] = {"accuracy": float(np.mean(means))}
    accuracy = np.average(
        [video["accuracy"] for video in videos.values()], weights=[len(sequence) for sequence in dataset.sequences]
    )
    thresholds, ordered = np.linspace(0, 1, 101), np.sort(np.concatenate(all_overlaps))
    shares_above = 1 - np.searchsorted(ordered, thresholds, side="right") / max(1, len(ordered))
    return {
        "numbers": {"accuracy": float(accuracy)},
        "videos": videos,
        "curve_x": thresholds,
        "curve": shares_above,
        "notes": tuple(repetition_notes(map(len, results.values()))),
    }


def _burn_in(dataset: Dataset) -> int:
    if dataset.protocol == "multistart":
        return 1
    assert dataset.settings is not None  # the protocol's check requires them
    return dataset.settings.burn_in


def _counted_overlap(run: Run, burn_in: int) -> np.ndarray:
    """Return the overlaps of the frames after the burn-in where both tracker and ground truth have a region.

    A mask without pixels is one.
    """
    regions, truth = run.trajectory.regions, region_table(run.sequence.ground_truth)
    has_truth = np.isfinite(truth[:, :4]).all(axis=1)
    has_truth[[*run.sequence.masks]] = True
    counts = np.isfinite(regions[:, :4]).all(axis=1) & has_truth
    counts[: burn_in if run.trajectory.codes[0] == START else 0] = False
    return run.overlap[counts]


UNSUPERVISED = Protocol(
    name="unsupervised",
    dataset_protocols=("supervised", "multistart"),
    experiment=NAME,
    tasks=partial(single_run_tasks, experiment=NAME),
    load=load,
    score=partial(score_runs, measure),
    score_class=RunScore,
    report=run_report("share of frames above an overlap"),
    check=check_settings,
    has_binary=True,
)
