"""The final table: verdicts, deviations, speeds, several seeds, tuned settings."""

import dataclasses
import math

import pytest

from pysot.reproduction.claim import Figure, Seeds
from pysot.reproduction.claims import CLAIMS
from pysot.reproduction.inputs import DIFFERS, Row
from pysot.reproduction.scores import Measured
from pysot.reproduction.table import result_markdown, result_rows, result_text
from reproduction_helpers import measured_of, record_of

RECIPE = CLAIMS["siamrpn_r50_l234_dwxcorr_8gpu"]
RECIPE = dataclasses.replace(RECIPE, figures=tuple(f for f in RECIPE.figures if f.epoch in (0, 19)))
OWN = dataclasses.replace(CLAIMS["quickstart"], seeds={"EAO": Seeds(0.39, 0.01, 5)})
TRACKED = CLAIMS["siamrpn_r50_l234_dwxcorr-VOT2016"]
CHANGED = Row("COCO: videos", "at most 118287", "150", DIFFERS, "see its readme")


def cells(claim, record, measured) -> dict[str, dict[str, str]]:
    head, *rows = result_rows(claim, record, measured)
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_published_values_with_a_deviation_are_never_judged(claim):
    text = result_text(claim, record_of(claim, CHANGED), measured_of(claim))
    assert "reproduced" not in text.lower().replace("neither reproduces", "")
    assert "neither reproduces nor refutes" in text and "- COCO: videos: expected at most 118287, got 150" in text


def test_nothing_measured():
    rows = cells(RECIPE, record_of(RECIPE), Measured((), ()))
    assert {row["verdict"] for row in rows.values()} == {"not measured"}


@pytest.mark.parametrize(("change", "verdict"), [(0.01, "reproduced"), (0.1, "higher"), (-0.1, "lower")])
def test_by_epochs(change, verdict):
    row = cells(RECIPE, record_of(RECIPE), measured_of(RECIPE, change))["VOT2016 epoch 19 EAO"]
    assert (row["published"], row["measured"], row["difference"]) == (
        "0.431",
        f"{0.431 + change:.3f}",
        f"{change:+.3f}",
    )
    assert row["verdict"] == verdict


def test_speed_on_the_same_and_on_other_devices():
    same = cells(RECIPE, record_of(RECIPE), measured_of(RECIPE, speed=279.0))["pairs/s"]
    assert same["verdict"] == "0.996 x, reproduced" and same["may differ by"] == "4.0"
    other = cells(RECIPE, record_of(RECIPE, CHANGED, device="cuda"), measured_of(RECIPE, speed=560.2))["pairs/s"]
    assert other["verdict"] == "2.000 x, other devices"


def test_recorded_seeds():
    rows = cells(OWN, record_of(OWN), measured_of(OWN))
    eao = rows["VOT-QUICKSTART EAO"]
    assert eao["recorded seeds"] == "0.390 ± 0.010 (5 seeds)" and eao["difference"] == "+0.004"
    assert (eao["may differ by"], eao["verdict"]) == ("0.030", "reproduced")
    assert rows["VOT-QUICKSTART accuracy"]["recorded seeds"] == "not recorded"
    assert rows["VOT-QUICKSTART accuracy"]["verdict"] == "no recorded seeds"
    assert "95 % prediction interval" in result_text(OWN, record_of(OWN), measured_of(OWN))


def test_no_recorded_seeds():
    claim = dataclasses.replace(OWN, seeds={})
    text = result_text(claim, record_of(claim), measured_of(claim))
    assert "no recorded seeds" in text and "Nothing is judged: no training runs" in text and "eproduced" not in text


def test_several_seeds():
    measured = measured_of(OWN, seeds=(1, 2))
    scores = tuple(dataclasses.replace(s, value=s.value + 0.02 * s.seed) for s in measured.scores)
    row = cells(OWN, record_of(OWN, seeds=(1, 2)), Measured(scores, ()))["VOT-QUICKSTART EAO"]
    assert row["measured"] == "0.424 ± 0.014 (2 seeds)" and row["verdict"] == "higher"


def test_published_trackers_have_no_spread():
    assert cells(TRACKED, record_of(TRACKED), measured_of(TRACKED))["VOT2016 EAO"]["verdict"] == "reproduced"
    row = cells(TRACKED, record_of(TRACKED), measured_of(TRACKED, -0.01))["VOT2016 EAO"]
    assert row["verdict"] == "lower; no spread is recorded"


def test_success_is_the_auc():
    claim = CLAIMS["nanotrackv3-DTB70"]
    measured = measured_of(dataclasses.replace(claim, figures=(Figure("AUC", 0.628, "DTB70"),)))
    assert cells(claim, record_of(claim), measured)["DTB70 success"]["verdict"] == "reproduced"


@pytest.mark.parametrize(("tuned", "text"), [(0.5, "0.500"), (math.nan, "-")])
def test_tuned_settings_are_not_comparable(tuned, text):
    row = cells(OWN, record_of(OWN), measured_of(OWN, tuned=tuned))["VOT-QUICKSTART, tuned on the benchmark itself"]
    assert (row["measured"], row["verdict"]) == (text, "not comparable")


def test_markdown():
    text = result_markdown(RECIPE, record_of(RECIPE), measured_of(RECIPE))
    assert text.startswith(
        "# siamrpn_r50_l234_dwxcorr_8gpu\n\nPublished: SiamRPN++ for PyTorch of Ascend ModelZoo, table 2"
    )
    assert (
        "| VOT2016 epoch 19 EAO | 0.431 | 0.431 | +0.000 |" in text and "| code | as here | unchanged | same |" in text
    )
    assert "seeds 1; torch 2, numpy 2, opencv 5; commit 000" in text
