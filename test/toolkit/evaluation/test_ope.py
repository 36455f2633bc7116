"""One-pass sets: metrics by hand and against the original, layouts, names of result files, runner and commands."""

import itertools
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from toolkit_data import make_sequence

from helpers import ROOT, TINY, experiment, moving_square
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.evaluation.one_pass import OnePassScore
from pysot.toolkit.evaluation.ope import DISTANCES, NORMALISED, OVERLAPS, box_overlaps, mean_curves, measure_video
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.experiments.scoring import evaluate_tracker, score_trackers
from pysot.toolkit.protocol import Scores
from pysot.toolkit.protocols.one_pass import ONE_PASS
from pysot.toolkit.report.draw_files import draw
from pysot.toolkit.report.figures import write_figures
from pysot.toolkit.report.html_report import write_report
from pysot.toolkit.report.one_pass_tables import attribute_rows, ope_rows, ope_table, ope_video_rows
from pysot.toolkit.report.score_plots import one_pass_plots
from pysot.toolkit.results.files import ResultError, load_ope, save_ope
from pysot.toolkit.results.paths import find_ope_runs, tracker_dirs
from pysot.toolkit.tracking.one_pass import run_one_pass

BOX = np.array([20.0, 30, 40, 20])


def boxes(*shifts):
    return np.stack([BOX + [shift, 0, 0, 0] for shift in shifts])


def test_curves_by_hand():
    """Boxes of 40 x 20, moved by 0, 10 and 100 pixels.

    Overlaps are 1, 0.6 and 0, distances 0, 10 and 100, or 0, 0.25 and 2.5 of the size.
    """
    curves = measure_video(boxes(0, 0, 0), boxes(0, 10, 100))
    success = dict(zip(OVERLAPS.round(2).tolist(), curves.success.tolist(), strict=True))
    assert success[0.0] == pytest.approx(2 / 3) and success[0.55] == pytest.approx(2 / 3)
    assert success[0.65] == pytest.approx(1 / 3) and success[1.0] == 0
    assert curves.precision[DISTANCES.tolist().index(9)] == pytest.approx(1 / 3)
    assert curves.precision20 == pytest.approx(2 / 3)
    assert curves.norm_precision20 == pytest.approx(1 / 3)
    assert curves.norm_precision[NORMALISED.tolist().index(0.25)] == pytest.approx(2 / 3)
    assert (curves.ao, curves.sr50, curves.sr75, curves.counted) == (pytest.approx(0.3), 0.5, 0, 2)


@pytest.mark.filterwarnings("error")
def test_normalised_precision_of_trackingnet():
    """The area under the curve by the server's recipe, frame by frame.

    Boxes are in integer pixels, 21 thresholds go up to a half, areas are trapezoids.
    """
    rng = np.random.default_rng(0)
    truth = np.concatenate([rng.uniform(5, 60, (40, 2)), rng.uniform(0.6, 40, (40, 2))], axis=1)
    truth[0, 2] = 0.3  # rounds to no width: never within
    predicted = truth + rng.normal(0, 4, (40, 4)) * [1, 1, 0.3, 0.3]
    shares, total = [0.025 * step for step in range(21)], 0.0
    for (x, y, w, h), (a, b, c, d) in zip(truth.round(), predicted.round(), strict=True):
        distance = np.inf
        if w and h:
            distance = np.hypot((a + (c + 1) / 2 - x - (w + 1) / 2) / w, (b + (d + 1) / 2 - y - (h + 1) / 2) / h)
        hits = [float(distance <= share) for share in shares]
        total += sum((low + high) / 2 * 0.025 for low, high in itertools.pairwise(hits)) / 0.5
    curves = measure_video(truth, predicted)
    assert 0.2 < curves.norm_precision_auc < 0.9 and curves.norm_precision_auc == pytest.approx(total / 40, abs=1e-9)
    assert measure_video(truth[1:2], truth[1:2]).norm_precision_auc == 1
    assert curves.norm_precision20 != pytest.approx(curves.norm_precision_auc, abs=0.01)
    rows = ope_rows(Scores(toy("a"), ONE_PASS, [OnePassScore(name="one", all=curves)]))
    assert rows[1][rows[0].index("Norm Precision AUC")] == f"{curves.norm_precision_auc:.3f}"
    mean = mean_curves([curves, measure_video(truth[1:2], truth[1:2])])
    assert mean.norm_precision_auc == pytest.approx((total / 40 + 1) / 2)


def test_frames_without_the_target():
    """Absent frames are no hits; frames of NaN are no success but a hit of precision.

    Both are in the denominator. Only average overlap leaves them out.
    """
    truth, predicted = boxes(0, 0, 0), boxes(0, 0, 0)
    absent = measure_video(truth, predicted, np.array([True, True, False]))
    assert absent.auc == pytest.approx(20 / 21 * 2 / 3)
    assert (absent.precision20, absent.norm_precision20, absent.norm_precision_auc) == pytest.approx((2 / 3,) * 3)
    assert (absent.ao, absent.counted) == (1, 1)
    truth[2] = np.nan
    unknown = measure_video(truth, predicted)
    assert unknown.auc == absent.auc and unknown.precision20 == unknown.norm_precision20 == 1
    assert (unknown.ao, unknown.counted) == (1, 1)
    assert measure_video(truth, predicted, np.zeros(3, bool)).auc == 0
    with pytest.raises(ValueError, match="no frame has ground truth"):
        measure_video(truth * np.nan, predicted)


def test_videos_without_a_counted_frame():
    """A video with the target in its first frame only has no average overlap and does not change that of the set."""
    uncounted = measure_video(np.concatenate([boxes(0), boxes(0) * np.nan]), boxes(0, 0))
    assert uncounted.counted == 0 and np.isnan(uncounted.ao) and measure_video(boxes(0), boxes(0)).ao == 1
    assert mean_curves([uncounted, measure_video(boxes(0, 0), boxes(0, 0))]).ao == 1
    assert np.isnan(mean_curves([uncounted]).ao)


def test_frames_with_odd_truth():
    """As in the original: no size is a miss at every threshold, a centre left of the image a hit at every distance.

    More in test_ope_rules.py.
    """
    curves = measure_video(np.array([[20.0, 30, 0, 20], [-90, 30, 40, 20]]), boxes(0, 100))
    assert curves.success[0] == 0 and curves.precision[0] == 0.5


def test_mean_over_videos_and_over_frames():
    one, two = measure_video(boxes(0, 0), boxes(0, 0)), measure_video(boxes(*[0] * 10), boxes(0, *[100] * 9))
    mean = mean_curves([one, two])
    assert (
        mean.auc == pytest.approx((one.auc + two.auc) / 2) and mean.ao == pytest.approx(1 / 10) and mean.counted == 10
    )


def test_overlap_of_boxes():
    rng = np.random.default_rng(0)
    a, b = (np.concatenate([rng.uniform(-20, 20, (200, 2)), rng.uniform(0, 30, (200, 2))], axis=1) for _ in range(2))
    forth, back = box_overlaps(a, b), box_overlaps(b, a)
    np.testing.assert_allclose(forth, back)
    np.testing.assert_allclose(box_overlaps(a + [7, 9, 0, 0], b + [7, 9, 0, 0]), forth)
    np.testing.assert_allclose(box_overlaps(a, a), 1)
    assert forth.min() == 0 and forth.max() <= 1 and box_overlaps(np.zeros((1, 4)), np.zeros((1, 4)))[0] == 0


@pytest.mark.shared
def test_parity_on_published_results(shared):
    dataset = load_dataset("OTB100", shared / "data" / "benchmarks")
    assert dataset.one_pass and len(dataset) == 100
    expected = json.loads((shared / "parity" / "real_results.expected.json").read_text())["OTB100"]
    for tracker, numbers in expected.items():
        score = evaluate_tracker(dataset, shared / "data" / "results" / "OTB100" / tracker)
        assert score.problems == () and score.all.auc == pytest.approx(numbers["auc"], abs=1e-6)
        assert score.all.precision20 == pytest.approx(numbers["precision20"], abs=1e-6)
        for video, values in numbers["per_video"].items():
            assert (score.videos[video].auc, score.videos[video].precision20) == pytest.approx(values, abs=1e-6), video


def toy(*names, frames=6, **more) -> Dataset:
    return Dataset("OTB100", [make_sequence(name, truth=[BOX] * frames, **more) for name in names], (), None)


@pytest.mark.parametrize("written", ["Jogging-1.txt", "jogging_1.txt", "JOGGING.1.txt", "jogging_1/jogging_1_001.txt"])
def test_names_of_result_files(tmp_path, written):
    path = tmp_path / "model" / written
    path.parent.mkdir(parents=True)
    path.write_text("20\t30 40;20\r\n" * 6)
    assert find_ope_runs(tmp_path / "model", "Jogging-1") == [path]
    assert find_ope_runs(tmp_path / "model", "Jogging-2")[0].name == "Jogging-2.txt"
    assert evaluate_tracker(toy("Jogging-1"), tmp_path / "model").all.auc == pytest.approx(20 / 21)
    assert [folder.name for folder in tracker_dirs(tmp_path, "OTB100", experiments=("",))] == ["model"]


def results_by_video(folder, *written, names=("car-1", "car_1", "Deer"), nested=False):
    """Return the name of the result of each video, or the error, for a tracker with the `written` results."""
    for index, name in enumerate(written):
        save_ope(folder / "m", name, np.stack([BOX + [index, 0, 0, 0]] * 6), nested=nested)
    results = {}
    for sequence in toy(*names).sequences:
        try:
            path = find_ope_runs(folder / "m", sequence.name, sequence.similar_names)[0]
            results[sequence.name] = path.relative_to(folder / "m").parts[0].removesuffix(".txt")
        except ValueError as error:
            results[sequence.name] = str(error)
    return results


@pytest.mark.parametrize("nested", [False, True])
def test_names_that_are_alike(tmp_path, nested):
    """The file of one is never used for the other; a spelling that may be either is an error with both names."""
    results = results_by_video(tmp_path / "a", "car-1", "car_1", "deer", nested=nested)
    assert results == {"car-1": "car-1", "car_1": "car_1", "Deer": "deer"}
    results = results_by_video(tmp_path / "b", "car_1", nested=nested)
    assert results["car_1"] == "car_1"
    assert results["car-1"] == "car-1" and not (tmp_path / "b" / "m" / "car-1.txt").exists()  # the expected path
    errors = results_by_video(tmp_path / "c", "Car.1", nested=nested)
    assert "Car.1 in" in errors["car-1"] and "may belong to car-1 or to car_1" in errors["car-1"]
    assert "may belong to car_1 or to car-1" in errors["car_1"]
    results = results_by_video(tmp_path / "d", "car-1", "CAR-1", nested=nested)
    assert results["car_1"] == "CAR-1"  # car-1 has its exact name, so CAR-1 belongs to car_1
    assert "DEER and deer in" in results_by_video(tmp_path / "e", "DEER", "deer", nested=nested)["Deer"]
    assert results_by_video(tmp_path / "f", "DEER", "deer", "Deer", nested=nested)["Deer"] == "Deer"


def test_two_layouts_of_one_result(tmp_path):
    save_ope(tmp_path, "a", np.stack([BOX] * 6))
    save_ope(tmp_path, "a", np.stack([BOX] * 6), nested=True)
    with pytest.raises(ResultError, match="a.txt and .*a_001.txt may both be the result of a"):
        find_ope_runs(tmp_path, "a")


def test_names_alike_are_scored_apart(tmp_path):
    """A tracker is right on one and misses the other; a part of the set knows the other's name too."""
    dataset = toy("car-1", "car_1")
    save_ope(tmp_path / "m", "car_1", np.stack([BOX] * 6))
    assert evaluate_tracker(dataset, tmp_path / "m").problems == (
        f"no result file {tmp_path / 'm' / 'car-1.txt'}; track this video",
    )
    assert evaluate_tracker(dataset.only(["car-1"]), tmp_path / "m").problems
    assert toy("a-1", "a_1", "a.1").only(["a-1", "a_1"]).sequences[0].similar_names == ("a_1", "a.1")
    save_ope(tmp_path / "m", "car-1", np.stack([BOX + [100, 0, 0, 0]] * 6))
    success = {name: curves.auc for name, curves in evaluate_tracker(dataset, tmp_path / "m").videos.items()}
    assert success == pytest.approx({"car-1": 0, "car_1": 20 / 21})


def test_got10k_names_of_otb(tmp_path):
    """Human4.txt is the result of Human4-2, unless there is a sequence of that name."""
    results = results_by_video(tmp_path / "a", "Human4", names=("Human4-2", "Human4-1"))
    assert results == {"Human4-2": "Human4", "Human4-1": "Human4-1"}
    assert results_by_video(tmp_path / "b", "Human4", names=("Human4-2", "Human4"))["Human4-2"] == "Human4-2"
    assert results_by_video(tmp_path / "c", "Human4", "human4_2", names=("Human4-2",))["Human4-2"] == "human4_2"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "is empty"),
        ("1,2,3,4\n" * 5, "5 lines for 6 frames"),
        ("1,2,3,4\n" * 5 + "1,2,x,4", "line 6 needs numbers"),
        ("1,2,nan,4\n" + "1,2,3,4\n" * 5, "line 1 .*not finite"),
        ("1,2,-3,4\n" + "1,2,3,4\n" * 5, "line 1 .*negative"),
    ],
)
def test_a_damaged_result_is_never_scored_and_shows_in_the_table(tmp_path, text, reason):
    for name in ("good", "bad"):
        for video in ("a", "b"):
            save_ope(tmp_path / name, video, np.stack([BOX] * 6))
    (tmp_path / "bad" / "b.txt").write_text(text)
    with pytest.raises(ResultError, match=reason):
        load_ope(tmp_path / "bad" / "b.txt", 6)
    scores = score_trackers(toy("a", "b"), [tmp_path / "bad", tmp_path / "good"])
    table = ope_table(scores)
    assert [score.name for score in scores.trackers] == ["good", "bad"] and list(scores.to_json()) == ["good"]
    assert "bad [not scored]" in table and "Warning: bad is not scored" in table and "b.txt" in table
    assert "bad" not in str(ope_video_rows(scores))


def test_invalid_boxes(tmp_path):
    """Invalid boxes are misses in pysot's arithmetic and replaced by the previous box in the official one.

    The table says so, and a resumed run does not accept them as a result.
    """
    for name, odd in (("good", "20,30,40,20"), ("odd", "nan,nan,nan,nan"), ("other", "20,30,-4,20")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("20,30,40,20\n" * 3 + f"{odd}\n" * 2 + "20,30,40,20\n")
    folders = [tmp_path / name for name in ("good", "odd", "other")]
    scores = score_trackers(toy("a"), folders, mode="both", with_timelines=True)
    assert [score.all.auc for score in scores.trackers] == pytest.approx([20 / 21, *[20 / 21 * 4 / 6] * 2])
    assert [score.official.numbers["auc"] for score in scores.trackers] == pytest.approx([20 / 21] * 3)
    assert [len(score.notes) for score in scores.trackers] == [0, 1, 1]
    timelines = scores.timelines("a")
    assert timelines["odd"].overlap.tolist() == [1, 1, 1, 0, 0, 1] and timelines["odd"].regions is None
    assert timelines["good"].overlap.tolist() == [1] * 6
    assert "Note: odd:" in ope_table(scores)
    assert "lines 4, 5 are no boxes (NaN or a negative size): misses in pysot's arithmetic" in ope_table(scores)
    with pytest.raises(ResultError, match="line 4 has a number that is not finite"):
        load_ope(tmp_path / "odd" / "a.txt", 6)


def test_partial_results(tmp_path):
    save_ope(tmp_path / "some", "a", np.stack([BOX] * 6))
    assert score_trackers(toy("a", "b"), [tmp_path / "some"]).trackers[0].problems
    scores = score_trackers(toy("a", "b"), [tmp_path / "some"], partial=True)
    assert scores.trackers[0].all.auc == pytest.approx(20 / 21) and list(scores.trackers[0].videos) == ["a"]
    assert "some [1 of 2 videos]" in ope_table(scores) and "left out: no result file" in ope_table(scores)
    assert score_trackers(toy("b", "c"), [tmp_path / "some"], partial=True).trackers[0].problems


def set_with_attributes(attributes) -> Dataset:
    sequences = [make_sequence(name, truth=[BOX] * 6, attributes=listed) for name, listed in attributes.items()]
    return Dataset("OTB100", sequences, (), None)


def test_attributes_that_a_partial_tracker_does_not_have(tmp_path):
    dataset = set_with_attributes({"a": ("Blur", "Fast", "Scale"), "b": ("Night",)})
    for name, videos in (("all", "ab"), ("some", "b"), ("few", "a")):
        for video in videos:
            save_ope(tmp_path / name, video, np.stack([BOX] * 6))
    folders = [tmp_path / name for name in ("all", "some", "few")]
    scores = score_trackers(dataset, folders, partial=True, with_timelines=True)
    rows = {row[0]: row[1:] for row in attribute_rows(scores)}
    assert rows["Tracker Name"] == ["Blur", "Fast", "Night", "Scale"]
    assert rows["some [1 of 2 videos]"] == ["-", "-", "0.952", "-"]
    assert "Night" in write_report(tmp_path / "out.html", scores, {}).read_text()
    assert [path.name for path in write_figures(tmp_path, scores)][1] == "OTB100_attributes.png"


def test_attributes_and_plots(tmp_path):
    dataset = set_with_attributes({"a": ("Blur", "Scale"), "b": ("Scale",)})
    save_ope(tmp_path / "$m_", "a", np.stack([BOX] * 6))
    save_ope(tmp_path / "$m_", "b", np.stack([BOX + [100, 0, 0, 0]] * 6))
    scores = score_trackers(dataset, [tmp_path / "$m_"])
    attributes = scores.trackers[0].attributes
    assert attributes["Blur"].auc == pytest.approx(20 / 21) and attributes["Scale"].auc == pytest.approx(10 / 21)
    assert "Blur" in attribute_rows(scores)[0] and json.dumps(scores.to_json())
    assert draw(one_pass_plots(scores, False)[0], tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert attribute_rows(score_trackers(toy("a"), [tmp_path / "$m_"])) == []


def frames(folder, count, first=1):
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), np.full((60, 80, 3), 90, np.uint8))


def test_folder_layouts(tmp_path):
    frames(tmp_path / "OTB100/David/img", 5, first=298)
    (tmp_path / "OTB100/David/groundtruth_rect.txt").write_text("1\t2\t3\t4\n" * 3)
    frames(tmp_path / "OTB100/Jogging/img", 3)
    for target in (1, 2):
        (tmp_path / f"OTB100/Jogging/groundtruth_rect.{target}.txt").write_text(f"{target},2,3,4\n" * 3)
    otb = load_dataset("OTB100", tmp_path)
    assert [sequence.name for sequence in otb.sequences] == ["David", "Jogging-1", "Jogging-2"] and otb.one_pass
    assert otb.sequences[0].frame_paths[0].endswith("0300.jpg")
    assert otb.sequences[2].ground_truth[0].tolist() == [2, 2, 3, 4]
    frames(tmp_path / "LaSOT/boat/boat-1/img", 3)
    (tmp_path / "LaSOT/boat/boat-1/groundtruth.txt").write_text("1,2,3,4\n" * 3)
    (tmp_path / "LaSOT/boat/boat-1/out_of_view.txt").write_text("0,1,0")
    (tmp_path / "LaSOT/boat/boat-1/full_occlusion.txt").write_text("0,0,1")
    assert load_dataset("LaSOT", tmp_path).sequences[0].present.tolist() == [True, False, False]
    frames(tmp_path / "mine/a b", 2)
    (tmp_path / "mine/a b/groundtruth.txt").write_text("1,2,3,4\n" * 2)
    (tmp_path / "mine/a b/absence.label").write_text("0\n1\n")
    mine = load_dataset("mine", tmp_path)
    assert mine.one_pass and mine.sequences[0].name == "a b" and mine.sequences[0].visible.tolist() == [True, False]
    (tmp_path / "mine/a b/groundtruth.txt").write_text("1,2,3,4\n" * 5)
    with pytest.raises(ValueError, match="a b has 2 frames and ground truth for 5"):
        load_dataset("mine", tmp_path)
    with pytest.raises(FileNotFoundError, match="no data set other .*no folders of sequences"):
        load_dataset("other", tmp_path / "mine" / "a b")


def test_absence_in_a_json(tmp_path):
    video = {
        "video_dir": "v",
        "init_rect": [1, 2, 3, 4],
        "img_names": ["v/1.jpg", "v/2.jpg"],
        "gt_rect": [[1, 2, 3, 4]] * 2,
        "absent": [1, 0],
        "attr": ["Fast"],
    }
    (tmp_path / "LaSOT.json").write_text(json.dumps({"v": video}))
    sequence = load_dataset("LaSOT", tmp_path).sequences[0]
    assert sequence.present.tolist() == [True, False] and sequence.attributes == ("Fast",) and sequence.width is None


class Still:
    def init(self, image, box):
        self.box = np.array(box)

    def track(self, image):
        self.box = self.box + [1, 0, 0, 0]
        return {"bbox": self.box if self.box[0] < 24 else self.box * np.nan, "best_score": 1.0}


@pytest.mark.parametrize("name, path", [("OTB100", "a.txt"), ("GOT-10k", "a/a_001.txt")])
def test_the_runner(tmp_path, name, path):
    frames(tmp_path / "a", 6)
    paths = [str(file) for file in sorted((tmp_path / "a").iterdir())]
    sequence = make_sequence("a", truth=[BOX] * 6)
    object.__setattr__(sequence, "frame_paths", paths)
    trajectory = run_one_pass(Still(), sequence)
    assert trajectory.regions[0, :4].tolist() == pytest.approx([20.5, 30.5, 40, 20])  # pysot's start on four numbers
    assert len(trajectory.seconds) == 6
    assert trajectory.regions[3, 0] == pytest.approx(23.5) == trajectory.regions[5, 0]
    dataset = Dataset(name, [sequence], (), None)
    assert run_dataset(Still(), dataset, tmp_path / "out").tracked == ["a"] and (tmp_path / "out" / path).is_file()
    assert len((tmp_path / "out" / path).with_name("a_time.txt").read_text().splitlines()) == 6
    assert run_dataset(Still(), dataset, tmp_path / "out").kept == ["a"]
    (tmp_path / "out" / path).with_name("a_time.txt").unlink()  # required by GOT-10k's server
    assert run_dataset(Still(), dataset, tmp_path / "out").tracked == (["a"] if name == "GOT-10k" else [])
    without_truth = Dataset(name, [make_sequence("b", truth=[BOX * np.nan] * 2)], (), None)
    assert run_dataset(Still(), without_truth, tmp_path / "out").failed.keys() == {"b"}


def test_commands(tmp_path):
    """test.py tracks a folder in OTB's layout, eval.py scores its results."""
    for index in range(2):
        truth = moving_square(tmp_path / "made" / f"s{index}", seed=index)
        (tmp_path / "OTB100" / f"s{index}").mkdir(parents=True)
        (tmp_path / "made" / f"s{index}" / "color").rename(tmp_path / "OTB100" / f"s{index}" / "img")
        (tmp_path / "OTB100" / f"s{index}" / "groundtruth_rect.txt").write_text(
            "\n".join(",".join(map(str, box)) for box in truth)
        )

    def tool(name, *arguments):
        return subprocess.run(
            [sys.executable, ROOT / "tools" / name, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    data, device = ["--dataset", "OTB100", "--datasetdir", "."], ["--device", "cpu"]
    done = tool("test.py", "--config", experiment("quickstart"), *data, *device, "--vis", "--opts", *TINY)
    assert done.returncode == 0 and "| Success |" in done.stdout, done.stderr
    written = {path.name for path in (tmp_path / "results/OTB100/untrained").iterdir()}
    assert written >= {"s0.txt", "s1.txt", "s0_time.txt", "network.json", "vis"}
    done = tool(
        "eval.py", "-p", "results", "-d", "OTB100", "--datasetdir", ".", "-s", "--vis", "--json", "out.json", "-n", "2"
    )
    assert done.returncode == 0 and "untrained Success" in done.stdout, done.stderr
    assert (tmp_path / "results/OTB100/OTB100_scores.png").is_file()
    assert not (tmp_path / "results/OTB100/OTB100_attributes.png").exists()
    assert {path.name for path in (tmp_path / "results/OTB100/OTB100_timelines").iterdir()} == {"s0.png", "s1.png"}
    assert set(json.loads((tmp_path / "out.json").read_text())["untrained"]["videos"]) == {"s0", "s1"}
