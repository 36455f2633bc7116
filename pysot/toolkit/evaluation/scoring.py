"""Score trackers on a data set, whatever its protocol, in one process or several."""

import functools
from collections.abc import Callable

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.evaluation.evaluate_runs import KINDS, RunScores, evaluate_runs, kind_of
from pysot.toolkit.evaluation.one_pass import OpeScores, evaluate_one_pass_tracker
from pysot.toolkit.evaluation.ope_official import rule_of
from pysot.toolkit.evaluation.supervised import Scores, evaluate_tracker
from pysot.utils.processes import map_in_processes
from pysot.utils.registry import lookup

AnyScores = Scores | OpeScores | RunScores
MODES = {"pysot": "pysot", "official": "official", "vot": "official", "both": "both"}  # by the names that they may have


def mode_of(name: str) -> str:
    """"pysot", "official" or "both". Raises ValueError for another name than those of MODES."""
    return lookup(MODES, name, key="mode")


def score_trackers(dataset: Dataset, tracker_dirs: list, workers: int = 1, on_done: Callable[[str], None] | None = None, experiment: str | None = None,
                   mode: str = "pysot", partial: bool = False) -> AnyScores:
    """Score all folders in `workers` processes if more than one; on_done(name) is called after each tracker.

    `experiment` is one of the set's, by default its usual one; `mode` "pysot", "official" (or "vot") or "both": with the latter two there are the scores of
    the set's own toolkit as well, where they differ. `partial`: trackers are scored on the videos they have usable results for. Raises ValueError for an
    experiment the set does not have.
    """
    mode = mode_of(mode)
    if workers < 1:
        raise ValueError(f"needs at least one worker process, got {workers}")
    experiment = dataset.experiment(experiment)
    kind = kind_of(dataset, experiment)
    if dataset.one_pass:
        rule = rule_of(dataset)
        remarks = (*dataset.remarks, *((rule.remark,) if rule.remark and mode != "pysot" else ()))
        score_one = functools.partial(evaluate_one_pass_tracker, dataset, partial=partial, mode=mode)
        collect = functools.partial(OpeScores, dataset.name, remarks=remarks, difference=rule.difference)
    elif kind:
        score_one = functools.partial(evaluate_runs, dataset, experiment=experiment, mode=mode, partial=partial)
        collect = functools.partial(RunScores, dataset.name, kind, KINDS[kind][1])
    else:
        score_one = functools.partial(evaluate_tracker, dataset, experiment=experiment, mode=mode, partial=partial)
        collect = functools.partial(Scores, dataset.name)
    scores = []
    for score in map_in_processes(score_one, tracker_dirs, min(workers, len(tracker_dirs))):
        scores.append(score)
        if on_done:
            on_done(score.name)
    return collect(scores)
