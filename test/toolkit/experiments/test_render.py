import cv2
import numpy as np
import pytest
from toolkit_data import moving_polygons, write_frames

from object_sets import MaskTracker, drift, make_davis
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.experiments.render import render, render_objects
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.results.files import Trajectory


def test_frames_show_truth_and_result(tmp_path):
    truth = moving_polygons(3)
    write_frames(tmp_path / "clip", 3)
    sequence = Sequence("clip", [str(tmp_path / "clip" / f"{i + 1:08d}.png") for i in range(3)], truth, 200, 150)
    seen = []
    trajectory = Trajectory.from_frames([1, [100.0, 90, 40, 30], 2])
    path = render(sequence, trajectory, tmp_path / "out", lambda: seen.append(1))
    assert len(seen) == 3
    assert sorted(entry.name for entry in path.iterdir()) == ["00000001.jpg", "00000002.jpg", "00000003.jpg"]
    second, third = (cv2.imread(str(path / f"0000000{i}.jpg")).astype(int) for i in (2, 3))
    lower_side = second[120, 100:140]
    assert np.ptp(lower_side, axis=0).max() < 60 and abs(lower_side[20] - [0, 94, 213]).max() < 60
    assert abs(third[120, 120] - 90).max() < 10


def test_missing_frame_is_named(tmp_path):
    sequence = Sequence("clip", [str(tmp_path / "1.png")], moving_polygons(1), 200, 150)
    with pytest.raises(FileNotFoundError, match="1.png"):
        render(sequence, Trajectory.from_frames([1]), tmp_path / "out")


def test_frames_show_the_masks_of_objects(tmp_path):
    dataset = load_dataset("DAVIS2017", make_davis(tmp_path / "data", videos=["alpha"], frames=3))
    run_dataset(MaskTracker(), dataset, tmp_path / "m")
    seen = []
    path = render_objects(dataset.sequences[0], tmp_path / "m" / "alpha", tmp_path / "out", lambda: seen.append(1))
    assert len(seen) == 3 and len([*path.iterdir()]) == 3
    image = cv2.imread(str(path / "00000003.jpg")).astype(int)
    x, y, w, h = drift(2, 2)
    inside, outside = image[y + h // 2, x + w // 2], image[90, 150]
    assert inside[1] > inside[2] + 40 and abs(outside - 90).max() < 10
    (tmp_path / "m" / "alpha" / "00001.png").unlink()
    (tmp_path / "data" / "Annotations" / "480p" / "alpha" / "00001.png").unlink()
    with pytest.raises(ValueError, match="no mask to draw on frame 2, expected .*alpha/00001.png"):
        render_objects(dataset.sequences[0], tmp_path / "m" / "alpha", tmp_path / "other")
