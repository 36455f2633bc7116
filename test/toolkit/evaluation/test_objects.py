"""J and F of objects: the numbers of the official code, which frames count, results that cannot be used."""

import json
import math
import pickle
import re

import cv2
import numpy as np
import pytest
from toolkit_data import objects_sequence, save_labels, two_squares

from helpers import ROOT
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.evaluation.objects import ObjectsScore, load_objects, score_objects, statistics
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.report.summary import full_text
from pysot.toolkit.results.lines import ResultError

PARITY = ROOT / "test" / "parity"


def data_set(*sequences, name="DAVIS2017"):
    return Dataset(name, list(sequences), (), None, "objects")


def score_one(dataset, folder, **options):
    return score_trackers(dataset, [folder], **options).trackers[0]


@pytest.mark.parametrize("name", ["good", "bad"])
def test_the_numbers_of_the_official_code(name):
    expected = json.loads((PARITY / "davis_small.expected.json").read_text())[name]
    annotations = PARITY / "davis_small" / "DAVIS" / "Annotations" / "480p"
    dataset = data_set(*(objects_sequence(annotations / sequence) for sequence in ("alpha", "beta")))
    score = score_one(dataset, PARITY / "davis_small" / "results" / name)
    assert not score.problems and not score.notes
    content = score.to_json()
    found = {**content["objects"], "all": content}
    for key, values in expected.items():
        for side in "JF":
            assert [*found[key][side].values()] == pytest.approx(values[side], abs=1e-6), (key, side)
    assert score.rank_by == pytest.approx(expected["all"]["J&F"], abs=1e-6)
    means = [sum(expected[f"alpha_{number}"][side][0] for number in (1, 2)) / 2 for side in "JF"]
    alpha = content["videos"]["alpha"]
    assert [alpha["J"]["mean"], alpha["F"]["mean"]] == pytest.approx(means, abs=1e-6)
    decays = [expected[f"alpha_{number}"]["J"][2] for number in (1, 2)]
    assert alpha["J"]["decay"] == pytest.approx(sum(decays) / 2, abs=1e-6)
    assert alpha["J&F"] == pytest.approx(sum(means) / 2, abs=1e-6)


def test_statistics_by_hand():
    assert statistics(np.array([np.nan, 0.25, 0.5, 0.75, 1.0, np.nan])) == statistics(np.array([0.25, 0.5, 0.75, 1.0]))
    found = statistics(np.array([1, 0.8, 0.6, 0.4, 0.2]))  # quarters end at 1, 2, 3, 4, 5 of 5
    assert (found.mean, found.recall) == pytest.approx((0.6, 0.6))
    assert found.decay == pytest.approx((1 + 0.8) / 2 - (0.4 + 0.2) / 2)
    assert statistics(np.array([0.5])) == statistics(np.array([0.5, np.nan]))
    assert (statistics(np.array([0.5])).recall, statistics(np.array([0.5])).decay) == (0, 0)
    assert statistics(np.full(4, np.nan)).to_json() == {"mean": None, "recall": None, "decay": None}
    # a place of a quarter's end may be above 255
    assert statistics(np.linspace(0, 1, 600)).decay == pytest.approx(-0.75, abs=0.01)


def test_which_frames_count(tmp_path):
    """A wrong result on the first frame, the last one and one without annotation does not matter."""
    truth = two_squares()
    save_labels(tmp_path / "a", truth)
    sequence = objects_sequence(tmp_path / "a")
    sequence.labels.paths[5] = None
    results = [image.copy() for image in truth]
    for index in (0, 5, 11):
        results[index][:] = 0
    save_labels(tmp_path / "m" / "a", [*results[:5], None, *results[6:11], None])
    score = score_one(data_set(sequence), tmp_path / "m", with_timelines=True)
    assert not score.problems and score.rank_by == 1 and score.curves["J"][50] == 1
    overlap = score.timelines["a"].overlap
    assert np.flatnonzero(np.isnan(overlap)).tolist() == [0, 5, 11] and np.nanmin(overlap) == 1


def test_joined_objects_are_one(tmp_path):
    save_labels(tmp_path / "a", two_squares())
    save_labels(tmp_path / "m" / "a", [np.where(image > 0, 7, 0) for image in two_squares()])
    score = score_one(data_set(objects_sequence(tmp_path / "a", {1: 0}, joined=True)), tmp_path / "m")
    assert score.rank_by == 1 and list(score.objects) == ["a_1"]


def test_an_object_that_appears_later_counts_after_its_start(tmp_path):
    truth = two_squares()
    for image in truth[:6]:
        image[image == 2] = 0
    save_labels(tmp_path / "a", truth)
    results = [image.copy() for image in truth]
    results[3][40:45, 2:9] = 2  # before the object appears, and on its start: not counted
    results[6][results[6] == 2] = 0
    results[8][results[8] == 2] = 0
    save_labels(tmp_path / "m" / "a", results)
    score = score_one(data_set(objects_sequence(tmp_path / "a", {1: 0, 2: 6})), tmp_path / "m", with_timelines=True)
    assert score.objects["a_1"].j.mean == 1 and score.objects["a_2"].j.mean == 3 / 4
    assert score.timelines["a"].overlap[8] == 0.5 and score.timelines["a"].overlap[6] == 1


def test_objects_that_the_annotation_does_not_show(tmp_path):
    """As officially, J and F of an object without pixels are 1 where the result has none; a note names it."""
    truth = two_squares(6)
    for image in truth[1:5]:
        image[image == 2] = 0
    save_labels(tmp_path / "a", truth)
    save_labels(tmp_path / "m" / "a", truth[:3] + two_squares(6)[3:])
    score = score_one(data_set(objects_sequence(tmp_path / "a")), tmp_path / "m")
    assert score.objects["a_2"].j.mean == 0.5 and len(score.notes) == 1
    assert score.notes[0].startswith("object 2 of a has no pixel in the annotation of frames that count")
    late = score_one(data_set(objects_sequence(tmp_path / "a", {1: 0, 2: 5})), tmp_path / "m")
    assert late.notes == ("object 2 of a has no annotated frame that counts, so the means leave it out",)
    assert late.rank_by == late.objects["a_1"].j_and_f == 1 and math.isnan(late.objects["a_2"].j.mean)
    assert late.to_json()["objects"]["a_2"]["J"]["mean"] is None


def test_a_sequence_without_frames_that_count(tmp_path):
    for name, count in (("a", 2), ("b", 4)):
        save_labels(tmp_path / name, two_squares(count))
        save_labels(tmp_path / "m" / name, two_squares(count))
    dataset = data_set(*(objects_sequence(tmp_path / name) for name in "ab"))
    score = score_one(dataset, tmp_path / "m", with_timelines=True)
    assert len(score.notes) == 2 and score.rank_by == 1 and math.isnan(score.by_video["a"]["J&F"])
    json.dumps(score.to_json(), allow_nan=False)
    alone = score_one(dataset.only(["a"]), tmp_path / "m")
    assert math.isnan(alone.rank_by) and np.isnan(alone.curves["J"]).all()


def damage(folder, kind):
    path = folder / "00003.png"
    if kind == "label":
        image = two_squares()[3]
        image[2:5, 2:5] = 3
        save_labels(folder / "new", [image])[0].replace(path)
    elif kind == "colour":
        cv2.imwrite(str(path), np.full((60, 90, 3), (0, 0, 128), np.uint8))
    elif kind == "size":
        for index in (3, 4, 5, 6, 7):
            save_labels(folder / "new", [np.zeros((30, 45), np.uint8)])[0].replace(folder / f"{index:05d}.png")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:60])
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("label", "00003.png has object 3, but a has objects 1, 2; "),
        ("colour", "00003.png is a colour image"),
        ("size", r"00003.png has 45 x 30 pixels, its frame 90 x 60.* \(4 more files of .*a cannot be used either\)$"),
        ("cut", "00003.png cannot be decoded"),
        ("missing", r"a has no mask for 1 of 10 frames \(00003.png\)"),
    ],
)
def test_results_that_cannot_be_used(tmp_path, kind, message):
    """The file is named, other videos and trackers are scored."""
    for name in "ab":
        save_labels(tmp_path / name, two_squares())
        for tracker in ("good", "broken"):
            save_labels(tmp_path / tracker / name, two_squares(shift=2))
    damage(tmp_path / "broken" / "a", kind)
    dataset = data_set(*(objects_sequence(tmp_path / name) for name in "ab"))
    with pytest.raises(ResultError, match=message):
        load_objects(dataset, dataset.sequences[0], tmp_path / "broken", [])
    folders = [tmp_path / "broken", tmp_path / "good"]
    scores = score_trackers(dataset, folders)
    assert [bool(score.problems) for score in scores.trackers] == [False, True]
    assert "Warning: broken is not scored" in full_text(scores, "pysot", True)
    partial = score_trackers(dataset, folders, partial=True).trackers
    assert {score.coverage for score in partial} == {"", "1 of 2 videos"}
    assert partial[0].by_video["b"] == partial[1].by_video["b"]
    assert math.isnan(scores.trackers[1].rank_by) and scores.trackers[1].to_json()["J&F"] is None


def test_a_damaged_annotation_is_named(tmp_path):
    save_labels(tmp_path / "a", two_squares())
    save_labels(tmp_path / "m" / "a", two_squares())
    (tmp_path / "a" / "00004.png").write_bytes(b"")
    score = score_one(data_set(objects_sequence(tmp_path / "a")), tmp_path / "m")
    assert "00004.png" in score.problems[0]


def test_an_annotation_of_another_size_is_not_taken_for_a_wrong_result(tmp_path):
    save_labels(tmp_path / "a", two_squares())
    save_labels(tmp_path / "m" / "a", two_squares())
    sequence = objects_sequence(tmp_path / "a")
    save_labels(tmp_path / "new", [two_squares()[4][:30]])[0].replace(tmp_path / "a" / "00004.png")
    score = score_one(data_set(sequence), tmp_path / "m")
    assert re.fullmatch(r"mask .*/a/00004.png has 90 x 30 pixels, its frame 90 x 60; .*", score.problems[0])


@pytest.mark.parametrize(
    "name, objects", [("DAVIS2017", ["a_1", "a_2", "a_3"]), ("mine", ["a_1", "a_3"]), ("YouTube-VOS", ["a_1", "a_3"])]
)
def test_a_number_that_no_object_has(tmp_path, name, objects):
    """In DAVIS it counts as officially, as an object without pixels; elsewhere it does not raise the means."""
    images = [np.where(image == 2, 3, image) for image in two_squares()]
    save_labels(tmp_path / "a", images)
    save_labels(tmp_path / "m" / "a", [np.zeros_like(image) for image in images])
    score = score_one(data_set(objects_sequence(tmp_path / "a", {1: 0, 3: 0}), name=name), tmp_path / "m")
    assert list(score.objects) == objects and score.rank_by == pytest.approx((len(objects) - 2) / len(objects))
    assert len(score.notes) == len(objects) - 2


def test_losses_and_label_images_of_a_timeline_travel_between_processes(tmp_path):
    results = [np.zeros_like(image) if 4 <= index < 7 else image for index, image in enumerate(two_squares())]
    save_labels(tmp_path / "a", two_squares())
    save_labels(tmp_path / "m" / "a", results)
    dataset = data_set(objects_sequence(tmp_path / "a"))
    measured = load_objects(dataset, dataset.sequences[0], tmp_path / "m", [])
    score: ObjectsScore = pickle.loads(pickle.dumps(score_objects(dataset, {"a": measured}, "both", True)))
    timeline = score.timelines["a"]
    assert timeline.losses == [4] and timeline.regions is None
    assert (timeline.labels.read(8) == results[8]).all()
    assert score_objects(dataset, {"a": measured}, "pysot", False).timelines == {}
    assert score.curves["F"].shape == (101,) and score.curves["F"][100] == 0 and score.curves["F"][0] == 0.7
