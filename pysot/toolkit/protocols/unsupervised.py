"""VOT's unsupervised experiment: one run without restarts; mean overlap. There is the official toolkit's arithmetic only."""

from functools import partial
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.loading import repetition_notes
from pysot.toolkit.evaluation.runs import Run, RunScore, score_runs
from pysot.toolkit.protocol import Protocol
from pysot.toolkit.protocols.shared import needs_settings, one_run, run_report
from pysot.toolkit.region.raster import region_table
from pysot.toolkit.results.files import load_run, vot_files
from pysot.toolkit.results.trajectory import START

NAME = "unsupervised"


def load(dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str]) -> list[Run]:
    """All repetitions. Raises ResultError."""
    return [
        Run(sequence, load_run(path, len(sequence)))
        for path in vot_files(tracker_dir, sequence.name, NAME, sequence.alike)
    ]


def measure(dataset: Dataset, results: dict[str, list[Run]], mode: str) -> dict:
    """Mean overlap of the frames `burn_in` or more after the first, videos weighed by their length, and the share of frames above an overlap; parts of a
    RunScore.
    """
    burn_in = 1 if dataset.protocol == "multistart" else dataset.settings.burn_in
    videos, everything = {}, []
    for sequence in dataset.sequences:
        means = []
        for run in results[sequence.name]:
            regions, codes = run.trajectory.regions, run.trajectory.codes
            counts = np.isfinite(regions[:, :4]).all(axis=1) & np.isfinite(
                region_table(sequence.ground_truth)[:, :4]
            ).all(axis=1)
            counts[: burn_in if codes[0] == START else 0] = False
            overlap = run.overlap[counts]
            means.append(float(overlap.mean()) if len(overlap) else 0.0)
            everything.append(overlap)
        videos[sequence.name] = {"accuracy": float(np.mean(means))}
    accuracy = np.average(
        [video["accuracy"] for video in videos.values()], weights=[len(sequence) for sequence in dataset.sequences]
    )
    at, together = np.linspace(0, 1, 101), np.sort(np.concatenate(everything))
    above = 1 - np.searchsorted(together, at, side="right") / max(1, len(together))
    notes = tuple(repetition_notes(map(len, results.values())))
    return {"numbers": {"accuracy": float(accuracy)}, "videos": videos, "at": at, "curve": above, "notes": notes}


UNSUPERVISED = Protocol(
    name="unsupervised",
    sets=("supervised", "multistart"),
    experiment=NAME,
    tasks=partial(one_run, experiment=NAME),
    load=load,
    score=partial(score_runs, measure),
    score_class=RunScore,
    report=run_report("share of frames above an overlap"),
    check=needs_settings,
)
