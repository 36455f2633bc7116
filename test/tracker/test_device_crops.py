"""Crops cut on the device: the bytes of OpenCV's."""

import numpy as np
import pytest
import torch

from helpers import synthetic_image
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.device_crops import crop_squares
from pysot.tracker.frame_upload import FrameUpload
from pysot.tracker.network import Group
from pysot.utils.image import crop_square, read_image

CPU = torch.device("cpu")


def cut(images, centers, sides, colours, out_side, dtype=torch.float64):
    """Upload frames and cut one crop of each; return them as uint8."""
    count = len(images)
    targets = np.column_stack([centers, np.ones((count, 2))])
    upload = FrameUpload(CPU, dtype, count, CropThreads(count))
    upload.send(list(range(count)), Group(None, out_side, dict(enumerate(images)), targets, np.array(colours)))
    numbers, sides = upload.numbers, torch.tensor(sides, dtype=dtype)
    crops = crop_squares(upload.pixels, upload.places, numbers[:, 1:3], sides, numbers[:, 5:], out_side)
    assert crops.dtype == torch.int32 and crops.min() >= 0 and crops.max() <= 255
    return crops.numpy().astype(np.uint8)


def random_cases(seed, count):
    """Return frames of different sizes, centres inside and far outside them, sides and colours."""
    rng = np.random.default_rng(seed)
    images = [
        rng.integers(0, 256, (int(rng.integers(20, 300)), int(rng.integers(20, 300)), 3), dtype=np.uint8)
        for _ in range(count)
    ]
    centers = rng.uniform(-60, 360, (count, 2))
    centers[:4] = [[10.2, 12.9], [10.8, 12.9], [3.5, 7], [15.7, 1.2]]
    sides = np.concatenate([[0.2, 0.3, 0.4, 0.1, 1, 2.5, 3.5], rng.uniform(1, 500, count - 7)])
    return images, centers, sides, rng.uniform(0, 255, (count, 3))


@pytest.mark.parametrize("out_side", [127, 255, 64])
def test_crops_are_the_bytes_of_opencv(out_side):
    images, centers, sides, colours = random_cases(out_side, 40)
    sides[10] = out_side  # such a crop is not scaled
    sides[11], sides[12] = 2 * out_side, out_side / 2
    # Much larger squares are sampled by cv2.warpAffine, which rounds in another way.
    sides = np.minimum(sides, [4 * out_side] * len(sides))
    crops = cut(images, centers, sides, colours, out_side)
    for row, image in enumerate(images):
        expected = crop_square(image, centers[row], round(sides[row]), out_side, colours[row])
        np.testing.assert_array_equal(crops[row], expected, str((row, sides[row])))


def test_squares_much_larger_than_the_frame():
    images, centers, _, colours = random_cases(1, 8)
    for factor in (5, 12):
        sides = np.array([factor * max(255, *image.shape) for image in images])
        crops = cut(images, centers, sides, colours, 255)
        for row, image in enumerate(images):
            expected = crop_square(image, centers[row], sides[row], 255, colours[row])
            difference = np.abs(crops[row].astype(int) - expected)
            # The two differ in where a pixel at the border of the frame ends.
            assert np.mean(difference > 2) < 0.02, difference.max()


def test_in_float32_single_values_differ_by_one():
    images, centers, sides, colours = random_cases(2, 40)
    exact, rounded = (cut(images, centers, sides, colours, 255, dtype) for dtype in (torch.float64, torch.float32))
    difference = np.abs(exact.astype(int) - rounded)
    assert difference.max() <= 1 and np.mean(difference > 0) < 1e-3


def test_no_shape_depends_on_a_value():
    meta = torch.device("meta")
    pixels = torch.empty(5000, 3, dtype=torch.uint8, device=meta)
    places = torch.empty(4, 3, dtype=torch.int32, device=meta)
    floats = [torch.empty(4, *shape, device=meta) for shape in ((2,), (), (3,))]
    assert crop_squares(pixels, places, *floats, 127).shape == (4, 127, 127, 3)


def test_an_upload_packs_shared_frames_once_and_grows():
    upload = FrameUpload(CPU, torch.float64, 3, CropThreads(3))
    small, large = synthetic_image("small", 20, 30), synthetic_image("large", 90, 80)
    targets, colours = np.arange(12.0).reshape(3, 4), np.zeros((3, 3))
    first = upload.send([0, 1, 2], Group(None, 127, {0: small, 2: small}, targets, colours))
    assert upload.places.tolist() == [[0, 30, 20, 1], [0, 1, 1, 0], [0, 30, 20, 1]]
    assert torch.equal(upload.pixels[:600], torch.from_numpy(small).reshape(-1, 3))
    assert torch.equal(upload.numbers[:, 1:5], torch.from_numpy(targets)) and (upload.numbers[:, 0] == 0).all()
    pixels = upload.pixels
    second = upload.send([2], Group(None, 127, {2: small[:, ::-1]}, targets, colours, follows=True))
    assert first.data_ptr() != second.data_ptr() and upload.pixels is pixels
    assert upload.places[0].tolist() == [0, 30, 20, 1] and upload.numbers[0, 0] == 1
    upload.release(first)
    upload.release(second)
    third = upload.send([0, 1, 2], Group(None, 127, {0: large, 1: small}, targets, colours))
    assert upload.pixels is not pixels and upload.places[:2].tolist() == [[0, 80, 90, 1], [7200, 30, 20, 1]]
    assert len(third) > len(first)


@pytest.mark.shared
def test_crops_of_real_frames(shared):
    rng = np.random.default_rng(0)
    paths = sorted((shared / "data" / "vot" / "bag" / "color").glob("*.jpg"))[::20][:10]
    images = [read_image(path) for path in paths]
    centers, sides = rng.uniform(0, 480, (len(images), 2)), rng.uniform(60, 600, len(images))
    colours = np.array([image.mean((0, 1)) for image in images])
    crops = cut(images, centers, sides, colours, 255)
    for row, image in enumerate(images):
        expected = crop_square(image, centers[row], round(sides[row]), 255, colours[row])
        np.testing.assert_array_equal(crops[row], expected)
