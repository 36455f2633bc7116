"""Overlap of regions on the pixel grid, as the VOT rasteriser counts it, for whole trajectories at once.

A region is 4 numbers xywh or 8 numbers (four corners x1, y1, ..., x4, y4). A table of regions is (N, 8) float64, rows of 4 numbers padded with NaN.
Corners are (N, 4, 2) float32: N regions, 4 corners, x and y in pixels.

The raster: corners are rounded to whole pixels; on each row the edges give crossings, cut down to whole numbers; pixels between pairs of crossings
are painted, both ends included, a pair of equal crossings is not. Only what lies in the image counts. Here a row of a quadrangle is one interval, so
that an overlap is a sum over rows. Only a quadrangle that turns twice downwards has rows with more intervals; it is painted pixel by pixel.
"""

import numpy as np

_BEFORE, _AFTER = [3, 0, 1, 2], [1, 2, 3, 0]  # corners
_ROWS_AT_ONCE = 1 << 15
_FAR = 2.0**30


def region_table(regions) -> np.ndarray:
    """Regions (a sequence of arrays of 4 or 8 numbers) as one (N, 8) float64 table. Raises ValueError for other counts of numbers."""
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
    """Corners of a table of regions. xywh becomes x, y to x + w, y + h."""
    table = np.asarray(table, np.float64)
    corners = table.copy()
    x, y, w, h = table[:, :4].T
    upright = np.isnan(table[:, 4:]).all(axis=1)
    corners[upright] = np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=1)[upright]
    return corners.astype(np.float32).reshape(-1, 4, 2)


def overlap(region_a, region_b, width: int, height: int) -> float:
    """Overlap of two regions of 4 or 8 numbers in an image of width x height pixels; see `overlaps`."""
    a, b = (corners_of(region_table([region])) for region in (region_a, region_b))
    return float(overlaps(a, b, width, height)[0])


def overlaps(a: np.ndarray, b: np.ndarray, width, height) -> np.ndarray:
    """Row-wise overlap (N,) in [0, 1] of two arrays of corners; width and height of the images are numbers or (N,).

    NaN where a corner is not finite, and where neither region paints a pixel.
    """
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    if a.shape != b.shape or a.shape[1:] != (4, 2):
        raise ValueError(f"overlaps needs two arrays (N, 4, 2) of equal length, got {a.shape} and {b.shape}")
    limits = np.empty((len(a), 2), np.float32)
    limits[:, 0], limits[:, 1] = width, height
    result = np.full(len(a), np.nan)
    known = np.flatnonzero(np.isfinite(a).all(axis=(1, 2)) & np.isfinite(b).all(axis=(1, 2)))
    origin, shape, meet = _common_frame(a[known], b[known], limits[known])
    result[known[~meet]] = 0.0
    todo, origin, shape = known[meet], origin[meet, None], shape[meet]
    a, b = _whole(a[todo] - origin), _whole(b[todo] - origin)
    zigzag = has_split_rows(a) | has_split_rows(b)
    for part in row_blocks(np.flatnonzero(~zigzag), shape[:, 1]):
        result[todo[part]] = _overlap_of_spans(a[part], b[part], shape[part])
    for index in np.flatnonzero(zigzag):
        result[todo[index]] = _overlap_of_masks(a[index], b[index], *shape[index])
    return result


def _common_frame(a, b, limits):
    """Upper left corner (n, 2) and size (n, 2) as columns, rows of the part of the image that holds both regions, and whether their bounds meet."""
    low_a, high_a = (
        np.maximum(np.floor(reduce_corners(np.minimum, a)), 0),
        np.minimum(np.ceil(reduce_corners(np.maximum, a)), limits),
    )
    low_b, high_b = (
        np.maximum(np.floor(reduce_corners(np.minimum, b)), 0),
        np.minimum(np.ceil(reduce_corners(np.maximum, b)), limits),
    )
    origin = np.minimum(low_a, low_b)
    shape = np.maximum(high_a, high_b).astype(np.float64) - origin + 1
    area_a, area_b = ((high - low).astype(np.float64).prod(axis=1) for low, high in ((low_a, high_a), (low_b, high_b)))
    shared = (np.minimum(high_a, high_b) - np.maximum(low_a, low_b)).astype(np.float64).prod(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (area_a / area_b < 1e-10) | (area_b / area_a < 1e-10) | (shape < 1).any(axis=1)
        apart |= shared / (area_a + area_b - shared) <= 0
    return origin, np.where(apart[:, None], 0, shape).astype(np.int64), ~apart


def reduce_corners(function: np.ufunc, values: np.ndarray) -> np.ndarray:
    """What `function` makes of values[:, 0] to values[:, 3]: reduce(axis=1), which is slow on short axes."""
    return function(function(values[:, 0], values[:, 1]), function(values[:, 2], values[:, 3]))


def _whole(points):
    """Rounded to whole numbers, halves away from zero; int64."""
    points = np.clip(points.astype(np.float64), -_FAR, _FAR)
    return np.trunc(points + np.copysign(0.5, points)).astype(np.int64)


def has_split_rows(quads):
    """Whether a row can hold more than one interval: the edges go down, up, down, up; or one goes level between two of the same direction."""
    turn = np.sign(quads[:, :, 1] - quads[:, _BEFORE, 1])
    before, after = turn[:, _BEFORE], turn[:, _AFTER]
    return (turn * before < 0).all(axis=1) | ((turn == 0) & (before * after > 0)).any(axis=1)


def row_blocks(indices, rows):
    """Cut indices so that a portion has about _ROWS_AT_ONCE rows: bounded memory, and arrays that stay in the cache."""
    number = np.cumsum(rows[indices]) // _ROWS_AT_ONCE
    return np.split(indices, np.flatnonzero(np.diff(number)) + 1) if len(indices) else []


def _overlap_of_spans(a, b, shape):
    columns, rows = shape[:, 0], shape[:, 1]
    starts = np.cumsum(rows) - rows
    last = np.repeat(columns - 1, rows).astype(np.int32)
    low_a, high_a = _spans(a, rows, starts, last)
    low_b, high_b = _spans(b, rows, starts, last)
    area_a, area_b, both = (
        _pixels(low, high, starts)
        for low, high in ((low_a, high_a), (low_b, high_b), (np.maximum(low_a, low_b), np.minimum(high_a, high_b)))
    )
    return _ratio(both, area_a + area_b - both)


def _pixels(low, high, starts):
    """How many columns of the rows from each of `starts` on are painted."""
    count = high - low
    count += 1
    return np.add.reduceat(np.maximum(count, 0, out=count), starts)


def _ratio(part, whole):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part, np.float32) / np.asarray(whole, np.float32)


def _spans(quads, rows, starts, last):
    """First and last painted column of every row of every quadrangle, flat int32 arrays; first > last where nothing is painted.

    rows (n,) and starts (n,): how many rows a quadrangle has and where they begin in the flat arrays; last (rows.sum(),): last column.
    """
    x, y = quads[:, :, 0], quads[:, :, 1]
    run, rise = x[:, _BEFORE] - x, y[:, _BEFORE] - y
    if not (run * rise).any():
        low, high = _spans_of_boxes(x, y, rows, starts)
    else:
        first = np.maximum(np.minimum(y, y + rise), 0)
        count = np.minimum(np.maximum(y, y + rise), rows[:, None] - 1) - first + 1
        down, up = (
            _crossings(x, y, run, rise, first, count, chosen & (count > 0), starts, last.size)
            for chosen in (rise > 0, rise < 0)
        )
        low, high = np.minimum(down, up), np.maximum(down, up, out=down)
    high[low == high] = -1
    return np.maximum(low, 0, out=low), np.minimum(high, last, out=high)


def _spans_of_boxes(x, y, rows, starts):
    """Unclipped spans of upright boxes, 0 to 0 above and below them; one without height has no edge that crosses a row."""
    row, top, bottom = (
        np.arange(rows.sum(), dtype=np.int32),
        reduce_corners(np.minimum, y),
        reduce_corners(np.maximum, y),
    )
    inside = row >= np.repeat((starts + top).astype(np.int32), rows)
    inside &= row <= np.repeat((starts + np.where(top < bottom, bottom, top - 1)).astype(np.int32), rows)
    return (
        np.repeat(side.astype(np.int32), rows) * inside
        for side in (reduce_corners(np.minimum, x), reduce_corners(np.maximum, x))
    )


def _crossings(x, y, run, rise, first, count, chosen, starts, size):
    """Columns (size,) int32 where the chosen edges cross the rows from `first` on, `count` of them; 0 where none does."""
    n = count[chosen]
    end = np.cumsum(n)
    row = np.arange(n.sum())
    row -= np.repeat(end - n - first[chosen] + y[chosen], n)
    column = row / np.repeat(rise[chosen].astype(np.float64), n)
    column *= np.repeat(run[chosen].astype(np.float64), n)
    column += np.repeat(x[chosen].astype(np.float64), n)
    row += np.repeat((y + starts[:, None])[chosen], n)
    flat = np.zeros(size, np.int32)
    flat[row] = column
    return flat


def _overlap_of_masks(a, b, columns, rows):
    mask_a, mask_b = _paint(a, columns, rows), _paint(b, columns, rows)
    return float(_ratio((mask_a & mask_b).sum(), (mask_a | mask_b).sum()))


def _paint(polygon, columns, rows):
    """The raster of one polygon (K, 2) of whole numbers as a (rows, columns) bool mask, whatever its form."""
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
