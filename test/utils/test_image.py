"""Reading images and cropping squares."""

import cv2
import numpy as np
import pytest

from helpers import synthetic_image
from pysot.utils.image import as_bgr, crop_square, read_image


def write_image(path, suffix=".jpg", image=None):
    ok, data = cv2.imencode(suffix, synthetic_image("a", 60, 80) if image is None else image)
    path.write_bytes(data.tobytes())
    return path


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="a.jpg"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"no image at all", "cannot be decoded")])
def test_files_that_are_no_images(tmp_path, content, words):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.jpg.*{words}"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
def test_cut_off(tmp_path, suffix, share):
    path = write_image(tmp_path / f"a{suffix}", suffix)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match="cut off"):
        read_image(path)


def test_bytes_behind_a_jpeg_are_no_harm(tmp_path):
    path = write_image(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + b"\0" * 1000)
    assert read_image(path).shape == (60, 80, 3)


def test_grey_sixteen_bit_and_transparent(tmp_path):
    grey = synthetic_image("a", 60, 80)[:, :, 0]
    for image in (grey, grey.astype(np.uint16) * 257, np.dstack([grey] * 4)):
        got = read_image(write_image(tmp_path / "a.png", ".png", image))
        assert got.shape == (60, 80, 3) and got.dtype == np.uint8
        np.testing.assert_allclose(got[:, :, 0], grey, atol=1)


def test_cmyk(tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(synthetic_image("a", 60, 80)[:, :, ::-1]).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    got = read_image(tmp_path / "a.jpg")
    assert np.abs(got.astype(int) - synthetic_image("a", 60, 80)).mean() < 12


def test_non_ascii_names(tmp_path):
    assert read_image(write_image(tmp_path / "ägypten 图像.jpg")).shape == (60, 80, 3)


def test_as_bgr_keeps_colour():
    image = synthetic_image("a", 10, 10)
    assert as_bgr(image) is not None and (as_bgr(image) == image).all()


def slow_crop(image, center, side, out, fill):
    """Crop by the definition, from a padded copy of the entire image."""
    c = (side + 1) / 2
    left, top = int(np.floor(center[0] - c + 0.5)), int(np.floor(center[1] - c + 0.5))
    pad = side + max(abs(left), abs(top)) + max(image.shape)
    wide = np.empty((image.shape[0] + 2 * pad, image.shape[1] + 2 * pad, 3), np.uint8)
    wide[:] = np.asarray(fill).astype(np.uint8)
    wide[pad : pad + image.shape[0], pad : pad + image.shape[1]] = image
    patch = wide[top + pad : top + pad + side, left + pad : left + pad + side]
    return patch if side == out else cv2.resize(patch, (out, out))


@pytest.mark.parametrize("center", [(40, 30), (40.5, 29.4), (0, 0), (79, 59), (-30, 20), (500, 500)])
@pytest.mark.parametrize("side", [1, 2, 31, 32, 127, 160])
def test_crop_equals_its_definition(center, side):
    image, fill = synthetic_image("a", 60, 80), (10.7, 200.2, 99.9)
    np.testing.assert_array_equal(crop_square(image, center, side, 32, fill), slow_crop(image, center, side, 32, fill))


def test_huge_crops_take_no_huge_memory():
    import tracemalloc

    image, fill = synthetic_image("a", 60, 80), (10, 20, 30)
    tracemalloc.start()
    crop = crop_square(image, (40, 30), 200_000, 255, fill)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert crop.shape == (255, 255, 3) and peak < 2_000_000
    small = crop_square(image, (40, 30), 1000, 64, fill).astype(int)
    reference = slow_crop(image, (40, 30), 1000, 64, fill).astype(int)
    assert np.abs(small - reference).max() <= 1


def test_a_crop_is_a_copy():
    image = synthetic_image("a", 60, 80)
    crop_square(image, (40, 30), 32, 32, 0)[:] = 0
    assert (image == synthetic_image("a", 60, 80)).all()


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_images_of_16_bits_are_not_black(tmp_path, caplog, suffix, bits):
    """With 14 of 16 bits in use, the highest 14-bit value becomes white, and a message says so.

    All frames of a folder are treated in the same way, so that a video does not flicker.
    """
    ramp = np.repeat(np.linspace(0, 2**bits - 1, 64).astype(np.uint16)[None, :, None], 3, axis=2)
    for number, scale in enumerate((1.0, 0.2, 1.0)):
        cv2.imwrite(str(tmp_path / f"{number}{suffix}"), np.repeat((ramp * scale).astype(np.uint16), 8, axis=0))
    image, dark = (read_image(tmp_path / f"{number}{suffix}") for number in (0, 1))
    assert image.dtype == np.uint8 and image[0, 0, 0] == 0 and image[0, -1, 0] == 255
    assert abs(int(image[0, 32, 0]) - 129) <= 1
    assert abs(int(dark[0, -1, 0]) - 51) <= 1 and (f"use {bits} of them" in caplog.text) == (bits < 16)
    assert read_image(str(tmp_path / f"0{suffix}")).tolist() == image.tolist() and caplog.text.count("of them") <= 1
