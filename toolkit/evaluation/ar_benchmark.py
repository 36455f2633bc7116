"""Accuracy and robustness with the interface of the original's AccuracyRobustnessBenchmark."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pysot.toolkit.evaluation.accuracy_robustness import nanmean, video_score
from pysot.toolkit.report.text_tables import number
from toolkit.datasets.dataset import Dataset
from toolkit.evaluation.trajectories import FEWER_THAN, LISTED, print_table, print_videos, runs_of, tracker_names


class AccuracyRobustnessBenchmark:
    """Overlaps and losses on a supervised VOT set. The first `burnin` frames after a start do not count."""

    def __init__(self, dataset: Dataset, burnin: int = 10) -> None:
        self.dataset, self.burnin = dataset, burnin

    def eval(self, eval_trackers: Sequence[str] | str | None = None) -> dict[str, dict[str, dict[str, list]]]:
        """Return {tracker: {"overlaps": {video: one per frame}, "failures": {video: losses of each repetition}}}.

        Overlaps are means over the repetitions, all of which count; NaN where no frame counts.
        """
        result = {}
        for tracker in tracker_names(self.dataset, eval_trackers):
            runs = runs_of(self.dataset, tracker)
            result[tracker] = {
                "overlaps": {name: video_score(group, self.burnin).overlap.tolist() for name, group in runs.items()},
                "failures": {name: [len(run.trajectory.failures) for run in group] for name, group in runs.items()},
            }
        return result

    def show_result(
        self,
        result: dict[str, dict[str, dict[str, list]]],
        eao_result: dict[str, dict[str, float]] | None = None,
        show_video_level: bool = False,
        helight_threshold: float = 0.5,
    ) -> None:
        """Print accuracy, losses per 100 frames, losses and with `eao_result` EAO; the best EAO is first.

        With `show_video_level` also each video, red below `helight_threshold` and where the target was lost.
        """
        names = list(result)
        if eao_result is not None:
            names = sorted(eao_result, key=lambda name: eao_result[name]["all"], reverse=True)[:LISTED]
        rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", *(["EAO"] if eao_result else [])]]
        for name in names:
            accuracy, robustness, lost = _means(result[name])
            eao = [number(eao_result[name]["all"], 3)] if eao_result else []
            rows.append([name, number(accuracy, 3), number(robustness, 3), number(lost, 1), *eao])
        print_table(rows)
        if show_video_level and len(result) < FEWER_THAN:
            videos = {name: _by_video(result[name]) for name in result}
            print_videos(("Acc", "LN"), videos, (lambda value: value < helight_threshold, lambda value: value > 0))


def _means(result: dict[str, dict[str, list]]) -> tuple[float, float, float]:
    overlaps = np.concatenate([np.asarray(values, np.float64) for values in result["overlaps"].values()])
    lost = sum(float(np.mean(losses)) for losses in result["failures"].values())
    return float(nanmean(overlaps)), lost / len(overlaps) * 100, lost


def _by_video(result: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    return {
        video: (float(nanmean(np.asarray(overlaps))), float(np.mean(result["failures"][video])))
        for video, overlaps in result["overlaps"].items()
    }
