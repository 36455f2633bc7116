"""Scripts written for the original package run unchanged: their scores are its numbers, their boxes are ours."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from toolkit_data import make_sequence, write_frames, write_json_set

from helpers import PARITY, ROOT, parity_json
from pysot.toolkit.datasets.load import load_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.results.files import Trajectory, save_vot
from pysot.toolkit.results.paths import vot_file
from pysot.utils import bbox
from toolkit.datasets import DatasetFactory, OTBDataset, Video, VOTDataset, VOTLTDataset
from toolkit.datasets.video import VOTVideo
from toolkit.evaluation import AccuracyRobustnessBenchmark, EAOBenchmark, F1Benchmark, OPEBenchmark
from toolkit.utils import (
    calculate_accuracy,
    calculate_expected_overlap,
    calculate_f1,
    calculate_failures,
    region,
    statistics,
)
from toolkit.utils.misc import determine_thresholds

HERE = Path(__file__).parent
CONFIG = ROOT / "experiments" / "quickstart" / "config.yaml"
NAN = float("nan")


def run_python(script: Path, *arguments: object, cwd: Path) -> str:
    """Run a script from an empty folder, as third-party code does, with the repository on PYTHONPATH."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def table_row(output: str, name: str) -> list[float]:
    """Return the numbers of the first row of a tracker in the printed tables."""
    cells = next(line for line in output.splitlines() if re.match(rf"\| *{re.escape(name)} *\|", line)).split("|")
    return [float(cell) if cell.strip() != "-" else NAN for cell in cells[2:-1]]


@pytest.mark.parametrize("year", ["VOT2016", "VOT2018", "VOT2019"])
def test_supervised_scores_are_the_originals(tmp_path, year):
    expected = parity_json("vot_small.expected.json")[year]
    shutil.copy(PARITY / "vot_small" / "VOT2016.json", tmp_path / f"{year}.json")
    dataset = VOTDataset(year, str(tmp_path))
    dataset.set_tracker(str(PARITY / "vot_small" / "results"), list(expected))
    tags = next(iter(expected.values()))["eao"]
    eao = EAOBenchmark(dataset, tags=list(tags)).eval()
    scores = AccuracyRobustnessBenchmark(dataset).eval()
    for name, values in expected.items():
        assert eao[name] == pytest.approx(values["eao"], abs=1e-4, nan_ok=True)
        overlaps = np.concatenate(list(scores[name]["overlaps"].values()))
        lost = np.sum(list(scores[name]["failures"].values()))
        assert np.nanmean(overlaps) == pytest.approx(values["accuracy"], abs=1e-4)
        assert lost == values["lost"] and lost / len(overlaps) * 100 == pytest.approx(values["robustness"], abs=1e-4)


def test_the_settings_of_eao_may_be_changed():
    dataset = VOTDataset("VOT2016", str(PARITY / "vot_small"))
    dataset.set_tracker(str(PARITY / "vot_small" / "results"), "tracker_a")
    benchmark = EAOBenchmark(dataset)
    assert (benchmark.low, benchmark.high, benchmark.peak) == (108, 371, 168)
    benchmark.low, benchmark.high, benchmark.peak = 46, 291, 128
    expected = parity_json("vot_small.expected.json")["VOT2019"]["tracker_a"]["eao"]["all"]
    assert benchmark.eval()["tracker_a"]["all"] == pytest.approx(expected, abs=1e-4)


def test_stored_trajectories_come_before_files(tmp_path):
    dataset = VOTDataset("VOT2016", str(PARITY / "vot_small"))
    for video in dataset:
        video.load_tracker(str(PARITY / "vot_small" / "results"), ["tracker_a", "tracker_b"])
        assert video.tracker_names == ["tracker_a", "tracker_b"]
        video.pred_trajs["both"] = video.pred_trajs["tracker_b"]
    expected = parity_json("vot_small.expected.json")["VOT2016"]["tracker_b"]["eao"]["all"]
    assert EAOBenchmark(dataset).eval(["both"])["both"]["all"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["LaSOT", "UAV123", "DTB70"])
def test_one_pass_scores_are_the_originals(name):
    expected = parity_json("ope_small.expected.json")[name]
    dataset = DatasetFactory.create_dataset(name=name, dataset_root=str(PARITY / "ope_small"), load_img=False)
    dataset.set_tracker(str(PARITY / "ope_small" / "results" / name), list(expected))
    benchmark = OPEBenchmark(dataset)
    curves = benchmark.eval_success(), benchmark.eval_precision(), benchmark.eval_norm_precision()
    assert [curve[next(iter(expected))][dataset[0].name].shape for curve in curves] == [(21,), (51,), (51,)]
    for tracker, values in expected.items():
        success, precision, normalised = (np.mean(list(curve[tracker].values()), axis=0) for curve in curves)
        found = success.mean(), precision[20], normalised[20]
        assert found == pytest.approx((values["success"], values["precision20"], values["norm_precision20"]), abs=1e-4)


@pytest.mark.parametrize(
    ("folder", "name", "tracker", "columns"),
    [
        ("vot_small", "VOT2016", "tracker_a", ["accuracy", "robustness", "lost", "all"]),
        ("ope_small", "UAV123", "good", ["success", "norm_precision20", "precision20"]),
        ("ope_small", "LaSOT", "bad", ["success", "norm_precision20", "precision20"]),
    ],
)
def test_the_evaluation_script(tmp_path, folder, name, tracker, columns):
    results = tmp_path / "results"
    source = PARITY / folder / "results"
    shutil.copytree(source if folder == "vot_small" else source / name, results / name)
    values = parity_json(f"{folder}.expected.json")[name][tracker]
    values = {**values, **values.get("eao", {})}
    trackers = sorted(path.name for path in (results / name).iterdir())
    output = run_python(HERE / "evaluation_script.py", results, PARITY / folder, name, tracker, *trackers, cwd=tmp_path)
    assert "\x1b" not in output, "colours are for terminals"
    digits = {"lost": 1}
    for column, value in zip(columns, table_row(output, tracker), strict=True):
        assert value == pytest.approx(values[column], abs=0.6 * 10 ** -digits.get(column, 3)), column
    assert list(tmp_path.glob("*.png"))
    assert cv2.imread(str(next(tmp_path.glob("*.png")))) is not None


def long_term_set(root: Path, results: Path) -> None:
    """Write VOT2018-LT with two videos and the results of a tracker."""
    rng = np.random.default_rng(3)
    sequences = []
    for name in ("first", "second"):
        truth = [np.array([20.0 + frame / 2, 30, 40, 30]) for frame in range(80)]
        for frame in range(30, 45):
            truth[frame] = np.full(4, NAN)
        sequences.append(make_sequence(name, truth=truth))
        boxes = [1, *(np.array([22.0 + frame / 2 + 20 * rng.random(), 30, 40, 30]) for frame in range(1, 80))]
        run = Trajectory.from_frames(boxes, confidence=[NAN, *rng.random(79)])
        save_vot(vot_file(results / "VOT2018-LT" / "mine", name, experiment="longterm"), run)
    write_json_set(root / "VOT2018-LT.json", sequences)


def test_the_evaluation_script_on_a_long_term_set(tmp_path):
    long_term_set(tmp_path / "sets", tmp_path / "results")
    output = run_python(
        HERE / "evaluation_script.py", tmp_path / "results", tmp_path / "sets", "VOT2018-LT", "mine", cwd=tmp_path
    )
    scores = score_trackers(
        load_dataset("VOT2018-LT", tmp_path / "sets"), [tmp_path / "results" / "VOT2018-LT" / "mine"]
    )
    numbers = scores.trackers[0].numbers
    assert table_row(output, "mine") == pytest.approx(
        [numbers["precision"], numbers["recall"], numbers["f1"]], abs=6e-4
    )
    assert 0.1 < numbers["f1"] < 0.95 and cv2.imread(str(tmp_path / "f1.png")) is not None


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Weights of the quickstart network, not trained."""
    return write_weights(tmp_path_factory.mktemp("weights") / "model.pth", CONFIG)


def write_weights(path: Path, config: Path) -> Path:
    code = (
        "import sys, torch; from pysot.core.config import cfg; from pysot.models.model_builder import ModelBuilder; "
        "torch.manual_seed(1); cfg.merge_from_file(sys.argv[1]); torch.save(ModelBuilder().state_dict(), sys.argv[2])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(config), str(path)], env=environment, check=True)
    return path


def vot_set(root: Path, name: str) -> None:
    """Write a VOT set of two videos whose target is lost now and then by a network that is not trained."""
    sequences = []
    for video, step in (("slow", 0.5), ("fast", 6.0)):
        truth = [np.array([30 + step * frame, 40.0, 24, 18]) for frame in range(20)]
        write_frames(root / name / video, len(truth))
        sequence = make_sequence(video, truth=truth)
        sequences.append(sequence)
        for frame, box in enumerate(truth):
            image = np.full((150, 200, 3), 90, np.uint8)
            x, y, w, h = box.astype(int)
            image[y : y + h, x : x + w] = (40, 160, 220)
            cv2.imwrite(str(root / name / video / f"{frame + 1:08d}.jpg"), image)
        for path in (root / name / video).glob("*.png"):
            path.unlink()
    write_json_set(root / name / f"{name}.json", sequences)
    content = json.loads((root / name / f"{name}.json").read_text())
    for video in content.values():
        video["img_names"] = [f"{Path(image).parent.name}/{Path(image).name}" for image in video["img_names"]]
        video.update(dict.fromkeys(["camera_motion", "illum_change", "motion_change", "size_change", "occlusion"], []))
    (root / name / f"{name}.json").write_text(json.dumps(content))


def test_the_tracking_script_writes_what_test_py_writes(tmp_path, weights):
    vot_set(tmp_path / "sets", "VOT2018")
    run_python(
        HERE / "tracking_script.py", CONFIG, weights, tmp_path / "sets", "VOT2018", tmp_path / "results", cwd=tmp_path
    )
    run_python(
        ROOT / "tools" / "test.py",
        *("--config", CONFIG, "--snapshot", weights, "--dataset", "VOT2018", "--datasetdir", tmp_path / "sets"),
        *("--results_dir", tmp_path / "ours", "--device", "cpu", "--workers", "1"),
        cwd=tmp_path,
    )
    theirs = sorted((tmp_path / "results" / "VOT2018" / "script" / "baseline").rglob("*_001.txt"))
    assert [path.name for path in theirs] == ["fast_001.txt", "slow_001.txt"]
    codes = ""
    for path in theirs:
        ours = next((tmp_path / "ours" / "VOT2018").rglob(path.name))
        assert ours.read_text() == path.read_text()
        codes += path.read_text()
    assert codes.count("\n2\n"), "no loss: the restarts were not compared"


# The functions of windows, which OpenCV without a window system lacks: a box is drawn, frames are counted and kept.
WINDOW = """
import runpy, sys
import cv2
shown = []
cv2.namedWindow = lambda *_: None
cv2.selectROI = lambda name, frame, *_: (30, 40, 24, 18)
cv2.imshow = lambda name, frame: shown.append(frame)
cv2.waitKey = lambda _: -1
script, sys.argv = sys.argv[1], sys.argv[1:]
runpy.run_path(script, run_name="__main__")
print(len(shown), all((frame == (0, 255, 0)).all(axis=2).sum() > 20 for frame in shown[:3]), shown[0].shape)
"""


@pytest.mark.parametrize("experiment", ["quickstart", "siammask_mobilev2_small"])
def test_a_demo_with_a_window(tmp_path, experiment):
    """Boxes, and with SiamMask polygons and masks, are drawn on every frame but the first."""
    config = ROOT / "experiments" / experiment / "config.yaml"
    vot_set(tmp_path, "set")
    write_weights(tmp_path / "model.pth", config)
    (tmp_path / "window.py").write_text(WINDOW, encoding="utf-8")
    arguments = ("--config", config, "--snapshot", tmp_path / "model.pth", "--video_name", tmp_path / "set" / "slow")
    output = run_python(tmp_path / "window.py", HERE / "demo_script.py", *arguments, cwd=tmp_path)
    has_colour = experiment == "quickstart"  # the frame is mixed with the mask otherwise
    assert output.splitlines()[-1] == f"19 {has_colour} (150, 200, 3)"


def test_the_wrapper_of_another_repository(tmp_path, weights):
    vot_set(tmp_path, "set")
    output = tmp_path / "output.json"
    run_python(
        HERE / "wrapper_script.py", CONFIG, weights, tmp_path / "set" / "slow", "30,40,24,18", output, cwd=tmp_path
    )
    content = json.loads(output.read_text())
    assert content["ranks"] == [0, 1, 0, 1] and content["anchors"] == [4, 5, 5, 5]
    assert len(content["boxes"]) == 20 and all(len(frame["box"]) == 4 for frame in content["boxes"])
    assert content["overlap"] == pytest.approx(1 / 3) and content["correlated"] == [1, 2, 3, 3]
    assert all(content["parameters"]) and len(content["parameters"]) == 8


class TestRegions:
    def test_boxes_and_polygons(self):
        box = [10, 20, 10, 10]
        polygon = [10, 20, 20, 20, 20, 30, 10, 30]
        assert region.vot_overlap(box, polygon, (100, 100)) == 1
        assert region.vot_overlap(box, [50, 50, 5, 5], (100, 100)) == 0
        assert math.isnan(region.vot_overlap([1], box, (100, 100)))
        assert region.vot_overlap_traj([[1], box, box], [box, [2], box]) == pytest.approx([NAN, NAN, 1], nan_ok=True)

    def test_bounds(self):
        a, b = [0, 0, 10, 9], [0, 0, 20, 9]
        inside = region.vot_overlap(a, b, (11, 20))
        assert inside > region.vot_overlap(a, b) == pytest.approx(11 / 21)
        assert region.vot_overlap(a, b, (0, 0, 11, 20)) == inside
        shifted = [[x + 5, y + 7, w, h] for x, y, w, h in (a, b)]
        assert region.vot_overlap(*shifted, (5, 7, 16, 27)) == inside
        with pytest.raises(ValueError, match="bounds"):
            region.vot_overlap(a, b, (1, 2, 3))

    def test_without_bounds_pixels_left_of_the_image_count(self):
        assert region.vot_overlap([-10, -10, 10, 10], [-10, -10, 10, 10]) == 1
        assert region.vot_overlap([-10, 0, 10, 9], [-10, 0, 20, 9]) == pytest.approx(11 / 21)

    def test_numbers(self):
        assert region.vot_float2str("%.4f", 1 / 3) == "0.3333"
        assert region.vot_float2str("%.4f", 16777217.0) == "16777216.0000"
        with pytest.raises(ValueError, match="equal length"):
            region.vot_overlap_traj([[1]], [])
        assert region.vot_overlap_traj([], []) == []


class TestStatistics:
    def test_accuracy(self):
        box, far = [0, 0, 10, 10], [50, 50, 10, 10]
        run = [[1], box, box, [2], [0], [1], far, box]
        assert calculate_failures(run) == (1, [3])
        mean, overlaps = calculate_accuracy(run, [box] * 9, bound=(100, 100))
        assert overlaps == pytest.approx([NAN, 1, 1, NAN, NAN, NAN, 0, 1], nan_ok=True) and mean == 0.75
        assert calculate_accuracy(run, [box] * 9, burnin=2, bound=(100, 100))[0] == pytest.approx(1)
        assert calculate_accuracy(run, [box] * 9, ignore_unknown=False)[0] == pytest.approx(3 / 8)

    def test_expected_overlap(self):
        fragments = np.array([[0, 1, 0.5, NAN], [0, 0.4, 0, 0]])
        assert calculate_expected_overlap(fragments, np.array([1.0, 3.0])) == pytest.approx(
            [1, (1 + 3 * 0.4) / 4, (0.75 + 3 * 0.2) / 4, 0.4 / 3]
        )

    def test_confidence(self):
        thresholds = determine_thresholds(np.append(np.linspace(0.01, 1, 200), NAN))
        assert len(thresholds) == 100 and (np.diff(thresholds) > 0).all() and thresholds[0] == -np.inf
        assert len(determine_thresholds(np.linspace(0.01, 1, 200), 12)) == 12
        f1, precision, recall = calculate_f1([NAN, 1, 0.5, 0], [NAN, 0.9, 0.6, 0.3], None, np.array([0.9, 0.5]), 3)
        assert precision == pytest.approx([1, 0.75]) and recall == pytest.approx([1 / 3, 0.5])
        assert f1 == pytest.approx(2 * precision * recall / (precision + recall))

    def test_curves_count_odd_truth_as_the_original_does(self):
        truth = np.array([[10, 10, 20, 20], [10, 10, 0, 20], [NAN] * 4])
        boxes = np.array([[10, 10, 20, 10], [10, 10, 5, 20], [0, 0, 1, 1]])
        assert statistics.success_overlap(truth, boxes, 3)[[0, 9, 10]] * 3 == pytest.approx([1, 1, 0])
        centres = np.array([[10.0, 10], [-1, 5], [3, 4]])
        error = statistics.success_error(centres, centres + [3, 4], np.arange(0, 51), 3)
        assert error[[4, 5]] * 3 == pytest.approx([1, 3])


class TestVideos:
    def test_a_data_set_of_ones_own(self, tmp_path):
        write_frames(tmp_path / "clip", 3)
        names = [f"clip/{index + 1:08d}.png" for index in range(3)]
        video = Video("clip", str(tmp_path), "clip", [1, 2, 3, 4], names, [[1, 2, 3, 4]] * 3, ["SV"], load_img=True)
        assert (video.width, video.height, len(video)) == (200, 150, 3)
        image, box = video[1]
        assert image.shape == (150, 200, 3) and box == [1, 2, 3, 4] and len(list(video)) == 3
        drawn = video.draw_box([20, 20, 40, 30], image.copy(), 2, (0, 255, 0), "name")
        assert (drawn != image).any() and (video.draw_box([0], image.copy(), 2, (0, 255, 0)) == image).all()
        video.free_img()
        assert video.imgs is None and (video[1][0] == image).all()

    def test_attributes_of_a_set(self):
        dataset = DatasetFactory.create_dataset(name="UAV123", dataset_root=str(PARITY / "ope_small"))
        assert dataset.attr["ALL"] == [video.name for video in dataset.videos.values()]
        assert dataset[1] is dataset["bike2"] and len(dataset) == 4 and [*dataset][0].attr

    def test_tags(self):
        video = VOTDataset("VOT2016", str(PARITY / "vot_small"))[0]
        assert video.select_tag("all", 2, 5) == [1, 1, 1] and len(video.tags["occlusion"]) in (0, len(video))
        annotated = [video.tags[tag] for tag in video.tag_names[:6] if len(video.tags[tag])]
        assert video.select_tag("empty", 0, 1) == [int(sum(values) == 0) for values in annotated]
        never = {tag: [0] * 4 if tag == "occlusion" else [0, 1, 1, 0] for tag in video.tag_names[1:6]}
        names = [f"{index}.jpg" for index in range(4)]
        assert VOTVideo("v", "", "", [1] * 4, names, [[1] * 4] * 4, **never).tags["empty"] == [0, 0, 0, 0, 0, 1]

    def test_errors_say_what_to_do(self, tmp_path):
        with pytest.raises(ValueError, match="name='VOT2018'"):
            DatasetFactory.create_dataset(dataset_root=str(tmp_path))
        with pytest.raises(ValueError, match="dataset_root='testing_dataset'"):
            DatasetFactory.create_dataset(name="VOT2016")
        with pytest.raises(FileNotFoundError):
            DatasetFactory.create_dataset(name="VOT2018", dataset_root=str(tmp_path))
        dataset = VOTDataset("VOT2016", str(PARITY / "vot_small"))
        dataset.set_tracker(str(tmp_path), ["nobody"])
        with pytest.raises((ValueError, OSError), match="nobody"):
            EAOBenchmark(dataset).eval()
        ope = DatasetFactory.create_dataset(name="UAV123", dataset_root=str(PARITY / "ope_small"))
        with pytest.raises(TypeError, match="UAV123"):
            EAOBenchmark(ope).eval(["good"])
        ope[0].pred_trajs["short"] = [[1, 2, 3, 4]]
        with pytest.raises(ValueError, match="short, bike1"):
            OPEBenchmark(ope).eval_success("short")

    def test_modules_of_the_original(self):
        from toolkit.datasets.otb import OTBDataset as by_module
        from toolkit.datasets.otb import OTBVideo
        from toolkit.datasets.vot import VOTDataset as vot_by_module
        from toolkit.visualization.draw_f1 import draw_f1

        assert by_module is OTBDataset and vot_by_module is VOTDataset and OTBVideo is Video and callable(draw_f1)

    def test_the_protocol_decides_on_the_class(self, tmp_path):
        write_json_set(tmp_path / "Mine.json", [make_sequence("a", tags={"occlusion": np.zeros(20)})])
        write_json_set(tmp_path / "Other.json", [make_sequence("a", truth=[[1, 2, 3, 4]] * 5)])
        assert isinstance(DatasetFactory.create_dataset(name="Mine", dataset_root=str(tmp_path)), VOTDataset)
        assert not isinstance(DatasetFactory.create_dataset(name="Other", dataset_root=str(tmp_path)), VOTDataset)

    def test_a_script_may_choose_the_class(self, tmp_path):
        """An own set with any name as a long-term set; results of `load_tracker` are returned as well as stored."""
        long_term_set(tmp_path, tmp_path)
        (tmp_path / "VOT2018-LT.json").rename(tmp_path / "Long.json")
        dataset = VOTLTDataset("Long", str(tmp_path))
        dataset.set_tracker(str(tmp_path / "VOT2018-LT"), ["mine"])
        for video in dataset:  # there are no frames to open
            video.width, video.height = 200, 150
        scores = F1Benchmark(dataset).eval()["mine"]
        assert [*scores["f1"]] == ["first", "second"] and dataset[0].gt_traj[35] == [0]
        regions, confidence = dataset[0].load_tracker(str(tmp_path / "VOT2018-LT"), ["mine"])
        assert len(regions) == len(confidence) == 80 and dataset[0].pred_trajs["mine"] == regions
        dataset[0].pred_trajs["other"] = regions
        with pytest.raises(ValueError, match=r"confidence\['other'\] is not"):
            F1Benchmark(dataset).eval("other")
        with pytest.raises(TypeError, match="long-term"):
            F1Benchmark(VOTDataset("VOT2016", str(PARITY / "vot_small"))).eval("tracker_a")

    def test_a_size_may_be_set(self):
        video = Video("clip", "", "", [1] * 4, ["1.jpg"], [[1] * 4], None)
        video.width, video.height = 320, 240
        assert (video.width, video.height) == (320, 240)

    def test_show(self, tmp_path, monkeypatch):
        write_frames(tmp_path, 2)
        video = Video(
            "clip", str(tmp_path), "", [1] * 4, [f"{i + 1:08d}.png" for i in range(2)], [[9, 9, 30, 30]] * 2, None
        )
        video.pred_trajs = {"one": [[50, 50, 20, 20]] * 2, "runs": [[[1], [90, 90, 20, 20]]]}
        shown = []
        for name in ("namedWindow", "waitKey"):
            monkeypatch.setattr(cv2, name, lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda name, image: shown.append(image))
        assert len(video.show(show_name=True)) == len(shown) == 2
        assert (shown[1] == (0, 255, 0)).all(axis=2).any() and (shown[1] == (0, 0, 255)).all(axis=2).any()
        assert not (shown[0] == (255, 128, 0)).all(axis=2).any() and (shown[1] == (255, 128, 0)).all(axis=2).any()


def test_boxes_with_a_score():
    box = np.array([0, 0, 10, 20, 0.9])
    assert bbox.corner2center(box) == (5, 10, 10, 20) and bbox.center2corner([5, 10, 10, 20, 0.9]) == (0, 0, 10, 20)
    assert json.dumps(bbox.IoU(box, [0, 0, 10, 10])) == "0.5"
    assert bbox.cxy_wh_2_rect1([5, 10], [10, 20]).tolist() == [1, 1, 10, 20]
    centre, size = bbox.rect1_2_cxy_wh([1, 1, 10, 20])
    assert (*centre, *size) == (5, 10, 10, 20)
