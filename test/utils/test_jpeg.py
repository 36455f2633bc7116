"""Regions of JPEGs: files that can only be decoded completely, damaged ones, and the same pixels for all others."""

import contextlib
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from pysot.datasets.crop import crop511
from pysot.datasets.storage import JpegView, full_view, view_image
from pysot.utils.image import decode_image, read_image
from pysot.utils.jpeg import WITH_RESTARTS, decode_region, find_segments

SAMPLINGS = ["411", "420", "422", "440", "444"]


def textured(width, height, seed=0):
    """Colours that change within a few pixels, so that each pixel depends on its neighbours' colour."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (-(-height // 3), -(-width // 3), 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def jpeg(width=511, height=511, *options, seed=0):
    return cv2.imencode(".jpg", textured(width, height, seed), options or WITH_RESTARTS)[1].tobytes()


def with_pillow(mode, **options):
    stream = io.BytesIO()
    Image.fromarray(textured(128, 128)).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def complete(data):
    return decode_image(data, "x.jpg")


def random_regions(width, height, count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        left, top = int(rng.integers(width)), int(rng.integers(height))
        yield left, top, int(rng.integers(1, width - left + 1)), int(rng.integers(1, height - top + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff\xd9",
        b"no image at all",
        cv2.imencode(".png", textured(64, 64))[1].tobytes(),
        jpeg(511, 511, cv2.IMWRITE_JPEG_QUALITY, 95),
        jpeg(511, 511, cv2.IMWRITE_JPEG_RST_INTERVAL, 5),
        jpeg(100, 100),
        jpeg(511, 511, *WITH_RESTARTS, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        jpeg() + b"\n",
        jpeg()[:-1],
        jpeg()[:300] + b"\xff\xd9",
        with_pillow("L", restart_marker_blocks=4),
        with_pillow("CMYK", restart_marker_blocks=4),
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_files_that_can_only_be_decoded_completely(data):
    assert find_segments(data) is None


@pytest.mark.parametrize("position", [0, 7, 100])
@pytest.mark.parametrize("damage", ["removed", "doubled", "another number", "another marker"])
def test_markers_that_are_not_as_announced(position, damage):
    data = jpeg()
    segments = find_segments(data)
    number = [i for i in range(segments.start, len(data) - 2) if data[i] == 0xFF and data[i + 1] & 0xF8 == 0xD0][
        position
    ]
    before, marker, after = data[:number], data[number : number + 2], data[number + 2 :]
    other = bytes([0xFF, 0xD0 + (marker[1] + 1) % 8])
    middle = {"removed": b"", "doubled": 2 * marker, "another number": other, "another marker": b"\xff\xfe"}[damage]
    damaged = before + middle + after
    assert decode_region(damaged, segments, 0, 0, 100, 100) is None
    view = JpegView(damaged, segments, "x.jpg")
    np.testing.assert_array_equal(view.cut(70, 80, 200, 100), complete(damaged)[80:180, 70:270])


def test_a_damaged_header_is_the_error_of_a_complete_decoding():
    data = bytearray(jpeg())
    segments = find_segments(bytes(data))
    data[segments.size_at - 10 : segments.size_at - 1] = bytes(9)
    with pytest.raises(ValueError, match="image x.jpg cannot be decoded"):
        JpegView(bytes(data), segments, "x.jpg").cut(0, 0, 9, 9)


def test_flipped_bytes_give_the_pixels_of_a_complete_decoding():
    rng, data = np.random.default_rng(0), jpeg(255, 255)
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = rng.integers(256)
        damaged, expected = bytes(damaged), None
        with contextlib.suppress(ValueError):
            expected = complete(damaged)
        try:
            view = view_image(damaged, "x.jpg")
            left, top = view.width // 3, view.height // 3
            got = view.cut(left, top, 60, 60)
        except ValueError:
            assert expected is None
            continue
        assert expected is not None
        np.testing.assert_array_equal(got, expected[top : top + 60, left : left + 60])


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(
    "width, height, interval", [(511, 511, 4), (511, 300, 1), (127, 127, 2), (97, 33, 1), (256, 64, 8)]
)
def test_regions_have_the_pixels_of_the_complete_image(sampling, width, height, interval):
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")]
    data = jpeg(width, height, *options, cv2.IMWRITE_JPEG_RST_INTERVAL, interval, seed=interval)
    segments, expected = find_segments(data), complete(data)
    if segments is None:
        pytest.skip("the rows of blocks are no whole numbers of segments")
    corners = [(0, 0, width, height), (0, 0, 1, 1), (width - 1, height - 1, 1, 1), (0, height - 1, width, 1)]
    for left, top, w, h in [*corners, *random_regions(width, height, 60)]:
        pixels, first, above = decode_region(data, segments, left, top, w, h)
        region = pixels[top - above :, left - first :][:h, :w]
        np.testing.assert_array_equal(region, expected[top : top + h, left : left + w])


def test_only_a_part_is_decoded():
    data = jpeg()
    pixels, left, top = decode_region(data, find_segments(data), 184, 184, 144, 144)
    assert pixels.shape == (160, 256, 3) and (left, top) == (128, 176)


def test_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90 degrees
    data = jpeg(511, 300)
    data = data[:2] + b"\xff\xe1" + (len(exif.tobytes()) + 2).to_bytes(2, "big") + exif.tobytes() + data[2:]
    assert Image.open(io.BytesIO(data)).getexif()[0x0112] == 6
    view = view_image(data, "x.jpg")
    assert isinstance(view, JpegView) and (view.width, view.height) == (511, 300)
    np.testing.assert_array_equal(view.cut(10, 20, 300, 100), complete(data)[20:120, 10:310])
    np.testing.assert_array_equal(view.pixels, complete(data))


def test_other_images_are_decoded_at_once():
    data = cv2.imencode(".png", textured(50, 40))[1].tobytes()
    view = view_image(data, "x.png")
    assert view.width == 50 and not isinstance(view, JpegView)
    np.testing.assert_array_equal(view.cut(5, 6, 7, 8), full_view(textured(50, 40)).pixels[6:14, 5:12])


@pytest.mark.shared
def test_regions_of_real_crops(shared):
    """Against the crops without restart markers."""
    paths = sorted((shared / "data" / "coco" / "val2017").glob("*.jpg"))
    for number, path in enumerate(paths):
        image = read_image(path)
        crop = crop511(image, (0.3 * image.shape[1], 0.4 * image.shape[0], 0.5 * image.shape[1], 0.7 * image.shape[0]))
        expected = complete(cv2.imencode(".jpg", crop)[1].tobytes())
        view = view_image(cv2.imencode(".jpg", crop, WITH_RESTARTS)[1].tobytes(), path)
        assert isinstance(view, JpegView)
        np.testing.assert_array_equal(view.pixels, expected)
        for left, top, width, height in random_regions(511, 511, 20, number):
            np.testing.assert_array_equal(
                view.cut(left, top, width, height), expected[top : top + height, left : left + width]
            )
