"""Long-term sets: one run with the tracker's confidence in each frame; F1, precision and recall."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.longterm import LongTermScore, Video, long_term_score
from pysot.toolkit.evaluation.runs import UNBOUNDED, Run, RunScore, score_runs
from pysot.toolkit.protocol import Protocol
from pysot.toolkit.protocols.shared import run_report, single_run_tasks
from pysot.toolkit.region.raster import corners_of, overlaps, region_table
from pysot.toolkit.results.files import load_run
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.paths import vot_files

NAME = "longterm"


def load(dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str]) -> list[Run]:
    """Load all repetitions; the first one must have confidences. Raises ResultError."""
    files = vot_files(tracker_dir, sequence.name, NAME, sequence.similar_names)
    runs = [load_run(path, len(sequence)) for path in files]
    if runs[0].masks:
        raise ResultError(f"{files[0]} has masks, which long-term scores do not support; track with boxes")
    if runs[0].confidence is None:
        missing = files[0].with_name(f"{files[0].stem}_confidence.value")
        raise ResultError(f"no result file {missing}: long-term scores need the tracker's confidence in each frame")
    return [Run(sequence, run) for run in runs]


def measure(dataset: Dataset, results: dict[str, list[Run]], mode: str) -> dict[str, Any]:
    """Return F1, precision and recall, and precision by recall, as fields of a RunScore."""
    runs = {sequence.name: results[sequence.name][0] for sequence in dataset.sequences}
    official_videos = [_video(run, run.overlap) for run in runs.values()] if mode != "pysot" else []
    pysot_videos = [_video(run, _pysot_overlaps(run)) for run in runs.values()]
    score = long_term_score(pysot_videos, official=False)
    fields: dict[str, Any] = {
        "numbers": _f1(score),
        "videos": _by_video(runs, pysot_videos, official=False),
        "curve_x": score.recalls,
        "curve": score.precisions,
    }
    if official_videos:
        fields["official"] = _f1(long_term_score(official_videos, official=True))
        fields["official_videos"] = _by_video(runs, official_videos, official=True)
    return fields


def _by_video(runs: dict[str, Run], videos: list[Video], official: bool) -> dict[str, dict[str, float]]:
    return {name: _f1(long_term_score([video], official)) for name, video in zip(runs, videos, strict=True)}


def _f1(score: LongTermScore) -> dict[str, float]:
    return {"f1": score.f1, "precision": score.precision, "recall": score.recall}


def _video(run: Run, overlap: np.ndarray) -> Video:
    assert run.trajectory.confidence is not None  # `load` requires it
    visible = int(np.isfinite(region_table(run.sequence.ground_truth)[:, :4]).all(axis=1).sum())
    return Video(overlap, run.trajectory.confidence, visible)


def _pysot_overlaps(run: Run) -> np.ndarray:
    width, height = run.sequence.width or UNBOUNDED, run.sequence.height or UNBOUNDED
    return overlaps(corners_of(run.trajectory.regions), run.sequence.corners, width, height)


LONG_TERM = Protocol(
    name="long-term",
    dataset_protocols=("longterm",),
    experiment=NAME,
    tasks=partial(single_run_tasks, experiment=NAME, confidence=True),
    load=load,
    score=partial(score_runs, measure),
    score_class=RunScore,
    report=run_report("precision by recall"),
    is_default=True,
    has_binary=True,
)
