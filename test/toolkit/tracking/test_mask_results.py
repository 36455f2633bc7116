"""Results that are masks: of which trackers, on which sets, as text and binary files, kept, drawn and scored."""

import json
import struct
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mask_helpers import BOX, MaskTracker, MaskTrackerOfSlots, mask_of, mask_tracker_of_worker
from toolkit_data import sequence_on_disk

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.experiments.parallel import run_in_processes, run_in_threads
from pysot.toolkit.experiments.render import render
from pysot.toolkit.experiments.runner import lockstep_slots, run_dataset
from pysot.toolkit.experiments.scoring import evaluate_tracker, score_trackers
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.report import sequence_parts
from pysot.toolkit.report.html_report import write_report
from pysot.toolkit.results.files import load_run, save_vot
from pysot.toolkit.results.paths import anchor_file
from pysot.toolkit.results.trajectory import START, Trajectory
from pysot.utils.masks import Mask
from pysot.utils.visualize import OUTLINE, draw_outline
from pysot.utils.visualize import TRUTH as GREEN

TRUTH = mask_of(BOX).region()
EXPERIMENTS = ("baseline", "unsupervised", "realtime")
SETTINGS = VotSettings(2, 4, 3)


def mask_set(folder, frames=5):
    """Return a set of many starts whose ground truth has masks; the target does not move."""
    sequences = [
        replace(
            sequence_on_disk(folder, name, [TRUTH.box] * frames),
            masks=dict.fromkeys(range(frames), TRUTH),
            anchors=((0, False), (frames - 1, True)),
        )
        for name in ("a", "b")
    ]
    return Dataset("VOT2020", sequences, (), SETTINGS, "multistart")


class ArrayTracker:
    """Tracker whose masks are arrays, as in the original: probabilities, or what `make` makes of them."""

    def __init__(self, make=lambda probabilities: probabilities):
        self.make = make

    def init(self, image, box_xywh):
        pass

    def track(self, image):
        return {"bbox": BOX, "best_score": 0.5, "polygon": [1.0] * 8, "mask": self.make(mask_of(BOX).in_frame())}


def files_of(folder, suffix):
    return sorted(path for path in folder.rglob(f"*{suffix}") if not path.name.endswith("_time.txt"))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("way", ["alone", "arrays", "lockstep", "threads", "processes"])
def test_results_are_masks(tmp_path, experiment, binary, way):
    """In each way to track, the same masks; without files of masks beside them."""
    dataset, more = mask_set(tmp_path), {"experiment": experiment, "binary": binary}
    if way == "threads":
        run_in_threads(mask_tracker_of_worker, 2, dataset, tmp_path / "out", **more)
    elif way == "processes":
        if not (binary and experiment == "baseline"):
            return  # starting processes takes long, and the experiment makes no difference to them
        run_in_processes(mask_tracker_of_worker, 2, dataset, tmp_path / "out", **more)
    elif way == "lockstep":
        if experiment == "realtime":
            return  # it refuses batches
        run_dataset(MaskTrackerOfSlots(), dataset, tmp_path / "out", **more)
    else:
        run_dataset(MaskTracker() if way == "alone" else ArrayTracker(), dataset, tmp_path / "out", **more)
    results = files_of(tmp_path / "out", ".bin" if binary else ".txt")
    assert len(results) == (2 if experiment == "unsupervised" else 4)
    for path in results:
        run = load_run(path, 5)
        assert run.codes.tolist() == [1, 3, 3, 3, 3] and set(run.masks) == {1, 2, 3, 4}
        for mask in run.masks.values():
            assert mask.text() == TRUTH.tight().text()
        np.testing.assert_array_equal(run.regions[1, :4], TRUTH.box)
    assert not files_of(tmp_path / "out", ".txt" if binary else ".bin")
    assert not files_of(tmp_path / "out", "_mask.value")
    numbers = evaluate_tracker(dataset, tmp_path / "out", experiment).numbers
    assert numbers["accuracy"] == pytest.approx(1.0 if experiment == "unsupervised" else 0.8)  # 4 of 5 frames


def test_a_text_result_is_the_text_of_the_official_toolkit(tmp_path):
    run_dataset(MaskTracker(), mask_set(tmp_path), tmp_path / "out")
    lines = (tmp_path / "out" / "baseline" / "a" / "a_00000004.txt").read_text().splitlines()
    x, y, w, h = TRUTH.box.astype(int).tolist()
    assert lines[0] == "1" and all(line.startswith(f"m{x},{y},{w},{h},") for line in lines[1:])
    assert sum(map(int, lines[1].split(",")[4:])) == w * h


@pytest.mark.parametrize("protocol", ["multistart", "longterm", "supervised", "one pass"])
def test_without_masks_in_the_ground_truth_results_stay_as_they_are(tmp_path, protocol):
    """Polygons on VOT sets, boxes in long-term and one-pass sets; also boxes in long-term sets with masks."""
    dataset = mask_set(tmp_path)
    sequences = dataset.sequences if protocol == "longterm" else [replace(s, masks={}) for s in dataset.sequences]
    settings = SETTINGS if protocol in ("multistart", "supervised") else None
    dataset = Dataset("SET", sequences, ("all",), settings, protocol)
    experiments = (None, "unsupervised") if settings else (None,)
    for experiment in experiments:
        folder = tmp_path / f"out{experiment}"
        run_dataset(MaskTracker(), dataset, folder, experiment=experiment)
        size = 4 if protocol in ("longterm", "one pass") else 8
        for path in files_of(folder, ".txt"):
            assert {len(line.split(",")) for line in path.read_text().splitlines()[1:]} == {size}
        assert files_of(folder, "_mask.value")


def test_one_pass_sets_with_masks_have_boxes(tmp_path):
    dataset = mask_set(tmp_path)
    dataset = Dataset("SET", [replace(sequence, anchors=()) for sequence in dataset.sequences], (), None, "one pass")
    run_dataset(MaskTracker(), dataset, tmp_path / "out")
    for path in files_of(tmp_path / "out", ".txt"):
        assert {len(line.split(",")) for line in path.read_text().splitlines()} == {4}


@pytest.mark.parametrize(
    "make",
    [
        lambda probabilities: probabilities > 0.5,
        lambda probabilities: (probabilities > 0.5).astype(np.uint8) * 255,
        lambda probabilities: np.where(probabilities > 0.5, 0.51, 0.5),
    ],
)
def test_arrays_are_bool_or_probabilities(tmp_path, make):
    run_dataset(ArrayTracker(make), mask_set(tmp_path), tmp_path / "out", experiment="unsupervised")
    run = load_run(tmp_path / "out" / "unsupervised" / "a" / "a_001.txt")
    assert run.masks[1].text() == TRUTH.tight().text()


def test_a_mask_without_a_pixel_gives_the_box(tmp_path):
    """Not the polygon; and a box that is not finite is replaced by the region before it."""
    empty = np.zeros((150, 200))
    answers = iter([{}, {"mask": None}, {"mask": empty}, {"mask": empty, "bbox": [np.nan] * 4}])
    tracker = ArrayTracker()
    found = tracker.track(None)
    tracker.track = lambda image: found | next(answers)
    dataset = mask_set(tmp_path)
    run_dataset(tracker, dataset.only(["a"]), tmp_path / "out", experiment="unsupervised")
    lines = (tmp_path / "out" / "unsupervised" / "a" / "a_001.txt").read_text().splitlines()
    box = ",".join(f"{value:.4f}" for value in BOX)
    assert lines == ["1", TRUTH.tight().text(), ",".join(["1.0000"] * 8), box, box]


def test_a_mask_of_another_size_than_the_frame_is_named(tmp_path):
    tracker = ArrayTracker(lambda probabilities: probabilities[:100])
    progress = run_dataset(tracker, mask_set(tmp_path), tmp_path / "out")
    assert "a mask of shape (100, 200), expected that of the frame, (150, 200)" in progress.failed["a"]


def test_realtime_repeats_the_last_mask(tmp_path, monkeypatch):
    """Every frame takes three frames' time: after the forgiven ones, the mask of the last tracked frame is repeated."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    class Slow(ArrayTracker):
        calls = 0

        def track(self, image):
            now[0] += 0.15
            self.calls += 1
            return super().track(image) | {"mask": np.roll(mask_of(BOX).in_frame(), self.calls, axis=1)}

    run_dataset(Slow(), mask_set(tmp_path, 12).only(["a"]), tmp_path / "out", experiment="realtime")
    run = load_run(tmp_path / "out" / "realtime" / "a" / "a_00000000.txt")
    moves = [run.masks[frame].x - TRUTH.tight().x for frame in range(1, 12)]
    assert moves == [1, 2, 3, 4, 4, 4, 5, 5, 5, 6, 6]


def test_a_result_in_either_form_is_kept(tmp_path):
    dataset, folder = mask_set(tmp_path), tmp_path / "out"
    run_dataset(MaskTracker(), dataset.only(["a"]), folder)
    run_dataset(MaskTracker(), dataset.only(["b"]), folder, binary=True)
    before = {path: path.read_bytes() for path in [*files_of(folder, ".txt"), *files_of(folder, ".bin")]}
    assert len(before) == 4
    for binary in (False, True):
        progress = run_dataset(MaskTracker(), dataset, folder, binary=binary)
        assert progress.kept == ["a", "b"] and lockstep_slots(8, 1, dataset, folder) == 1
    assert {path: path.read_bytes() for path in [*files_of(folder, ".txt"), *files_of(folder, ".bin")]} == before


@pytest.mark.parametrize("binary", [False, True])
def test_a_damaged_result_of_the_other_form_is_replaced(tmp_path, caplog, binary):
    """Its file is removed when the new result is written, since of two forms the text is read."""
    dataset, folder = mask_set(tmp_path).only(["a"]), tmp_path / "out"
    run_dataset(MaskTracker(), dataset, folder, binary=not binary)
    for path in files_of(folder, ".txt" if binary else ".bin"):
        path.write_bytes(path.read_bytes()[:-40])
    assert run_dataset(MaskTracker(), dataset, folder, binary=binary).tracked == ["a"]
    assert "tracking it again" in caplog.text
    assert len(files_of(folder, ".bin" if binary else ".txt")) == 2
    assert not files_of(folder, ".txt" if binary else ".bin")


def test_sets_without_a_binary_form(tmp_path):
    sequences = [replace(sequence, masks={}, anchors=()) for sequence in mask_set(tmp_path).sequences]
    dataset = Dataset("OTB100", sequences, (), None, "one pass")
    with pytest.raises(ValueError, match="results of the protocol 'one pass' have no binary form.*leave out --binary"):
        run_dataset(MaskTracker(), dataset, tmp_path / "out", binary=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("protocol", ["supervised", "longterm"])
def test_polygons_and_boxes_in_binary_files(tmp_path, protocol):
    """The same regions, as float32, and confidences beside those of long-term sets."""
    sequences = [replace(sequence, masks={}, anchors=()) for sequence in mask_set(tmp_path).sequences]
    dataset = Dataset("SET", sequences, ("all",), SETTINGS if protocol == "supervised" else None, protocol)
    scores = []
    for binary in (False, True):
        run_dataset(MaskTracker(), dataset, tmp_path / f"out{binary}", binary=binary)
        scores.append(json.dumps(evaluate_tracker(dataset, tmp_path / f"out{binary}", mode="both").to_json()))
    assert scores[0] == scores[1]
    task = find_protocol(dataset).tasks(dataset, sequences[0], tmp_path / "outTrue")[0]
    path = find_protocol(dataset).written_result(task)
    run = task.load(path, 5)
    assert path.suffix == ".bin" and (run.confidence is None) == (protocol == "supervised")
    expected = np.float32(mask_of(BOX).polygon() if protocol == "supervised" else BOX)
    np.testing.assert_array_equal(run.regions[1][np.isfinite(run.regions[1])], expected)


def test_a_mask_without_a_binary_form_fails_its_sequence(tmp_path):
    """More runs than the file can count; other sequences are tracked, and nothing is written of this one."""
    noise = np.indices((300, 300)).sum(axis=0) % 2 == 1
    trajectory = Trajectory.from_frames([1, Mask(0, 0, noise)])
    with pytest.raises(ValueError, match="a_001.bin, frame 2: a mask of 300 x 300 pixels at 0, 0 with [0-9]{5} runs"):
        save_vot(tmp_path / "a_001.bin", trajectory)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="frame 2: a mask of 9 x 9 pixels at 40000, 0 .* has no binary form"):
        save_vot(tmp_path / "a_001.bin", Trajectory.from_frames([1, Mask(40000, 0, np.ones((9, 9), bool))]))
    assert len(load_run(save_vot(tmp_path / "a_001.txt", trajectory)).masks[1].runs()) > 65535

    class FarAway(ArrayTracker):
        """Tracker whose mask on the first sequence lies where no frame reaches."""

        starts = 0

        def init(self, image, box_xywh):
            self.starts += 1

        def track(self, image):
            far = SimpleNamespace(region=lambda: Mask(40000, 0, np.ones((9, 9), bool)), is_wanted=False)
            return super().track(image) | ({"target_mask": far} if self.starts <= 2 else {})

    progress = run_dataset(FarAway(), mask_set(tmp_path / "set"), tmp_path / "out", binary=True)
    assert progress.tracked == ["b"] and "a_00000000.bin, frame 2: a mask of 9 x 9 pixels" in progress.failed["a"]
    assert not (tmp_path / "out" / "baseline" / "a").exists()


def test_masks_of_the_result_are_drawn(tmp_path):
    sequence = mask_set(tmp_path).sequences[0]
    path = render(sequence, Trajectory.from_frames([1, TRUTH, 0, 0, 0]), tmp_path / "out")
    drawn = [
        (np.abs(cv2.imread(str(path / f"0000000{number}.jpg")).astype(int) - OUTLINE).max(axis=2) < 60).sum() > 20
        for number in (2, 3)
    ]
    assert drawn == [True, False]


@pytest.mark.parametrize("form", [".txt", ".bin"])
def test_a_cut_mask_loses_its_video_only(tmp_path, form):
    """With `partial` the other videos are scored; without, the problem names file and line, or entry."""
    dataset, folder = mask_set(tmp_path), tmp_path / "out"
    run_dataset(MaskTracker(), dataset, folder, binary=form == ".bin")
    path = folder / "baseline" / "a" / f"a_00000000{form}"
    if form == ".txt":
        lines = path.read_text().splitlines()
        lines[2] = lines[2].rpartition(",")[0]
        path.write_text("\n".join(lines) + "\n")
        reason = r"a_00000000.txt line 3 a mask of \d+ x \d+ pixels is cut: its runs have \d+ of \d+ pixels"
    else:
        data = path.read_bytes()
        size = struct.calcsize("<hIBIB")
        x, y, w, h, runs = struct.unpack_from("<hhHHH", data, size)
        cut = struct.pack("<hhHHH", x, y, w, h + 1, runs)
        path.write_bytes(data[:size] + cut + data[size + len(cut) :])
        reason = r"a_00000000.bin is cut off .*\(entry 2: a mask of \d+ x \d+ pixels is cut: its runs have"
    (score,) = score_trackers(dataset, [folder]).trackers
    assert len(score.problems) == 1
    with pytest.raises(ValueError, match=reason):
        load_run(path)
    (score,) = score_trackers(dataset, [folder], partial=True).trackers
    assert score.coverage == "1 of 2 videos" and score.numbers["accuracy"] == pytest.approx(0.8)


def test_the_page_shows_outlines_around_a_loss(tmp_path, monkeypatch):
    """Ground truth and results are masks, and no box around them is drawn."""
    dataset = mask_set(tmp_path / "frames", 12)
    far = Mask(110, 70, TRUTH.pixels)
    for sequence in dataset.sequences:
        for frame, _ in sequence.anchors:
            entries = [START] + [TRUTH if index < 6 else far for index in range(1, 12)]
            path = anchor_file(tmp_path / "m", sequence.name, frame)
            save_vot(path, Trajectory.from_frames(entries))
    pictures = []
    make = sequence_parts.picture
    monkeypatch.setattr(sequence_parts, "picture", lambda *given: pictures.append(given) or make(*given))
    scores = score_trackers(dataset, [tmp_path / "m"], with_timelines=True)
    page = write_report(tmp_path / "page.html", scores, {}).read_text()
    assert "m loses it at frame 7" in page
    image = {caption: image for image, caption in pictures}["frame 7"]
    expected = np.full_like(image, 90)
    expected[0, 0] = 6
    draw_outline(expected, TRUTH, GREEN, 3)
    draw_outline(expected, far, (178, 114, 0), 2)
    differs = (image != expected).any(axis=2)
    assert not differs[40:, :].any()  # above is the word "lost"
