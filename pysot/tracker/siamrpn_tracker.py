"""The short-term tracker of SiamRPN (section 3.4 of the paper): crop around the last position, score anchors, penalise, smooth.

Shapes: N = A * S * S anchors of the search crop. Positions and sizes are pixels of the frame unless said otherwise.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from pysot.tracker.base_tracker import SiameseTracker, TrackSettings, check_box
from pysot.utils.anchor import tracking_anchors
from pysot.utils.image import as_bgr

_MAX_LOG_RATIO = 12.0  # keeps exp() finite for the outputs of untrained networks
_MIN_SIDE = 10


class Candidate(NamedTuple):
    """The best anchor of a frame: box relative to the last centre (dx, dy, w, h), its score, and the rate at which the size follows it."""

    box: np.ndarray
    score: float
    rate: float


class SiamRPNTracker(SiameseTracker):
    """`init(frame, box)` once, `track(frame)` for every further frame. Frames are uint8, BGR or grey; boxes xywh. The features of the template are the
    tracker's own, so that several may share a network.
    """

    def __init__(self, model: nn.Module, settings: TrackSettings | Callable[[], TrackSettings]):
        """`settings`, or a function that gives those of the moment, which is asked at every frame."""
        super().__init__(model)
        self._settings = settings if callable(settings) else lambda: settings
        self._grids: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}
        self.center_pos = self.size = self.channel_average = self.zf = None
        model.eval()

    @property
    def settings(self) -> TrackSettings:
        """The settings of the moment."""
        return self._settings()

    @torch.inference_mode()
    def init(self, img: np.ndarray, bbox) -> None:
        """Take the target from a frame (H, W[, C]) and its box xywh. Raises ValueError for a box or frame that is none."""
        x, y, w, h = check_box(bbox)
        img = as_bgr(img)
        self.center_pos = np.array([x + (w - 1) / 2, y + (h - 1) / 2])
        self.size = np.array([w, h])
        self.channel_average = img.mean(axis=(0, 1))
        side = round(self._context_side())
        self.zf = self.model.template(
            self.get_subwindow(img, self.center_pos, self.settings.exemplar_size, side, self.channel_average)
        )

    def track(self, img: np.ndarray) -> dict:
        """Find the target in the next frame: {"bbox": [x, y, w, h], "best_score": float in [0, 1]}. Raises RuntimeError before `init`."""
        img = as_bgr(img)
        best = self._search(img, self.settings.instance_size)
        self._move(best, img.shape[:2])
        return self._answer(best)

    def _answer(self, best: Candidate) -> dict:
        (cx, cy), (w, h) = self.center_pos, self.size
        return {"bbox": [float(cx - w / 2), float(cy - h / 2), float(w), float(h)], "best_score": best.score}

    def _context_side(self) -> float:
        margin = self.settings.context_amount * self.size.sum()
        return float(np.sqrt((self.size[0] + margin) * (self.size[1] + margin)))

    def _grid(self, instance_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Anchors (N, 4) cxcywh and the cosine window (N,) of a search crop."""
        s = self.settings
        key = (instance_size, s.exemplar_size, s.base_size, s.stride, s.ratios, s.scales)
        if key not in self._grids:
            cells = s.score_size(instance_size)
            anchors = tracking_anchors(s.stride, s.ratios, s.scales, cells)
            hanning = np.hanning(cells)
            window = np.tile(np.outer(hanning, hanning).ravel(), len(s.ratios) * len(s.scales))
            self._grids[key] = anchors, window
        return self._grids[key]

    @torch.inference_mode()
    def _search(self, img: np.ndarray, instance_size: int) -> Candidate:
        if self.size is None:
            raise RuntimeError("track() needs a target; call init(frame, box) first")
        s = self.settings
        context = self._context_side()
        scale = s.exemplar_size / context
        side = round(context * (instance_size / s.exemplar_size))
        crop = self.get_subwindow(img, self.center_pos, instance_size, side, self.channel_average)
        outputs = (
            self.model.track(crop) if self.zf is None else self.model.track(crop, self.zf)
        )  # a network of the original's keeps its template itself
        anchors, window = self._grid(instance_size)
        cls, loc = on_host(outputs["cls"], outputs["loc"])
        score = object_scores(cls)
        _check_count(len(score), len(anchors), instance_size)
        boxes = decode_boxes(loc, anchors)
        penalty = np.exp(-(_change_of_shape(boxes, self.size * scale) - 1) * s.penalty_k)
        ranked = penalty * score * (1 - s.window_influence) + window * s.window_influence
        best = int(np.argmax(ranked))
        return Candidate(boxes[best] / scale, float(score[best]), float(penalty[best] * score[best] * s.lr))

    def _move(self, best: Candidate, frame_size: tuple[int, int]) -> None:
        height, width = frame_size
        cx, cy = best.box[:2] + self.center_pos
        w, h = self.size * (1 - best.rate) + best.box[2:] * best.rate
        self.center_pos = np.array([np.clip(cx, 0, width), np.clip(cy, 0, height)])
        self.size = np.array([max(_MIN_SIDE, min(w, width)), max(_MIN_SIDE, min(h, height))])


def on_host(cls: torch.Tensor, loc: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network says, of any two shapes, in the memory of the host, by one copy: each waits for the device."""
    if cls.device.type == "cpu":
        return cls, loc
    both = torch.cat([cls.float().flatten(), loc.float().flatten()]).cpu()
    first, second = both.split([cls.numel(), loc.numel()])
    return first.view(cls.shape), second.view(loc.shape)


def object_scores(cls: torch.Tensor) -> np.ndarray:
    """Probability of `object` per anchor, float32 (N,), of cls (1, 2A, S, S). Raises ValueError if the network gave NaN or infinity."""
    logits = cls.float().reshape(2, -1)
    score = torch.softmax(logits, dim=0)[1].cpu().numpy()
    if not np.isfinite(score).all():
        raise ValueError(
            "the network gave scores that are no numbers: its weights hold NaN or infinity, load another snapshot"
        )
    return score


def decode_boxes(loc: torch.Tensor, anchors: np.ndarray) -> np.ndarray:
    """Boxes (N, 4), centre and size in pixels of the search crop relative to its centre, of loc (1, 4A, S, S) and anchors (N, 4)."""
    delta = loc.float().reshape(4, -1).cpu().numpy().T
    center = delta[:, :2] * anchors[:, 2:] + anchors[:, :2]
    size = np.exp(np.clip(delta[:, 2:], -_MAX_LOG_RATIO, _MAX_LOG_RATIO)) * anchors[:, 2:]
    return np.concatenate([center, size], axis=1)


def _change_of_shape(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Change of scale times change of aspect of boxes (N, 4) against `size` (w, h), each at least 1."""
    scale = _padded_side(boxes[:, 2], boxes[:, 3]) / _padded_side(*size)
    aspect = (size[0] / size[1]) / (boxes[:, 2] / boxes[:, 3])
    return np.maximum(scale, 1 / scale) * np.maximum(aspect, 1 / aspect)


def _padded_side(w, h):
    pad = (w + h) * 0.5
    return np.sqrt((w + pad) * (h + pad))


def _check_count(got: int, expected: int, instance_size: int) -> None:
    if got != expected:
        raise ValueError(
            f"the network gives {got} scores for a crop of {instance_size} pixels, TRACK and ANCHOR describe {expected}; correct TRACK.BASE_SIZE"
        )
