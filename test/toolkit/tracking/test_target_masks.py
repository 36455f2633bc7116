"""Trackers of masks: damaged mask files, polygons and masks in the results, alone and in lockstep, drawn outlines."""

import cv2
import numpy as np
import pytest
from mask_helpers import BOX, MaskTracker, MaskTrackerOfSlots, mask_of
from toolkit_data import sequence_on_disk

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.experiments.parallel import run_in_threads
from pysot.toolkit.experiments.render import render
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.results.paths import mask_file
from pysot.toolkit.results.target_masks import load_target_masks, save_target_masks
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.visualize import OUTLINE, PREDICTED

# experiment -> protocol of a data set, whether the results have polygons
EXPERIMENTS = {
    "baseline": ("supervised", True),
    "unsupervised": ("supervised", True),
    "longterm": ("longterm", False),
    "": ("one pass", False),
}


@pytest.fixture
def sequences(tmp_path):
    return [sequence_on_disk(tmp_path, name, [np.array(BOX)] * 5) for name in ("a", "b")]


def data_set(sequences, experiment):
    protocol = EXPERIMENTS[experiment][0]
    settings = VotSettings(2, 4, 3) if protocol == "supervised" else None
    return Dataset("VOT2018", sequences, ("all",), settings, protocol)


def results_of(dataset, folder, experiment):
    """Return the lines of each result, and the masks."""
    protocol = find_protocol(dataset, experiment or None)
    paths = [task.path for sequence in dataset.sequences for task in protocol.tasks(dataset, sequence, folder)]
    return [(path.read_text().splitlines(), load_target_masks(path)) for path in paths]


def test_a_damaged_line_is_named(tmp_path):
    mask_file(tmp_path / "a_001.txt").write_text("0\nm1,2,x\n")
    with pytest.raises(ValueError, match="a_001_mask.value line 2 a mask is m and whole numbers"):
        load_target_masks(tmp_path / "a_001.txt")


def test_a_result_without_masks_removes_those_of_an_earlier_one(tmp_path):
    path = tmp_path / "a_001.txt"
    assert load_target_masks(path) == {}
    texts = ["", mask_of(BOX).region().text()]
    save_target_masks(path, Trajectory.from_frames([1, np.array(BOX)], target_masks=texts))
    assert set(load_target_masks(path)) == {1} and load_target_masks(path)[1].text() == texts[1]
    save_target_masks(path, Trajectory.from_frames([1, np.array(BOX)], target_masks=["", ""]))
    assert not mask_file(path).exists()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("way", ["alone", "lockstep", "threads"])
def test_vot_results_are_polygons_and_others_boxes(tmp_path, sequences, experiment, way):
    dataset = data_set(sequences, experiment)
    if way == "threads":
        run_in_threads(lambda number: MaskTracker(), 2, dataset, tmp_path / "out", experiment=experiment or None)
    else:
        tracker = MaskTracker() if way == "alone" else MaskTrackerOfSlots()
        run_dataset(tracker, dataset, tmp_path / "out", experiment=experiment or None)
    for lines, masks in results_of(dataset, tmp_path / "out", experiment):
        assert lines[0] == ("1" if experiment else "60.5000,50.5000,60.0000,40.0000")
        numbers = [np.array(line.split(","), float) for line in lines[1:]]
        expected = mask_of(BOX).polygon() if EXPERIMENTS[experiment][1] else BOX
        for region in numbers:
            np.testing.assert_allclose(region, expected, atol=1e-3)
        assert set(masks) == {1, 2, 3, 4}
        np.testing.assert_array_equal(masks[1].pixels, mask_of(BOX).region().pixels)


def test_a_lost_target_has_no_mask(tmp_path, sequences):
    tracker = MaskTracker()
    found = tracker.track(None)
    tracker.track = lambda image: found | {"polygon": [190, 140, 195, 140, 195, 145, 190, 145]}
    dataset = data_set(sequences, "baseline")
    run_dataset(tracker, dataset, tmp_path / "out")
    for lines, masks in results_of(dataset, tmp_path / "out", "baseline"):
        assert lines[:3] == ["1", "2", "0"] and masks == {}


def test_masks_that_were_not_asked_for_are_not_written(tmp_path, sequences):
    dataset = data_set(sequences, "baseline")
    run_dataset(MaskTracker(is_wanted=False), dataset, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*_mask.value"))
    assert len(results_of(dataset, tmp_path / "out", "baseline")[0][0][1].split(",")) == 8


def test_a_polygon_with_another_count_of_numbers_is_refused(tmp_path, sequences):
    tracker = MaskTracker()
    tracker.track = lambda image: {"bbox": BOX, "best_score": 0.5, "polygon": [1.0, 2, 3]}
    progress = run_dataset(tracker, data_set(sequences, "unsupervised"), tmp_path / "out", experiment="unsupervised")
    assert "a region of 3 numbers, expected a polygon of 8" in progress.failed["a"]


def test_the_outline_and_the_rotated_box_are_drawn(tmp_path, sequences):
    mask = mask_of(BOX)
    trajectory = Trajectory.from_frames([1, *[mask.polygon()] * 4])
    path = render(sequences[0], trajectory, tmp_path / "out", masks={1: mask.region()})
    second, third = (cv2.imread(str(path / f"0000000{number}.jpg")).astype(int) for number in (2, 3))

    def is_drawn(image, colour):
        return (np.abs(image - colour).max(axis=2) < 60)[40:100, 50:130].sum() > 20

    assert is_drawn(second, OUTLINE) and is_drawn(second, PREDICTED)
    assert not is_drawn(third, OUTLINE) and is_drawn(third, PREDICTED)
