"""First tables of an HTML report, by kind of scores: the ranking, which is the first one, and values by tag."""

from pysot.toolkit.content.page_tables import PageTable, by_name, count_cell, page_table, tracker_cell
from pysot.toolkit.evaluation.official import DIFFERENCE
from pysot.toolkit.evaluation.one_pass import OnePassScore
from pysot.toolkit.evaluation.ope_official import official_rule
from pysot.toolkit.evaluation.runs import RunScore
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.one_pass_tables import FIELDS, NAMES, official_fields, remarks_of
from pysot.toolkit.report.run_tables import ABOVE_ONE, HEADERS
from pysot.toolkit.report.run_tables import DIFFERENCE as RUNS_DIFFERENCE
from pysot.toolkit.report.score_types import scored_as
from pysot.toolkit.report.summary import tag_values
from pysot.toolkit.report.supervised_tables import eao_notes


def supervised_overview(scores: Scores) -> list[PageTable]:
    """Return ranking, and EAO, accuracy and losses by tag."""
    scored = scored_as(scores, SupervisedScore)
    accuracies = {score.name: {tag: accuracy for tag, (accuracy, _) in score.tags.items()} for score in scored}
    losses = {score.name: {tag: lost for tag, (_, lost) in score.tags.items()} for score in scored}
    head = ["tracker", "EAO", "accuracy", "robustness", "losses"]
    official = any(score.official for score in scored)
    if official:
        head += ["EAO vot", "accuracy vot", "robustness vot"]
    rows = []
    for place, score in enumerate(scored):
        row: list[object] = [tracker_cell(score.name, place), score.rank_by, score.accuracy, score.robustness]
        row.append(count_cell(score.lost))
        if score.official:
            row += [score.official.eao, score.official.accuracy, score.official.robustness]
        rows.append(row)
    notes = [*([f"{DIFFERENCE}."] if official else []), *(f"{note}." for note in eao_notes(scores))]
    return [
        page_table("Ranking", head, rows, notes),
        *_attributes(scores),
        *by_name("Accuracy by tag", accuracies),
        *by_name("Losses by tag", losses, count_cell),
    ]


def one_pass_overview(scores: Scores) -> list[PageTable]:
    """Return ranking, and a table by attribute."""
    scored = scored_as(scores, OnePassScore)
    official = official_fields(scores)
    head = ["tracker", *(NAMES[field] for field in FIELDS), *(f"{NAMES[field]} official" for field in official)]
    rows = []
    for place, score in enumerate(scored):
        row: list[object] = [tracker_cell(score.name, place), *(getattr(score.all, field) for field in FIELDS)]
        if official:
            assert score.official is not None  # all scored trackers have official scores, or none
            row += [score.official.numbers[field] for field in official]
        rows.append(row)
    remarks = [*remarks_of(scores)]
    if official:
        remarks += [official_rule(scores.dataset).difference, "The curves are in the arithmetic of pysot"]
    return [page_table("Ranking", head, rows, [f"{remark}." for remark in remarks]), *_attributes(scores)]


def run_overview(scores: Scores) -> list[PageTable]:
    """Return ranking, and a table by attribute."""
    scored = scored_as(scores, RunScore)
    names = list(scored[0].numbers)
    official = any(score.official for score in scored)
    head = ["tracker", *(HEADERS[name] for name in names)]
    if official:
        head += [f"{HEADERS[name]} vot" for name in names]
    rows = [
        [tracker_cell(score.name, place), *score.numbers.values(), *score.official.values()]
        for place, score in enumerate(scored)
    ]
    notes = [f"{sentence}." for sentence in (RUNS_DIFFERENCE, ABOVE_ONE)] if official else []
    return [page_table("Ranking", head, rows, notes), *_attributes(scores)]


def _attributes(scores: Scores) -> list[PageTable]:
    """Return the table of the protocol's values by tag or attribute."""
    return by_name(scores.protocol.report.titles["attributes"], tag_values(scores))
