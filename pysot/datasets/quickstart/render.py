"""Rendering of the quick-start sequences: photographic sprites over a photograph seen by a moving camera.

Conventions: T frames per sequence; colours are BGR. Image coordinates are pixels with (0, 0) at the CENTRE of the top
left pixel, x right, y down, so an image spans [-0.5, width - 0.5]. Angles are radians, positive turns x towards y. A
polygon is the row (x1, y1, x2, y2, x3, y3, x4, y4): the corners of the rotated rectangle that bounds the target's
mask, occluded or not.

Tags of frame t, each computed from the rendered scene. Frame 0 has no previous frame, so only `occlusion` can be set
there:

    camera_motion  some corner of the background moved by more than CAMERA_PX since frame t - 1
    illum_change   the mean log gain of the light changed by more than LIGHT_STEP since frame t - 1
    motion_change  the step of the target differs from its step LAG frames earlier by more than MOTION_STEP of its side,
                   which is sqrt(w * h)
    occlusion      other objects cover more than OCCLUDED_SHARE of the target's mask
    size_change    the side of the target changed by more than SIZE_STEP (relative) since frame t - 1
"""

from dataclasses import dataclass

import cv2
import numpy as np

CAMERA_PX = 1.0
LIGHT_STEP = 0.008
LAG = 4
MOTION_STEP = 0.03
OCCLUDED_SHARE = 0.1
SIZE_STEP = 0.005


@dataclass(frozen=True)
class Sprite:
    """Cut-out of a photograph and its motion through the sequence.

    patch (h, w, 3) float32 in [0, 255]; mask (h, w) float32 in [0, 1], touching all four sides of the patch; centre_xy
    (T, 2) pixels; scale_xy (T, 2) along the patch's own axes; angle (T,).
    """

    patch: np.ndarray
    mask: np.ndarray
    centre_xy: np.ndarray
    scale_xy: np.ndarray
    angle: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.centre_xy)
        if self.patch.shape[:2] != self.mask.shape or self.patch.shape[2:] != (3,):
            raise ValueError(
                f"a sprite needs a (h, w, 3) patch and a (h, w) mask, got {self.patch.shape} and {self.mask.shape}"
            )
        if self.centre_xy.shape != (frames, 2) or self.scale_xy.shape != (frames, 2) or self.angle.shape != (frames,):
            raise ValueError(f"a sprite of {frames} frames needs centres (T, 2), scales (T, 2) and angles (T,)")

    def size_wh(self) -> np.ndarray:
        """Return the sides (T, 2) of the bounding rectangle in pixels."""
        return self.scale_xy * (self.mask.shape[1], self.mask.shape[0])

    def side(self) -> np.ndarray:
        """Return the square root (T,) of the bounding rectangle's area in pixels."""
        return np.sqrt(self.size_wh().prod(axis=1))

    def axes(self, t: int) -> np.ndarray:
        """Return the (2, 2) matrix that maps offsets from the patch centre to image offsets."""
        cos, sin = np.cos(self.angle[t]), np.sin(self.angle[t])
        return np.array([[cos, -sin], [sin, cos]]) * self.scale_xy[t]

    def polygon(self, t: int) -> np.ndarray:
        """Return the corners (8,) of the rotated bounding rectangle, in cyclic order."""
        height, width = self.mask.shape
        corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
        return (corners @ self.axes(t).T + self.centre_xy[t]).ravel()


@dataclass(frozen=True)
class Scene:
    """Content of a sequence of T frames; `render_frame` draws it.

    background (H, W, 3) uint8; camera (T, 2, 3) affine maps from image to background pixels; gain (T, 3) light per
    channel; contrast (T,); defocus (T,) Gaussian sigma in pixels; noise (height + n, width + n, 3) int16, of which
    frame t takes the window at noise_at[t] (y, x); shutter is the share of the time between two frames in which the
    shutter is open. Distractors are behind the target, occluders in front of it.
    """

    size_wh: tuple[int, int]
    background: np.ndarray
    camera: np.ndarray
    gain: np.ndarray
    contrast: np.ndarray
    defocus: np.ndarray
    noise: np.ndarray
    noise_at: np.ndarray
    shutter: float
    target: Sprite
    distractors: tuple[Sprite, ...]
    occluders: tuple[Sprite, ...]

    def __post_init__(self) -> None:
        sprite_angles = [sprite.angle for sprite in (self.target, *self.distractors, *self.occluders)]
        lengths = [len(values) for values in (self.gain, self.contrast, self.defocus, self.noise_at, *sprite_angles)]
        if any(length != len(self.camera) for length in lengths):
            raise ValueError(f"all arrays of a scene must have {len(self.camera)} frames, got {lengths}")

    def __len__(self) -> int:
        return len(self.camera)


def render_frame(scene: Scene, t: int) -> tuple[np.ndarray, float]:
    """Return frame t, (height, width, 3) uint8, and the visible share in [0, 1] of the target's mask."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REFLECT_101
    image = cv2.warpAffine(scene.background, scene.camera[t], scene.size_wh, flags=flags, borderMode=border)
    for sprite in scene.distractors:
        _paste(image, sprite, t, scene.shutter)
    target_mask = np.zeros(image.shape[:2], np.float32)
    window, alpha = _paste(image, scene.target, t, scene.shutter)
    target_mask[window] = alpha
    visible_mask = target_mask.copy()
    for sprite in scene.occluders:
        window, alpha = _paste(image, sprite, t, scene.shutter)
        visible_mask[window] *= 1 - alpha
    visible = float(visible_mask.sum() / max(target_mask.sum(), 1e-6))
    return _apply_camera_effects(image, scene, t), visible


def compute_tags(scene: Scene, visible: np.ndarray) -> dict[str, np.ndarray]:
    """Return each tag as name -> (T,) bool, by the rules at the top of this file.

    `visible` (T,) comes from `render_frame`.
    """
    width, height = scene.size_wh
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
    background_corners = np.einsum("tij,cj->tci", scene.camera, corners)
    pixel_side = np.sqrt(np.abs(np.linalg.det(scene.camera[:, :, :2])))  # of an image pixel in the background
    camera_px = np.linalg.norm(_change(background_corners), axis=2).max(axis=1) / pixel_side
    side = scene.target.side()
    step = _change(scene.target.centre_xy)
    step[0] = step[min(1, len(step) - 1)]  # no motion is known before frame 0, so it cannot have changed there
    earlier = step[np.maximum(np.arange(len(step)) - LAG, 0)]
    return {
        "camera_motion": camera_px > CAMERA_PX,
        "illum_change": np.abs(_change(np.log(scene.gain).mean(axis=1))) > LIGHT_STEP,
        "motion_change": np.linalg.norm(step - earlier, axis=1) > MOTION_STEP * side,
        "occlusion": np.asarray(visible) < 1 - OCCLUDED_SHARE,
        "size_change": np.abs(_change(np.log(side))) > SIZE_STEP,
    }


def _change(values: np.ndarray) -> np.ndarray:
    """Return the difference to the previous frame; 0 at frame 0."""
    return np.diff(values, axis=0, prepend=values[:1])


def _paste(image: np.ndarray, sprite: Sprite, t: int, shutter: float) -> tuple[tuple[slice, slice], np.ndarray]:
    """Draw a sprite into the uint8 image; return the filled window (rows, columns) and the opacity (h, w) in it."""
    step = np.zeros(2)
    if len(sprite.centre_xy) > 1:
        step = (sprite.centre_xy[max(t, 1)] - sprite.centre_xy[max(t, 1) - 1]) * shutter
    margin = int(np.ceil(np.abs(step).max() / 2)) + 2
    corners = sprite.polygon(t).reshape(4, 2)
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + margin + 1, (image.shape[1], image.shape[0]))
    if (high <= low).any():
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), np.float32)
    height, width = sprite.mask.shape
    axes = sprite.axes(t)
    shift = sprite.centre_xy[t] - axes @ ((width - 1) / 2, (height - 1) / 2) - low
    # Premultiplied, so that blur mixes in no colour from outside of the mask.
    layer = np.dstack([sprite.patch * sprite.mask[..., None], sprite.mask])
    layer_width, layer_height = (int(side) for side in high - low)
    matrix = np.column_stack([axes, shift])
    layer = cv2.warpAffine(layer, matrix, (layer_width, layer_height), flags=cv2.INTER_LINEAR)
    if np.abs(step).max() >= 1.5:
        layer = cv2.filter2D(layer, -1, _motion_blur_kernel(step), borderType=cv2.BORDER_REPLICATE)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    alpha = layer[..., 3]
    image[window] = np.clip(image[window] * (1 - alpha[..., None]) + layer[..., :3], 0, 255).astype(np.uint8)
    return window, alpha


def _motion_blur_kernel(step_xy: np.ndarray) -> np.ndarray:
    """Return the blur kernel (k, k) with sum 1 of a point that moves by step_xy pixels while the shutter is open."""
    half = int(np.ceil(np.abs(step_xy).max() / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    x, y = np.rint(np.linspace(-0.5, 0.5, 8 * half + 1)[:, None] * step_xy).astype(int).T + half
    np.add.at(kernel, (y, x), 1)
    return kernel / kernel.sum()


def _apply_camera_effects(image: np.ndarray, scene: Scene, t: int) -> np.ndarray:
    """Apply the effects of light, lens and sensor: gain and contrast per channel, defocus, noise."""
    levels = (np.arange(256)[:, None] - 128) * scene.contrast[t] + 128
    table = np.clip(levels * scene.gain[t], 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table.reshape(1, 256, 3))
    if scene.defocus[t] > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), float(scene.defocus[t]))
    y, x = scene.noise_at[t]
    height, width = image.shape[:2]
    return cv2.add(image, scene.noise[y : y + height, x : x + width], dtype=cv2.CV_8U)
