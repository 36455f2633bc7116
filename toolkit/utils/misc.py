"""`determine_thresholds` of the original's `toolkit.utils.misc`."""

from toolkit.utils.statistics import determine_thresholds

__all__ = ["determine_thresholds"]
