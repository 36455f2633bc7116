"""One pass: the tracker starts on the first frame and continues to the last, with or without the target."""

import time
from collections.abc import Callable

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Tracker
from pysot.toolkit.results.trajectory import START, Trajectory
from pysot.toolkit.tracking.step import Step, is_usable, read_frame
from pysot.utils.bbox import init_box_from_region


def run_one_pass(
    tracker: Tracker,
    sequence: Sequence,
    on_frame: Callable[[Step], None] | None = None,
    with_start_code: bool = False,
) -> Trajectory:
    """Track one sequence from its first frame to the last.

    The first entry is the start box, or with `with_start_code` a 1. A non-finite region is replaced by the previous
    one. Errors as `run_supervised`.
    """
    truth = sequence.ground_truth[0]
    if not is_usable(truth):
        raise ValueError(f"sequence {sequence.name} has no ground truth in its first frame to start from")
    box = np.asarray(init_box_from_region(truth), np.float64)
    entries, seconds, confidence = [box], [], []
    for index in range(len(sequence)):
        image, outputs, began = read_frame(sequence, index), None, time.perf_counter()
        if index == 0:
            tracker.init(image, box)
        else:
            outputs = tracker.track(image)
        seconds.append(time.perf_counter() - began)
        confidence.append(np.nan if outputs is None else float(outputs.get("best_score", np.nan)))
        if outputs is not None:
            region = np.asarray(outputs["bbox"], np.float64).reshape(-1)
            if region.size != 4:
                raise ValueError(f"the tracker returned a box of {region.size} numbers, expected 4 (x, y, w, h)")
            entries.append(region if np.isfinite(region).all() else entries[-1])
        if on_frame:
            on_frame(Step(index, image, entries[-1], outputs))
    return Trajectory.from_frames([START, *entries[1:]] if with_start_code else entries, seconds, confidence)
