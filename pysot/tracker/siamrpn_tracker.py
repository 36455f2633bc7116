"""Short-term tracker of SiamRPN (section 3.4 of the paper) for one target."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from pysot.models.siamban import SiamBAN
from pysot.models.siamrpn import SiamRPN
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.own_template_network import OwnTemplateNetwork
from pysot.tracker.settings import Execution, TrackSettings
from pysot.tracker.torch_network import TorchNetwork
from pysot.utils.image import as_bgr


class SiamRPNTracker:
    """Tracker with `init(frame, box)` for the first frame and `track(frame)` for every further frame.

    Frames are uint8, BGR or grey; boxes are xywh in pixels. It is a BatchTracker of one slot. Each tracker has its own
    template, so that several trackers, also in several threads, may share a network.
    """

    long_term = False
    masks = False
    points = False  # the network has no anchors

    def __init__(
        self,
        model: nn.Module,
        settings: TrackSettings | Callable[[], TrackSettings],
        execution: Execution | None = None,
    ):
        """Take `settings`, or a function that returns the current settings and is called at every frame."""
        self.model: Any = model.eval()
        self.batch = BatchTracker(
            network_of(model, execution or Execution(), settings, self.masks), settings, long_term=self.long_term
        )

    @property
    def settings(self) -> TrackSettings:
        """Current settings."""
        return self.batch.settings

    @property
    def center_pos(self) -> np.ndarray | None:
        """Centre (x, y) of the target in pixels of the frame, None before `init`."""
        return self.batch.targets[0, :2].copy() if self.batch.active[0] else None

    @property
    def size(self) -> np.ndarray | None:
        """Width and height of the target in pixels of the frame, None before `init`."""
        return self.batch.targets[0, 2:].copy() if self.batch.active[0] else None

    def init(self, img: np.ndarray, bbox: Sequence[float] | np.ndarray) -> None:
        """Start on a frame (H, W[, C]) and the target box xywh. Raises ValueError for an invalid box or frame."""
        self.batch.start([0], [img], [bbox])

    def track(self, img: np.ndarray) -> dict[str, Any]:
        """Find the target in the next frame.

        Returns {"bbox": [x, y, w, h], "best_score": confidence in [0, 1]}. Raises RuntimeError before `init`, and
        ValueError for an invalid frame, and if the network returns NaN or infinity; then the target has to start again.
        """
        if not self.batch.active[0]:
            raise RuntimeError("track() needs a target; call init(frame, box) first")
        boxes, confidences = self.batch.track([as_bgr(img)])
        if self.batch.failures:
            raise self.batch.failures[0]
        return {"bbox": boxes[0].tolist(), "best_score": float(confidences[0])}


def network_of(
    model: nn.Module, execution: Execution, settings: TrackSettings | Callable[[], TrackSettings], masks: bool
) -> TorchNetwork | OwnTemplateNetwork:
    """Return the network of a tracker for a model of this package, or with the interface of the original package.

    Raises ValueError for a tracker of `masks` whose model has no mask branch or no refinement, and for a tracker with
    anchors whose model has none, or the other way round.
    """
    current = settings() if callable(settings) else settings
    if isinstance(model, SiamRPN) and isinstance(model, SiamBAN) != current.points:
        raise ValueError(_family_error(current.points))
    if masks and not has_masks(model):
        raise ValueError(
            f"SiamMaskTracker needs a network with a mask branch and its refinement, this {type(model).__name__} lacks "
            "them; load a SiamMask network (MASK.MASK and REFINE.REFINE true), or set TRACK.TYPE to SiamRPNTracker"
        )
    if not isinstance(model, SiamRPN):
        return OwnTemplateNetwork(model, masks)
    return TorchNetwork(model, execution, (current.exemplar_size, current.instance_size), masks)


def _family_error(points: bool) -> str:
    """Return why a tracker with `points` or anchors does not fit its network."""
    if points:
        return (
            "this tracker is for networks without anchors, but the network has anchors (BAN.BAN false): set TRACK.TYPE "
            "to SiamRPNTracker, or use a config with BAN.BAN true and its weights"
        )
    return (
        "this tracker is for networks with anchors, but the network has none (BAN.BAN true): set TRACK.TYPE to "
        "SiamBANTracker, or use a config with a head of RPN and its weights"
    )


def has_masks(model: nn.Module) -> bool:
    """Return whether a model has a mask branch with refinement."""
    return hasattr(model, "refine_head") or (not isinstance(model, SiamRPN) and hasattr(model, "mask_refine"))
