"""Square crops of frames that lie on a device as bytes, for N targets at once.

The arithmetic is that of cv2.resize for uint8 and bilinear interpolation: weights of 11 bits, rounded in the same
places. With positions in float64 the crops are the same bytes as those of `pysot.utils.image.crop_square`, except where
it calls cv2.warpAffine, for squares much larger than the frame; with float32, as on an NPU, single values differ by 1,
and a square whose side or corner lies at a rounding border may be one pixel larger or lie one pixel beside.
"""

import torch

_WEIGHT_BITS = 11
_ONE = 1 << _WEIGHT_BITS


def crop_squares(
    pixels: torch.Tensor,
    places: torch.Tensor,
    centers: torch.Tensor,
    sides: torch.Tensor,
    colours: torch.Tensor,
    out_side: int,
) -> torch.Tensor:
    """Cut the squares of `sides` (N,) pixels around `centers` (N, 2) and scale them to (N, out_side, out_side, 3).

    `pixels` (P, 3) uint8 are all frames one after the other, row by row; `places` (N, 3) int32 the number of the first
    pixel, the width and the height of each target's frame. Sides are rounded. Pixels outside a frame are `colours`
    (N, 3), truncated to integers. Results are int32 from 0 to 255.
    """
    sides = sides.round().clamp(min=1)
    corners = (centers - ((sides + 1) / 2)[:, None] + 0.5).floor().int()
    fractions, lower, upper = _neighbours(sides, out_side)
    weights = (fractions * _ONE).round().int()
    other_weights = ((1 - fractions) * _ONE).round().int()
    # Horizontally, cv2.resize takes a border pixel alone; vertically, it weighs the pixel with itself.
    is_border = lower == upper
    left, right = other_weights.masked_fill(is_border, _ONE), weights.masked_fill(is_border, 0)
    columns = torch.cat([lower, upper], 1) + corners[:, :1]
    start, width, height = places[:, :1], places[:, 1:2], places[:, 2:3]
    inside = (columns >= 0) & (columns < width)
    columns = torch.minimum(columns.clamp(min=0), width - 1)
    colours = colours.int()[:, None, None]

    def sample_rows(rows: torch.Tensor) -> torch.Tensor:
        """Return rows (N, out_side) of the squares, scaled horizontally, with four bits fewer than in the weights."""
        visible = ((rows >= 0) & (rows < height))[:, :, None] & inside[:, None]
        rows = torch.minimum(rows.clamp(min=0), height - 1)
        index = (start + rows * width)[:, :, None] + columns[:, None]
        values = pixels.index_select(0, index.reshape(-1)).reshape(*index.shape, 3).int()
        values = torch.where(visible[..., None], values, colours)
        first, second = values[:, :, :out_side], values[:, :, out_side:]
        return (first * left[:, None, :, None] + second * right[:, None, :, None]) >> 4

    above, below = (
        (sample_rows(rows + corners[:, 1:]) * weight[:, :, None, None]) >> 16
        for rows, weight in ((lower, other_weights), (upper, weights))
    )
    return (above + below + 2) >> 2


def _neighbours(sides: torch.Tensor, out_side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return where the samples of a row or column lie between two pixels, and these two pixels, each (N, out_side)."""
    steps = torch.arange(out_side, dtype=sides.dtype, device=sides.device) + 0.5
    positions = (steps * (sides / out_side)[:, None] - 0.5).float()
    first = positions.floor()
    last_pixel = sides[:, None].int() - 1
    lower = torch.minimum(first.int().clamp(min=0), last_pixel)
    upper = torch.minimum((first.int() + 1).clamp(min=0), last_pixel)
    return positions - first, lower, upper
