import numpy as np
import pytest
from toolkit_data import ShakingTracker, make_raw_set, moving_polygons, sequence_on_disk

from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.experiments.scoring import evaluate_tracker
from pysot.toolkit.results.files import LOST, SKIPPED, START, TRACKED, load_baseline
from pysot.toolkit.results.paths import vot_file
from pysot.toolkit.tracking.supervised import run_supervised
from pysot.utils.bbox import init_box_from_region


@pytest.fixture
def clip(tmp_path):
    return sequence_on_disk(tmp_path, "clip", moving_polygons(20))


def test_without_any_truth_there_is_nothing_to_start_from(tmp_path):
    sequence = sequence_on_disk(tmp_path, "clip", [np.full(8, np.nan)] * 3)
    with pytest.raises(ValueError, match="clip has no frame with ground truth"):
        run_supervised(ShakingTracker(sequence.ground_truth), sequence)


def test_one_frame(tmp_path):
    sequence = sequence_on_disk(tmp_path, "clip", moving_polygons(1))
    assert run_supervised(ShakingTracker(sequence.ground_truth), sequence).codes.tolist() == [START]


def test_a_loss_starts_again_five_frames_later(clip):
    tracker = ShakingTracker(clip.ground_truth, lose=[4, 18])
    trajectory = run_supervised(tracker, clip)
    first_fragment, second_fragment = [START] + [TRACKED] * 3 + [LOST], [START] + [TRACKED] * 8 + [LOST]
    assert trajectory.codes.tolist() == first_fragment + [SKIPPED] * 4 + second_fragment + [SKIPPED]
    assert [frame for frame, _ in tracker.starts] == [0, 9] and trajectory.failures.tolist() == [4, 18]
    assert tracker.calls == 13
    assert trajectory.seconds.shape == (20,)
    assert (trajectory.seconds[[5, 6, 7, 8]] == 0).all() and (trajectory.seconds >= 0).all()


def test_first_box(clip):
    tracker = ShakingTracker(clip.ground_truth)
    run_supervised(tracker, clip)
    np.testing.assert_allclose(tracker.starts[0][1], init_box_from_region(clip.ground_truth[0]))


def test_first_box_of_four_numbers(tmp_path):
    """Corners are x to x + w - 1, and one pixel is added to the sides again: the start box is the box itself."""
    sequence = sequence_on_disk(tmp_path, "clip", [np.array([30.0, 40, 25, 20])] * 2)
    tracker = ShakingTracker(sequence.ground_truth)
    assert run_supervised(tracker, sequence).codes.tolist() == [START, TRACKED]
    np.testing.assert_allclose(tracker.starts[0][1], [30, 40, 25, 20])


def test_polygon_of_the_tracker_is_used(clip):
    class Polygons(ShakingTracker):
        def track(self, image):
            return {**super().track(image), "polygon": self.truth[int(image[0, 0, 0])]}

    trajectory = run_supervised(Polygons(clip.ground_truth), clip)
    np.testing.assert_allclose(trajectory.regions[7], clip.ground_truth[7])


def test_region_that_is_not_finite_is_a_loss(clip):
    class Broken(ShakingTracker):
        def track(self, image):
            return {"bbox": [np.nan] * 4, "best_score": np.nan}

    codes = run_supervised(Broken(clip.ground_truth), clip).codes.tolist()
    assert codes[:7] == [START, LOST] + [SKIPPED] * 4 + [START]


def test_region_of_three_numbers_is_an_error(clip):
    class Broken(ShakingTracker):
        def track(self, image):
            return {"bbox": [1, 2, 3], "best_score": 0}

    with pytest.raises(ValueError, match="region of 3 numbers"):
        run_supervised(Broken(clip.ground_truth), clip)


def test_frames_without_truth_are_neither_loss_nor_start(tmp_path):
    truth = moving_polygons(14)
    known = [region.copy() for region in truth]
    for frame in (0, 3, 9):
        known[frame] = np.full(8, np.nan)
    sequence = sequence_on_disk(tmp_path, "clip", known)
    codes = run_supervised(ShakingTracker(truth, lose=[3, 4]), sequence).codes.tolist()
    assert codes == [SKIPPED, START, TRACKED, TRACKED, LOST] + [SKIPPED] * 5 + [START] + [TRACKED] * 3


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda path: path.unlink(), FileNotFoundError),
        (lambda path: path.write_bytes(b""), ValueError),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), ValueError),
    ],
)
def test_frame_that_cannot_be_read_is_named(tmp_path, clip, damage, kind):
    damage(tmp_path / "clip" / "00000003.png")
    with pytest.raises(kind, match="sequence clip, frame 3: .*00000003.png"):
        run_supervised(ShakingTracker(clip.ground_truth), clip)


def test_steps_are_reported(clip):
    steps = []
    run_supervised(ShakingTracker(clip.ground_truth, lose=[4]), clip, on_frame=steps.append)
    assert [step.index for step in steps] == list(range(20))
    assert steps[5].image is None and steps[4].entry == 2 and steps[3].outputs["best_score"] == 0.9


class OneTracker(ShakingTracker):
    """Tracker for both sequences of the raw set, which it distinguishes by the size of the start box."""

    def __init__(self, dataset, **kwargs):
        super().__init__(None, **kwargs)
        self.dataset = dataset

    def init(self, image, box_xywh):
        self.truth = self.dataset.sequences[int(abs(box_xywh[2] - 25) < 1e-6)].ground_truth
        super().init(image, box_xywh)


@pytest.fixture
def tiny(tmp_path):
    return load_dataset("TINY", make_raw_set(tmp_path / "TINY"))


def test_finished_videos_are_kept_damaged_ones_tracked_again(tmp_path, tiny):
    seen = []
    first = run_dataset(
        OneTracker(tiny),
        tiny,
        tmp_path / "out",
        on_sequence=lambda sequence, state, _: seen.append((sequence.name, state)),
    )
    assert first.tracked == ["slow", "boxes"] and seen == [("slow", "tracked"), ("boxes", "tracked")]
    score = evaluate_tracker(tiny, tmp_path / "out")
    assert score.lost == 0 and score.problems == () and 0.4 < score.videos["slow"][0] < 1
    vot_file(tmp_path / "out", "boxes").write_text("1\n0\n")
    tracker = OneTracker(tiny)
    second = run_dataset(tracker, tiny, tmp_path / "out")
    assert (second.kept, second.tracked) == (["slow"], ["boxes"]) and tracker.calls == 7
    assert len(load_baseline(vot_file(tmp_path / "out", "boxes"), 8)) == 8


def test_an_exception_loses_one_sequence_only(tmp_path, tiny, caplog):
    class Broken(OneTracker):
        def track(self, image):
            if len(self.truth) == 12:
                raise KeyError("weights")
            return super().track(image)

    progress = run_dataset(Broken(tiny), tiny, tmp_path / "out")
    assert progress.tracked == ["boxes"] and "KeyError" in progress.failed["slow"] and "slow failed" in caplog.text
    assert not vot_file(tmp_path / "out", "slow").exists() and vot_file(tmp_path / "out", "boxes").exists()


def test_an_interrupt_keeps_what_is_finished(tmp_path, tiny):
    class Interrupted(OneTracker):
        def track(self, image):
            if len(self.truth) == 8:
                raise KeyboardInterrupt
            return super().track(image)

    with pytest.raises(KeyboardInterrupt):
        run_dataset(Interrupted(tiny), tiny, tmp_path / "out")
    assert run_dataset(OneTracker(tiny), tiny, tmp_path / "out").kept == ["slow"]


def test_an_unwritable_folder_is_an_error_at_once(tmp_path, tiny):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="slow_001"):
        run_dataset(OneTracker(tiny), tiny, tmp_path / "out")


@pytest.mark.parametrize("hole", [[0, 0, 0, 0], [5, 5, -3, 8], [5, 5, 8, 0]])
def test_boxes_without_area_are_frames_without_truth(tmp_path, caplog, hole):
    truth = [np.array([20.0 + i, 30, 40, 30]) for i in range(6)]
    truth[0] = truth[3] = np.array(hole, float)
    sequence = sequence_on_disk(tmp_path, "clip", truth)
    result = run_supervised(ShakingTracker([np.array([20.0 + i, 30, 40, 30]) for i in range(6)]), sequence)
    assert result.codes.tolist() == [SKIPPED, START, TRACKED, TRACKED, TRACKED, TRACKED]
    assert "2 frames have a box without area and count as frames without ground truth" in caplog.text
