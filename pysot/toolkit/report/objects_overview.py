"""First tables of an HTML report on masks of objects: ranking, and the values of the objects."""

from pysot.toolkit.content.page_tables import PageTable, page_table, tracker_cell
from pysot.toolkit.evaluation.objects import MaskScore, ObjectsScore
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.objects_tables import COLUMNS, values_of
from pysot.toolkit.report.score_types import scored_as


def objects_overview(scores: Scores) -> list[PageTable]:
    """Return ranking, and the values of each object of each tracker."""
    scored = scored_as(scores, ObjectsScore)
    ranking = [[tracker_cell(score.name, place), *values_of(score.all)] for place, score in enumerate(scored)]
    names = list(dict.fromkeys(name for score in scored for name in score.objects))
    head = ["object", *(f"{score.name} {column}" for score in scored for column in COLUMNS)]
    rows: list[list[object]] = []
    for name in names:
        own = [score.objects.get(name, MaskScore()) for score in scored]
        rows.append([name, *(value for score in own for value in values_of(score))])
    return [
        page_table("Ranking", ["tracker", *COLUMNS], ranking),
        page_table("Objects", head, rows),
    ]
