"""Scoring of trackers on a data set of any protocol, in one process or several."""

import functools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.evaluation.loading import load_results
from pysot.toolkit.protocol import Protocol, Scores, TrackerScore, mode_of
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.results.parts import read_parts
from pysot.utils.processes import map_in_processes
from pysot.utils.progress import Bar, no_bar


def score_trackers(
    dataset: Dataset,
    tracker_dirs: Sequence[str | os.PathLike],
    workers: int = 1,
    bar: Bar = no_bar,
    experiment: str | None = None,
    mode: str = "pysot",
    partial: bool = False,
    with_timelines: bool = False,
) -> Scores:
    """Score all folders, in `workers` processes if more than one.

    `bar` shows the trackers if there are several, and in one process the sequences of each.
    `experiment` is one of the set's, by default its default one. `mode` is "pysot", "official" (or "vot") or "both";
    the last two add the scores of the set's own toolkit where they differ. `partial`: trackers are scored on the videos
    they have usable results for. `with_timelines`: the scores include the trackers' timelines on each sequence, for
    reports and figures. Raises ValueError for an experiment the set does not have.
    """
    mode, protocol = mode_of(mode), find_protocol(dataset, experiment)
    if workers < 1:
        raise ValueError(f"needs at least one worker process, got {workers}")
    count = len(tracker_dirs)
    inner = bar if min(workers, count) <= 1 else no_bar  # a bar cannot be sent to processes
    score_one = functools.partial(_score, protocol, dataset, mode, partial, with_timelines, inner)
    scores = map_in_processes(score_one, tracker_dirs, min(workers, count))
    return Scores(dataset, protocol, list(bar(scores, total=count, description="trackers") if count > 1 else scores))


def evaluate_tracker(
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    experiment: str | None = None,
    mode: str = "pysot",
    partial: bool = False,
) -> TrackerScore:
    """Score one tracker's folder, as `score_trackers` does.

    Missing or damaged results are reported in `problems`, not raised.
    """
    return score_trackers(dataset, [tracker_dir], experiment=experiment, mode=mode, partial=partial).trackers[0]


def _score(
    protocol: Protocol,
    dataset: Dataset,
    mode: str,
    partial: bool,
    with_timelines: bool,
    bar: Bar,
    tracker_dir: str | os.PathLike,
) -> TrackerScore:
    name = Path(os.path.abspath(tracker_dir)).name
    try:
        parts = read_parts(tracker_dir, protocol.experiment)
    except ValueError as error:
        return protocol.score_class(name=name, problems=(str(error),))
    if mixture := parts.mixture():
        return protocol.score_class(name=name, problems=(mixture,))

    def explain(problems: dict[str, str]) -> list[str]:
        return parts.explain(dataset, problems, _without_result(protocol, dataset, tracker_dir))

    load_notes: list[str] = []
    loaded = load_results(
        dataset,
        lambda sequence: protocol.load(dataset, sequence, Path(tracker_dir), load_notes),
        partial,
        functools.partial(bar, description=name),
        explain,
    )
    if loaded.problems:
        return protocol.score_class(name=name, problems=loaded.problems)
    try:
        score = protocol.score(loaded.dataset, loaded.results, mode, with_timelines)
    except ValueError as error:
        return protocol.score_class(name=name, problems=(str(error),))
    notes = tuple(dict.fromkeys((*load_notes, *score.notes, *loaded.notes)))
    return replace(score, name=name, notes=notes, coverage=loaded.coverage)


def _without_result(protocol: Protocol, dataset: Dataset, tracker_dir: str | os.PathLike) -> set[str]:
    """Return the names of the sequences that have no result at all."""
    return {
        sequence.name
        for sequence in dataset.sequences
        if not any(
            protocol.written_result(task).exists() for task in protocol.tasks(dataset, sequence, Path(tracker_dir))
        )
    }
