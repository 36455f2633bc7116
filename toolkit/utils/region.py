"""Overlap of regions with the interface of the original's compiled module; nothing is compiled here."""

from collections.abc import Sequence

import numpy as np

from pysot.toolkit.region.raster import corners_of, overlaps, region_table

Numbers = Sequence[float] | np.ndarray
_UNBOUNDED = 1 << 24  # pixels


def vot_overlap(polygon1: Numbers, polygon2: Numbers, bounds: Sequence[float] | None = None) -> float:
    """Return the overlap of two regions of 4 or 8 numbers, counted in pixels; NaN if one is a code of one number.

    `bounds` are (width, height) of the image or (left, top, right, bottom); without, all pixels count.
    """
    return vot_overlap_traj([polygon1], [polygon2], bounds)[0]


def vot_overlap_traj(
    polygons1: Sequence[Numbers], polygons2: Sequence[Numbers], bounds: Sequence[float] | None = None
) -> list[float]:
    """Return the overlap of each pair of regions of two trajectories; see `vot_overlap`.

    Raises ValueError if one is longer than the other.
    """
    if len(polygons1) != len(polygons2):
        raise ValueError(f"expected two trajectories of equal length, got {len(polygons1)} and {len(polygons2)} frames")
    result = np.full(len(polygons1), np.nan)
    pairs = zip(polygons1, polygons2, strict=True)
    known = [index for index, (first, second) in enumerate(pairs) if len(first) > 1 and len(second) > 1]
    a, b = (corners_of(region_table([list(polygons[index]) for index in known])) for polygons in (polygons1, polygons2))
    origin, size = _window(a, b, bounds)
    result[known] = overlaps(a - origin, b - origin, *size)
    return result.tolist()


def _window(a: np.ndarray, b: np.ndarray, bounds: Sequence[float] | None) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the upper left corner of the pixels that count, to subtract from corners, and their width and height."""
    if bounds is None:
        low = np.minimum(a.min(axis=1, initial=np.inf), b.min(axis=1, initial=np.inf))
        return np.floor(np.minimum(np.nan_to_num(low), 0))[:, None], (_UNBOUNDED, _UNBOUNDED)
    if len(bounds) == 2:
        return np.zeros(2), (int(bounds[0]), int(bounds[1]))
    if len(bounds) != 4:
        raise ValueError(f"bounds are (width, height) or (left, top, right, bottom), got {list(bounds)}")
    left, top, right, bottom = bounds
    return np.array([left, top]), (int(right - left), int(bottom - top))


def vot_float2str(template: str, value: float) -> str:
    """Format a number as in VOT result files: `vot_float2str("%.4f", value)`, after rounding to float32."""
    return template % np.float32(value)
