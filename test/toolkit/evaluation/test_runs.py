"""Runs without restarts: long-term scores, many starts, unsupervised."""

import json
import subprocess
import sys
import zipfile
from functools import partial

import numpy as np
import pytest
from toolkit_data import ShakingTracker, box_sequence, make_sequence, trajectory, write_frames

from helpers import ROOT
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.evaluation import longterm, multistart
from pysot.toolkit.experiments.runner import frames_to_track, run_dataset
from pysot.toolkit.experiments.scoring import evaluate_tracker, score_trackers
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.report.figures import write_figures
from pysot.toolkit.report.html_report import write_report
from pysot.toolkit.report.summary import full_text, rows_of, tag_values
from pysot.toolkit.results.files import SKIPPED, START, TRACKED, ResultError, Trajectory, load_run, save_ope, save_vot
from pysot.toolkit.results.paths import anchor_file, vot_file
from pysot.utils.masks import Mask

BOX = [20.0, 20, 20, 20]
SETTINGS = VotSettings(low=20, high=60, peak=20)


def long_term(*sequences) -> Dataset:
    return Dataset("VOT2018-LT", list(sequences), (), None, "longterm")


def run(*entries, confidence=None, seconds=None) -> Trajectory:
    return Trajectory.from_frames([1, *entries], seconds, confidence)


# long-term


def test_a_sequence_that_never_shows_its_target():
    with pytest.raises(ValueError, match="never shows its target"):
        longterm.long_term_score([longterm.Video(np.zeros(3), np.ones(3), 0)], official=False)


def test_thresholds():
    """Every second of 196 confidences, and the infinities; pysot's indices are floor(linspace(1, 194, 98) + 0.5)."""
    values = np.arange(196) / 196
    pysot, official = longterm.pysot_thresholds(np.append(values, np.nan)), longterm.official_thresholds(values)
    assert len(pysot) == len(official) == 100
    assert np.isposinf([pysot[0], official[0]]).all() and np.isneginf([pysot[-1], official[-1]]).all()
    indices = [int(np.floor(1 + 193 * step / 97 + 0.5)) for step in range(98)]
    assert pysot[1:99][::-1].tolist() == values[indices].tolist()
    assert pysot[98] == values[1] and pysot[1] == values[194] and official[1] == values[195 - 2]
    assert longterm.official_thresholds(np.array([0.1, 0.3])).tolist() == [np.inf, 0.3, 0.1, -np.inf]
    assert longterm.pysot_thresholds(np.array([np.nan])).tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("official", [False, True])
def test_long_term_score_by_hand(official):
    """After the first frame, two confident frames of overlap 1 and two unconfident misses.

    The target is visible in three frames; the best threshold takes the first two.
    """
    video = longterm.Video(np.array([np.nan, 1, 1, 0, 0.0]), np.array([np.nan, 0.9, 0.8, 0.2, 0.1]), 3)
    score = longterm.long_term_score([video], official)
    assert (score.precision, score.recall) == (1, pytest.approx(2 / 3)) and score.f1 == pytest.approx(0.8)
    assert score.precisions[0] == 1 and score.recalls[0] == 0 and score.precisions[-1] == (2 / 5 if official else 0.5)


def test_a_frame_at_the_threshold_counts():
    video = longterm.Video(np.array([1, 1, 0, 0.0]), np.array([0.9, 0.8, 0.2, 0.1]), 4)
    score = longterm.long_term_score([video], official=True)
    assert score.precisions == pytest.approx([1, 1, 1, 2 / 3, 1 / 2, 1 / 2])
    assert score.recalls == pytest.approx([0, 1 / 4, 1 / 2, 1 / 2, 1 / 2, 1 / 2])


def literal_pysot(videos):
    """Return F1, precision and recall as the original's determine_thresholds and calculate_f1.

    The original's reader makes the first confidence NaN.
    """
    confidences = [[np.nan, *video.confidence[1:]] for video in videos]
    ordered = sorted(value for values in confidences for value in values if value == value)
    step = len(ordered) // 98
    finite = [ordered[int(np.floor(index + 0.5))] for index in np.linspace(step - 1, len(ordered) - step, 98)]
    thresholds = [np.inf, *finite[::-1], -np.inf]
    best = (0.0, 0.0, 0.0)
    for threshold in thresholds:
        pairs = []
        for video, values in zip(videos, confidences, strict=True):
            values = [0 if value != value else value for value in values]
            taken = [
                overlap
                for overlap, value in zip(video.overlap, values, strict=True)
                if (value > 0 if threshold == -np.inf else value >= threshold)
            ]
            pairs.append((sum(taken) / len(taken), sum(taken) / video.visible) if taken else (1, 0))
        precision, recall = np.mean(pairs, axis=0)
        if precision + recall:
            best = max(best, (2 * precision * recall / (precision + recall), precision, recall))
    return best


def test_the_first_confidence():
    """The original leaves out the first confidence, the official toolkit takes it. Compared with `literal_pysot`."""
    rng = np.random.default_rng(3)
    videos = [
        longterm.Video(rng.random(90) * (rng.random(90) > 0.3), np.round(rng.random(90), 2), 70) for _ in range(4)
    ]
    for video in videos:
        video.overlap[0], video.confidence[0] = 0, 0.9
    score = longterm.long_term_score(videos, official=False)
    assert (score.f1, score.precision, score.recall) == pytest.approx(literal_pysot(videos), abs=1e-12)
    video = longterm.Video(np.array([0, 1.0]), np.array([0.9, 0.5]), 1)
    assert longterm.long_term_score([video], official=False).f1 == 1
    assert longterm.long_term_score([video], official=True).f1 < 1


def test_official_recall_above_one_is_reported(tmp_path):
    """Frames without target and region count as overlaps of 1, and the denominator is the number of visible frames."""
    truth = [np.array(BOX)] * 2 + [np.full(4, np.nan)] * 6
    dataset = long_term(make_sequence("a", truth=truth))
    save_vot(vot_file(tmp_path / "m", "a", experiment="longterm"), run(BOX, *[0] * 6, confidence=[np.nan] + [0.9] * 7))
    scores = score_trackers(dataset, [tmp_path / "m"], mode="official", with_timelines=True)
    assert scores.trackers[0].official["f1"] > 1
    assert "can be above 1, a known fault of the official toolkit" in full_text(scores, "official", False)
    assert "above 1" not in full_text(scores, "pysot", False) and "above 1" in full_text(scores, "both", False)
    assert "above 1" in write_report(tmp_path / "out.html", scores, {}).read_text()


def test_frames_without_confidence():
    """pysot leaves out frames without a positive confidence; the official toolkit has a threshold that takes them."""
    video = longterm.Video(np.array([0, 1.0]), np.array([np.nan, 0.5]), 1)
    pysot, official = (longterm.long_term_score([video], official) for official in (False, True))
    assert pysot.precisions[-1] == 1 and official.precisions[-1] == 0.5 and pysot.f1 == official.f1 == 1


def test_a_long_term_tracker_from_files(tmp_path):
    truth = [np.array(BOX)] * 3 + [np.full(4, np.nan)] * 2 + [np.array(BOX)]
    dataset = long_term(make_sequence("a", truth=truth), make_sequence("b", truth=[np.array(BOX)] * 6))
    for name, entries in (("a", [BOX, BOX, 0, 0, BOX]), ("b", [BOX] * 5)):
        save_vot(vot_file(tmp_path / "m", name, experiment="longterm"), run(*entries, confidence=[np.nan] + [0.9] * 5))
    assert (tmp_path / "m" / "longterm" / "a" / "a_001_confidence.value").read_text() == "\n" + "0.900000\n" * 5
    scores = score_trackers(dataset, [tmp_path / "m"], mode="both", with_timelines=True)
    score = scores.trackers[0]
    assert score.numbers["recall"] == pytest.approx((3 / 4 + 5 / 6) / 2)
    assert score.numbers["precision"] == pytest.approx((3 / 5 + 1) / 2)
    assert score.official["precision"] == pytest.approx((5 / 5 + 1) / 2)  # no region is right without the target
    assert json.loads(json.dumps(scores.to_json()))["m"]["vot"]["f1"] == score.official["f1"]
    assert score.videos["b"]["precision"] == 1
    text = full_text(scores, "both", details=True)
    assert "F1 pysot" in text and "F1 vot" in text and "Why they differ" in text and "Per video" in text and "b" in text
    assert rows_of(scores, "pysot")[""][0] == ["Tracker Name", "F1", "Precision", "Recall"]
    assert rows_of(scores, "vot")[""][0][1] == "F1"
    (tmp_path / "m" / "longterm" / "a" / "a_001_confidence.value").unlink()
    assert "a_001_confidence.value: long-term scores need the tracker's confidence" in full_text(
        score_trackers(dataset, [tmp_path / "m"]), "pysot", False
    )
    score = score_trackers(dataset, [tmp_path / "m"], partial=True).trackers[0]
    assert score.coverage == "1 of 2 videos" and score.numbers["precision"] == 1


def test_scores_by_attribute(tmp_path):
    """F1 of the videos with an attribute, in the table, the JSON and the figures."""
    names = {"good": BOX, "bad": [90, 90, 5, 5]}
    attributes = {"good": ["all", "Blur"], "bad": ["all", "Tiny"]}
    meta = {
        name: {"video_dir": name, "img_names": ["1.jpg"] * 3, "gt_rect": [BOX] * 3, "attr": attributes[name]}
        for name in names
    }
    (tmp_path / "VOT2018-LT.json").write_text(json.dumps(meta))
    dataset = load_dataset("VOT2018-LT", tmp_path)
    for name, box in names.items():
        save_vot(vot_file(tmp_path / "m", name, experiment="longterm"), run(box, box, confidence=[np.nan, 0.2, 0.9]))
    scores = score_trackers(dataset, [tmp_path / "m"], with_timelines=True)
    score = scores.trackers[0]
    alone = score_trackers(dataset.only(["good"]), [tmp_path / "m"]).trackers[0]
    assert score.attributes == {"Blur": alone.numbers["f1"], "Tiny": 0, "all": score.numbers["f1"]}
    assert alone.numbers["f1"] > score.numbers["f1"] > 0
    assert scores.to_json()["m"]["attributes"] == score.attributes == tag_values(scores)["m"]
    assert "By attribute" in full_text(scores, "pysot", False)
    assert rows_of(scores, "pysot")["attributes"][0] == ["Tracker Name", "Blur", "Tiny", "all"]
    assert "By attribute" in write_report(tmp_path / "out.html", scores, {}).read_text()
    pytest.importorskip("matplotlib")
    assert (tmp_path / "figures" / "VOT2018-LT_attributes.png") in write_figures(tmp_path / "figures", scores)


def test_tables_of_the_official_arithmetic(tmp_path):
    """With --mode official all tables are in its arithmetic, and the page says why the two differ."""
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    attributes = {"a": ["all", "Blur"], "b": ["all", "Blur"], "c": ["all"]}
    videos = {
        name: {"video_dir": name, "img_names": ["1.jpg"] * 30, "gt_rect": [BOX] * 30, "attr": attributes[name]}
        for name in names
    }
    (tmp_path / "VOT2018-LT.json").write_text(json.dumps(videos))
    dataset = load_dataset("VOT2018-LT", tmp_path)
    for name in names:
        boxes = [[BOX[0] + shift, *BOX[1:]] for shift in rng.integers(0, 15, 29).tolist()]
        result = run(*boxes, confidence=np.r_[np.nan, rng.random(29)])
        save_vot(vot_file(tmp_path / "m", name, experiment="longterm"), result)
    scores = score_trackers(dataset, [tmp_path / "m"], mode="both", with_timelines=True)
    score = scores.trackers[0]
    for name in names:
        alone = score_trackers(dataset.only([name]), [tmp_path / "m"], mode="official").trackers[0]
        assert score.official_videos[name] == alone.official != alone.numbers == score.videos[name]
    of_two = score_trackers(dataset.only(["a", "b"]), [tmp_path / "m"], mode="official").trackers[0]
    assert score.official_attributes == {"Blur": of_two.official["f1"], "all": score.official["f1"]} != score.attributes
    assert scores.to_json()["m"]["vot"] == {
        **score.official,
        "videos": score.official_videos,
        "attributes": score.official_attributes,
    }
    for mode, by_video, by_attribute in (
        ("official", score.official_videos, score.official_attributes),
        ("both", score.videos, score.attributes),
    ):
        rows = rows_of(scores, mode)
        assert rows["videos"][1:] == [[name, *(f"{value:.3f}" for value in by_video[name].values())] for name in names]
        assert rows["attributes"][1] == ["m", *(f"{value:.3f}" for value in by_attribute.values())]
    assert "Why they differ" in write_report(tmp_path / "out.html", scores, {}).read_text()


def test_unknown_sizes(tmp_path):
    """The JSON of a long-term set has no sizes and the frames are missing: regions are not clipped to an image."""
    video = {"video_dir": "a", "img_names": ["a/1.jpg"] * 3, "gt_rect": [BOX, [float("nan")] * 4, BOX]}
    (tmp_path / "VOT2018-LT.json").write_text(json.dumps({"a": video}))
    dataset = load_dataset("VOT2018-LT", tmp_path)
    assert dataset.protocol == "longterm" and dataset.sequences[0].width is None
    assert find_protocol(dataset).experiment == "longterm"
    save_vot(vot_file(tmp_path / "m", "a", experiment="longterm"), run(BOX, BOX, confidence=[np.nan, 0.2, 0.9]))
    assert score_trackers(dataset, [tmp_path / "m"]).trackers[0].numbers == {
        "f1": pytest.approx(2 / 3),
        "precision": 1,
        "recall": 0.5,
    }


# many starts


def anchored(frames=60, anchors=((0, False), (59, True)), name="a") -> Dataset:
    return Dataset("VOT2022", [box_sequence(frames, name=name, anchors=anchors)], (), SETTINGS, "multistart")


def test_anchors_are_needed():
    with pytest.raises(ValueError, match="is tracked from anchors, but these sequences have none: a "):
        find_protocol(anchored(anchors=()))


def test_a_sequence_without_anchors_does_not_change_the_protocol(tmp_path):
    """It is an error, not a set with restarts; so is an anchor.value with more lines than frames."""
    root = tmp_path / "VOT2022"
    for name in ("a", "b"):
        write_frames(root / name / "color", 3)
        (root / name / "groundtruth.txt").write_text("1,2,30,40\n" * 3)
    (root / "list.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match="VOT2022 is tracked from anchors, but these sequences have none: a, b "):
        find_protocol(load_dataset("VOT2022", tmp_path))
    (root / "a" / "anchor.value").write_text("1\n0\n")
    with pytest.raises(ValueError, match="is tracked from anchors, but these sequences have none: b "):
        find_protocol(load_dataset("VOT2022", tmp_path))
    root.rename(tmp_path / "mine")
    with pytest.raises(ValueError, match="is tracked from anchors, but these sequences have none: b "):
        find_protocol(load_dataset("mine", tmp_path))
    (tmp_path / "mine" / "b" / "anchor.value").write_text("1\n0\n0\n-1\n")
    with pytest.raises(ValueError, match="anchor.value has 4 lines for 3 frames"):
        load_dataset("mine", tmp_path)


def test_a_run_fails_at_the_first_of_ten_poor_frames():
    good, visible = np.ones(40), np.ones(40, bool)
    poor = good.copy()
    poor[20:29] = 0.1
    assert multistart.AnchorRun(poor, visible).progress == 40  # nine in a row are forgiven
    poor[29] = 0
    assert multistart.AnchorRun(poor, visible).progress == 20
    visible[25] = False
    assert multistart.AnchorRun(poor, visible).progress == 40


def test_many_starts_by_hand(tmp_path):
    """One perfect run, and a backwards one that fails after 30 of 60 frames; the start itself has overlap 0."""
    dataset = anchored()
    good, bad = [list(BOX[:2]) + [19, 19]] * 59, [list(BOX[:2]) + [19, 19]] * 29 + [[90, 90, 9, 9]] * 30
    save_vot(anchor_file(tmp_path / "m", "a", 0), run(*good))
    save_vot(anchor_file(tmp_path / "m", "a", 59), run(*bad))
    score = score_trackers(dataset, [tmp_path / "m"]).trackers[0]
    assert score.numbers["robustness"] == pytest.approx(90 / 120)
    assert score.numbers["accuracy"] == pytest.approx(88 / 90)
    assert score.curve[0] == 0 and score.curve[20] == 1 and len(score.curve) == 60
    assert score.curve[59] == pytest.approx((1 + 29 / 59) / 2)
    assert score.numbers["eao"] == pytest.approx(score.curve[20:].mean()) and score.videos["a"]["robustness"] == 0.75


def test_beyond_its_end_a_failed_run_is_divided_by_one_less():
    """As in the official toolkit; a run that did not fail just ends."""
    lost, kept = np.r_[0, np.ones(4), np.zeros(15)], np.r_[0, np.ones(9)]
    curve = multistart.expected_overlap([multistart.AnchorRun(lost, np.ones(20, bool))], 30)
    assert curve[[4, 19, 20, 29]] == pytest.approx([1, 4 / 19, 4 / 19, 4 / 28]) and curve[0] == 0
    curve = multistart.expected_overlap([multistart.AnchorRun(kept, np.ones(10, bool))], 30)
    assert curve[9] == 1 and curve[10] == 0


def test_sequences_weigh_by_robust_frames_and_by_frames():
    scores = [multistart.SequenceScore(0.8, 1.0, 30, 10), multistart.SequenceScore(0.4, 0.5, 10, 30)]
    assert multistart.accuracy_robustness(scores) == pytest.approx((0.7, 0.625))
    assert multistart.accuracy_robustness([multistart.SequenceScore(0, 0, 0, 10)]) == (0, 0)


def test_runs_go_backwards():
    sequence = make_sequence("a", 5, masks={1: Mask(0, 0, np.ones((2, 2), bool))})
    back = sequence.run_from(3, True)
    assert back.frame_paths == sequence.frame_paths[3::-1] and list(back.masks) == [2]
    assert (back.ground_truth[0] == sequence.ground_truth[3]).all()
    assert len(sequence.run_from(3, False)) == 2


def test_a_raw_folder_with_anchors_and_masks(tmp_path):
    """Tracked from its anchors, one of them backwards, with masks as ground truth; each run is a file and is kept."""
    root = tmp_path / "VOT2020"
    write_frames(root / "clip" / "color", 30)
    (root / "list.txt").write_text("clip\n")
    truth = [Mask(20 + index, 30, np.ones((20, 24), bool)) for index in range(30)]
    (root / "clip" / "groundtruth.txt").write_text("".join(mask.text() + "\n" for mask in truth))
    (root / "clip" / "anchor.value").write_text("1\n" + "0\n" * 14 + "-1\n" + "0\n" * 14)
    dataset = load_dataset("VOT2020", tmp_path)
    assert dataset.protocol == "multistart" and dataset.settings.high == 755
    assert dataset.sequences[0].anchors == ((0, False), (15, True))
    tracker = ShakingTracker([mask.box for mask in truth], shift=4)
    frames = []
    progress = run_dataset(tracker, dataset, tmp_path / "out", lambda sequence, step: frames.append(step.index))
    assert progress.tracked == ["clip"]
    assert len(frames) == 30 + 16 == frames_to_track(dataset, dataset.sequences[0], tmp_path / "out")
    files = sorted(path.name for path in (tmp_path / "out" / "baseline" / "clip").glob("*.txt"))
    assert files == ["clip_00000000.txt", "clip_00000015.txt"] and [frame for frame, _ in tracker.starts] == [0, 15]
    assert run_dataset(tracker, dataset, tmp_path / "out").kept == ["clip"]
    score = evaluate_tracker(dataset, tmp_path / "out", "baseline")
    assert score.numbers["robustness"] == 1
    assert score.numbers["accuracy"] == pytest.approx((29 + 15) / 46 * 20 / 28, abs=1e-3)
    for path in (tmp_path / "out" / "baseline" / "clip").glob("clip_*"):
        path.rename(path.with_name(path.name.replace("clip", "Clip")))
    (tmp_path / "out" / "baseline" / "clip").rename(tmp_path / "out" / "baseline" / "CLIP")
    assert evaluate_tracker(dataset, tmp_path / "out", "baseline").numbers == score.numbers
    (tmp_path / "out" / "baseline" / "CLIP" / "Clip_00000015.txt").unlink()
    assert "clip_00000015.txt" in evaluate_tracker(dataset, tmp_path / "out", "baseline").problems[0]


# unsupervised


def vot2018(*names) -> Dataset:
    return Dataset("VOT2018", [box_sequence(30, name=name) for name in names], ("all",), VotSettings(2, 9, 5))


@pytest.mark.parametrize("experiment", ["baseline", "unsupervised"])
def test_missing_results_of_a_name_alike_are_called_by_their_own(tmp_path, experiment):
    """They are not named by the folder of the other video."""
    dataset = vot2018("clip-1", "clip_1")
    save_vot(vot_file(tmp_path / "m", "clip_1", experiment=experiment), run(*[BOX] * 29))
    problems = score_trackers(dataset, [tmp_path / "m"], experiment=experiment).trackers[0].problems
    assert len(problems) == 1 and f"{experiment}/clip-1/clip-1_001.txt" in problems[0]


def test_different_numbers_of_repetitions_are_reported(tmp_path):
    """Accuracy and EAO weigh the videos as if no repetition were missing."""
    dataset = vot2018("a", "b", "c")
    for experiment in ("baseline", "unsupervised"):
        for video, repetitions in (("a", 2), ("b", 3), ("c", 2)):
            for number in range(repetitions):
                save_vot(vot_file(tmp_path / "m", video, number + 1, experiment=experiment), run(*[BOX] * 29))
        score = score_trackers(dataset, [tmp_path / "m"], experiment=experiment).trackers[0]
        note = "videos have different numbers of repetitions (2 with 2, 1 with 3): some may be missing"
        assert score.notes == (note,) and not score.problems
        save_vot(vot_file(tmp_path / "m", "a", 3, experiment=experiment), run(*[BOX] * 29))
        assert score_trackers(dataset.only(["a", "b"]), [tmp_path / "m"], experiment=experiment).trackers[0].notes == ()


def test_unsupervised_by_hand(tmp_path):
    dataset = vot2018("clip")
    result = run(*[[90, 90, 9, 9]] * 9, *[BOX[:2] + [19, 19]] * 15, *[[90, 90, 9, 9]] * 5)
    save_vot(vot_file(tmp_path / "m", "clip", experiment="unsupervised"), result)
    scores = score_trackers(dataset, [tmp_path / "m"], experiment="unsupervised", mode="both")
    assert scores.trackers[0].numbers == {"accuracy": pytest.approx(15 / 20)}
    assert "Accuracy" in full_text(scores, "both", True)
    assert scores.trackers[0].curve[50] == pytest.approx(15 / 20)
    with pytest.raises(ValueError, match="no experiment 'longterm'; it has baseline, realtime, unsupervised"):
        score_trackers(dataset, [], experiment="longterm")


@pytest.mark.parametrize(
    "text, reason",
    [
        ("0\n1,2,3,4\n", "does not begin"),
        ("1\n1\n", "line 2 needs a region"),
        ("1\n2\n", "line 2 needs a region"),
        ("1\n1,2,3\n", "line 2 needs a region"),
        ("1\n1,2,inf,4\n", "line 2 has a number that is not finite"),
        ("1\n1,2,-3,4\n", "line 2 has a negative"),
        ("1\n1,2,3,4\n1,2,3,4\n", "3 lines for 2 frames"),
    ],
)
def test_damaged_runs_are_named(tmp_path, text, reason):
    (tmp_path / "a_001.txt").write_text(text)
    with pytest.raises(ResultError, match=f"a_001.txt.*{reason}"):
        load_run(tmp_path / "a_001.txt", 2)


def test_regions_of_nan_are_no_regions(tmp_path):
    (tmp_path / "a_001.txt").write_text("1\nnan,nan,nan,nan\n1,2,3,4,5,6,nan,8\n1,2,3,4\n")
    assert load_run(tmp_path / "a_001.txt", 4).codes.tolist() == [START, SKIPPED, SKIPPED, TRACKED]


def test_the_last_frames_may_have_no_confidence(tmp_path):
    (tmp_path / "a_001.txt").write_text("1\n1,2,3,4\n0\n")
    (tmp_path / "a_001_confidence.value").write_text("\n0.5\n\n")
    np.testing.assert_array_equal(load_run(tmp_path / "a_001.txt", 3).confidence, [np.nan, 0.5, np.nan])


def test_damaged_confidences_are_named(tmp_path):
    (tmp_path / "a_001.txt").write_text("1\n1,2,3,4\n")
    for text, reason in (("\n0.5\n0.5\n", "3 lines for 2 frames"), ("\nx\n", "line 2 needs a number")):
        (tmp_path / "a_001_confidence.value").write_text(text)
        with pytest.raises(ResultError, match=f"a_001_confidence.value.*{reason}"):
            load_run(tmp_path / "a_001.txt", 2)


# commands


def run_eval(folder, dataset, *more):
    """Execute eval.py on the results in a folder."""
    command = [sys.executable, str(ROOT / "tools" / "eval.py"), "-p", "results", "-d", dataset, "--datasetdir", "."]
    return subprocess.run([*command, *more], cwd=folder, capture_output=True, text=True)


def test_commands(tmp_path):
    """eval.py on a long-term set: table, files, and the error for an experiment that the set does not have."""
    video = {"video_dir": "a", "img_names": ["a/1.jpg"] * 3, "gt_rect": [BOX] * 3, "width": 100, "height": 80}
    (tmp_path / "VOT2018-LT.json").write_text(json.dumps({"a": video}))
    result = run(BOX, BOX, confidence=[np.nan, 0.2, 0.9])
    save_vot(vot_file(tmp_path / "results" / "VOT2018-LT" / "m", "a", experiment="longterm"), result)
    evaluate = partial(run_eval, tmp_path, "VOT2018-LT")
    done = evaluate("--mode", "both", "--json", "out.json", "--table", "out.csv", "-s")
    assert done.returncode == 0 and "F1 vot" in done.stdout, done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["m"]["f1"] == pytest.approx(0.8)
    assert (tmp_path / "out_videos.csv").read_text().startswith("Video,m F1")
    assert evaluate("--table", "few.csv").returncode == 0
    assert (tmp_path / "few.csv").exists() and not (tmp_path / "few_videos.csv").exists()
    done = evaluate("--experiment", "realtime")
    assert done.returncode == 2 and "no experiment 'realtime'; it has longterm" in done.stderr


def test_a_set_without_ground_truth_is_packed_for_its_server(tmp_path):
    video = {"video_dir": "a", "img_names": ["a/1.jpg"] * 3, "gt_rect": [BOX] + [[float("nan")] * 4] * 2}
    (tmp_path / "TrackingNet.json").write_text(json.dumps({"a": video}))
    for name in ("m", "n"):
        save_ope(tmp_path / "results" / name, "a", np.array([BOX] * 3))
    evaluate = partial(run_eval, tmp_path, "TrackingNet")
    done = evaluate("--zip", "m.zip")
    assert done.returncode == 2 and "or a set with masks of objects, got 2 on TrackingNet" in done.stderr
    assert not (tmp_path / "m.zip").exists()
    done = evaluate("--zip", "m.zip", "-t", "m")
    assert done.returncode == 0 and "its server scores it" in done.stderr and done.stdout == ""
    assert zipfile.ZipFile(tmp_path / "m.zip").namelist() == ["a.txt"]


@pytest.mark.parametrize(
    ("kind", "axes"),
    [
        ("longterm", "precision by recall"),
        ("multistart", "expected overlap by length in frames"),
        ("unsupervised", "share of frames above an overlap"),
    ],
)
def test_pictures_and_page(tmp_path, kind, axes):
    """A tracker that loses the target, and another that is left out of one sequence."""
    if kind == "longterm":
        dataset = long_term(*(box_sequence(40, name=name) for name in "ab"))
    elif kind == "multistart":
        sequences = [box_sequence(40, name=name, anchors=((30, True), (0, False))) for name in "ab"]
        dataset = Dataset("VOT2022", sequences, (), SETTINGS, "multistart")
    else:
        dataset = Dataset("VOT2018", [box_sequence(40, name=name) for name in "ab"], ("all",), VotSettings(2, 9, 5))
    experiment = "unsupervised" if kind == "unsupervised" else find_protocol(dataset).experiment
    good, away, confidence = BOX[:2] + [19, 19], [90, 90, 9, 9], [np.nan] + [0.5] * 39
    for name, video in (("m", "a"), ("m", "b"), ("n", "a")):
        if kind == "multistart":
            save_vot(anchor_file(tmp_path / name, video, 30), run(*[good] * 20, *[away] * 10))
            save_vot(anchor_file(tmp_path / name, video, 0), run(*[good] * 39))
        else:
            result = run(*[good] * 20, *[away] * 19, confidence=confidence)
            save_vot(vot_file(tmp_path / name, video, experiment=experiment), result)
    folders = [tmp_path / "m", tmp_path / "n"]
    scores = score_trackers(dataset, folders, experiment=experiment, partial=True, with_timelines=True)
    assert [score.coverage for score in sorted(scores.trackers, key=lambda score: score.name)] == ["", "1 of 2 videos"]
    timeline = scores.timelines("a")["m"]
    assert timeline.losses == ([9] if kind == "multistart" else [21]) and len(timeline.overlap) == 40
    page = write_report(tmp_path / "out.html", scores, {}).read_text()
    assert "1 of 2 videos" in page and "left out" in page and page.count("<details") == 2
    assert all(label in page for label in axes.split(" by "))
    written = write_figures(tmp_path / "plots", scores, "svg")
    suffix = "_unsupervised" if kind == "unsupervised" else ""
    assert written[0].name == f"{dataset.name}{suffix}_scores.svg" and written[0].read_text().startswith("<?xml")
    assert sorted(path.name for path in written[-1].iterdir()) == ["a.svg", "b.svg"]


def test_trajectory_of_one_run():
    assert trajectory(5).confidence is None and run(BOX, confidence=[0, 1]).confidence.tolist() == [0, 1]
