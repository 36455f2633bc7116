"""First part of an HTML report on masks of objects: ranking, curves, and a table of the objects."""

from pysot.toolkit.evaluation.objects import THRESHOLDS, MaskScore, ObjectsScore
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report import html_parts as parts
from pysot.toolkit.report.objects_tables import COLUMNS, values_of
from pysot.toolkit.report.overviews import named_cell
from pysot.toolkit.report.score_types import scored_as


def objects_overview(scores: Scores, colours: dict[str, str]) -> str:
    """Return ranking, the shares of frames above a J and above an F, and the values of each object."""
    scored = scored_as(scores, ObjectsScore)
    rows = [[named_cell(score.name, colours), *values_of(score.all)] for score in scored]
    charts = "".join(
        parts.chart(
            [(THRESHOLDS, score.curves[name], colours[score.name]) for score in scored],
            f"share of the frames of all objects above a {name}",
            height=200,
        )
        for name in ("J", "F")
    )
    return (
        f"<h2>Ranking</h2>{parts.table(['tracker', *COLUMNS], rows)}"
        f"<h2>Curves</h2>{parts.keys(colours.items())}{charts}{_object_table(scored)}"
    )


def _object_table(scored: list[ObjectsScore]) -> str:
    """Return the values of each object of each tracker."""
    names = list(dict.fromkeys(name for score in scored for name in score.objects))
    header = ["object", *(f"{score.name} {column}" for score in scored for column in COLUMNS)]
    rows: list[list[object]] = []
    for name in names:
        own = [score.objects.get(name, MaskScore()) for score in scored]
        rows.append([name, *(value for score in own for value in values_of(score))])
    return f"<h2>Objects</h2>{parts.table(header, rows)}"
