"""Overlap as the official toolkit counts it (vot-toolkit 0.9), whose pixels differ from those of `region.raster`.

Numbers are rounded to integers, halves to even. A box x, y, w, h paints w x h pixels. A row of a quadrangle is painted
from its first to its last crossing, both included, even where the two coincide. Only pixels of the image count. Two
regions without extent count as equal.
"""

import numpy as np

from pysot.toolkit.region.raster import has_split_rows, row_blocks


def official_overlaps(a: np.ndarray, b: np.ndarray, width: int | np.ndarray, height: int | np.ndarray) -> np.ndarray:
    """Return the row-wise overlap (N,) in [0, 1] of two tables of regions (N, 8), see `raster.region_table`.

    width and height of the images are numbers or (N,). The overlap is 0 where a region is not finite.
    """
    result = np.zeros(len(a))
    finite = np.flatnonzero(np.isfinite(a[:, :4]).all(axis=1) & np.isfinite(b[:, :4]).all(axis=1))
    a, b = np.rint(a[finite]), np.rint(b[finite])
    limits = _image_sizes(width, height, len(result))[finite] - 1
    low = np.minimum(_upper_left(a), _upper_left(b))
    high = np.maximum(_lower_right(a), _lower_right(b))
    origin, end = np.maximum(low, 0), np.minimum(high, limits)
    empty, outside = (low >= high).any(axis=1), (origin >= end).any(axis=1)
    result[finite[empty]] = 1.0
    inside = np.flatnonzero(~empty & ~outside)
    a, b, origin, size = a[inside], b[inside], origin[inside], (end - origin + 1)[inside].astype(np.int64)
    split = _has_split_rows(a) | _has_split_rows(b)
    for block in row_blocks(np.flatnonzero(~split), size[:, 1]):
        result[finite[inside[block]]] = _overlap_of_spans(a[block], b[block], origin[block], size[block])
    for index in np.flatnonzero(split):
        masks = [paint(region[index], origin[index], size[index]) for region in (a, b)]
        union = (masks[0] | masks[1]).sum()
        result[finite[inside[index]]] = (masks[0] & masks[1]).sum() / union if union else 0.0
    return result


def _image_sizes(width: int | np.ndarray, height: int | np.ndarray, count: int) -> np.ndarray:
    """Return width and height of each image (count, 2)."""
    if np.ndim(width) or np.ndim(height):
        return np.stack(np.broadcast_arrays(width, height), axis=-1)
    return np.tile([width, height], (count, 1))


def _is_box(table: np.ndarray) -> np.ndarray:
    return np.isnan(table[:, 4])


def _upper_left(table: np.ndarray) -> np.ndarray:
    """Return the left and upper pixel of each region (N, 2)."""
    return np.where(_is_box(table)[:, None], table[:, :2], _corners(table).min(axis=1))


def _lower_right(table: np.ndarray) -> np.ndarray:
    """Return the right and lower pixel of each region (N, 2)."""
    return np.where(_is_box(table)[:, None], table[:, :2] + table[:, 2:4] - 1, _corners(table).max(axis=1))


def _corners(table: np.ndarray) -> np.ndarray:
    """Return the corners of quadrangles (N, 4, 2); zeros for boxes."""
    return np.where(_is_box(table)[:, None, None], 0.0, table.reshape(-1, 4, 2))


def _has_split_rows(table: np.ndarray) -> np.ndarray:
    """Return whether each region (N,) is a quadrangle whose rows may have more than one interval."""
    return has_split_rows(_corners(table)) & ~_is_box(table)


def _overlap_of_spans(a: np.ndarray, b: np.ndarray, origin: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the overlap (N,) of regions whose rows have one interval each, summed over rows of `size` windows."""
    rows = size[:, 1]
    starts, region_of_row = np.cumsum(rows) - rows, np.repeat(np.arange(len(rows)), rows)
    row = np.arange(rows.sum()) - starts[region_of_row]
    last = (size[:, 0] - 1)[region_of_row]
    low_a, high_a = _spans(a, origin, region_of_row, row, last)
    low_b, high_b = _spans(b, origin, region_of_row, row, last)
    area_a, area_b, both = (
        np.add.reduceat(np.maximum(high - low + 1, 0), starts)
        for low, high in ((low_a, high_a), (low_b, high_b), (np.maximum(low_a, low_b), np.minimum(high_a, high_b)))
    )
    union = area_a + area_b - both
    return np.divide(both, union, out=np.zeros(len(rows)), where=union > 0)


def _spans(
    table: np.ndarray, origin: np.ndarray, region_of_row: np.ndarray, row: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last painted column of every row, relative to the origin; first > last on empty rows."""
    box = _is_box(table)
    low, high = _box_spans(table, origin, region_of_row, row)
    if not box.all():
        quads = np.flatnonzero(~box[region_of_row])
        low[quads], high[quads] = _quad_spans(_corners(table) - origin[:, None], region_of_row[quads], row[quads])
    return np.maximum(low, 0), np.minimum(high, last)


def _box_spans(
    table: np.ndarray, origin: np.ndarray, region_of_row: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    left, top = (np.nan_to_num(table[:, :2]) - origin).T
    w, h = np.nan_to_num(table[:, 2:4]).T
    inside = (row >= top[region_of_row]) & (row <= (top + h - 1)[region_of_row])
    low = np.where(inside, left[region_of_row], 0)
    high = np.where(inside, (left + w - 1)[region_of_row], -1)
    return low.astype(np.int64), high.astype(np.int64)


def _quad_spans(corners: np.ndarray, region_of_row: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full(len(row), 2**40), np.full(len(row), -(2**40))
    for i in range(4):
        (x, y), (other_x, other_y) = corners[:, i].T, corners[:, i - 1].T
        dx, dy = other_x - x, other_y - y
        edge_low, edge_high = np.minimum(y, other_y)[region_of_row], np.maximum(y, other_y)[region_of_row]
        crossed = np.flatnonzero((row >= edge_low) & (row <= edge_high))
        region, level = region_of_row[crossed], row[crossed]
        share = np.divide(level - y[region], dy[region], out=np.zeros(len(region)), where=dy[region] != 0)
        column = np.trunc(x[region] + share * dx[region]).astype(np.int64)
        low[crossed], high[crossed] = np.minimum(low[crossed], column), np.maximum(high[crossed], column)
    return low, high


def paint(region: np.ndarray, origin: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return one region (8,) of any form as a bool mask of `size` (columns, rows) with its upper left at `origin`."""
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
