"""Label images as results: which object a pixel belongs to, complete folders, zips for servers, unusable files."""

import errno
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from object_sets import HEIGHT, WIDTH, draw_labels, drift, make_davis, make_youtube_vos, soft_box, write_labels
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.results import label_results
from pysot.toolkit.results.label_results import (
    ObjectTrajectories,
    check_label_files,
    label_folder,
    read_label_result,
)
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.paths import holds_any_results, holds_results, tracker_dirs
from pysot.toolkit.results.server_zip import missing_results, zip_if_complete, zip_results
from pysot.toolkit.results.soft_masks import SoftMask, join_masks
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.label_images import davis_palette, read_label_image, read_numbers


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, (2, 5, 7), elements=st.sampled_from([0.0, 0.2, 0.4, 0.9, 1.0])),
    st.tuples(st.integers(-4, 9), st.integers(-4, 9)),
)
def test_a_pixel_belongs_to_the_most_confident_object(confidences, shift):
    masks = {1: SoftMask.of_tracker(0, 0, confidences[0]), 2: SoftMask.of_tracker(*shift, confidences[1])}
    expected, best = np.zeros((6, 8), np.uint8), np.zeros((6, 8))
    for number, (x, y), values in ((1, (0, 0), confidences[0]), (2, shift, confidences[1])):
        for row, column in np.ndindex(values.shape):
            place = y + row, x + column
            if 0 <= place[0] < 6 and 0 <= place[1] < 8 and values[row, column] > best[place]:
                expected[place], best[place] = number, values[row, column]
    assert np.array_equal(join_masks(masks, 6, 8), expected)


def test_a_given_mask_is_more_certain_than_any_tracker():
    masks = {1: soft_box([0, 0, 8, 6], 1.0), 2: SoftMask.given(2, 1, np.ones((2, 3), bool))}
    numbers = join_masks(masks, 6, 8)
    assert (numbers[1:3, 2:5] == 2).all() and (numbers == 1).sum() == 42


def test_any_confidence_above_zero_is_kept():
    assert join_masks({3: SoftMask.of_tracker(0, 0, np.array([[1e-9, 0.0]]))}, 1, 2).tolist() == [[3, 0]]


def trajectory(sequence, number, start=0) -> Trajectory:
    boxes = [drift(index, number).astype(float) for index in range(start, len(sequence))]
    return replace(Trajectory.from_frames(boxes), soft_masks=[soft_box(box) for box in boxes])


def save_result(sequence, tracker_dir):
    """Write the result of a tracker that finds all objects; return its folder."""
    objects, folder = ObjectTrajectories(sequence), label_folder(tracker_dir, sequence)
    for number, start in sequence.labels.objects.items():
        objects.add(number, folder, trajectory(sequence, number, start))
    return folder


@pytest.fixture
def dataset(tmp_path):
    return load_dataset("DAVIS2017", make_davis(tmp_path / "data"))


def test_the_last_object_writes_all_label_images(dataset, tmp_path):
    sequence = dataset.sequences[0]
    objects = ObjectTrajectories(sequence)
    objects.add(2, tmp_path / "m" / "alpha", trajectory(sequence, 2))
    assert not (tmp_path / "m").exists()
    objects.add(1, tmp_path / "m" / "alpha", trajectory(sequence, 1))
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["alpha"]
    assert sorted(path.name for path in (tmp_path / "m" / "alpha").iterdir()) == [f"{i:05d}.png" for i in range(8)]
    image = read_label_image(tmp_path / "m" / "alpha" / "00005.png")
    assert image.form == "palette" and set(np.unique(image.pixels)) == {0, 1, 2}
    colours = cv2.cvtColor(cv2.imread(str(tmp_path / "m" / "alpha" / "00005.png")), cv2.COLOR_BGR2RGB)
    assert np.array_equal(colours, davis_palette()[image.pixels])


def test_the_palette_of_davis():
    colours = davis_palette()[[0, 1, 2, 4, 8, 9, 21, 22, 255]].tolist()
    dark = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [0, 0, 128], [64, 0, 0]]
    assert colours == [*dark, [191, 0, 0], [128, 64, 128], [22, 22, 22], [255, 255, 255]]


def test_an_incomplete_folder_is_replaced(dataset, tmp_path):
    sequence = dataset.sequences[0]
    (tmp_path / "m" / "alpha").mkdir(parents=True)
    (tmp_path / "m" / ".alpha.part").mkdir()
    (tmp_path / "m" / ".alpha.part" / "00009.png").touch()
    with pytest.raises(ResultError, match=r"no mask for 8 of 8 frames \(00000.png, 00001.png, 00002.png ...\)"):
        check_label_files(tmp_path / "m" / "alpha", sequence, range(8))
    check_label_files(save_result(sequence, tmp_path / "m"), sequence, range(8))
    assert len([*(tmp_path / "m" / "alpha").iterdir()]) == 8
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["alpha"]


def test_a_full_disk_is_named_and_keeps_what_was_there(dataset, tmp_path, monkeypatch):
    (tmp_path / "m" / "alpha").mkdir(parents=True)
    (tmp_path / "m" / "alpha" / "00003.png").touch()
    written = []

    def write(path, data):
        written.append(path)
        if len(written) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OSError, match=r"cannot write .*/m/alpha: No space left on device. Choose a folder"):
        save_result(dataset.sequences[0], tmp_path / "m")
    assert [str(path.relative_to(tmp_path / "m")) for path in sorted((tmp_path / "m").rglob("*"))] == [
        "alpha",
        "alpha/00003.png",
    ]


def test_two_processes_that_write_the_same_result(dataset, tmp_path, monkeypatch):
    encode, together = label_results.encode_label_image, threading.Barrier(2)

    def slow_encode(numbers):
        time.sleep(0.01)
        return encode(numbers)

    def save():
        together.wait()
        return save_result(dataset.sequences[0], tmp_path / "m")

    monkeypatch.setattr(label_results, "encode_label_image", slow_encode)
    with ThreadPoolExecutor() as threads:
        folders = [call.result() for call in [threads.submit(save) for _ in range(2)]]
    check_label_files(folders[0], dataset.sequences[0], range(8))


def test_what_a_killed_process_left_is_no_result(tmp_path):
    write_labels(tmp_path / "m" / ".alpha.part" / "00000.png", draw_labels(0))
    assert not holds_results(tmp_path / "m", "") and not holds_any_results(tmp_path / "m")
    with pytest.raises(FileNotFoundError, match="expected .*/<video>.txt .of masks of objects <video>/<frame>.png"):
        tracker_dirs(tmp_path, "DAVIS2017", experiments=[""])


@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda path: path.unlink(), "00003.png"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "00003.png cannot be decoded"),
        (lambda path: cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), np.uint8)), "00003.png is a colour image"),
        (lambda path: write_labels(path, draw_labels(3)[:, :-2]), f"00003.png has {WIDTH - 2} x {HEIGHT} pixels"),
        (lambda path: write_labels(path, draw_labels(3) * 2), "00003.png has object 4, but alpha has objects 1, 2; "),
    ],
)
def test_results_that_cannot_be_used(dataset, tmp_path, damage, reason):
    sequence = dataset.sequences[0]
    folder = save_result(sequence, tmp_path / "m")
    assert read_label_result(folder, sequence, 3, (HEIGHT, WIDTH)).max() == 2
    damage(folder / "00003.png")
    with pytest.raises(ResultError, match=reason):
        read_label_result(folder, sequence, 3, (HEIGHT, WIDTH))


def test_grey_images_have_numbers_too(dataset, tmp_path):
    sequence = dataset.sequences[0]
    (tmp_path / "m" / "Alpha").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "m" / "Alpha" / "00003.png"), draw_labels(3))
    folder = label_folder(tmp_path / "m", sequence)
    assert np.array_equal(read_label_result(folder, sequence, 3, (HEIGHT, WIDTH)), draw_labels(3))


def test_folders_of_trackers(dataset, tmp_path):
    for name in ("first", "second"):
        save_result(dataset.sequences[0], tmp_path / "results" / "DAVIS2017" / name)
    (tmp_path / "results" / "DAVIS2017" / "DAVIS2017_scores.png").touch()
    (tmp_path / "results" / "DAVIS2017" / "DAVIS2017_timelines").mkdir()
    (tmp_path / "results" / "DAVIS2017" / "DAVIS2017_timelines" / "alpha.png").touch()
    for path in (tmp_path / "results", tmp_path / "results" / "DAVIS2017"):
        assert [folder.name for folder in tracker_dirs(path, "DAVIS2017", experiments=[""])] == ["first", "second"]
    one = tmp_path / "results" / "DAVIS2017" / "second"
    assert tracker_dirs(one, "DAVIS2017", experiments=[""]) == [one] and holds_any_results(one)


def test_figures_are_no_results(tmp_path):
    for name in ("OTB100/OTB100_scores.png", "OTB100/OTB100_timelines/Basketball.png", "OTB100/m/Basketball.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert not holds_results(tmp_path, "")
    assert [folder.name for folder in tracker_dirs(tmp_path, "OTB100", experiments=[""])] == ["m"]


def test_the_zip_of_youtube_vos(tmp_path):
    dataset = load_dataset("YouTube-VOS", make_youtube_vos(tmp_path / "valid", step=1))
    sequence, path = dataset.sequences[0], tmp_path / "m.zip"
    assert missing_results(tmp_path / "m", dataset) == ["00a"]
    assert "nothing to send yet" in zip_if_complete(tmp_path / "m", dataset, path) and not path.exists()
    folder = save_result(sequence, tmp_path / "m")
    assert zip_if_complete(tmp_path / "m", dataset, path) == f"YouTube-VOS is scored by its server: send it {path}"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"Annotations/00a/{number:05d}.png" for number in range(0, 30, 5)]
        (tmp_path / "one.png").write_bytes(archive.read("Annotations/00a/00010.png"))
    assert np.array_equal(read_numbers(tmp_path / "one.png"), read_numbers(folder / "00010.png"))
    assert set(np.unique(read_numbers(folder / "00005.png"))) == {0, 1}
    (folder / "00010.png").write_bytes(b"")
    with pytest.raises(ResultError, match="00010.png"):
        zip_results(tmp_path / "m", dataset, tmp_path / "other.zip")
    assert not (tmp_path / "other.zip").exists()


def test_the_zip_of_davis_has_a_folder_for_each_sequence(dataset, tmp_path):
    for sequence in dataset.sequences:
        save_result(sequence, tmp_path / "m")
    seen = []
    path = zip_results(
        tmp_path / "m", dataset, tmp_path / "m.zip", lambda sequences, description: seen.extend(sequences) or seen
    )
    names = zipfile.ZipFile(path).namelist()
    assert len(seen) == 2 and len(names) == 16 and names[0] == "alpha/00000.png" and names[-1] == "beta/00007.png"
