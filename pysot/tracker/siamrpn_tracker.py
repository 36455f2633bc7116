"""Short-term tracker of SiamRPN (section 3.4 of the paper) for one target."""

from collections.abc import Callable
from typing import Any

from torch import nn

from pysot.models.siamban import SiamBAN
from pysot.models.siamrpn import SiamRPN
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.one_target import OneTargetTracker
from pysot.tracker.own_template_network import OwnTemplateNetwork
from pysot.tracker.settings import Execution, TrackSettings
from pysot.tracker.torch_network import TorchNetwork


class SiamRPNTracker(OneTargetTracker):
    """OneTargetTracker of a network of torch.

    Each tracker has its own template, so that several trackers, also in several threads, may share a network.
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
        network = network_of(model, execution or Execution(), settings, self.masks)
        super().__init__(BatchTracker(network, settings, long_term=self.long_term))


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
