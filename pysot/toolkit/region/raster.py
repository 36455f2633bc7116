"""Overlap of regions on the pixel grid, as the VOT rasteriser counts it, for complete trajectories at once.

A region is 4 numbers xywh or 8 numbers (four corners x1, y1, ..., x4, y4). A table of regions is (N, 8) float64, rows
of 4 numbers padded with NaN. Corners are (N, 4, 2) float32: N regions, 4 corners, x and y in pixels.

The raster: corners are rounded to integers; on each row the edges give crossings, truncated to integers; pixels between
pairs of crossings are painted, both ends included, except between two equal crossings. Only pixels of the image count.
Most quadrangles have one interval per row, so an overlap is a sum over rows. Only a quadrangle that turns downwards
twice has rows with more intervals; it is painted pixel by pixel.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

Region = Sequence[float] | np.ndarray  # 4 or 8 numbers

_PREVIOUS, _NEXT = [3, 0, 1, 2], [1, 2, 3, 0]  # neighbours of corners 0 to 3
_ROWS_AT_ONCE = 1 << 15
_COORDINATE_LIMIT = 2.0**30
_CERTAIN = 4.0  # pixels by which the raster cannot move an edge


def region_table(regions: Sequence[Region]) -> np.ndarray:
    """Return regions of 4 or 8 numbers as one (N, 8) float64 table. Raises ValueError for other counts of numbers."""
    sizes = {len(region) for region in regions}
    if not sizes:
        return np.empty((0, 8))
    if not sizes <= {4, 8}:
        raise ValueError(f"a region has 4 or 8 numbers, got {sorted(sizes - {4, 8})}")
    if len(sizes) == 1:
        table = np.asarray(np.concatenate(regions), np.float64).reshape(len(regions), -1)
        return table if table.shape[1] == 8 else np.pad(table, ((0, 0), (0, 4)), constant_values=np.nan)
    table = np.full((len(regions), 8), np.nan)
    for row, region in zip(table, regions, strict=True):
        row[: len(region)] = region
    return table


def corners_of(table: np.ndarray) -> np.ndarray:
    """Return the corners of a table of regions. xywh becomes x, y to x + w, y + h."""
    table = np.asarray(table, np.float64)
    corners = table.copy()
    x, y, w, h = table[:, :4].T
    is_box = np.isnan(table[:, 4:]).all(axis=1)
    corners[is_box] = np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=1)[is_box]
    return corners.astype(np.float32).reshape(-1, 4, 2)


def overlap(region_a: Region, region_b: Region, width: int, height: int) -> float:
    """Return the overlap of two regions in an image of width x height pixels; see `overlaps`."""
    a, b = (corners_of(region_table([region])) for region in (region_a, region_b))
    return float(overlaps(a, b, width, height)[0])


def do_overlap(region: Region, truth: Region, width: int, height: int) -> bool:
    """Return whether the `overlap` of a region with the ground truth, 8 numbers, is above 0.

    Nothing is painted if the region is a box, and the centre of the ground truth lies _CERTAIN pixels or more within
    the box, the ground truth and the image.
    """
    if len(region) == 4 and _holds_centre([float(number) for number in region], np.asarray(truth), width, height):
        return True
    return overlap(region, truth, width, height) > 0


def _holds_centre(box: Sequence[float], truth: np.ndarray, width: int, height: int) -> bool:
    """Return whether the centre of a quadrangle (8,) lies deep within it, a box xywh and an image.

    It lies to the same side of all four edges then, further from each than rounding can move one.
    """
    x, y = truth[::2].tolist(), truth[1::2].tolist()
    centre_x, centre_y = sum(x) / 4, sum(y) / 4
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    across = min(right, width) - _CERTAIN >= centre_x >= max(left, 0) + _CERTAIN
    if not (across and min(bottom, height) - _CERTAIN >= centre_y >= max(top, 0) + _CERTAIN):
        return False
    distances = []
    for corner in range(4):
        edge_x, edge_y = x[corner] - x[corner - 1], y[corner] - y[corner - 1]
        area = edge_x * (centre_y - y[corner]) - edge_y * (centre_x - x[corner])
        distances.append(area / (math.hypot(edge_x, edge_y) or 1.0))
    return min(distances) >= _CERTAIN or max(distances) <= -_CERTAIN


def overlaps(a: np.ndarray, b: np.ndarray, width: int | np.ndarray, height: int | np.ndarray) -> np.ndarray:
    """Return the row-wise overlap (N,) in [0, 1] of two arrays of corners.

    width and height of the images are numbers or (N,). The overlap is NaN where a corner is not finite, and where
    neither region paints a pixel.
    """
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    if a.shape != b.shape or a.shape[1:] != (4, 2):
        raise ValueError(f"overlaps needs two arrays (N, 4, 2) of equal length, got {a.shape} and {b.shape}")
    limits = np.empty((len(a), 2), np.float32)
    limits[:, 0] = width
    limits[:, 1] = height
    result = np.full(len(a), np.nan)
    finite = np.flatnonzero(np.isfinite(a).all(axis=(1, 2)) & np.isfinite(b).all(axis=(1, 2)))
    origin, size, intersect = _common_window(a[finite], b[finite], limits[finite])
    result[finite[~intersect]] = 0.0
    pairs, origin, size = finite[intersect], origin[intersect, None], size[intersect]
    a, b = _round_half_away(a[pairs] - origin), _round_half_away(b[pairs] - origin)
    split = has_split_rows(a) | has_split_rows(b)
    for block in row_blocks(np.flatnonzero(~split), size[:, 1]):
        result[pairs[block]] = _overlap_of_spans(a[block], b[block], size[block])
    for index in np.flatnonzero(split):
        result[pairs[index]] = _overlap_of_masks(a[index], b[index], *size[index])
    return result


def _common_window(a: np.ndarray, b: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the part of the image that holds both regions, and whether their bounds intersect (n,).

    The part is its upper left corner (n, 2) and its size (n, 2) as columns, rows.
    """
    low_a, high_a = _clipped_bounds(a, limits)
    low_b, high_b = _clipped_bounds(b, limits)
    origin = np.minimum(low_a, low_b)
    size = np.maximum(high_a, high_b).astype(np.float64) - origin + 1
    area_a, area_b = ((high - low).astype(np.float64).prod(axis=1) for low, high in ((low_a, high_a), (low_b, high_b)))
    shared = (np.minimum(high_a, high_b) - np.maximum(low_a, low_b)).astype(np.float64).prod(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (area_a / area_b < 1e-10) | (area_b / area_a < 1e-10) | (size < 1).any(axis=1)
        apart |= shared / (area_a + area_b - shared) <= 0
    return origin, np.where(apart[:, None], 0, size).astype(np.int64), ~apart


def _clipped_bounds(corners: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest x, y (n, 2) of each region, in pixels of the image."""
    low = np.maximum(np.floor(reduce_corners(np.minimum, corners)), 0)
    high = np.minimum(np.ceil(reduce_corners(np.maximum, corners)), limits)
    return low, high


def reduce_corners(function: np.ufunc, values: np.ndarray) -> np.ndarray:
    """Combine values[:, 0] to values[:, 3] by `function`: its reduce(axis=1), which is slow on short axes."""
    return function(function(values[:, 0], values[:, 1]), function(values[:, 2], values[:, 3]))


def _round_half_away(points: np.ndarray) -> np.ndarray:
    """Round to int64, halves away from zero."""
    points = np.clip(points.astype(np.float64), -_COORDINATE_LIMIT, _COORDINATE_LIMIT)
    return np.trunc(points + np.copysign(0.5, points)).astype(np.int64)


def has_split_rows(quads: np.ndarray) -> np.ndarray:
    """Return whether each quadrangle (N,) can have two intervals on a row.

    Its edges go down, up, down, up; or a level edge lies between two edges of the same direction.
    """
    turn = np.sign(quads[:, :, 1] - quads[:, _PREVIOUS, 1])
    before, after = turn[:, _PREVIOUS], turn[:, _NEXT]
    return (turn * before < 0).all(axis=1) | ((turn == 0) & (before * after > 0)).any(axis=1)


def row_blocks(indices: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """Split indices into blocks of about _ROWS_AT_ONCE raster rows, given the number of `rows` of each region.

    Blocks bound the memory, and their arrays stay in the cache.
    """
    number = np.cumsum(rows[indices]) // _ROWS_AT_ONCE
    return np.split(indices, np.flatnonzero(np.diff(number)) + 1) if len(indices) else []


def _overlap_of_spans(a: np.ndarray, b: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the overlap (n,) of quadrangles whose rows have one interval each."""
    columns, rows = size[:, 0], size[:, 1]
    starts = np.cumsum(rows) - rows
    last = np.repeat(columns - 1, rows).astype(np.int32)
    low_a, high_a = _spans(a, rows, starts, last)
    low_b, high_b = _spans(b, rows, starts, last)
    area_a, area_b, both = (
        _count_pixels(low, high, starts)
        for low, high in ((low_a, high_a), (low_b, high_b), (np.maximum(low_a, low_b), np.minimum(high_a, high_b)))
    )
    return _ratio(both, area_a + area_b - both)


def _count_pixels(low: np.ndarray, high: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the number of painted pixels of each quadrangle; its rows begin at `starts`."""
    count = high - low
    count += 1
    return np.add.reduceat(np.maximum(count, 0, out=count), starts)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(numerator, np.float32) / np.asarray(denominator, np.float32)


def _spans(quads: np.ndarray, rows: np.ndarray, starts: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last painted column of every row of every quadrangle; first > last on empty rows.

    rows (n,) and starts (n,): the number of rows of a quadrangle and the index of its first row in the flat int32
    arrays; last (rows.sum(),): last column.
    """
    x, y = quads[:, :, 0], quads[:, :, 1]
    dx, dy = x[:, _PREVIOUS] - x, y[:, _PREVIOUS] - y
    if not (dx * dy).any():
        low, high = _spans_of_boxes(x, y, rows, starts)
    else:
        first = np.maximum(np.minimum(y, y + dy), 0)
        count = np.minimum(np.maximum(y, y + dy), rows[:, None] - 1) - first + 1
        down, up = (
            _crossings(x, y, dx, dy, first, count, chosen & (count > 0), starts, last.size)
            for chosen in (dy > 0, dy < 0)
        )
        low, high = np.minimum(down, up), np.maximum(down, up, out=down)
    high[low == high] = -1
    return np.maximum(low, 0, out=low), np.minimum(high, last, out=high)


def _spans_of_boxes(x: np.ndarray, y: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> Iterator[np.ndarray]:
    """Return the unclipped spans of upright boxes, 0 to 0 above and below them.

    A box without height has no edge that crosses a row.
    """
    row = np.arange(rows.sum(), dtype=np.int32)
    top, bottom = reduce_corners(np.minimum, y), reduce_corners(np.maximum, y)
    inside = row >= np.repeat((starts + top).astype(np.int32), rows)
    inside &= row <= np.repeat((starts + np.where(top < bottom, bottom, top - 1)).astype(np.int32), rows)
    return (
        np.repeat(side.astype(np.int32), rows) * inside
        for side in (reduce_corners(np.minimum, x), reduce_corners(np.maximum, x))
    )


def _crossings(
    x: np.ndarray,
    y: np.ndarray,
    dx: np.ndarray,
    dy: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    chosen: np.ndarray,
    starts: np.ndarray,
    size: int,
) -> np.ndarray:
    """Return the columns (size,) int32 where the chosen edges cross the `count` rows from `first`; 0 on other rows."""
    n = count[chosen]
    end = np.cumsum(n)
    row = np.arange(n.sum())
    row -= np.repeat(end - n - first[chosen] + y[chosen], n)
    column = row / np.repeat(dy[chosen].astype(np.float64), n)
    column *= np.repeat(dx[chosen].astype(np.float64), n)
    column += np.repeat(x[chosen].astype(np.float64), n)
    row += np.repeat((y + starts[:, None])[chosen], n)
    flat = np.zeros(size, np.int32)
    flat[row] = column
    return flat


def _overlap_of_masks(a: np.ndarray, b: np.ndarray, columns: int, rows: int) -> float:
    mask_a, mask_b = _paint(a, columns, rows), _paint(b, columns, rows)
    return float(_ratio((mask_a & mask_b).sum(), (mask_a | mask_b).sum()))


def _paint(polygon: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Return one polygon (K, 2) int64 of any form as a (rows, columns) bool mask."""
    mask = np.zeros((rows, columns), bool)
    for row in range(rows):
        crossings = []
        for (x, y), (before_x, before_y) in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
            if y != before_y and min(y, before_y) <= row <= max(y, before_y):
                crossings.append(int(x + (row - y) / (before_y - y) * (before_x - x)))
        crossings.sort()
        index = 0
        while index < len(crossings) - 1:
            first, last = crossings[index : index + 2]
            if first != last and last >= 0:
                mask[row, max(first, 0) : last + 1] = True
            index += 1 if first == last else 2
    return mask
