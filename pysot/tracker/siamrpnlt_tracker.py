"""Long-term tracker of DaSiamRPN and SiamRPN++: at low confidence it searches a larger crop and keeps the last box."""

from pysot.tracker.one_target import LongTermTracker
from pysot.tracker.siamrpn_tracker import SiamRPNTracker


class SiamRPNLTTracker(LongTermTracker, SiamRPNTracker):
    """SiamRPNTracker with a lost state, see `BatchTracker`."""

    long_term = True
