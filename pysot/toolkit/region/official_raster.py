"""Overlap as the official toolkit counts it (vot-toolkit 0.9), which differs from `region` in what a pixel is.

Numbers are rounded to whole ones, halves to even. A box x, y, w, h paints w x h pixels. A row of a quadrangle is painted from its first to its last crossing,
both included, also where they are one. Only pixels of the image count. Two regions without extent together count as equal.
"""

import numpy as np

from pysot.toolkit.region.raster import has_split_rows, row_blocks


def official_overlaps(a: np.ndarray, b: np.ndarray, width, height) -> np.ndarray:
    """Row-wise overlap (N,) in [0, 1] of two tables of regions (N, 8), see `region.region_table`; width and height are numbers or (N,). 0 where a region is not
    finite.
    """
    result = np.zeros(len(a))
    known = np.flatnonzero(np.isfinite(a[:, :4]).all(axis=1) & np.isfinite(b[:, :4]).all(axis=1))
    a, b = np.rint(a[known]), np.rint(b[known])
    limits = (
        np.stack(np.broadcast_arrays(width, height), axis=-1)
        if np.ndim(width) or np.ndim(height)
        else np.tile([width, height], (len(result), 1))
    )
    limits = limits[known] - 1
    low, high = (pick(*(side(table) for table in (a, b))) for pick, side in ((np.minimum, _low), (np.maximum, _high)))
    origin, end = np.maximum(low, 0), np.minimum(high, limits)
    empty, outside = (low >= high).any(axis=1), (origin >= end).any(axis=1)
    result[known[empty]] = 1.0
    inside = np.flatnonzero(~empty & ~outside)
    a, b, origin, size = a[inside], b[inside], origin[inside], (end - origin + 1)[inside].astype(np.int64)
    odd = _is_odd(a) | _is_odd(b)
    for part in row_blocks(np.flatnonzero(~odd), size[:, 1]):
        result[known[inside[part]]] = _overlap_of_spans(a[part], b[part], origin[part], size[part])
    for index in np.flatnonzero(odd):
        masks = [paint(region[index], origin[index], size[index]) for region in (a, b)]
        union = (masks[0] | masks[1]).sum()
        result[known[inside[index]]] = (masks[0] & masks[1]).sum() / union if union else 0.0
    return result


def _is_box(table: np.ndarray) -> np.ndarray:
    return np.isnan(table[:, 4])


def _low(table: np.ndarray) -> np.ndarray:
    """Left and upper pixel of each region (N, 2)."""
    return np.where(_is_box(table)[:, None], table[:, :2], _corners(table).min(axis=1))


def _high(table: np.ndarray) -> np.ndarray:
    """Right and lower pixel of each region (N, 2)."""
    return np.where(_is_box(table)[:, None], table[:, :2] + table[:, 2:4] - 1, _corners(table).max(axis=1))


def _corners(table: np.ndarray) -> np.ndarray:
    """(N, 4, 2); zeros for boxes."""
    return np.where(_is_box(table)[:, None, None], 0.0, table.reshape(-1, 4, 2))


def _is_odd(table: np.ndarray) -> np.ndarray:
    """Quadrangles whose rows may hold more than one interval."""
    return has_split_rows(_corners(table)) & ~_is_box(table)


def _overlap_of_spans(a, b, origin, size):
    rows = size[:, 1]
    starts, which = np.cumsum(rows) - rows, np.repeat(np.arange(len(rows)), rows)
    row = np.arange(rows.sum()) - starts[which]
    last = (size[:, 0] - 1)[which]
    (low_a, high_a), (low_b, high_b) = (_spans(table, origin, which, row, last) for table in (a, b))
    area_a, area_b, both = (
        np.add.reduceat(np.maximum(high - low + 1, 0), starts)
        for low, high in ((low_a, high_a), (low_b, high_b), (np.maximum(low_a, low_b), np.minimum(high_a, high_b)))
    )
    union = area_a + area_b - both
    return np.divide(both, union, out=np.zeros(len(rows)), where=union > 0)


def _spans(table, origin, which, row, last):
    """First and last painted column of every row, relative to the origin; first > last where nothing is painted."""
    box = _is_box(table)
    low, high = _box_spans(table, origin, which, row)
    if not box.all():
        chosen = np.flatnonzero(~box[which])
        low[chosen], high[chosen] = _quad_spans(_corners(table) - origin[:, None], which[chosen], row[chosen])
    return np.maximum(low, 0), np.minimum(high, last)


def _box_spans(table, origin, which, row):
    left, top = (np.nan_to_num(table[:, :2]) - origin).T
    w, h = np.nan_to_num(table[:, 2:4]).T
    inside = (row >= top[which]) & (row <= (top + h - 1)[which])
    return np.where(inside, left[which], 0).astype(np.int64), np.where(inside, (left + w - 1)[which], -1).astype(
        np.int64
    )


def _quad_spans(corners, which, row):
    low, high = np.full(len(row), 2**40), np.full(len(row), -(2**40))
    for i in range(4):
        (x, y), (other_x, other_y) = corners[:, i].T, corners[:, i - 1].T
        rise, run = other_y - y, other_x - x
        crossed = np.flatnonzero((row >= np.minimum(y, other_y)[which]) & (row <= np.maximum(y, other_y)[which]))
        at, level = which[crossed], row[crossed]
        share = np.divide(level - y[at], rise[at], out=np.zeros(len(at)), where=rise[at] != 0)
        column = np.trunc(x[at] + share * run[at]).astype(np.int64)
        low[crossed], high[crossed] = np.minimum(low[crossed], column), np.maximum(high[crossed], column)
    return low, high


def paint(region, origin, size):
    """The raster of one region as a (rows, columns) bool mask, whatever its form."""
    columns, rows = size
    mask = np.zeros((rows, columns), bool)
    if np.isnan(region[4]):
        left, top = region[:2] - origin
        mask[max(0, int(top)) : max(0, int(top + region[3])), max(0, int(left)) : max(0, int(left + region[2]))] = True
        return mask
    corners = region.reshape(4, 2) - origin
    for row in range(rows):
        nodes = []
        for (x, y), (other_x, other_y) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
            if min(y, other_y) <= row <= max(y, other_y):
                nodes.append(int(x + (row - y) / (other_y - y) * (other_x - x)) if other_y != y else int(x))
        nodes.sort()
        index = 0
        while index < len(nodes) - 1 and nodes[index] < columns:
            first, last = nodes[index : index + 2]
            if first == last and index < len(nodes) - 2:
                index += 1
                continue
            if last >= 0:
                mask[row, max(first, 0) : last + 1] = True
            index += 2
    return mask
