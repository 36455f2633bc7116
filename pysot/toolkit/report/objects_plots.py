"""Describe the plot of scores of masks of objects."""

import numpy as np

from pysot.toolkit.content.plot import POINTS, Panel, Plot, Series
from pysot.toolkit.evaluation.objects import THRESHOLDS, ObjectsScore
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.score_plots import check_some
from pysot.toolkit.report.score_types import scored_as


def objects_plots(scores: Scores, official: bool) -> list[Plot]:
    """Return F against J of each tracker, and its shares of frames above a J and above an F, side by side.

    J&F is in the legend. Raises ValueError without trackers.
    """
    scored = scored_as(scores, ObjectsScore)
    check_some(scored)
    title = scores.dataset.name
    dots = tuple(
        Series(
            score.name,
            place,
            np.array([score.all.j.mean]),
            np.array([score.all.f.mean]),
            f"{score.name} [{score.rank_by:.3f}]",
            POINTS,
        )
        for place, score in enumerate(scored)
    )
    panels = [
        Panel(f"{title}: J, F", "J: mean overlap of masks", "F: mean match of boundaries", dots, y_range=(None, None))
    ]
    for name in ("J", "F"):
        curves = tuple(Series(score.name, place, THRESHOLDS, score.curves[name]) for place, score in enumerate(scored))
        panels.append(
            Panel(
                f"{title}: frames above a threshold of {name}",
                f"threshold of {name}",
                "share of frames",
                curves,
                x_range=(0.0, 1.0),
            )
        )
    return [Plot("scores", tuple(panels), (15, 4.8))]
