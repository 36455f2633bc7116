import dataclasses
import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toolkit_data import box_sequence, eao_of, save_baseline, trajectory

from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.datasets.settings import EAO_TAGS, VOT_SETTINGS
from pysot.toolkit.experiments.scoring import evaluate_tracker, score_trackers
from pysot.toolkit.report.draw_files import draw
from pysot.toolkit.report.score_plots import rank_plot
from pysot.toolkit.report.summary import full_text, rows_of
from pysot.toolkit.report.supervised_tables import score_table, tag_rows, video_rows
from pysot.toolkit.report.table_files import write_table
from pysot.toolkit.results.paths import vot_file

PARITY = Path(__file__).resolve().parents[2] / "parity"
SET = Dataset("SET", [box_sequence(30, name="a"), box_sequence(25, name="b")], EAO_TAGS, VotSettings(5, 20, 10))


def save(folder, lost=(), **kwargs):
    for sequence in SET.sequences:
        save_baseline(folder, sequence.name, trajectory(len(sequence), lost, **kwargs))
    return folder


def assert_agrees(score, expected):
    assert score.problems == ()
    for key in ("accuracy", "robustness", "lost"):
        assert getattr(score, key) == pytest.approx(expected[key], abs=1e-6)
    for tag, value in expected["eao"].items():
        assert score.eao[tag] == pytest.approx(value, abs=1e-6, nan_ok=True), tag
    assert score.videos.keys() == expected["per_video"].keys()
    for name, values in expected["per_video"].items():
        assert score.videos[name] == pytest.approx(values, abs=1e-6), name


@pytest.mark.parametrize("tracker", ["tracker_a", "tracker_b", "tracker_c"])
@pytest.mark.parametrize("name", ["VOT2016", "VOT2018", "VOT2019"])
def test_parity_with_the_original(name, tracker):
    dataset = dataclasses.replace(load_dataset("VOT2016", PARITY / "vot_small"), name=name, settings=VOT_SETTINGS[name])
    expected = json.loads((PARITY / "vot_small.expected.json").read_text())[name][tracker]
    assert_agrees(evaluate_tracker(dataset, PARITY / "vot_small" / "results" / tracker), expected)


@pytest.mark.shared
def test_parity_on_published_results(shared):
    dataset = load_dataset("VOT2018", shared / "data" / "benchmarks")
    expected = json.loads((shared / "parity" / "real_results.expected.json").read_text())["VOT2018"]
    for tracker in expected:
        assert_agrees(evaluate_tracker(dataset, shared / "data" / "results" / "VOT2018" / tracker), expected[tracker])


@pytest.mark.shared
def test_header_sizes_give_the_same_scores(shared):
    """vot_small's JSON has no sizes: they come from the headers of its images."""
    small = load_dataset("VOT2016", PARITY / "vot_small")
    full = load_dataset("VOT2016", shared / "parity" / "vot_small")
    assert [(s.width, s.height) for s in small.sequences] == [(s.width, s.height) for s in full.sequences]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "no result file"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.write_text("1\n" * 24), "has 24 lines for 25 frames"),
        (lambda path: path.write_text("1\n" * 26), "has 26 lines for 25 frames"),
        (lambda path: path.write_text("1\n" * 3 + "1,2,a,4\n" + "1\n" * 21), "line 4 needs numbers"),
    ],
)
def test_a_damaged_result_is_never_scored_and_shows_in_the_table(tmp_path, damage, reason):
    good, bad = save(tmp_path / "good"), save(tmp_path / "bad")
    damage(vot_file(bad, "b"))
    scores = score_trackers(SET, [bad, good])
    assert [score.name for score in scores.trackers] == ["good", "bad"]
    assert math.isnan(scores.trackers[1].accuracy) and math.isnan(scores.trackers[1].rank_by)
    table = score_table(scores)
    for part in ("bad [not scored]", "Warning: bad is not scored", reason, "b_001.txt"):
        assert part in table
    assert list(scores.to_json()) == ["good"]
    assert "bad" not in str(video_rows(scores))


def test_no_tracker_at_all():
    scores = score_trackers(SET, [])
    assert scores.trackers == [] and scores.to_json() == {}
    assert "Tracker Name" in score_table(scores) and video_rows(scores) == [["Video"]]
    with pytest.raises(ValueError, match="nothing to plot"):
        rank_plot(scores)
    with pytest.raises(ValueError, match="worker"):
        score_trackers(SET, [], workers=0)


def test_json_has_the_promised_form(tmp_path):
    value = score_trackers(SET, [save(tmp_path / "model", lost=[12])]).to_json()
    assert value.keys() == {"model"}
    assert value["model"].keys() == {"accuracy", "robustness", "lost", "eao", "videos", "tags"}
    assert value["model"]["lost"] == 2 and value["model"]["robustness"] == pytest.approx(200 / 55)
    assert value["model"]["videos"]["a"] == {"accuracy": 1.0, "lost": 1.0} and tuple(value["model"]["eao"]) == EAO_TAGS
    json.dumps(value)


def test_accuracy_and_losses_by_tag(tmp_path):
    """A loss at frame 12, and a repetition without it. The boxes of b have an overlap of a half."""
    tags = {"occlusion": np.arange(30) >= 20, "camera_motion": [0] * 12 + [1]}
    dataset = dataclasses.replace(SET, sequences=[box_sequence(30, name="a", tags=tags), box_sequence(25, name="b")])
    folder = tmp_path / "model"
    for repetition, lost in ((1, [12]), (2, [])):
        save_baseline(folder, "a", trajectory(30, lost), repetition)
    save_baseline(folder, "b", trajectory(25, box=(20, 20, 19, 9)))
    scores = score_trackers(dataset, [folder])
    by_tag = scores.trackers[0].tags
    half = 200 / 400  # of a box of 20 x 20 pixels
    assert tuple(by_tag) == EAO_TAGS
    assert by_tag["all"] == (scores.trackers[0].accuracy, scores.trackers[0].lost) and by_tag["all"][1] == 0.5
    assert by_tag["occlusion"] == (1, 0) and by_tag["camera_motion"] == (1, 0.5)
    assert math.isnan(by_tag["size_change"][0]) and by_tag["size_change"][1] == 0
    # frames 10, 11 and 13 to 19 of a, 10 to 24 of b
    assert by_tag["empty"] == (pytest.approx((9 + 15 * half) / 24), 0)
    assert scores.to_json()["model"]["tags"]["camera_motion"] == {"accuracy": 1, "lost": 0.5}
    text = full_text(scores, "pysot", details=True)
    assert "Per tag" in text and "Per tag" not in full_text(scores, "pysot", False)
    assert rows_of(scores, "pysot")["tags"][:3] == [
        ["Tag", "model Acc", "model LN"],
        ["all", "0.786", "0.5"],
        ["camera_motion", "1.000", "0.5"],
    ]
    # the official toolkit has no tags
    assert "tags" not in rows_of(score_trackers(dataset, [folder], mode="vot"), "vot")


def test_best_eao_first_and_tables(tmp_path):
    folders = [save(tmp_path / "worse", lost=[12]), save(tmp_path / "better")]
    scores = score_trackers(SET, folders)
    assert [score.name for score in scores.trackers] == ["better", "worse"]
    lines = score_table(scores).splitlines()
    head = ["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]
    assert [cell.strip() for cell in lines[1].split("|")[1:-1]] == head
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["better", "1.000", "0.000", "0.0", "1.000"]
    assert len({len(line) for line in lines}) == 1
    assert "camera_motion" in tag_rows(scores)[0] and "-" in tag_rows(scores)[1]
    assert video_rows(scores)[1] == ["a", "1.000", "0.0", "1.000", "1.0"]


def test_short_videos_have_no_eao_and_a_note(tmp_path):
    short = dataclasses.replace(SET, settings=VotSettings(50, 60, 55))
    table = score_table(score_trackers(short, [save(tmp_path / "model")]))
    assert "Note: model has no EAO" in table


def test_all_repetitions_count(tmp_path):
    folder = save(tmp_path / "model")
    for repetition in range(2, 16):
        for sequence in SET.sequences:
            save_baseline(folder, sequence.name, trajectory(len(sequence), [12]), repetition)
    assert evaluate_tracker(SET, folder).lost == pytest.approx(2 * 14 / 15)


def test_worker_processes_give_the_same_scores(tmp_path):
    folders = [save(tmp_path / str(index), box=(20, 20, 19, 10 + index)) for index in range(3)]
    one, two = score_trackers(SET, folders), score_trackers(SET, folders, workers=2)
    assert [score.name for score in one.trackers] == [score.name for score in two.trackers]
    assert [score.accuracy for score in one.trackers] == [score.accuracy for score in two.trackers]


def test_plot_with_odd_names(tmp_path):
    scores = score_trackers(SET, [save(tmp_path / name) for name in ("_hidden", "a$^{$", "c^{_")])
    path = draw(rank_plot(scores), tmp_path / "plot.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    path = draw(rank_plot(replace(scores, trackers=scores.trackers * 8)), tmp_path / "plot.svg")
    assert path.read_text().lstrip().startswith("<?xml")


def test_toolkit_imports_without_torch():
    code = (
        "import sys, pkgutil, importlib, pysot.toolkit as t\n"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(t.__path__, 'pysot.toolkit.')]\n"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in ('torch', 'matplotlib')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PARITY.parents[1])
    assert done.returncode == 0 and done.stdout.strip() == "[]", done.stderr


def test_time_grows_with_frames_not_faster():
    """40,000 frames are scored in a few seconds at most, on any machine."""
    rng = np.random.default_rng(0)
    sequence = box_sequence(20000)
    run = trajectory(20000, lost=sorted(rng.choice(19000, 300, replace=False) // 10 * 10 + 5))
    from pysot.toolkit.evaluation.accuracy_robustness import measure

    began = time.perf_counter()
    eao_of(measure([sequence] * 2, [run] * 2), EAO_TAGS, VOT_SETTINGS["VOT2018"])
    assert time.perf_counter() - began < 10


def test_a_table_holds_no_formulas(tmp_path):
    """Names that a spreadsheet would evaluate are marked as text; numbers and dashes stay as they are."""
    rows = [["Tracker Name", "EAO"], ["=SUM(A1)", "0.1"], ["+x", "-"], ["@y", "-0.5"], ["-2+3", "1e3"], ["a=b", "-1"]]
    text = write_table(tmp_path / "out.csv", rows).read_text()
    assert text == "Tracker Name,EAO\n'=SUM(A1),0.1\n'+x,-\n'@y,-0.5\n'-2+3,1e3\na=b,-1\n"
    assert "=SUM(A1)" in write_table(tmp_path / "out.md", rows).read_text()
