"""Long-term tracker of DaSiamRPN and SiamRPN++: at low confidence it searches a larger crop and keeps the last box."""

from collections.abc import Sequence

import numpy as np

from pysot.tracker.siamrpn_tracker import SiamRPNTracker
from pysot.utils.image import as_bgr


class SiamRPNLTTracker(SiamRPNTracker):
    """SiamRPNTracker with a lost state: `longterm_state` is True while the target counts as lost."""

    longterm_state = False

    def init(self, img: np.ndarray, bbox: Sequence[float] | np.ndarray) -> None:
        """Start on a frame and the target box xywh; the target counts as found."""
        super().init(img, bbox)
        self.longterm_state = False

    def track(self, img: np.ndarray) -> dict:
        """Find the target in the next frame, with the output of the short-term tracker.

        A confidence below `confidence_low` keeps the last box and marks the target as lost; a confidence above
        `confidence_high` marks it as found.
        """
        s = self.settings
        img = as_bgr(img)
        best = self._search(img, s.lost_instance_size if self.longterm_state else s.instance_size)
        if best.confidence >= s.confidence_low:
            self._update_target(best, img.shape[:2])
            self.longterm_state = self.longterm_state and best.confidence <= s.confidence_high
        else:
            self.longterm_state = True
        return self._output(best)
