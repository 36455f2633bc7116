"""The official toolkit's arithmetic.

Tested by its published behaviour on small cases, its numbers on real results, and the toolkit itself where it is
installed.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from toolkit_data import ask_vot_toolkit, box_sequence, make_sequence, needs_vot_toolkit, save_baseline, trajectory

from helpers import PARITY, ROOT
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.evaluation.accuracy_robustness import measure
from pysot.toolkit.evaluation.official import (
    expected_overlap_curve,
    fragments_of,
    official_score,
    with_official_overlaps,
)
from pysot.toolkit.experiments.scoring import evaluate_tracker, score_trackers
from pysot.toolkit.region.official_raster import official_overlaps, paint
from pysot.toolkit.region.raster import region_table
from pysot.toolkit.report.supervised_tables import official_rows
from pysot.toolkit.results.files import TRACKED, Trajectory


def one(a, b, width=100, height=80):
    return official_overlaps(region_table([np.array(a, float)]), region_table([np.array(b, float)]), width, height)[0]


@pytest.mark.parametrize(
    "a, b, expected",
    [
        ((10, 10, 4, 4), (10, 10, 4, 4), 1),
        ((10, 10, 4, 4), (12, 10, 4, 4), 8 / 24),
        ((10.5, 10, 4, 4), (10, 10, 4, 4), 1),  # halves are rounded to even
        ((11.5, 10, 4, 4), (12, 10, 4, 4), 1),
        ((-2, 10, 4, 4), (0, 10, 2, 4), 1),
        ((98, 10, 10, 4), (98, 10, 2, 4), 1),
        ((-9, -9, 4, 4), (-9, -9, 4, 4), 0),
        ((10, 10, 1, 1), (10, 10, 1, 1), 1),
        ((10, 10, 0, 0), (30, 30, 0, 0), 0),
        ((np.nan, 1, 2, 3), (10, 10, 4, 4), 0),
        ((10, 10, 4, 4), (10, 10, 13, 10, 13, 13, 10, 13), 1),
        ((10, 10, 14, 10, 14, 14, 10, 14), (10, 10, 5, 5), 1),
        ((10, 10, 10, 10, 10, 14, 10, 14), (10, 10, 4, 4), 0.25),
    ],
)
def test_overlaps_by_hand(a, b, expected):
    if (
        len(a) == 8 and a[0] == a[2]
    ):  # a quadrangle without width paints a column of five pixels, four of them in the box
        expected = 4 / 17
    assert one(a, b) == pytest.approx(expected)


def test_rows_as_intervals_equal_the_painted_masks():
    rng = np.random.default_rng(0)
    boxes, quads = rng.uniform(-15, 70, (150, 4)), []
    boxes[:, 2:] = rng.uniform(1, 50, (150, 2))
    for _ in range(150):
        angle, centre, size = np.sort(rng.uniform(0, 2 * np.pi, 4)), rng.uniform(-5, 85, 2), rng.uniform(2, 40)
        corners = centre + size * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        quads.append((corners if rng.random() < 0.8 else corners[rng.permutation(4)]).reshape(-1))
    a, b = region_table([*boxes, *quads]), region_table([*quads, *quads[::-1]])
    for overlap, first, second in zip(official_overlaps(a, b, 100, 80), np.rint(a), np.rint(b), strict=True):
        masks = [
            paint(region, np.array([-200.0, -200.0]), np.array([500, 500]))[200:280, 200:300]
            for region in (first, second)
        ]
        union = (masks[0] | masks[1]).sum()
        expected = (masks[0] & masks[1]).sum() / union if union else 0
        # columns left of the image are rounded towards it, so an edge may differ by a pixel
        assert overlap == pytest.approx(expected, abs=0.02), (first, second)


def test_the_table_says_what_is_partial_and_what_is_not_scored(tmp_path):
    dataset = Dataset("SET", [box_sequence(30, name=name) for name in "ab"], ("all",), VotSettings(5, 20, 10))
    for name, videos in (("full", "ab"), ("part", "a"), ("none", "")):
        (tmp_path / name / "baseline").mkdir(parents=True)
        for video in videos:
            save_baseline(tmp_path / name, video, trajectory(30))
    rows = official_rows(
        score_trackers(dataset, [tmp_path / name for name in ("none", "part", "full")], mode="vot", partial=True)
    )
    assert sorted(row[0] for row in rows[1:3]) == ["full", "part [1 of 2 videos]"]
    assert rows[3] == ["none [not scored]", "-", "-", "-", "-"]


def test_fragments_and_scores_by_hand():
    sequence = box_sequence(30)
    run = measure([sequence], [trajectory(30, lost=[12])])[0]  # start 0, lost 12, skipped, start 17
    (first, lost), (second, ended) = fragments_of(run)
    assert (len(first), lost, len(second), ended) == (12, True, 13, False)
    score = official_score([run], VotSettings(5, 9, 7))
    assert score.lost == 1 and score.robustness == 1 and score.accuracy == 1
    curve = expected_overlap_curve([run])
    assert curve[5] == pytest.approx(1) and curve[12] == pytest.approx((11 / 12 + 1) / 2)
    assert score.eao == pytest.approx(1)
    perfect = official_score(measure([sequence], [trajectory(30)]), VotSettings(5, 9, 7))
    assert (perfect.accuracy, perfect.robustness, perfect.eao) == (1, 0, 1)
    assert np.isnan(official_score(measure([sequence], [trajectory(30)]), VotSettings(50, 90, 70)).eao)


@pytest.mark.shared
def test_parity_with_the_official_toolkit_on_published_results(shared):
    dataset = load_dataset("VOT2018", shared / "data" / "benchmarks")
    expected = json.loads((shared / "parity" / "real_results.expected_vot_toolkit.json").read_text())["VOT2018"]
    for tracker, numbers in expected.items():
        score = evaluate_tracker(dataset, shared / "data" / "results" / "VOT2018" / tracker, mode="vot").official
        assert score.accuracy == pytest.approx(numbers["accuracy"], abs=1e-6)
        assert score.eao == pytest.approx(numbers["eao"][0], abs=1e-6)
        assert score.robustness == pytest.approx(numbers["robustness_per_sequence"], abs=1e-6)
        assert score.lost == numbers["failures"][0]


def test_modes_of_the_command(tmp_path):
    small = PARITY / "vot_small"

    def table(*more):
        script, data = ROOT / "tools" / "eval.py", ["-d", "VOT2016", "--datasetdir", small]
        command = [sys.executable, script, "-p", small / "results", *data, "--json", "out.json", *more]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout, json.loads((tmp_path / "out.json").read_text())["tracker_a"]

    pysot_text, pysot_json = table()
    official_text, official_json = table("--mode", "vot")
    both_text, both_json = table("--mode", "both")
    assert "vot" not in pysot_json and official_json["vot"] == both_json["vot"]
    assert {**pysot_json, "vot": both_json["vot"], "eao": None} == {**both_json, "eao": None}
    assert "Accuracy pysot" in both_text and "Why they differ" in both_text
    assert "EAO by tag" in pysot_text and "EAO by tag" not in official_text
    videos, pysot_videos = table("--mode", "vot", "-s")[1]["vot"]["videos"], pysot_json["videos"]
    assert list(videos) == list(pysot_videos) and videos != pysot_videos
    assert all(videos[name]["lost"] == pysot_videos[name]["lost"] for name in videos)
    assert f"{videos['seq00']['accuracy']:.3f}" in table("--mode", "vot", "-s")[0]
    assert f"{official_json['vot']['eao']:.3f}" in official_text and f"{pysot_json['eao']['all']:.3f}" in pysot_text


@needs_vot_toolkit
def test_the_official_toolkit_itself(tmp_path):
    """vot-toolkit's functions score boxes and quadrangles that shake around the truth and are lost now and then."""
    rng, runs, cases = np.random.default_rng(3), [], []
    for index in range(6):
        frames, polygons = int(rng.integers(60, 160)), index % 2 == 0
        start = rng.uniform(20, 100, 2)
        shape = np.array([[0, 0], [40, 5], [38, 30], [-3, 26]])
        corners = start + np.cumsum(rng.normal(0, 2, (frames, 1, 2)), axis=0) + shape
        if polygons:
            truth = list(corners.reshape(frames, 8))
        else:
            truth = list(np.concatenate([corners[:, 0], rng.uniform(15, 40, (frames, 2))], axis=1))
        sequence = make_sequence(name=f"s{index}", truth=truth, width=150, height=120)
        entries = [1, *(region + rng.normal(0, 4, len(region)) for region in truth[1:])]
        entries = [
            entry if np.isscalar(entry) or len(entry) == 8 else np.maximum(entry, [-50, -50, 1, 1]) for entry in entries
        ]
        for lost in sorted(rng.choice(range(10, frames - 12, 12), int(rng.integers(0, 4)), replace=False)):
            entries[lost : lost + 6] = [2, 0, 0, 0, 0, 1]
        runs += measure([sequence], [Trajectory.from_frames(entries)])
        result = [np.asarray(entry).tolist() for entry in entries]
        cases.append({"size": [150, 120], "truth": [region.tolist() for region in truth], "result": result})
    expected = ask_vot_toolkit(tmp_path, "supervised", cases=cases, low=20, high=60)
    score = official_score(runs, VotSettings(20, 60, 40))
    assert (score.accuracy, score.robustness, score.eao) == pytest.approx(
        (expected["accuracy"], expected["robustness"], expected["eao"]), abs=1e-4
    )
    overlaps = np.concatenate([run.overlap for run in with_official_overlaps(runs)])
    tracked = np.concatenate([run.trajectory.codes == TRACKED for run in runs])
    np.testing.assert_allclose(overlaps[tracked], np.array(expected["overlaps"])[tracked], atol=1e-6)
