"""Crops of raw videos: their geometry, their files, and what is skipped or made again."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_data import files_below, make_video, square_image

from pysot.datasets import crop
from pysot.datasets.augmentation import centred_box
from pysot.datasets.crop import CropResult, crop511, crop_all, crop_video
from pysot.datasets.crop_files import read_origin
from pysot.datasets.raw.video import RawFrame, RawVideo, annotation_json


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9), (float("nan"), 0, 5, 5), (0, 0, float("inf"), 5)]
)
def test_frames_refuse_boxes_without_an_inside(box):
    with pytest.raises(ValueError, match="x1 < x2"):
        RawFrame(Path("a.jpg"), 0, {"00": box})


@pytest.mark.parametrize(
    "box", [(100, 80, 180, 140), (0, 0, 30, 60), (290, 200, 320, 240), (60, 100, 260, 120), (150, 120, 153, 124)]
)
def test_box_is_where_training_expects_it(box):
    image = crop511(square_image(box), tuple(map(float, box)))
    assert image.shape == (511, 511, 3) and image.dtype == np.uint8
    bright = image.min(axis=2) > 140
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    expected = centred_box(image.shape, box)
    width, height = box[2] - box[0], box[3] - box[1]
    pixel = 511 / 127 * 127 / np.sqrt((1.5 * width + 0.5 * height) * (1.5 * height + 0.5 * width))
    # half a pixel of the image: x2 of a box is one behind its last pixel
    np.testing.assert_allclose([columns[0], rows[0], columns[-1], rows[-1]], np.array(expected), atol=1 + pixel)
    np.testing.assert_allclose(np.add(expected[:2], expected[2:]) / 2, 255, atol=1e-9)


def test_exemplar_square_is_127_of_511_pixels():
    roi = crop.crop_roi((100.0, 100.0, 200.0, 140.0))
    side = np.sqrt(170 * 110) * 511 / 127
    np.testing.assert_allclose(roi, [150 - side / 2, 120 - side / 2, 150 + side / 2, 120 + side / 2])


def test_outside_is_the_mean_of_the_image():
    image = square_image((0, 0, 40, 40))
    image = crop511(image, (0.0, 0.0, 40.0, 40.0))
    np.testing.assert_allclose(image[3, 3], square_image((0, 0, 40, 40)).mean(axis=(0, 1)), atol=1)


def test_huge_and_tiny_boxes():
    for box in [(-500.0, -400.0, 900.0, 800.0), (100.0, 100.0, 100.5, 100.5)]:
        assert crop511(square_image((0, 0, 40, 40)), box).shape == (511, 511, 3)


def test_crops_and_json_agree(tmp_path):
    video = make_video(tmp_path, tracks=2)
    assert crop_video(video, tmp_path / "crop511") == CropResult(written=8)
    counts = Counter()
    content = annotation_json([video], tmp_path / "crop511", counts)
    listed = sorted(
        f"{name}/{frame}.{track}.x.jpg"
        for name, tracks in content.items()
        for track, frames in tracks.items()
        for frame in frames
    )
    assert listed == files_below(tmp_path / "crop511") and counts == {"boxes": 8}
    assert content["clip"]["01"]["000002"] == [60, 60, 110, 100]
    json.dumps(content)


def test_json_without_crops_and_with_missing_ones(tmp_path):
    videos = [make_video(tmp_path, "a", frames=2), make_video(tmp_path, "b", frames=1)]
    counts = Counter()
    assert set(annotation_json(videos, None, counts)) == {"a", "b"} and counts == {"boxes": 3}
    crop_video(videos[0], tmp_path / "crop511")
    (tmp_path / "crop511/a/000001.00.x.jpg").write_bytes(b"")
    counts = Counter()
    content = annotation_json(videos, tmp_path / "crop511", counts)
    assert list(content) == ["a"] and list(content["a"]["00"]) == ["000000"] and counts == {"boxes": 1, "no crop": 2}


def test_second_run_adds_only_what_is_missing(tmp_path):
    video, out = make_video(tmp_path), tmp_path / "crop511"
    crop_video(video, out)
    (out / "clip/000001.00.x.jpg").unlink()
    (out / "clip/000002.00.x.jpg").write_bytes(b"")  # what a power failure leaves
    before = {name: (out / name).stat().st_mtime_ns for name in ("clip/000000.00.x.jpg", "clip/000003.00.x.jpg")}
    assert crop_video(video, out) == CropResult(written=2, present=2)
    assert before == {name: (out / name).stat().st_mtime_ns for name in before}
    assert crop_video(video, out) == CropResult(present=4)


@pytest.mark.parametrize("procs", [1, 2])
def test_processes_give_the_same_crops(tmp_path, procs):
    videos = [make_video(tmp_path, f"set/v{number}", frames=2) for number in range(20)]
    seen = []
    total = crop_all(videos, tmp_path / "out", procs, progress=lambda results, total: seen.append(total) or results)
    assert total == CropResult(written=40) and seen == [20]
    assert len(files_below(tmp_path / "out")) == 40
    frame = videos[3].frames[1]
    data = cv2.imencode(".jpg", crop511(cv2.imread(str(frame.image)), frame.boxes["00"]))[1]
    path = tmp_path / "out/set/v3/000001.00.x.jpg"
    np.testing.assert_array_equal(cv2.imread(str(path)), cv2.imdecode(data, cv2.IMREAD_COLOR))
    origin_end = f"{' '.join(f'{value:.3f}' for value in frame.boxes['00'])} {frame.image.stat().st_size} bytes"
    assert read_origin(path).startswith("set/v3/") and read_origin(path).endswith(origin_end)


def test_crops_of_another_image_or_box_are_made_again(tmp_path):
    """Crops are replaced when labels were added, which renumbers later frames, or when boxes were corrected.

    Crops of earlier versions, which record no origin, stay.
    """
    video = make_video(tmp_path, frames=3)
    first, last = (
        RawFrame(frame.image, number, frame.boxes) for number, frame in enumerate((video.frames[0], video.frames[2]))
    )
    crop_video(RawVideo("clip", (first, last)), tmp_path / "out")
    second_path, third_path = (tmp_path / "out/clip" / f"00000{number}.00.x.jpg" for number in (1, 2))
    before = second_path.read_bytes()
    assert crop_video(video, tmp_path / "out") == CropResult(written=2, present=1)
    assert second_path.read_bytes() != before == third_path.read_bytes()
    moved = RawVideo("clip", (RawFrame(first.image, 0, {"00": (1.0, 2.0, 30.0, 40.0)}), *video.frames[1:]))
    assert (
        crop_video(moved, tmp_path / "out") == CropResult(written=1, present=2) == crop_video(video, tmp_path / "out")
    )
    old = tmp_path / "out/clip/000000.00.x.jpg"
    old.write_bytes(cv2.imencode(".jpg", cv2.imread(str(old)))[1].tobytes())
    assert read_origin(old) == "" and crop_video(moved, tmp_path / "out") == CropResult(written=0, present=3)


def test_crops_of_an_image_that_was_replaced_are_made_again(tmp_path):
    """Images of the same name but another size count as other images. Without the images, crops stay."""
    video = make_video(tmp_path, frames=3)
    crop_video(video, tmp_path / "out", with_z=True)
    cv2.imwrite(str(video.frames[0].image), np.zeros_like(cv2.imread(str(video.frames[0].image))))
    assert crop_video(video, tmp_path / "out", with_z=True) == CropResult(written=1, present=2)
    assert cv2.imread(str(tmp_path / "out/clip/000000.00.z.jpg")).max() < 5
    for frame in video.frames:
        frame.image.unlink()
    assert crop_video(video, tmp_path / "out", with_z=True) == CropResult(present=3)


def test_exemplars_of_another_box_are_made_again(tmp_path):
    """Exemplars are checked on their own, even if the crops beside them are current."""
    video = make_video(tmp_path, frames=2)
    moved = RawVideo("clip", (RawFrame(video.frames[0].image, 0, {"00": (1.0, 2.0, 30.0, 40.0)}), video.frames[1]))
    crop_video(video, tmp_path / "out", with_z=True)
    crop_video(moved, tmp_path / "out")
    assert crop_video(moved, tmp_path / "out", with_z=True) == CropResult(written=1, present=1)


@pytest.mark.parametrize("arguments", [{"procs": 0}, {"size": 100}])
def test_arguments_of_cropping(tmp_path, arguments):
    with pytest.raises(ValueError, match="at least 1 process"):
        crop_all([make_video(tmp_path)], tmp_path / "out", **arguments)


def test_bad_images_are_named_and_left_out(tmp_path, caplog):
    image_module = pytest.importorskip("PIL.Image")
    video = make_video(tmp_path, frames=6)
    paths = [frame.image for frame in video.frames]
    paths[0].unlink()
    paths[1].write_bytes(b"")
    paths[2].write_bytes(paths[5].read_bytes()[:900])
    image_module.open(paths[3]).convert("L").save(paths[3])
    image_module.open(paths[4]).convert("CMYK").save(paths[4])
    total = crop_all([video], tmp_path / "out")
    assert total.written == 3 and len(total.problems) == 3
    assert all(str(path) in problem for path, problem in zip(paths[:3], total.problems, strict=True))
    assert caplog.text.count("left out") == 3
    grey = cv2.imread(str(tmp_path / "out/clip/000003.00.x.jpg"))
    assert grey.shape == (511, 511, 3) and grey[255, 255].min() > 240
    assert list(annotation_json([video], tmp_path / "out", Counter())["clip"]["00"]) == ["000003", "000004", "000005"]


def test_box_outside_of_the_image_is_left_out(tmp_path):
    frame = make_video(tmp_path).frames[0]
    boxes = {
        "00": (400.0, 10.0, 420.0, 30.0),
        "01": (-9.0, 0.0, 4.0, 9.0),
        "02": (5.0, -9.0, 9.0, -1.0),
        "03": (-9.0, 5.0, -1.0, 9.0),
        "04": (10.0, 240.0, 20.0, 250.0),
    }
    result = crop_video(RawVideo("clip", (RawFrame(frame.image, 0, boxes),)), tmp_path / "out")
    assert result.written == 1 and len(result.problems) == 4
    assert "outside of the image (320 x 240)" in result.problems[0]


def test_nothing_left_is_an_error(tmp_path):
    video = make_video(tmp_path, frames=1)
    video.frames[0].image.write_bytes(b"")
    with pytest.raises(ValueError, match="no crop could be made.*empty file"):
        crop_all([video], tmp_path / "out")
    with pytest.raises(ValueError, match="no crop could be made.*no boxes"):
        crop_all([], tmp_path / "out")


@pytest.mark.parametrize("procs", [1, 2])
def test_folder_that_cannot_be_written(tmp_path, procs):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match=r"cannot write .*000000\.00\.x\.jpg.*run the same command again"):
        crop_all([make_video(tmp_path)], tmp_path / "out", procs)


def test_a_cut_off_crop_is_made_again(tmp_path):
    video = make_video(tmp_path, frames=2)
    crop_all([video], tmp_path / "out")
    path = sorted(files_below(tmp_path / "out"))[0]
    path = tmp_path / "out" / path if not str(path).startswith("/") else path
    complete = path.read_bytes()
    path.write_bytes(complete[:500])
    assert crop_all([video], tmp_path / "out").written == 1 and path.read_bytes() == complete
