"""Long-term tracker of DaSiamRPN and SiamRPN++: at low confidence it searches a larger crop and keeps the last box."""

from pysot.tracker.siamrpn_tracker import SiamRPNTracker


class SiamRPNLTTracker(SiamRPNTracker):
    """SiamRPNTracker with a lost state, see `BatchTracker`."""

    long_term = True

    @property
    def longterm_state(self) -> bool:
        """True while the target counts as lost."""
        return bool(self.batch.lost[0])
