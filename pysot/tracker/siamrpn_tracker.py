"""Short-term tracker of SiamRPN (section 3.4 of the paper).

Each frame is cropped around the last position; the anchors are scored, penalised for changes of shape, and the size is
smoothed. Shapes: N = A * S * S anchors of the search crop. Positions and sizes are pixels of the frame unless stated
otherwise.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from pysot.models.siamrpn import Features
from pysot.tracker.base_tracker import SiameseTracker, TrackSettings, check_box
from pysot.utils.anchor import tracking_anchors
from pysot.utils.image import as_bgr

_MAX_LOG_RATIO = 12.0  # keeps exp() finite for the outputs of untrained networks
_MIN_SIDE = 10


class Candidate(NamedTuple):
    """Best anchor of a frame.

    `box` is relative to the last centre (dx, dy, w, h); `size_rate` is the share of its size in the smoothed size.
    """

    box: np.ndarray
    confidence: float
    size_rate: float


class SiamRPNTracker(SiameseTracker):
    """Tracker with `init(frame, box)` for the first frame and `track(frame)` for every further frame.

    Frames are uint8, BGR or grey; boxes are xywh. Each tracker stores the features of its template, so that several may
    share a network.
    """

    def __init__(self, model: nn.Module, settings: TrackSettings | Callable[[], TrackSettings]):
        """Take `settings`, or a function that returns the current settings and is called at every frame."""
        super().__init__(model)
        self._settings: Callable[[], TrackSettings] = settings if callable(settings) else lambda: settings
        self._grids: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}
        self.center_pos: np.ndarray | None = None
        self.size: np.ndarray | None = None
        self.channel_average: np.ndarray | None = None
        self.zf: Features | None = None
        model.eval()

    @property
    def settings(self) -> TrackSettings:
        """Current settings."""
        return self._settings()

    @torch.inference_mode()
    def init(self, img: np.ndarray, bbox: Sequence[float] | np.ndarray) -> None:
        """Start on a frame (H, W[, C]) and the target box xywh. Raises ValueError for an invalid box or frame."""
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
        """Find the target in the next frame.

        Returns {"bbox": [x, y, w, h], "best_score": confidence in [0, 1]}. Raises RuntimeError before `init`.
        """
        img = as_bgr(img)
        best = self._search(img, self.settings.instance_size)
        self._update_target(best, img.shape[:2])
        return self._output(best)

    def _output(self, best: Candidate) -> dict:
        assert self.center_pos is not None and self.size is not None
        (cx, cy), (w, h) = self.center_pos, self.size
        return {"bbox": [float(cx - w / 2), float(cy - h / 2), float(w), float(h)], "best_score": best.confidence}

    def _context_side(self) -> float:
        """Return the side of the template crop in pixels of the frame: target size plus context margin."""
        assert self.size is not None
        margin = self.settings.context_amount * self.size.sum()
        return float(np.sqrt((self.size[0] + margin) * (self.size[1] + margin)))

    def _grid(self, instance_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the anchors (N, 4) cxcywh and the cosine window (N,) of a search crop."""
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
        if self.size is None or self.center_pos is None or self.channel_average is None:
            raise RuntimeError("track() needs a target; call init(frame, box) first")
        s = self.settings
        context = self._context_side()
        scale = s.exemplar_size / context
        side = round(context * (instance_size / s.exemplar_size))
        crop = self.get_subwindow(img, self.center_pos, instance_size, side, self.channel_average)
        # Networks of the original package store their template themselves, and template() returns None.
        outputs = self.model.track(crop) if self.zf is None else self.model.track(crop, self.zf)
        anchors, window = self._grid(instance_size)
        cls, loc = copy_to_host(outputs["cls"], outputs["loc"])
        confidence = object_confidences(cls)
        _check_count(len(confidence), len(anchors), instance_size)
        boxes = decode_boxes(loc, anchors)
        penalty = np.exp(-(_shape_change(boxes, self.size * scale) - 1) * s.penalty_k)
        ranking = penalty * confidence * (1 - s.window_influence) + window * s.window_influence
        best = int(np.argmax(ranking))
        size_rate = float(penalty[best] * confidence[best] * s.lr)
        return Candidate(boxes[best] / scale, float(confidence[best]), size_rate)

    def _update_target(self, best: Candidate, frame_size: tuple[int, ...]) -> None:
        """Move the centre to the best anchor and smooth the size, both limited to the frame (height, width)."""
        assert self.center_pos is not None and self.size is not None
        height, width = frame_size
        cx, cy = best.box[:2] + self.center_pos
        w, h = self.size * (1 - best.size_rate) + best.box[2:] * best.size_rate
        self.center_pos = np.array([np.clip(cx, 0, width), np.clip(cy, 0, height)])
        self.size = np.array([max(_MIN_SIDE, min(w, width)), max(_MIN_SIDE, min(h, height))])


def copy_to_host(cls: torch.Tensor, loc: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Copy two tensors of any shapes to the host in one transfer, because each transfer waits for the device."""
    if cls.device.type == "cpu":
        return cls, loc
    both = torch.cat([cls.float().flatten(), loc.float().flatten()]).cpu()
    first, second = both.split([cls.numel(), loc.numel()])
    return first.view(cls.shape), second.view(loc.shape)


def object_confidences(cls: torch.Tensor) -> np.ndarray:
    """Return the probability of `object` per anchor, float32 (N,), from cls (1, 2A, S, S).

    Raises ValueError if the network returned NaN or infinity.
    """
    logits = cls.float().reshape(2, -1)
    confidence = torch.softmax(logits, dim=0)[1].cpu().numpy()
    if not np.isfinite(confidence).all():
        raise ValueError(
            "the network returned non-finite scores: its weights contain NaN or infinity, load another snapshot"
        )
    return confidence


def decode_boxes(loc: torch.Tensor, anchors: np.ndarray) -> np.ndarray:
    """Return the boxes (N, 4) for loc (1, 4A, S, S) and anchors (N, 4).

    Boxes are centre and size in pixels of the search crop, relative to its centre.
    """
    delta = loc.float().reshape(4, -1).cpu().numpy().T
    center = delta[:, :2] * anchors[:, 2:] + anchors[:, :2]
    size = np.exp(np.clip(delta[:, 2:], -_MAX_LOG_RATIO, _MAX_LOG_RATIO)) * anchors[:, 2:]
    return np.concatenate([center, size], axis=1)


def _shape_change(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return change of scale times change of aspect ratio of boxes (N, 4) against `size` (w, h), each at least 1."""
    scale = _padded_side(boxes[:, 2], boxes[:, 3]) / _padded_side(*size)
    aspect = (size[0] / size[1]) / (boxes[:, 2] / boxes[:, 3])
    return np.maximum(scale, 1 / scale) * np.maximum(aspect, 1 / aspect)


def _padded_side(w: np.ndarray, h: np.ndarray) -> np.ndarray:
    pad = (w + h) * 0.5
    return np.sqrt((w + pad) * (h + pad))


def _check_count(got: int, expected: int, instance_size: int) -> None:
    if got != expected:
        raise ValueError(
            f"the network returns {got} scores for a crop of {instance_size} pixels, but TRACK and ANCHOR describe "
            f"{expected}; correct TRACK.BASE_SIZE"
        )
