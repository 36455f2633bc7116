"""Tracker of SiamMask: the target's mask and the rotated box around it. Paper: Wang et al., 2019."""

from pysot.tracker.one_target import MaskTracker
from pysot.tracker.siamrpn_tracker import SiamRPNTracker


class SiamMaskTracker(MaskTracker, SiamRPNTracker):
    """SiamRPNTracker that also returns masks. Its network has a mask branch with refinement."""

    masks = True
