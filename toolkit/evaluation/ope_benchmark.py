"""One-pass evaluation with the interface of the original's OPEBenchmark."""

from collections.abc import Sequence

import numpy as np

from pysot.toolkit.evaluation.one_pass import axis_aligned_boxes
from pysot.toolkit.evaluation.ope import AT_PIXELS, Curves, centres_of, measure_video
from pysot.toolkit.report.text_tables import number
from toolkit.datasets.dataset import Dataset
from toolkit.evaluation.trajectories import (
    FEWER_THAN,
    LISTED,
    print_table,
    print_videos,
    results_of,
    tracker_names,
)

Result = dict[str, dict[str, np.ndarray]]


class OPEBenchmark:
    """Success, precision and normalised precision on a one-pass set.

    Each `eval_*` returns {tracker: {video: curve}}, shares of the frames at the thresholds of `pysot.toolkit`'s `ope`.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def convert_bb_to_center(self, bboxes: np.ndarray) -> np.ndarray:
        """Return the centres (N, 2) of boxes (N, 4) xywh of pixels."""
        return centres_of(bboxes)

    def convert_bb_to_norm_center(self, bboxes: np.ndarray, gt_wh: np.ndarray) -> np.ndarray:
        """Return the centres (N, 2) as shares of the sizes (N, 2) of the true boxes."""
        return centres_of(bboxes) / (gt_wh + 1e-16)

    def eval_success(self, eval_trackers: Sequence[str] | str | None = None) -> Result:
        """Return the shares of frames with an overlap above 0, 0.05, ..., 1: (21,)."""
        return self._curves(eval_trackers, "success")

    def eval_precision(self, eval_trackers: Sequence[str] | str | None = None) -> Result:
        """Return the shares of frames whose centres are at most 0, 1, ..., 50 pixels apart: (51,)."""
        return self._curves(eval_trackers, "precision")

    def eval_norm_precision(self, eval_trackers: Sequence[str] | str | None = None) -> Result:
        """Return the same for distances of 0, 0.01, ..., 0.5 of the target's size: (51,)."""
        return self._curves(eval_trackers, "norm_precision")

    def _curves(self, eval_trackers: Sequence[str] | str | None, name: str) -> Result:
        return {
            tracker: {video.name: getattr(self._measure(video.name, tracker), name) for video in self.dataset}
            for tracker in tracker_names(self.dataset, eval_trackers)
        }

    def _measure(self, name: str, tracker: str) -> Curves:
        video = self.dataset[name]
        truth = axis_aligned_boxes([np.asarray(region, np.float64) for region in video.gt_traj])
        boxes = np.asarray(results_of(self.dataset, video, tracker), np.float64)
        if boxes.shape != truth.shape:
            raise ValueError(f"{tracker}, {name}: expected boxes x,y,width,height {truth.shape}, got {boxes.shape}")
        absent = getattr(video, "absent", None)
        return measure_video(truth, boxes, None if absent is None else np.asarray(absent) == 1)

    def show_result(
        self,
        success_ret: Result,
        precision_ret: Result | None = None,
        norm_precision_ret: Result | None = None,
        show_video_level: bool = False,
        helight_threshold: float = 0.6,
    ) -> None:
        """Print success, normalised precision at 0.2 and precision at 20 pixels; the best success is first.

        With `show_video_level` and `precision_ret` also each video, red below `helight_threshold`.
        """
        success = {name: float(np.mean(list(videos.values()))) for name, videos in success_ret.items()}
        rows = [["Tracker name", "Success", "Norm Precision", "Precision"]]
        for name in sorted(success, key=lambda name: success[name], reverse=True)[:LISTED]:
            others = (_at_threshold(result, name) for result in (norm_precision_ret, precision_ret))
            rows.append([name, number(success[name], 3), *(number(value, 3) for value in others)])
        print_table(rows)
        if show_video_level and precision_ret is not None and len(success_ret) < FEWER_THAN:
            videos = {
                name: {video: (curve.mean(), precision_ret[name][video].mean()) for video, curve in by_video.items()}
                for name, by_video in success_ret.items()
            }
            print_videos(("success", "precision"), videos, (lambda value: value < helight_threshold,) * 2)


def _at_threshold(result: Result | None, tracker: str) -> float:
    """Return the mean over videos at 20 pixels, or at 0.2 of the target's size; NaN if it was not computed."""
    return float("nan") if result is None else float(np.mean(list(result[tracker].values()), axis=0)[AT_PIXELS])
