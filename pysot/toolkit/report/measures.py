"""Measures in the columns of the tables, and which direction of them is better."""

from pysot.toolkit.evaluation.objects import ObjectsScore
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import TrackerScore

# Of all other measures more is better. A name may mean two measures: robustness counts losses in runs with restarts,
# and is the share of frames before a failure in runs from several starts.
LESS_IS_BETTER: dict[type[TrackerScore], tuple[str, ...]] = {
    SupervisedScore: ("Robustness", "Lost Number", "LN"),
    ObjectsScore: ("J decay", "F decay"),
}


def less_is_better(score_class: type[TrackerScore], column: str) -> bool:
    """Return whether less is better in a column, whose head may also name an arithmetic after the measure."""
    return column.startswith(LESS_IS_BETTER.get(score_class, ()))
