import cv2
import numpy as np
import pytest
import torch

from pysot.datasets import augmentation as augmentation_module
from pysot.datasets.augmentation import (
    BLUR_SIZES,
    LIGHTING,
    Augmentation,
    centred_box,
    cross_blur,
    lighting_offset,
    warp_box,
)
from pysot.datasets.storage import full_view
from pysot.engine.batch import float_images
from pysot.utils.bbox import Corner

NOTHING = {"shift": 0, "scale": 0.0, "blur": 0.0, "flip": 0.0, "color": 0.0}
SEARCH = {"shift": 64, "scale": 0.18, "blur": 0.2, "flip": 0.3, "color": 1.0}


class Scripted:
    """Random generator that returns given uniform numbers."""

    def __init__(self, *pairs):
        self.pairs = list(pairs)

    def uniform(self, low, high, size):
        assert (low, high, size) == (-1, 1, 2)
        return np.array(self.pairs.pop(0))

    def random(self):
        return 1.0


def textured(side=511):
    small = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


def literal_region(draws, image, size, setting):
    """Apply the published recipe literally to drawn numbers; return the corner of the crop and its scales."""
    image_h, image_w = image.shape[:2]
    half = (size - 1) / 2
    scale_x = min(1 + draws["scale"][0] * setting["scale"], image_w / (size - 1))
    scale_y = min(1 + draws["scale"][1] * setting["scale"], image_h / (size - 1))
    x1, x2 = image_w // 2 - half * scale_x, image_w // 2 + half * scale_x
    y1, y2 = image_h // 2 - half * scale_y, image_h // 2 + half * scale_y
    move_x = max(-x1, min(image_w - 1 - x2, draws["shift"][0] * setting["shift"]))
    move_y = max(-y1, min(image_h - 1 - y2, draws["shift"][1] * setting["shift"]))
    return x1 + move_x, y1 + move_y, scale_x, scale_y


def literal_crop(image, size, x1, y1, scale_x, scale_y):
    """Resample bilinearly in float64: pixel (0, 0) of the crop is at (x1, y1), the step is scale_x, scale_y."""
    image_h, image_w = image.shape[:2]
    crop = np.zeros((size, size, 3))
    for row in range(size):
        for column in range(size):
            x, y = x1 + column * scale_x, y1 + row * scale_y
            left, top = int(np.floor(x)), int(np.floor(y))
            for dx, dy, weight in [
                (0, 0, (left + 1 - x) * (top + 1 - y)),
                (1, 0, (x - left) * (top + 1 - y)),
                (0, 1, (left + 1 - x) * (y - top)),
                (1, 1, (x - left) * (y - top)),
            ]:
                if 0 <= left + dx < image_w and 0 <= top + dy < image_h:
                    crop[row, column] += weight * image[top + dy, left + dx]
    return crop


@pytest.mark.parametrize(
    "name, value",
    [("shift", -1), ("scale", 1.0), ("scale", -0.1), ("blur", 1.5), ("flip", -0.1), ("color", float("nan"))],
)
def test_settings_out_of_range(name, value):
    with pytest.raises(ValueError, match=name.upper()):
        Augmentation(**{**NOTHING, name: value})


def test_centred_box():
    box = centred_box((511, 511, 3), (10, 20, 110, 60))  # 100 x 40: exemplar square sqrt(170 * 110)
    scale = 127 / np.sqrt(170 * 110)
    np.testing.assert_allclose(box, [255 - 50 * scale, 255 - 20 * scale, 255 + 50 * scale, 255 + 20 * scale])


@pytest.mark.parametrize(
    "scale, shift, size",
    [((0, 0), (0, 0), 127), ((1, -1), (0.5, -0.25), 61), ((-0.3, 0.7), (1, 1), 61), ((-0.9, -0.9), (-1, 1), 90)],
)
def test_the_region_is_that_of_the_literal_recipe_in_whole_pixels(scale, shift, size):
    setting = {**NOTHING, "shift": 300, "scale": 0.4}
    image = textured(101 if size == 90 else 511)
    augmentation = Augmentation(**setting)
    left, top, width, height = augmentation._window(Scripted(scale, shift), image.shape, size)
    x1, y1, scale_x, scale_y = literal_region({"scale": scale, "shift": shift}, image, size, setting)
    assert abs(width - size * scale_x) <= 0.5 and abs(height - size * scale_y) <= 0.5
    begins = left - 0.5 + 0.5 * width / size, top - 0.5 + 0.5 * height / size  # the middle of the crop's first pixel
    np.testing.assert_allclose(begins, [x1, y1], atol=1.01)
    box = Corner(200.0, 220.0, 290.0, 300.0)
    crop, moved, light, _ = augmentation(Scripted(scale, shift), full_view(image), box, size)
    ours = (*begins, width / size, height / size)
    np.testing.assert_allclose(
        moved,
        [(value - start) / step for value, start, step in zip(box, ours[:2] * 2, ours[2:] * 2, strict=True)],
        atol=1e-9,
    )
    assert crop.dtype == np.uint8 and crop.shape == (size, size, 3) and light.dtype == np.float32 and not light.any()
    error = np.abs(crop - literal_crop(image, size, *ours))[2:-2, 2:-2]
    assert error.mean() < 0.6 and error.max() < 3


def test_regions_are_not_biased():
    """Rounding to whole pixels moves a region by half a pixel at most, and by zero on average."""
    setting, rng = {**NOTHING, "shift": 64, "scale": 0.18}, np.random.default_rng(0)
    image, augmentation = np.zeros((511, 511, 3), np.uint8), Augmentation(**setting)
    errors = []
    for _ in range(2000):
        draws = {"scale": rng.uniform(-1, 1, 2), "shift": rng.uniform(-1, 1, 2)}
        left, top, width, height = augmentation._window(Scripted(draws["scale"], draws["shift"]), image.shape, 255)
        x1, y1, scale_x, scale_y = literal_region(draws, image, 255, setting)
        errors.append(
            [
                left + width / 2 - 0.5 - (x1 + 127 * scale_x),
                top + height / 2 - 0.5 - (y1 + 127 * scale_y),
                width / 255 - scale_x,
                height / 255 - scale_y,
            ]
        )
    errors = np.array(errors)
    assert np.abs(errors[:, :2]).max() <= 1.01 and np.abs(errors[:, 2:]).max() <= 0.501 / 255
    assert np.abs(errors[:, :2].mean(axis=0)).max() < 0.03 and np.abs(errors[:, 2:].mean(axis=0)).max() < 1e-4


def test_shift_is_clipped_and_large_scale_capped():
    image = textured(300)
    augmentation = Augmentation(**{**NOTHING, "shift": 1000, "scale": 0.5})
    roi, scale_x, scale_y = augmentation._roi(Scripted((1, -1), (1, -1)), image.shape, 255)
    assert scale_x == 300 / 254 and scale_y == 0.5
    # pysot-compat: 300 wide in an image of 300 reaches one pixel past the last one, so the shift ends left of the
    # border
    assert (roi.x1, roi.x2, roi.y1) == (0, 300, 0)


def test_box_follows_the_picture():
    image = np.zeros((511, 511, 3), np.uint8)
    image[215:296, 225:286] = 255  # x 225..285, y 215..295
    for seed in range(20):
        crop, box, *_ = Augmentation(**{**NOTHING, "shift": 64, "scale": 0.18, "flip": 0.5})(
            np.random.default_rng(seed), full_view(image), Corner(225.0, 215.0, 285.0, 295.0), 255
        )
        rows, columns = np.flatnonzero(crop[:, :, 0].max(axis=1) > 127), np.flatnonzero(crop[:, :, 0].max(axis=0) > 127)
        np.testing.assert_allclose(box, [columns[0], rows[0], columns[-1], rows[-1]], atol=1.1)


def test_warp_box_puts_the_sides_on_the_outer_pixels():
    ramp = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (200, 1, 3))
    out = warp_box(ramp, Corner(20.0, 30.0, 120.0, 130.0), 51)
    np.testing.assert_allclose(out[25, :, 0], np.arange(20, 121, 2), atol=1)
    assert warp_box(ramp, Corner(-50.0, 0.0, 50.0, 100.0), 51, fill=(1, 2, 3))[5, 0].tolist() == [1, 2, 3]


def test_distribution_of_boxes():
    """Moments of the box over many draws equal those of the literal recipe, drawn with another generator."""
    setting, count = {**NOTHING, "shift": 64, "scale": 0.18}, 4000
    image, box = np.zeros((511, 511, 3), np.uint8), Corner(215.0, 225.0, 295.0, 285.0)
    augmentation, rng = Augmentation(**setting), np.random.default_rng(0)
    ours = np.array([augmentation(rng, full_view(image), box, 255)[1] for _ in range(count)])
    other = np.random.default_rng(1)
    theirs = []
    for _ in range(count):
        scale, shift = 1 + other.uniform(-1, 1, 2) * 0.18, other.uniform(-1, 1, 2) * 64
        corner = 255 - 127 * scale
        corner = corner + np.maximum(-corner, np.minimum(510 - corner - 254 * scale, shift))
        theirs.append([*((np.array(box[:2]) - corner) / scale), *((np.array(box[2:]) - corner) / scale)])
    theirs = np.array(theirs)
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=3 * 38 / np.sqrt(count) * 1.5)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.05)
    ours_w, theirs_w = ours[:, 2] - ours[:, 0], theirs[:, 2] - theirs[:, 0]
    np.testing.assert_allclose(
        [ours_w.mean(), ours_w.std(), ours_w.min(), ours_w.max()],
        [theirs_w.mean(), theirs_w.std(), theirs_w.min(), theirs_w.max()],
        rtol=0.05,
    )
    correlation = np.corrcoef(ours_w, ours[:, 3] - ours[:, 1])[0, 1]
    assert abs(correlation) < 0.06  # width and height change independently


def test_colour_offsets_have_the_published_covariance():
    offsets = np.array([lighting_offset(np.random.default_rng(seed)) for seed in range(6000)], np.float64)
    expected = (LIGHTING @ LIGHTING.T)[::-1, ::-1]  # BGR
    np.testing.assert_allclose(np.cov(offsets.T), expected, atol=0.08 * expected.max())
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=0.4)
    assert np.sqrt(np.diag(expected)).argmax() == 0  # blue, the first channel, moves most


def test_colour_is_one_offset_per_image_without_clipping():
    image, box = np.full((511, 511, 3), 255, np.uint8), Corner(0.0, 0.0, 9.0, 9.0)
    crop, _, light, _ = Augmentation(**{**NOTHING, "color": 1.0})(np.random.default_rng(3), full_view(image), box, 63)
    again, _, same, _ = Augmentation(**{**NOTHING, "color": 1.0, "flip": 1.0})(
        np.random.default_rng(3), full_view(image), box, 63
    )
    batch = {name: torch.from_numpy(crop.transpose(2, 0, 1))[None] for name in ("template", "search")}
    batch |= {"search_light": torch.from_numpy(light)[None], "template_light": torch.zeros(1, 3)}
    changed = float_images(batch)["search"]
    assert light.shape == (3,) and len(np.unique(light)) == 3 and (crop == 255).all()
    np.testing.assert_array_equal(light, same)
    expected = (255 - torch.from_numpy(light))[None, :, None, None].expand(1, 3, 63, 63)
    assert torch.equal(changed, expected) and changed.max() > 255


@pytest.mark.parametrize("size, vertical", [(5, 0.25), (17, 0.0), (45, 0.9)])
def test_blur_equals_the_cross_shaped_kernel(size, vertical):
    image = textured(127).astype(np.float32) - 3.7
    kernel = np.zeros((size, size), np.float32)
    kernel[:, size // 2] += vertical / size
    kernel[size // 2, :] += (1 - vertical) / size
    np.testing.assert_allclose(cross_blur(image, size, vertical), cv2.filter2D(image, -1, kernel), atol=1e-3)


def test_blur_sizes_and_shares(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        augmentation_module, "cross_blur", lambda image, size, vertical: drawn.append((size, vertical)) or image
    )
    augmentation, rng = Augmentation(**{**NOTHING, "blur": 0.5}), np.random.default_rng(0)
    for _ in range(600):
        augmentation(rng, full_view(np.zeros((99, 99, 3), np.uint8)), Corner(0.0, 0.0, 9.0, 9.0), 63)
    sizes, shares = zip(*drawn, strict=True)
    assert 250 < len(sizes) < 350
    assert set(sizes) == set(BLUR_SIZES.tolist()) == set(range(5, 46, 2))
    assert abs(np.mean(sizes) - 25) < 2.5 and abs(np.mean(shares) - 0.5) < 0.06 and abs(np.std(shares) - 0.2887) < 0.03


@pytest.mark.parametrize("size", [5, 25, 45])
def test_colour_may_follow_blur_in_whole_grey_values(size):
    """Colour then blur in float32, the published order, gives the same within one grey value, a third on average."""
    image, light = textured(127), np.array([3.7, -12.2, 0.4], np.float32)
    published = cross_blur(image.astype(np.float32) - light, size, 0.3)
    difference = cross_blur(image, size, 0.3) - light - published
    error = np.abs(difference)
    assert error.max() <= 1.01 and error.mean() < 0.35 and abs(difference.mean()) < 0.05


def test_flip_mirrors_picture_and_box():
    image, box = textured(), Corner(200.0, 220.0, 290.0, 300.0)
    plain, plain_box, *_ = Augmentation(**NOTHING)(np.random.default_rng(0), full_view(image), box, 255)
    flipped, flipped_box, *_ = Augmentation(**{**NOTHING, "flip": 1.0})(
        np.random.default_rng(0), full_view(image), box, 255
    )
    np.testing.assert_array_equal(flipped, plain[:, ::-1])
    np.testing.assert_allclose(flipped_box, [254 - plain_box.x2, plain_box.y1, 254 - plain_box.x1, plain_box.y2])


def test_gray_comes_before_colour():
    image, box = textured(), Corner(200.0, 220.0, 290.0, 300.0)
    crop, _, light, _ = Augmentation(**{**NOTHING, "color": 1.0})(
        np.random.default_rng(0), full_view(image), box, 127, gray=True
    )
    assert np.ptp(crop, axis=2).max() == 0 and np.ptp(light) > 0.1


def test_all_together_is_a_function_of_the_generator():
    image, box = textured(), Corner(200.0, 220.0, 290.0, 300.0)
    augmentation = Augmentation(**SEARCH)
    first, again, other = (augmentation(np.random.default_rng(seed), full_view(image), box, 255) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[2], again[2])
    assert first[1] == again[1] != other[1]


def test_distribution_of_crops():
    """Mean and deviation of the pixels over many draws equal those of warps to the literal recipe's region."""
    setting, image = {**NOTHING, "shift": 64, "scale": 0.18}, cv2.GaussianBlur(textured(), (5, 5), 0)
    image[:, 300:] //= 2
    augmentation, rng, other, count = Augmentation(**setting), np.random.default_rng(0), np.random.default_rng(1), 1500
    statistics = {"ours": [], "literal": []}
    for _ in range(count):
        crop = augmentation(rng, full_view(image), Corner(215.0, 225.0, 295.0, 285.0), 63)[0]
        x1, y1, scale_x, scale_y = literal_region(
            {"scale": other.uniform(-1, 1, 2), "shift": other.uniform(-1, 1, 2)}, image, 63, setting
        )
        warped = warp_box(image, Corner(x1, y1, x1 + 62 * scale_x, y1 + 62 * scale_y), 63)
        for name, pixels in (("ours", crop), ("literal", warped)):
            statistics[name].append(
                [pixels.mean(), pixels.std(), pixels[:, :31].mean(), pixels[:, 32:].mean(), pixels[31, 31].mean()]
            )
    ours, literal = (np.array(statistics[name]) for name in ("ours", "literal"))
    error = literal.std(axis=0) / np.sqrt(count)
    assert (np.abs(ours.mean(axis=0) - literal.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(ours.std(axis=0), literal.std(axis=0), rtol=0.08)
