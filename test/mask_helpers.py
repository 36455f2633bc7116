"""Trackers of masks whose target does not move."""

import numpy as np

from pysot.tracker.target_mask import TargetMask

BOX = [60.0, 50, 60, 40]


def mask_of(box, is_wanted=True):
    """Return an ellipse that fills the box, in a square of 127 pixels around it."""
    ys, xs = np.mgrid[:127, :127] - 63
    probabilities = (np.hypot(xs / (box[2] / 2), ys / (box[3] / 2)) < 1).astype(np.float32)
    corner = [box[0] + box[2] / 2 - 63.5, box[1] + box[3] / 2 - 63.5]
    return TargetMask(probabilities, np.array([*corner, 127.0, 127.0]), (200, 150), 0.5, np.array(box), is_wanted)


class MaskTracker:
    """Tracker of masks whose target does not move."""

    def __init__(self, is_wanted=True):
        self.is_wanted = is_wanted

    def init(self, image, box_xywh):
        pass

    def track(self, image):
        mask = mask_of(BOX, self.is_wanted)
        polygon = mask.polygon().tolist()
        return {"bbox": BOX, "best_score": 0.5, "polygon": polygon, "target_mask": mask}


class MaskTrackerOfSlots:
    """The same for several targets."""

    slots = 2

    def __init__(self):
        self.failures, self.masks = {}, {}

    def start(self, slots, frames, boxes_xywh):
        pass

    def stop(self, slots):
        pass

    def track(self, frames):
        self.masks = {slot: mask_of(BOX) for slot, frame in enumerate(frames) if frame is not None}
        boxes, confidences = np.full((2, 4), np.nan), np.full(2, np.nan)
        boxes[[*self.masks]], confidences[[*self.masks]] = BOX, 0.5
        return boxes, confidences


def mask_tracker_of_worker(number):
    """Build the tracker of a worker thread or process."""
    return MaskTracker()
