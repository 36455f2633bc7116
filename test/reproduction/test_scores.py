"""What a run measured: missing results, damaged ones, speeds in logs, tuned settings."""

import json
import math
import shutil

import numpy as np
import pytest

from helpers import moving_square
from pysot.reproduction.scores import Speed, best_tuned, read_speed, score_results, value_of, written_scores
from pysot.reproduction.steps import ResultSet
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.results.files import Trajectory, save_vot
from pysot.toolkit.results.paths import vot_file

RESULT = ResultSet("VOT2016", "results/net", "scores.json", 1, 19, "net.pth")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for index, name in enumerate("ab"):
        moving_square(folder / "VOT2016" / name, frames=120, seed=index)
    (folder / "VOT2016" / "list.txt").write_text("a\nb\n")
    return load_dataset("VOT2016", folder)


def track(dataset, folder, moved=0.0):
    """Write results: the ground truth, moved."""
    for sequence in dataset.sequences:
        entries = [1, *(list(np.asarray(region) + moved) for region in sequence.ground_truth[1:])]
        save_vot(vot_file(folder, sequence.name, 1), Trajectory.from_frames(entries))


def test_no_results(dataset, tmp_path):
    with pytest.raises(ValueError, match="no results: expected .*results/net, got nothing"):
        score_results(RESULT, dataset, tmp_path)
    track(dataset, tmp_path / RESULT.folder)
    shutil.rmtree(tmp_path / RESULT.folder / "baseline" / "b")
    with pytest.raises(ValueError, match="results/net cannot be scored: .*b"):
        score_results(RESULT, dataset, tmp_path)


def test_scores(dataset, tmp_path):
    track(dataset, tmp_path / RESULT.folder)
    scores = {score.measure: score for score in score_results(RESULT, dataset, tmp_path)}
    assert sorted(scores) == ["EAO", "accuracy", "robustness"]
    assert scores["robustness"].value == 0 and scores["accuracy"].value > 0.9
    assert (scores["EAO"].epoch, scores["EAO"].seed, scores["EAO"].benchmark) == (19, 1, "VOT2016")


@pytest.mark.parametrize(("value", "expected"), [(0.5, 0.5), ({"all": 0.4}, 0.4), (-1, math.nan), ({}, math.nan)])
def test_values(value, expected):
    assert value_of({"eao": value}, "eao") == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("content", [None, "[]", "{}", "{"])
def test_written_scores_that_are_none(tmp_path, content):
    if content is not None:
        (tmp_path / "scores.json").write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match="scores"):
        written_scores(RESULT, tmp_path)


def test_written_scores(tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps({"net": {"accuracy": 0.5, "eao": {"all": 0.4}}}))
    assert written_scores(RESULT, tmp_path) == {"accuracy": 0.5, "EAO": 0.4}


def test_speeds(tmp_path):
    with pytest.raises(ValueError, match="expected a line 'Speed pairs/s : mean ..., spread ...', got none"):
        read_speed(tmp_path, 1, "train.log")
    lines = "Speed pairs/s : mean 10.00, spread 1.00\n", "words\n", "Speed pairs/s : mean 12.50, spread nan\n"
    (tmp_path / "train.log").write_text("".join(lines[:2]))
    assert read_speed(tmp_path, 1, "train.log") == Speed(1, 10.0, 1.0, "train.log")
    (tmp_path / "train.log").write_text("".join(lines))  # interrupted, and finished by the same command
    assert read_speed(tmp_path, 1, "train.log").mean == 12.5


def test_tuned_settings(dataset, tmp_path):
    assert math.isnan(best_tuned(tmp_path, dataset))
    for name, moved in (("worse", 8.0), ("better", 1.0), ("dropped", 0.0)):
        track(dataset, tmp_path / "VOT2016" / name, moved)
    shutil.rmtree(tmp_path / "VOT2016" / "dropped" / "baseline" / "b")
    better = score_results(ResultSet("VOT2016", "VOT2016/better", "", 0, 0, ""), dataset, tmp_path)
    assert best_tuned(tmp_path, dataset) == next(score.value for score in better if score.measure == "EAO")
