"""Tracking of the objects of a sequence from their masks, alone and in a batch, and what becomes of their overlaps."""

import cv2
import numpy as np
import pytest
from toolkit_data import TrackerOfSlots

from object_sets import (
    HEIGHT,
    WIDTH,
    MaskTracker,
    SureMask,
    draw_labels,
    drift,
    make_davis,
    make_youtube_vos,
    write_labels,
)
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.experiments.parallel import run_in_threads
from pysot.toolkit.experiments.runner import frames_to_track, run_dataset
from pysot.toolkit.experiments.scoring import evaluate_tracker
from pysot.toolkit.results.soft_masks import join_masks
from pysot.toolkit.tracking import frames
from pysot.toolkit.tracking.objects import soft_mask_of
from pysot.utils.label_images import read_numbers
from pysot.utils.masks import Mask


class SlotsOfMasks(TrackerOfSlots):
    """Batch tracker of `MaskTracker`; `masks` are those of the last frame, by slot."""

    def track(self, frames):
        result = super().track(frames)
        probabilities = {1: 0.6, 2: 0.8}
        self.masks = {
            slot: SureMask(drift(int(frames[slot][0, 0, 0]), tracker.number), probabilities[tracker.number])
            for slot, tracker in self.trackers.items()
        }
        return result


def results(folder, video="alpha"):
    return [read_numbers(path) for path in sorted((folder / video).glob("*.png"))]


def test_overlaps_go_to_the_more_confident_object(tmp_path):
    dataset = load_dataset("DAVIS2017", make_davis(tmp_path, frames=16))
    for name, probabilities, above in (("a", {1: 0.6, 2: 0.8}, 2), ("b", {1: 0.8, 2: 0.6}, 1), ("c", None, 1)):
        progress = run_dataset(MaskTracker(probabilities), dataset, tmp_path / name)
        assert progress.tracked == ["alpha", "beta"] and not progress.failed
        for frame, numbers in enumerate(results(tmp_path / name)):
            order = [1, 2] if above == 2 or frame == 0 else [2, 1]
            assert np.array_equal(numbers, draw_labels(frame, order)), (name, frame)
    assert evaluate_tracker(dataset, tmp_path / "a").rank_by == 1
    assert 0.85 < evaluate_tracker(dataset, tmp_path / "b").rank_by < 1


def test_a_batch_gives_the_same(tmp_path):
    dataset = load_dataset("DAVIS2017", make_davis(tmp_path, frames=6))
    run_dataset(MaskTracker({1: 0.6, 2: 0.8}), dataset, tmp_path / "alone")
    run_dataset(SlotsOfMasks(3, MaskTracker), dataset, tmp_path / "batch")
    run_in_threads(lambda number: MaskTracker({1: 0.6, 2: 0.8}), 2, dataset, tmp_path / "threads")
    for video in ("alpha", "beta"):
        expected = results(tmp_path / "alone", video)
        assert len(expected) == 6
        for name in ("batch", "threads"):
            assert all(np.array_equal(*pair) for pair in zip(results(tmp_path / name, video), expected, strict=True))


def test_the_objects_of_a_batch_share_the_frames(tmp_path, monkeypatch):
    read, tracked, image_reader = [], [], frames.read_image
    monkeypatch.setattr(frames, "read_image", lambda path: read.append(path) or image_reader(path))

    class Tracker(SlotsOfMasks):
        def track(self, images):
            tracked.append({id(image) for image in images if image is not None})
            return super().track(images)

    dataset = load_dataset("DAVIS2017", make_davis(tmp_path, frames=6))
    run_dataset(Tracker(2, MaskTracker), dataset, tmp_path / "m")
    assert sorted(read) == sorted(path for sequence in dataset.sequences for path in sequence.frame_paths)
    assert len(tracked) == 10 and all(len(images) == 1 for images in tracked)


def test_an_object_is_tracked_from_the_frame_it_appears_on(tmp_path):
    dataset = load_dataset("YouTube-VOS", make_youtube_vos(tmp_path / "valid"))
    tracker = MaskTracker({1: 0.6, 2: 0.8})
    assert frames_to_track(dataset, dataset.sequences[0], tmp_path / "m") == 6 + 4
    run_dataset(tracker, dataset, tmp_path / "m")
    assert tracker.starts == [(0, 1), (2, 2)]
    for frame, numbers in enumerate(results(tmp_path / "m", "00a")):
        assert np.array_equal(numbers, draw_labels(frame, [1] if frame < 2 else [1, 2]))


def test_joined_objects_have_one_tracker(tmp_path):
    dataset = load_dataset("DAVIS2016", make_davis(tmp_path, videos=["alpha"], frames=4, year=2016))
    tracker = MaskTracker()
    run_dataset(tracker, dataset, tmp_path / "m")
    assert len(tracker.starts) == 1 and np.array_equal(results(tmp_path / "m")[0], draw_labels(0) > 0)


def test_a_second_call_resumes(tmp_path, caplog):
    dataset = load_dataset("DAVIS2017", make_davis(tmp_path, frames=4))
    run_dataset(MaskTracker(), dataset, tmp_path / "m")
    assert run_dataset(None, dataset, tmp_path / "m").kept == ["alpha", "beta"]
    (tmp_path / "m" / "alpha" / "00002.png").unlink()
    progress = run_dataset(MaskTracker(), dataset, tmp_path / "m")
    assert (progress.tracked, progress.kept) == (["alpha"], ["beta"]) and len(results(tmp_path / "m")) == 4
    assert "no mask for 1 of 4 frames (00002.png)" in caplog.text


class FailingTracker(MaskTracker):
    def track(self, image):
        if self.number == 2 and image[0, 0, 0] == 2:
            raise RuntimeError("no memory")
        return super().track(image)


def test_a_sequence_with_an_object_that_fails_has_no_result(tmp_path):
    dataset = load_dataset("DAVIS2017", make_davis(tmp_path, videos=["alpha"], frames=4))
    assert run_dataset(FailingTracker(), dataset, tmp_path / "m").failed == {"alpha": "RuntimeError: no memory"}
    assert not (tmp_path / "m").exists()
    assert run_dataset(MaskTracker(), dataset, tmp_path / "m").tracked == ["alpha"]


def test_a_start_mask_that_changed_ends_its_sequence_only(tmp_path):
    make_davis(tmp_path, frames=4)
    dataset = load_dataset("DAVIS2017", tmp_path)
    write_labels(tmp_path / "Annotations" / "480p" / "alpha" / "00000.png", draw_labels(0, [1]))
    progress = run_dataset(MaskTracker(), dataset, tmp_path / "m")
    assert progress.tracked == ["beta"]
    assert "00000.png has no pixel of object 2" in progress.failed["alpha"]


def test_a_frame_of_another_size_ends_its_sequence_only(tmp_path):
    dataset = load_dataset("DAVIS2017", make_davis(tmp_path, frames=4))
    cv2.imwrite(str(tmp_path / "JPEGImages" / "480p" / "alpha" / "00002.jpg"), np.zeros((50, 60, 3), np.uint8))
    progress = run_dataset(MaskTracker(), dataset, tmp_path / "m")
    assert progress.tracked == ["beta"]
    assert (
        f"00002.jpg has 60 x 50 pixels, the first frame and the masks of alpha have {WIDTH} x"
        in progress.failed["alpha"]
    )


class DrawnMask(SureMask):
    """Mask that was asked for, as with --vis."""

    is_wanted = True

    def region(self):
        x, y, probabilities = self.window
        return Mask(x, y, probabilities > self.threshold)


class DrawnTracker(MaskTracker):
    def track(self, image):
        outputs = super().track(image)
        return {**outputs, "target_mask": DrawnMask(outputs["bbox"], 0.8)}


def test_results_have_no_other_masks_beside_them_and_reports_have_none(tmp_path):
    dataset, sent = load_dataset("DAVIS2017", make_davis(tmp_path, frames=4)), []
    run_in_threads(
        lambda number: DrawnTracker(), 1, dataset, tmp_path / "m", None, lambda sequence, state, last: sent.append(last)
    )
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["alpha", "beta"]
    assert len(sent) == 2 and not any(trajectory.soft_masks or trajectory.target_masks for trajectory in sent)


def pixels_of(outputs):
    return join_masks({1: soft_mask_of(outputs, np.zeros((8, 10, 3), np.uint8))}, 8, 10).astype(bool)


def test_a_box_is_filled():
    expected = np.zeros((8, 10), bool)
    expected[2:5, 3:7] = True
    assert np.array_equal(pixels_of({"bbox": [3, 2, 4, 3], "best_score": 0.0}), expected)
    assert np.array_equal(pixels_of({"bbox": [2.6, 1.6, 4.8, 3.8]}), expected)
    assert np.array_equal(pixels_of({"bbox": [3, 2, 4, 3], "best_score": float("nan")}), expected)
    assert np.array_equal(pixels_of({"bbox": [-4, -5, 7, 7]}), np.pad(np.ones((2, 3), bool), ((0, 6), (0, 7))))
    assert not pixels_of({"bbox": [20, 20, 3, 3]}).any()


def test_a_polygon_is_filled():
    polygon = np.array([5, 1, 9, 4, 5, 7, 1, 4])
    expected = cv2.fillPoly(np.zeros((8, 10), np.uint8), [polygon.reshape(4, 2)], 1).astype(bool)
    assert np.array_equal(pixels_of({"bbox": [0, 0, 1, 1], "polygon": polygon.tolist()}), expected)


def test_pixels_below_the_threshold_are_background():
    mask = SureMask([1, 2, 4, 3], 0.3)
    mask.window[2][1, 1] = 0.31
    pixels = pixels_of({"bbox": [0, 0, 1, 1], "target_mask": mask})
    assert pixels.sum() == 1 and pixels[3, 2]


def test_masks_as_arrays():
    array = np.zeros((8, 10))
    array[2:4, 3:6] = [[0.5, 0.6, 0.9], [0.2, 0.8, 1.0]]
    assert np.array_equal(pixels_of({"bbox": [0, 0, 1, 1], "mask": array}), array > 0.5)
    assert np.array_equal(pixels_of({"bbox": [0, 0, 1, 1], "mask": array > 0.5, "best_score": 0.7}), array > 0.5)
    image = np.zeros((8, 10, 3), np.uint8)
    unsure = soft_mask_of({"bbox": [0, 0, 1, 1], "mask": array > 0.5, "best_score": 0.7}, image)
    numbers = join_masks({1: unsure, 2: soft_mask_of({"bbox": [0, 0, 1, 1], "mask": array}, image)}, 8, 10)
    assert numbers[2:4, 3:6].tolist() == [[0, 1, 2], [0, 2, 2]]
    with pytest.raises(ValueError, match="a mask of shape"):
        soft_mask_of({"bbox": [0, 0, 1, 1], "mask": array[1:]}, image)


def test_a_box_with_nan_repeats_the_mask_before(tmp_path):
    class LosingTracker(MaskTracker):
        def track(self, image):
            outputs = super().track(image)
            return {**outputs, "bbox": [np.nan] * 4} if image[0, 0, 0] == 2 else outputs

    dataset = load_dataset("DAVIS2016", make_davis(tmp_path, videos=["alpha"], frames=4, year=2016))
    run_dataset(LosingTracker(), dataset, tmp_path / "m")
    numbers = results(tmp_path / "m")
    assert np.array_equal(numbers[2], numbers[1]) and not np.array_equal(numbers[3], numbers[1])


@pytest.mark.parametrize("size", [(HEIGHT - 1, WIDTH), (HEIGHT + 4, WIDTH + 3)])
def test_masks_of_frames_of_another_size_are_cut(size):
    mask = soft_mask_of({"bbox": [-5, -5, 500, 500]}, np.zeros((*size, 3), np.uint8))
    assert join_masks({1: mask}, HEIGHT, WIDTH).shape == (HEIGHT, WIDTH)
