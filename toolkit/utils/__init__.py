"""Overlaps and statistics of the original's `toolkit.utils`."""

from toolkit.utils import region
from toolkit.utils.statistics import (
    calculate_accuracy,
    calculate_expected_overlap,
    calculate_f1,
    calculate_failures,
    determine_thresholds,
    overlap_ratio,
    success_error,
    success_overlap,
)

__all__ = [
    "calculate_accuracy",
    "calculate_expected_overlap",
    "calculate_f1",
    "calculate_failures",
    "determine_thresholds",
    "overlap_ratio",
    "region",
    "success_error",
    "success_overlap",
]
