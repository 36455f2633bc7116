"""SiamRPN and SiamBAN tracker written plainly, the baseline of the tracking benchmarks.

One target; the network as it was trained (float32, contiguous, batch-norm as layers of its own); the template branch of
the head is computed again in every frame. It shares no computation with `pysot.tracker`, and gives the same boxes.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from pysot.models.siamrpn import Features, SiamRPN
from pysot.tracker.network import Timer, untimed
from pysot.tracker.settings import TrackSettings
from pysot.utils.anchor import tracking_anchors
from pysot.utils.bbox import check_box
from pysot.utils.image import as_bgr, crop_square

MAX_LOG_RATIO = 12.0
MIN_SIDE = 10


class PlainTracker:
    """Tracker with `init(frame, box)` for the first frame and `track(frame)` for every further frame.

    Frames are uint8 (H, W[, C]), BGR or grey; boxes are xywh in pixels of the frame. If `timer` is set,
    timer("crop" | "network" | "decode") returns a context for each part of a step.
    """

    def __init__(self, model: SiamRPN, settings: TrackSettings) -> None:
        self.model, self.settings = model.eval(), settings
        self.device = next(model.parameters()).device
        cells = settings.score_size(settings.instance_size)
        # Without anchors only the centres of these are used, one per cell.
        ratios, scales = ((1,), (1,)) if settings.points else (settings.ratios, settings.scales)
        hanning = np.hanning(cells)
        self.anchors = tracking_anchors(settings.stride, ratios, scales, cells)
        self.window = np.tile(np.outer(hanning, hanning).ravel(), len(ratios) * len(scales))
        self.center, self.size, self.fill = np.zeros(2), np.zeros(2), np.zeros(3)
        self.template: Features | None = None
        self.timer: Timer | None = None

    @torch.inference_mode()
    def init(self, img: np.ndarray, box_xywh: Sequence[float] | np.ndarray) -> None:
        """Start on a frame and the target box xywh. Raises ValueError for an invalid box or frame."""
        box, img = check_box(box_xywh), as_bgr(img)
        self.center, self.size, self.fill = box[:2] + (box[2:] - 1) / 2, box[2:], img.mean(axis=(0, 1))
        self.template = self.model.features(self._crop(img, self.settings.exemplar_size, self._context_side()))

    @torch.inference_mode()
    def track(self, img: np.ndarray) -> dict:
        """Return {"bbox": [x, y, w, h], "best_score": confidence in [0, 1]} of the next frame.

        Raises RuntimeError before `init`, ValueError for an invalid frame and for NaN from the network.
        """
        if self.template is None:
            raise RuntimeError("track() needs a target; call init(frame, box) first")
        img, s, context = as_bgr(img), self.settings, self._context_side()
        scale, part = s.exemplar_size / context, self.timer or untimed
        with part("crop"):
            crop = self._crop(img, s.instance_size, context * (s.instance_size / s.exemplar_size))
        with part("network"):
            head = self.model.get_submodule(self.model.head_name)
            cls, loc = head(self.template, self.model.features(crop))
        with part("decode"):
            both = torch.cat([cls.flatten(), loc.flatten()]).cpu()
            confidence = torch.softmax(both[: cls.numel()].view(2, -1), dim=0)[1].numpy()
            if not np.isfinite(confidence).all():
                raise ValueError("the network returned NaN or infinity; load another snapshot")
            boxes = self._decode(both[cls.numel() :].view(4, -1).numpy().T)
            penalty = np.exp(-(_shape_change(boxes[:, 2:], self.size * scale) - 1) * s.penalty_k)
            ranking = penalty * confidence * (1 - s.window_influence) + self.window * s.window_influence
            best = int(np.argmax(ranking))
        self._move(boxes[best] / scale, float(penalty[best] * confidence[best] * s.lr), img.shape[:2])
        corner = self.center - self.size / 2
        return {"bbox": [*corner.tolist(), *self.size.tolist()], "best_score": float(confidence[best])}

    def _crop(self, img: np.ndarray, out_side: int, side: float) -> torch.Tensor:
        """Return the square of `side` pixels around the target, rounded, as (1, 3, out_side, out_side)."""
        patch = crop_square(img, self.center, round(side), out_side, self.fill)
        return torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1)))[None].to(self.device).float()

    def _context_side(self) -> float:
        """Return the side in pixels of the frame of the square of target and context."""
        return math.sqrt(np.prod(self.size + self.settings.context_amount * self.size.sum()))

    def _decode(self, delta: np.ndarray) -> np.ndarray:
        """Return the boxes (N, 4) cxcywh, in pixels of the crop from its centre, of the outputs `delta` (N, 4)."""
        if self.settings.points:
            low, high = self.anchors[:, :2] - delta[:, :2], self.anchors[:, :2] + delta[:, 2:]
            return np.concatenate([(low + high) / 2, high - low], axis=1)
        center = delta[:, :2] * self.anchors[:, 2:] + self.anchors[:, :2]
        size = np.exp(np.clip(delta[:, 2:], -MAX_LOG_RATIO, MAX_LOG_RATIO)) * self.anchors[:, 2:]
        return np.concatenate([center, size], axis=1)

    def _move(self, box: np.ndarray, rate: float, frame_size: tuple[int, ...]) -> None:
        """Move the target by `box` (dx, dy, w, h) and smooth its size, both limited to the frame (height, width)."""
        limits = np.array(frame_size[::-1])
        self.center = np.clip(self.center + box[:2], 0, limits)
        self.size = np.maximum(MIN_SIDE, np.minimum(self.size * (1 - rate) + box[2:] * rate, limits))


def _shape_change(sizes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the change of scale times the change of aspect ratio of `sizes` (N, 2) against `size` (2,)."""
    scale = _padded_side(sizes) / _padded_side(size)
    aspect = (size[0] / size[1]) / (sizes[:, 0] / sizes[:, 1])
    return np.maximum(scale, 1 / scale) * np.maximum(aspect, 1 / aspect)


def _padded_side(sizes: np.ndarray) -> np.ndarray:
    """Return the side of the square of size and context of `sizes` (..., 2)."""
    padded = sizes + sizes.sum(axis=-1, keepdims=True) * 0.5
    return np.sqrt(padded[..., 0] * padded[..., 1])
