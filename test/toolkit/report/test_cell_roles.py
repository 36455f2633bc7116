"""Which cells of the tables are the best, the second best and not scored, and what colours do to the text."""

import re
from dataclasses import replace

import pytest
from toolkit_data import box_sequence

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.evaluation.objects import ObjectsScore
from pysot.toolkit.evaluation.one_pass import OnePassScore
from pysot.toolkit.evaluation.runs import RunScore
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import NAN, Scores
from pysot.toolkit.protocols.table import PROTOCOLS
from pysot.toolkit.report.measures import less_is_better
from pysot.toolkit.report.summary import full_text, rows_of, score_text
from pysot.toolkit.report.text_tables import best_and_second, cell_roles, table

PROBLEM = ("no result file a_001.txt",)


@pytest.mark.parametrize(
    ("values", "less", "roles"),
    [
        ((0.1, 0.3, 0.2), False, ("", "best", "second")),
        ((0.1, 0.3, 0.2), True, ("best", "", "second")),
        ((0.3, 0.1, 0.3, 0.1, 0), False, ("best", "second", "best", "second", "")),
        ((0.5, 0.5), False, ("best", "best")),
        ((NAN, 0.2, NAN, 0.1), False, ("", "best", "", "second")),
        ((NAN, 0.2, NAN, 0.1), True, ("", "second", "", "best")),
        ((-0.1, 0.0, 0.2), True, ("best", "second", "")),
        ((0.4,), False, ("",)),
        ((NAN, 0.4, NAN), False, ("", "", "")),
        ((NAN, NAN), False, ("", "")),
        ((), False, ()),
    ],
)
def test_best_and_second(values, less, roles):
    assert best_and_second(values, less) == list(roles)


def test_directions():
    """Robustness counts losses in runs with restarts; in others it is the share of frames before a failure."""
    assert all(less_is_better(SupervisedScore, name) for name in ("Robustness", "Robustness vot", "Lost Number", "LN"))
    assert not any(less_is_better(SupervisedScore, name) for name in ("Accuracy", "EAO pysot", "Acc"))
    assert not less_is_better(RunScore, "Robustness") and not less_is_better(OnePassScore, "Precision")
    assert less_is_better(ObjectsScore, "J decay") and not less_is_better(ObjectsScore, "J mean")


def scores_of(*trackers, dataset_protocol: str = "supervised") -> Scores:
    """Return scores of the protocol of their class, on a set of one sequence."""
    kind = type(trackers[0])
    protocol = next(each for each in PROTOCOLS if each.score_class is kind)
    settings = VotSettings(1, 2, 1) if dataset_protocol == "supervised" else None
    return Scores(
        Dataset("SET", [box_sequence(3, name="a")], ("all",), settings, dataset_protocol), protocol, list(trackers)
    )


def supervised(name: str, accuracy: float, losses: float, eao: float) -> SupervisedScore:
    videos = {"a": (accuracy, losses), "b": (NAN, losses + 1)}
    return SupervisedScore(
        name=name, accuracy=accuracy, robustness=losses, lost=losses, eao={"all": eao}, videos=videos, tags=videos
    )


FIRST, SECOND, THIRD = supervised("t1", 0.6, 2, 0.3), supervised("t2", 0.5, 1, 0.2), supervised("t3", 0.7, 3, 0.1)
BROKEN = SupervisedScore(name="t4", problems=PROBLEM)


def named_roles(scores: Scores, rows, name: str = "") -> dict[str, list[str]]:
    """Return {first cell of a row: role of each cell, "" for none}."""
    roles = cell_roles(scores, rows, name)
    return {row[0]: [roles.get((index, at), "") for at in range(len(row))] for index, row in enumerate(rows)}


def test_trackers_are_compared_in_columns():
    scores = scores_of(FIRST, SECOND, THIRD, BROKEN)
    assert named_roles(scores, rows_of(scores, "pysot")[""]) == {
        "Tracker Name": [""] * 5,
        "t1": ["", "second", "second", "second", "best"],
        "t2": ["", "", "best", "best", "second"],
        "t3": ["", "best", "", "", ""],
        "t4 [not scored]": ["unscored"] * 5,
    }


def test_trackers_are_compared_on_each_video():
    scores = scores_of(FIRST, SECOND, THIRD, BROKEN)
    for name in ("videos", "tags"):
        rows = rows_of(scores, "pysot")[name]
        assert rows[0][1:3] == ["t1 Acc", "t1 LN"]
        roles = named_roles(scores, rows, name)
        assert roles["a"] == ["", "second", "second", "", "best", "best", ""]
        assert roles["b"] == ["", "unscored", "second", "unscored", "best", "unscored", ""]


def test_more_is_better_of_every_attribute():
    """An attribute may have the name of a measure."""
    one = replace(FIRST, eao={"all": 0.3, "LN": 0.3})
    two = replace(SECOND, eao={"all": 0.2, "LN": 0.4})
    scores = scores_of(one, two)
    rows = rows_of(scores, "pysot")["attributes"]
    assert named_roles(scores, rows, "attributes")["t2"] == ["", "second", "best"]


def test_displayed_values_are_compared():
    scores = scores_of(FIRST, replace(SECOND, accuracy=0.60004))
    assert named_roles(scores, rows_of(scores, "pysot")[""])["t1"][1] == "best"


def test_one_tracker_is_not_marked():
    scores = scores_of(FIRST)
    assert not any(cell_roles(scores, rows, name) for name, rows in rows_of(scores, "pysot").items() if name == "")
    roles = cell_roles(scores, rows_of(scores, "pysot")["videos"], "videos")
    assert set(roles.values()) == {"unscored"}
    beside = scores_of(FIRST, BROKEN)
    assert named_roles(beside, rows_of(beside, "pysot")[""])["t1"] == [""] * 5


def test_mean_and_spread_are_not_compared():
    scores = scores_of(FIRST, SECOND, THIRD)
    text = score_text(scores, spread=True, paint=marked)
    for line in text.splitlines():
        if "mean of 3" in line or "spread" in line:
            assert "<" not in line


def marked(text: str, role: str) -> str:
    return f"<{role}:{text}>"


def unmarked(text: str) -> str:
    return re.sub(r"<(?:best|second|unscored|warning):([^<>]*)>", r"\1", text)


def test_columns_stay_aligned():
    rows = [["Name", "A"], ["x", "1.000"], ["longer", "-"]]
    text = table(rows, {(1, 1): "best", (2, 1): "unscored"}, marked)
    assert "<best: 1.000 >" in text and "<unscored:   -   >" in text and unmarked(text) == table(rows)


VALUES = {"t1": {"f1": 0.3, "robustness": 0.3}, "t2": {"f1": 0.2, "robustness": 0.2}}
RUNS = [
    RunScore(name=name, numbers=each, official=each, attributes=each, videos={"a": each}, official_videos={"a": each})
    for name, each in VALUES.items()
]
NOTED = replace(FIRST, notes=("left out: b",), eao={})
SETS = {
    "supervised": scores_of(NOTED, SECOND, BROKEN),
    "runs": scores_of(*RUNS, RunScore(name="t3", problems=PROBLEM), dataset_protocol="longterm"),
    "one pass": scores_of(
        OnePassScore(name="t1", problems=PROBLEM), OnePassScore(name="t2", notes=("odd",)), dataset_protocol="one pass"
    ),
    "objects": scores_of(
        ObjectsScore(name="t1", problems=PROBLEM),
        ObjectsScore(name="t2", problems=PROBLEM),
        dataset_protocol="objects",
    ),
}


@pytest.mark.parametrize("mode", ["pysot", "official", "both"])
@pytest.mark.parametrize("kind", SETS)
def test_every_text_has_colours_and_its_words_stay(kind, mode):
    scores = SETS[kind]
    text = full_text(scores, mode, True, marked)
    assert unmarked(text) == full_text(scores, mode, True) == full_text(scores, mode, True, lambda text, role: text)
    assert "<unscored:" in text and "<warning:Warning: " in text
    assert not re.search(r"^(Warning|Note): ", text, re.MULTILINE), "a paragraph without colour"
    if kind == "runs":
        assert re.search("<best: +0.300 +>", text) and re.search("<second: +0.200 +>", text)


def test_robustness_of_runs():
    scores = SETS["runs"]
    assert named_roles(scores, rows_of(scores, "pysot")[""])["t1"] == ["", "best", "best"]
