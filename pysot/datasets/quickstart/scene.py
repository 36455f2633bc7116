"""Random scenes of the quick-start sequences: patches, shapes and motion.

A `Recipe` defines how hard a sequence is. `draw_scene` makes a `Scene` from it, some photographs and a random
generator. All randomness comes from the generator, all pixels from the photographs. Conventions are those of render.py.
Motion is simulated for M = frames * stride frames, of which every stride-th is kept: a large stride gives large steps
between stored frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pysot.datasets.quickstart.render import Scene, Sprite

SHAPES = ("ellipse", "rounded", "polygon", "blob")
MIN_TEXTURE = 20.0  # standard deviation of the grey values of an accepted random patch
MIN_CONTRAST = 18.0  # Lab distance between the mean colours of an accepted random patch and of the background
MAX_CUTS = 30
NOISE_MARGIN = 32


@dataclass(frozen=True)
class Recipe:
    """Settings of one sequence.

    target, background: names of photographs. region_xywh: the object in the target's photograph, None for a random
    patch. side: sqrt(w * h) of the target in pixels when its scale is 1. speed: least and largest step per simulated
    frame, in sides. growth: largest |log scale|. light: largest |log gain|. stretch: largest |log| change of the
    aspect ratio. margin: distance, in sides, that the target's centre keeps from the image border. tint: spread of the
    random colour gains. lookalikes: distractors are cut from the target's photograph.
    """

    target: str
    background: str
    frames: int
    size_wh: tuple[int, int] = (480, 360)
    region_xywh: tuple[int, int, int, int] | None = None
    shape: str = "ellipse"
    side: float = 80.0
    stride: int = 1
    speed: tuple[float, float] = (0.02, 0.07)
    rotation_deg: float = 8.0
    growth: float = 0.15
    stretch: float = 0.04
    light: float = 0.0
    defocus: float = 0.0
    camera: float = 0.5
    margin: float = 0.6
    tint: float = 0.0
    occlusions: int = 0
    distractors: int = 0
    lookalikes: bool = False

    def __post_init__(self) -> None:
        if self.frames < 2 or self.stride < 1:
            raise ValueError(
                f"a sequence needs at least 2 frames and a stride of 1, got {self.frames} and {self.stride}"
            )
        if self.shape not in SHAPES:
            raise ValueError(f"unknown target shape {self.shape!r}; known: {', '.join(SHAPES)}")

    @property
    def simulated_frames(self) -> int:
        return self.frames * self.stride


def draw_scene(
    rng: np.random.Generator, recipe: Recipe, photos: dict[str, np.ndarray], objects: tuple[str, ...]
) -> Scene:
    """Draw the scene of a recipe.

    `photos` holds BGR uint8 photographs by name: at least the target's, the background's and those named in `objects`,
    from which occluders and distractors are cut.
    """
    background, camera = _draw_camera(rng, recipe, photos[recipe.background])
    background_lab = _mean_lab(background)
    path_xy = _draw_path(rng, recipe, recipe.side * recipe.margin)
    photo = photos[recipe.target]
    target = _draw_sprite(rng, recipe, photo, recipe.side, background_lab, path_xy, recipe.region_xywh, recipe.shape)
    others = [name for name in objects if name not in (recipe.target, recipe.background)]
    distractors = []
    for _ in range(recipe.distractors):
        photo = photos[recipe.target if recipe.lookalikes else rng.choice(others)]
        side = recipe.side * rng.uniform(0.7, 1.1)
        distractor_xy = _draw_path(rng, recipe, 0.4 * recipe.side)
        distractors.append(_draw_sprite(rng, recipe, photo, side, background_lab, distractor_xy))
    occluders = []
    for number in range(recipe.occlusions):
        sweep_xy = _draw_sweep(rng, recipe, path_xy, number)
        side = recipe.side * rng.uniform(0.75, 0.9)
        occluders.append(_draw_sprite(rng, recipe, photos[rng.choice(others)], side, background_lab, sweep_xy))
    return _assemble(rng, recipe, background, camera, target, tuple(distractors), tuple(occluders))


def _assemble(
    rng: np.random.Generator,
    recipe: Recipe,
    background: np.ndarray,
    camera: np.ndarray,
    target: Sprite,
    distractors: tuple[Sprite, ...],
    occluders: tuple[Sprite, ...],
) -> Scene:
    """Draw light, lens and noise, and assemble the scene."""
    width, height = recipe.size_wh
    light = _draw_levels(rng, recipe.simulated_frames, [recipe.light] + [recipe.light * 0.25] * 3, quick=True)
    gain, contrast = np.exp(light[:, :1] + light[:, 1:]), np.exp(-np.abs(light[:, 1]))
    defocus = np.abs(_draw_levels(rng, recipe.simulated_frames, [recipe.defocus])[:, 0])
    spread = rng.uniform(1.0, 3.0)
    noise = rng.normal(0, spread, (height + NOISE_MARGIN, width + NOISE_MARGIN, 3)).round().astype(np.int16)
    kept = slice(None, None, recipe.stride)
    return Scene(
        size_wh=recipe.size_wh,
        background=background,
        camera=camera[kept],
        gain=gain[kept],
        contrast=contrast[kept],
        defocus=defocus[kept],
        noise=noise,
        noise_at=rng.integers(0, NOISE_MARGIN + 1, (recipe.frames, 2)),
        shutter=float(rng.uniform(0.1, 0.5) / recipe.stride),
        target=target,
        distractors=distractors,
        occluders=occluders,
    )


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth (M, D) values over time with a Gaussian. The result stays inside the range of the values."""
    radius = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, weights / weights.sum(), mode="valid") for column in padded.T], axis=1)


def _draw_levels(
    rng: np.random.Generator, frames: int, amplitudes: Sequence[float], *, quick: bool = False
) -> np.ndarray:
    """Draw (frames, D) values that rest, move to new levels in [-amplitude, amplitude], and rest again.

    All D values move at the same time. Levels alternate in sign so that every move is noticeable. `quick` moves take at
    most 16 frames.
    """
    moves = max(1, round(frames / 45))
    slot = frames / moves
    times: list[float] = [0.0]
    levels: list[np.ndarray] = [np.zeros(len(amplitudes))]
    sign = rng.choice([-1, 1], len(amplitudes))
    for number in range(moves):
        length = slot * rng.uniform(0.4, 0.7)
        length = min(length, 16.0) if quick else length
        start = number * slot + rng.uniform(0, slot - length)
        sign = -sign
        times += [start, start + length]
        levels += [levels[-1], sign * rng.uniform(0.5, 1.0, len(amplitudes)) * amplitudes]
    columns = np.array(levels).T
    return _smooth(np.stack([np.interp(np.arange(frames), times, column) for column in columns], axis=1), 2.0)


def _draw_path(rng: np.random.Generator, recipe: Recipe, margin: float) -> np.ndarray:
    """Draw centres (M, 2) on a path with rounded corners that stays `margin` pixels away from the image border."""
    size = np.array(recipe.size_wh, float)
    low, high = np.full(2, margin), size - 1 - margin
    points, times = [rng.uniform(low, high)], [0.0]
    while times[-1] < recipe.simulated_frames:
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 3.0) * recipe.side
        point = np.clip(points[-1] + distance * np.array([np.cos(angle), np.sin(angle)]), low, high)
        length = np.linalg.norm(point - points[-1])
        if length < 0.5 * recipe.side:  # the border cuts this segment short: draw another
            continue
        points.append(point)
        times.append(float(times[-1] + length / (recipe.side * rng.uniform(*recipe.speed))))
    columns = np.array(points).T
    frames = np.arange(recipe.simulated_frames)
    return _smooth(np.stack([np.interp(frames, times, column) for column in columns], axis=1), 2.5)


def _draw_sweep(rng: np.random.Generator, recipe: Recipe, path_xy: np.ndarray, number: int) -> np.ndarray:
    """Draw centres (M, 2) of an occluder that passes once over the target, in the number-th part of the sequence."""
    part = recipe.simulated_frames / recipe.occlusions
    middle = part * (number + rng.uniform(0.35, 0.65))
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    sideways = np.array([-direction[1], direction[0]]) * rng.uniform(0.3, 0.42) * rng.choice([-1, 1])
    speed = rng.uniform(0.08, 0.14)  # sides per simulated frame, relative to the target
    offset = (np.arange(recipe.simulated_frames) - middle)[:, None] * speed * direction + sideways
    return path_xy + recipe.side * offset


def _draw_camera(rng: np.random.Generator, recipe: Recipe, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw the background, larger than the view, and the maps (M, 2, 3) from image to background pixels."""
    view = np.array(recipe.size_wh, float)
    photo = _tint(rng, photo, recipe.tint)
    factor = rng.uniform(1.35, 1.7) * max(view / (photo.shape[1], photo.shape[0]))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    background = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=method)
    middle = np.array([background.shape[1], background.shape[0]]) / 2
    amplitudes = [recipe.camera] * 2 + [0.12 * recipe.camera, 0.08 * recipe.camera]
    pan, zoom, roll = np.split(_draw_levels(rng, recipe.simulated_frames, amplitudes), [2, 3], axis=1)
    scale, roll = np.exp(zoom[:, 0]) * 0.9, roll[:, 0]
    centre = middle + pan * (middle - 0.55 * view)
    rotations = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]).transpose(2, 0, 1)
    axes = scale[:, None, None] * rotations
    shift = centre - axes @ ((view - 1) / 2)
    return background, np.concatenate([axes, shift[:, :, None]], axis=2)


def _draw_sprite(
    rng: np.random.Generator,
    recipe: Recipe,
    photo: np.ndarray,
    side: float,
    background_lab: np.ndarray,
    path_xy: np.ndarray,
    region_xywh: tuple[int, int, int, int] | None = None,
    shape: str | None = None,
) -> Sprite:
    """Cut a patch of about side * side pixels, shape its mask and move it along path_xy (M, 2)."""
    if region_xywh is None:
        patch = _cut_patch(rng, photo, side, background_lab)
        patch = patch[:, ::-1] if rng.random() < 0.5 else patch
    else:
        x, y, width, height = region_xywh
        factor = side / np.sqrt(width * height)
        size_wh = max(4, round(width * factor)), max(4, round(height * factor))
        patch = _resize(photo[y : y + height, x : x + width], size_wh)
    patch = _tint(rng, patch, recipe.tint)
    mask = draw_mask(rng, shape or str(rng.choice(SHAPES)), (patch.shape[1], patch.shape[0]))
    amplitudes = [np.deg2rad(recipe.rotation_deg), recipe.growth, recipe.stretch]
    rotation, growth, stretch = _draw_levels(rng, recipe.simulated_frames, amplitudes).T
    first_angle = rng.uniform(-0.25, 0.25) * np.deg2rad(recipe.rotation_deg)
    scale_xy = np.exp(np.stack([growth + stretch, growth - stretch], axis=1))
    kept = slice(None, None, recipe.stride)
    return Sprite(patch.astype(np.float32), mask, path_xy[kept], scale_xy[kept], first_angle + rotation[kept])


def _cut_patch(rng: np.random.Generator, photo: np.ndarray, side: float, background_lab: np.ndarray) -> np.ndarray:
    """Cut a random textured patch that differs in colour from the background; the best of MAX_CUTS if none is good."""
    best, best_quality = None, -1.0
    limit = np.array([photo.shape[1], photo.shape[0]])
    for _ in range(MAX_CUTS):
        aspect = np.exp(rng.uniform(-0.4, 0.4))
        size = np.array([side * aspect, side / aspect])
        region = size * min(rng.uniform(0.8, 1.8), *(limit / size * 0.9))
        x, y = rng.uniform((0, 0), limit - region).astype(int)
        width, height = region.astype(int)
        patch_width, patch_height = (int(length) for length in size.round())
        patch = _resize(photo[y : y + height, x : x + width], (patch_width, patch_height))
        texture = float(cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY).std())
        contrast = float(np.linalg.norm(_mean_lab(patch) - background_lab))
        quality = min(texture / MIN_TEXTURE, 1.0) + min(contrast / MIN_CONTRAST, 1.0)
        if quality > best_quality:
            best, best_quality = patch, quality
        if quality >= 2.0:
            break
    assert best is not None
    return best


def draw_mask(rng: np.random.Generator, shape: str, size_wh: tuple[int, int]) -> np.ndarray:
    """Draw a mask (h, w) float32 in [0, 1] with a soft edge that touches all four sides of the rectangle.

    `shape` is one of SHAPES.
    """
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    if shape == "polygon":
        corners = int(rng.integers(5, 9))
        angles = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners
        angles = angles + rng.uniform(0, 2 * np.pi)
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if shape == "rounded":  # a superellipse
        outline = np.sign(outline) * np.abs(outline) ** 0.4
    if shape == "blob":
        waves = np.arange(2, 5)
        bumps = rng.uniform(0.04, 0.12, 3) * np.cos(angles[:, None] * waves + rng.uniform(0, 2 * np.pi, 3))
        outline = outline * (1 + bumps.sum(axis=1, keepdims=True))
    low, high = outline.min(axis=0), outline.max(axis=0)
    fine_wh = np.array(size_wh) * 4
    vertices = ((outline - low) / (high - low) * (fine_wh - 1)).round().astype(np.int32)
    mask = np.zeros((fine_wh[1], fine_wh[0]), np.float32)
    cv2.fillPoly(mask, [vertices], 1.0)
    return np.clip(cv2.GaussianBlur(_resize(mask, size_wh), (0, 0), 0.7), 0, 1)


def _resize(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    shrinks = image.shape[1] > size_wh[0]
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _mean_lab(image: np.ndarray) -> np.ndarray:
    """Return the mean colour (3,) in OpenCV's 8-bit Lab."""
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2LAB).reshape(-1, 3).mean(axis=0)


def _tint(rng: np.random.Generator, image: np.ndarray, spread: float) -> np.ndarray:
    """Apply random gains per channel; photographs without colour always get a tint."""
    is_grey = bool((image[..., 0] == image[..., 2]).all())
    gains = np.exp(rng.uniform(-1, 1, 3) * max(spread, 0.25 if is_grey else 0.0))
    return np.clip(image * gains, 0, 255).astype(np.uint8)
