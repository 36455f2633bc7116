"""Long-term evaluation with the interface of the original's F1Benchmark."""

from collections.abc import Sequence

import numpy as np

from pysot.toolkit.report.text_tables import number
from toolkit.datasets.dataset import Dataset
from toolkit.evaluation.trajectories import FEWER_THAN, LISTED, print_table, print_videos, results_of, tracker_names
from toolkit.utils.statistics import calculate_accuracy, calculate_f1, determine_thresholds

Result = dict[str, dict[str, dict[str, np.ndarray]]]
_COLUMNS = ("Precision", "Recall", "F1")


class F1Benchmark:
    """Precision, recall and F1 on a long-term set, by threshold of the confidence."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def eval(self, eval_trackers: Sequence[str] | str | None = None) -> Result:
        """Return {tracker: {"precision", "recall" and "f1": {video: one value per threshold, the highest first}}}."""
        return {tracker: self._measure(tracker) for tracker in tracker_names(self.dataset, eval_trackers)}

    def _measure(self, tracker: str) -> dict[str, dict[str, np.ndarray]]:
        loaded = {video.name: self._results(video.name, tracker) for video in self.dataset}
        confidences = np.concatenate([np.asarray(confidence, np.float64) for _, confidence in loaded.values()])
        thresholds = determine_thresholds(confidences)[::-1]
        result: dict[str, dict[str, np.ndarray]] = {"precision": {}, "recall": {}, "f1": {}}
        for name, (regions, confidence) in loaded.items():
            video = self.dataset[name]
            visible = sum(len(region) > 1 for region in video.gt_traj)
            overlaps = calculate_accuracy(regions, video.gt_traj, bound=(video.width, video.height))[1]
            f1, precision, recall = calculate_f1(overlaps, confidence, None, thresholds, visible)
            for key, values in (("precision", precision), ("recall", recall), ("f1", f1)):
                result[key][name] = values
        return result

    def _results(self, name: str, tracker: str) -> tuple[list, list]:
        video = self.dataset[name]
        confidence = getattr(video, "confidence", None)  # of VOTLTVideo, and of videos like it
        if confidence is None:
            raise TypeError(f"{self.dataset.name}: F1 needs videos of a long-term set, got {name}")
        if tracker in video.pred_trajs and tracker not in confidence:
            raise ValueError(f"{tracker}, {name}: pred_trajs is set, but confidence[{tracker!r}] is not; F1 needs both")
        if tracker in video.pred_trajs:
            return video.pred_trajs[tracker], confidence[tracker]
        regions, confidence = results_of(self.dataset, video, tracker)
        return regions, confidence

    def show_result(self, result: Result, show_video_level: bool = False, helight_threshold: float = 0.5) -> None:
        """Print the best F1 of each tracker with its precision and recall; with `show_video_level` of each video."""
        best = {}
        for name, scores in result.items():
            precision, recall = (np.mean(list(scores[key].values()), axis=0) for key in ("precision", "recall"))
            best[name] = _best(precision, recall)
        names = sorted(best, key=lambda name: best[name][2], reverse=True)[:LISTED]
        rows = [[name, *(number(value, 3) for value in best[name])] for name in names]
        print_table([["Tracker Name", *_COLUMNS], *rows])
        if show_video_level and len(result) < FEWER_THAN:
            videos = {
                name: {
                    video: _best(precision, scores["recall"][video]) for video, precision in scores["precision"].items()
                }
                for name, scores in result.items()
            }
            print_videos(_COLUMNS, videos, (lambda value: value < helight_threshold,) * 3)


def _best(precision: np.ndarray, recall: np.ndarray) -> tuple[float, float, float]:
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    index = int(np.argmax(f1))
    return float(precision[index]), float(recall[index]), float(f1[index])
