"""Maths of a frame for N targets: geometry of the crops, confidences, penalties, choice, smoothing, clipping.

Sources: SiamRPN, section 3.4 of the paper; without anchors SiamBAN, section 3. All functions are pure, and take arrays
of NumPy or tensors of torch; a result is of the same kind, on the same device, in the type of the arguments with the
most bits. Only functions are used that both libraries have by the same name, and none that an accelerator has to wait
for: no shape depends on a value. torch is not imported.

The type is float64 as in the original; on an NPU it is float32, because an NPU has no fast float64, and boxes differ by
about 1e-4 pixels.

Shapes: N targets, A anchors per cell (1 without anchors), S cells per side, M = A * S * S anchors or points of a search
crop. Positions and sizes are pixels of the frame unless stated otherwise.
"""

import sys
from typing import Any, NamedTuple

import numpy as np

from pysot.tracker.settings import TrackSettings
from pysot.utils.anchor import tracking_anchors
from pysot.utils.points import grid_points

Array = Any  # np.ndarray or torch.Tensor
_MAX_LOG_RATIO = 12.0  # keeps exp() finite for the outputs of untrained networks
_MAX_LOGIT = 80.0  # keeps exp() finite in float32
_MIN_DISTANCE, _MAX_DISTANCE = 1e-3, 1e6  # pixels; keeps ratios finite for the outputs of untrained networks
_MIN_SIDE = 10


class Grid(NamedTuple):
    """Places of boxes in pixels of the search crop, relative to its centre, and the cosine window (M,).

    Places are anchors (4, M) cxcywh, or points (2, M) x, y.
    """

    places: Array
    window: Array


def make_grid(settings: TrackSettings, instance_size: int) -> Grid:
    """Return the grid of a search crop, as float64 of NumPy."""
    cells = settings.score_size(instance_size)
    hanning = np.hanning(cells)
    window = np.outer(hanning, hanning).ravel()
    if settings.points:
        points = grid_points(settings.stride, image_center=0, size=cells)
        return Grid(points.reshape(2, -1).astype(np.float64), window)
    anchors = tracking_anchors(settings.stride, settings.ratios, settings.scales, cells)
    return Grid(anchors.T.astype(np.float64), np.tile(window, len(settings.ratios) * len(settings.scales)))


def check_grid(cls: Array, grid: Grid, instance_size: int) -> None:
    """Raise ValueError unless cls (N, 2A, S, S) has a score for each place of the grid."""
    count = cls[0].reshape(2, -1).shape[1]
    if count != len(grid.window):
        section, key = ("POINT", "OUTPUT_SIZE") if len(grid.places) == 2 else ("ANCHOR", "BASE_SIZE")
        raise ValueError(
            f"the network returns {count} scores for a crop of {instance_size} pixels, but TRACK and {section} "
            f"describe {len(grid.window)}; correct TRACK.{key}"
        )


def start_targets(boxes_xywh: Array) -> tuple[Array, Array]:
    """Return centres (N, 2) and sizes (N, 2) of targets that start on boxes (N, 4)."""
    # pysot-compat: (w - 1) / 2, though an output box is cx - w / 2. Published trajectories contain the half pixel.
    # test: tracker/test_frame_maths.py::test_a_target_starts_half_a_pixel_away
    return boxes_xywh[:, :2] + (boxes_xywh[:, 2:] - 1) / 2, boxes_xywh[:, 2:]


def context_sides(sizes: Array, context_amount: float) -> Array:
    """Return the sides (N,) of the template crops: sizes (N, 2) plus a margin."""
    margin = context_amount * (sizes[:, 0] + sizes[:, 1])
    return _namespace(sizes).sqrt((sizes[:, 0] + margin) * (sizes[:, 1] + margin))


def search_sides(sizes: Array, settings: TrackSettings, instance_size: int) -> Array:
    """Return the sides (N,) of the search crops that are scaled to `instance_size`."""
    return context_sides(sizes, settings.context_amount) * (instance_size / settings.exemplar_size)


def object_confidences(cls: Array) -> Array:
    """Return the probability of `object` per anchor (N, M) for cls (N, 2A, S, S)."""
    xp, logits = _namespace(cls), cls.reshape(len(cls), 2, -1)
    return 1 / (1 + xp.exp(xp.clip(logits[:, 0] - logits[:, 1], -_MAX_LOGIT, _MAX_LOGIT)))


def decode_boxes(loc: Array, anchors: Array) -> Array:
    """Return the boxes (N, 4, M) cxcywh for loc (N, 4A, S, S) and anchors (4, M), in pixels like the anchors."""
    xp, delta = _namespace(loc), loc.reshape(len(loc), 4, -1)
    centers = delta[:, :2] * anchors[2:] + anchors[:2]
    sizes = xp.exp(xp.clip(delta[:, 2:], -_MAX_LOG_RATIO, _MAX_LOG_RATIO)) * anchors[2:]
    return xp.concatenate([centers, sizes], 1)


def decode_distances(loc: Array, points: Array) -> Array:
    """Return the boxes (N, 4, M) cxcywh for points (2, M) and the distances of their sides, in the same pixels.

    loc (N, 4, S, S) are the distances to the left, top, right and bottom side.
    """
    xp = _namespace(loc)
    distances = xp.clip(loc.reshape(len(loc), 4, -1), _MIN_DISTANCE, _MAX_DISTANCE)
    before, after = distances[:, :2], distances[:, 2:]
    return xp.concatenate([points + (after - before) / 2, before + after], 1)


def shape_changes(boxes: Array, sizes: Array) -> Array:
    """Return change of scale times change of aspect ratio (N, M), each at least 1.

    They are those of boxes (N, 4, M) cxcywh against `sizes` (N, 2) in the same pixels.
    """
    xp, w, h = _namespace(boxes), boxes[:, 2], boxes[:, 3]
    scale = _padded_sides(w, h) / _padded_sides(sizes[:, :1], sizes[:, 1:])
    aspect = (sizes[:, :1] / sizes[:, 1:]) / (w / h)
    return xp.maximum(scale, 1 / scale) * xp.maximum(aspect, 1 / aspect)


def find_targets(cls: Array, loc: Array, grid: Grid, targets: Array, settings: TrackSettings) -> tuple[Array, Array]:
    """Return the targets on the next frame (N, 5): centre x, y, width, height, confidence; and their places (N,).

    `targets` (N, 6) are centre x, y, width, height before, and width and height of the frame. The best place is chosen
    by confidence, less a penalty for changes of shape, mixed with the cosine window; the size is smoothed; centre and
    size are limited to the frame. The row of a target for which the network returned NaN or infinity is NaN.
    Places are numbers from 0 to M - 1: of anchors, or with `settings.points` of points.
    """
    xp, s = _namespace(cls), settings
    centers, sizes, frames = targets[:, :2], targets[:, 2:4], targets[:, 4:]
    scales = (s.exemplar_size / context_sides(sizes, s.context_amount))[:, None]
    confidences = object_confidences(cls)
    boxes = decode_distances(loc, grid.places) if s.points else decode_boxes(loc, grid.places)
    penalties = xp.exp(-(shape_changes(boxes, sizes * scales) - 1) * s.penalty_k)
    ranking = penalties * confidences * (1 - s.window_influence) + grid.window * s.window_influence
    best = ranking.argmax(1)
    rows = xp.cumsum(xp.ones_like(best), 0) - 1  # an arange on the device of `best`
    found, confidence = boxes[rows, :, best] / scales, confidences[rows, best][:, None]
    rate = penalties[rows, best][:, None] * confidence * s.lr
    centers = xp.clip(found[:, :2] + centers, 0 * frames, frames)
    sizes = sizes * (1 - rate) + found[:, 2:] * rate
    sizes = xp.clip(xp.minimum(sizes, frames), _MIN_SIDE, None)
    # A sum of finite numbers is finite, any other sum is not.
    check = 0 * (cls.reshape(len(cls), -1).sum(1) + loc.reshape(len(loc), -1).sum(1))[:, None]
    return xp.concatenate([centers, sizes, confidence + 0 * sizes[:, :1]], 1) + check, best


def anchor_cells(anchors: Array, settings: TrackSettings, instance_size: int) -> Array:
    """Return the cells (N, 2) row, column of anchors (N,) as `find_targets` numbers them."""
    side = settings.score_size(instance_size)
    cells = anchors % (side * side)
    return _namespace(anchors).stack([cells // side, cells % side], 1)


def mask_squares(targets: Array, cells: Array, settings: TrackSettings, instance_size: int) -> Array:
    """Return the parts of the frame (N, 4) xywh that the masks of cells (N, 2) cover.

    `targets` (N, 4 or more) are centre x, y, width, height before the search. A mask covers as many pixels of the
    search crop as a template has.
    """
    # pysot-compat: the crop lies around the exact centre here, though its pixels are whole ones of the frame.
    # test: tracker/test_siammask_tracker.py::test_parity_on_bag
    xp, s = _namespace(targets), settings
    sides = xp.round(search_sides(targets[:, 2:4], s, instance_size))[:, None]
    scales = sides / instance_size
    offsets = xp.concatenate([cells[:, 1:], cells[:, :1]], 1) - s.base_size / 2
    corners = targets[:, :2] - sides / 2 + offsets * s.stride * scales
    return xp.concatenate([corners, scales * s.exemplar_size, scales * s.exemplar_size], 1)


def keep_lost_targets(
    before: np.ndarray, found: np.ndarray, lost: np.ndarray, settings: TrackSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Return targets (N, 5) and lost states (N,) of a long-term tracker, as in DaSiamRPN and SiamRPN++.

    `before` (N, 4) and `found` (N, 5) are as in `find_targets`. A confidence below `confidence_low` keeps the box and
    marks the target as lost; one above `confidence_high` marks it as found.
    """
    confidence = found[:, 4]
    is_unsure = confidence < settings.confidence_low
    kept = np.where(is_unsure[:, None], before, found[:, :4])
    return np.column_stack([kept, confidence]), is_unsure | (lost & (confidence <= settings.confidence_high))


def output_boxes(targets: np.ndarray) -> np.ndarray:
    """Return the boxes (N, 4) xywh of targets (N, 4 or more) of centre and size."""
    return np.column_stack([targets[:, :2] - targets[:, 2:4] / 2, targets[:, 2:4]])


def _padded_sides(w: Array, h: Array) -> Array:
    pad = (w + h) * 0.5
    return _namespace(w).sqrt((w + pad) * (h + pad))


def _namespace(array: Array) -> Any:
    """Return the library of an array: numpy or torch."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]
