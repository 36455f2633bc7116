"""The table of claims: what it says is what configs, READMEs and the table of published weights say."""

import re

import pytest

from helpers import ROOT
from pysot.reproduction.claim import SPEED
from pysot.reproduction.claims import CLAIMS, FIVE_SEEDS, MEASURES
from pysot.reproduction.data_sets import PUBLISHED_BENCHMARKS
from pysot.reproduction.inputs import config_digest
from pysot.reproduction.steps import KINDS
from pysot.utils.published_weights import PUBLISHED


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_a_claim_is_complete(claim):
    assert claim.source and claim.figures and claim.kind in KINDS
    assert config_digest(ROOT / "experiments" / claim.experiment / "config.yaml") == claim.config_sha256
    assert all(figure.measure in (SPEED, *MEASURES) for figure in claim.figures)
    assert {figure.benchmark for figure in claim.figures} - {""} == {benchmark.name for benchmark in claim.benchmarks}
    assert bool(claim.training) == claim.trains
    assert bool(claim.weights) == bool(claim.weights_where)
    for data_set in (*claim.training, *claim.benchmarks):
        assert data_set.where and all(total.source for total in data_set.totals)
        assert re.fullmatch(r"([0-9a-f]{64})?", data_set.sha256)


def test_every_published_tracker_is_a_claim():
    for name, weights in PUBLISHED.items():
        for figure in weights.figures if weights.convert is None else ():
            claim = CLAIMS[f"{name}-{PUBLISHED_BENCHMARKS[figure.dataset].name}"]
            assert figure.value in [own.value for own in claim.figures]


def test_the_ascend_table_is_that_of_the_page():
    page = text_of("test/README.md").partition("## 7.")[2].partition("Measured with this repository")[0]
    rows = {
        tuple(cell.strip() for cell in line.strip("|").split("|")) for line in re.findall(r"^\| [18].*", page, re.M)
    }
    expected = set()
    for torch, name in (("1.8", ""), ("1.5", "-torch1.5")):
        full, speed = (CLAIMS[f"siamrpn_r50_l234_dwxcorr_8gpu{kind}{name}"] for kind in ("", "-speed_1p"))
        expected.add(("1", f"{speed.figures[0].value:g}", "-", "-", "-", torch))
        for epoch in (19, 20):
            scores = [f"{figure.value:.3f}" for figure in full.figures if figure.epoch == epoch]
            expected.add((f"8, epoch {epoch}", f"{full.figures[0].value:g}", *scores, torch))
    assert rows == expected


def test_own_figures_are_those_of_the_pages():
    quickstart, small = (CLAIMS[name] for name in FIVE_SEEDS)
    accuracy, robustness, eao = (f"{figure.value:.3f}" for figure in quickstart.figures)
    line = rf"\|   trained    \|  {accuracy}   \|   {robustness}    \| +[\d.]+ +\| {eao} \|"
    assert re.search(line, text_of("README.md"))
    page = text_of("experiments/README.md").partition("## Real input")[2].partition("\n## ")[0]
    for figure, row in zip(small.figures, ("accuracy", "robustness .*", "EAO"), strict=True):
        assert re.search(rf"^\| {row} \| [\d.]+ \| {figure.value:.3f} \|$", page, re.M)


@pytest.mark.parametrize("name", FIVE_SEEDS)
def test_recorded_seeds_are_those_of_the_page(name):
    page = text_of("experiments/README.md").partition("## Five seeds")[2].partition("\n## ")[0]
    row = re.search(rf"^\| `{name}` \|(.*)\|$", page, re.M)[1]
    seeds = FIVE_SEEDS[name]
    expected = [f"{seeds[m].mean:.3f} ± {seeds[m].deviation:.3f}" for m in seeds] or ["not recorded"] * 3
    assert [cell.strip() for cell in row.split("|")][:3] == expected
