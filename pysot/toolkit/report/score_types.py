"""Typed access to the scores of one protocol."""

from typing import TypeVar, cast

from pysot.toolkit.protocol import Scores, TrackerScore

Score = TypeVar("Score", bound=TrackerScore)


def trackers_as(scores: Scores, score_class: type[Score]) -> list[Score]:
    """Return the scores of all trackers, which are of the protocol's `score_class`."""
    return cast("list[Score]", scores.trackers)


def scored_as(scores: Scores, score_class: type[Score]) -> list[Score]:
    """Return the scores of the trackers that could be scored, which are of the protocol's `score_class`."""
    return cast("list[Score]", scores.scored)
