"""Trackers of networks without anchors: SiamBAN (Chen et al., 2020) and NanoTrack.

They differ from those with anchors in the decoding of boxes only, see `frame_maths.decode_distances`.
"""

from pysot.tracker.siamrpn_tracker import SiamRPNTracker
from pysot.tracker.siamrpnlt_tracker import SiamRPNLTTracker


class SiamBANTracker(SiamRPNTracker):
    """SiamRPNTracker of a network without anchors."""

    points = True


class SiamBANLTTracker(SiamBANTracker, SiamRPNLTTracker):
    """SiamBANTracker with a lost state, see `BatchTracker`."""
