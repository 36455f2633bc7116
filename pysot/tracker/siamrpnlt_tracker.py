"""The long-term tracker of DaSiamRPN and SiamRPN++: while the score is low, look in a larger crop and leave the box where it was."""

import numpy as np

from pysot.tracker.siamrpn_tracker import SiamRPNTracker
from pysot.utils.image import as_bgr


class SiamRPNLTTracker(SiamRPNTracker):
    """As SiamRPNTracker; `longterm_state` is True while the target counts as lost."""

    longterm_state = False

    def init(self, img: np.ndarray, bbox) -> None:
        """Take the target from a frame and its box xywh; it counts as found."""
        super().init(img, bbox)
        self.longterm_state = False

    def track(self, img: np.ndarray) -> dict:
        """As the short-term tracker; a score below `confidence_low` keeps the last box, one above `confidence_high` ends the loss."""
        s, img = self.settings, as_bgr(img)
        best = self._search(img, s.lost_instance_size if self.longterm_state else s.instance_size)
        if best.score >= s.confidence_low:
            self._move(best, img.shape[:2])
            self.longterm_state = self.longterm_state and best.score <= s.confidence_high
        else:
            self.longterm_state = True
        return self._answer(best)
