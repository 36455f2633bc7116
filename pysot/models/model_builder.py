"""Build the network of a config."""

import torch
from yacs.config import CfgNode

from pysot.core.config import cfg as global_cfg
from pysot.models.backbone import BACKBONES
from pysot.models.head import HEADS
from pysot.models.loss import siamrpn_loss
from pysot.models.neck import NECKS
from pysot.models.siamrpn import Features, SiamRPN
from pysot.utils.registry import construct


class ModelBuilder(SiamRPN):
    """SiamRPN with the interface of the original package.

    Call `template(z)` once, then `track(x)`; `forward` on a training batch returns the losses. Without an argument the
    network is built from the global `cfg`.
    """

    def __init__(self, cfg: CfgNode | None = None):
        cfg = global_cfg if cfg is None else cfg
        if cfg.MASK.MASK:
            raise ValueError(
                "MASK.MASK is true, but the mask branch of SiamMask is not implemented; "
                "set MASK.MASK and REFINE.REFINE to false"
            )
        neck = construct(NECKS, cfg.ADJUST, key="ADJUST") if cfg.ADJUST.ADJUST else None
        backbone = construct(BACKBONES, cfg.BACKBONE, key="BACKBONE")
        super().__init__(backbone, neck, construct(HEADS, cfg.RPN, key="RPN"))
        self._loss_weights = {"cls_weight": cfg.TRAIN.CLS_WEIGHT, "loc_weight": cfg.TRAIN.LOC_WEIGHT}
        self.zf: Features | None = None

    def template(self, z: torch.Tensor) -> Features:
        """Return the features of the template crop z (1, 3, 127, 127), and store them for `track`."""
        self.zf = self.features(z)
        return self.zf

    def track(self, x: torch.Tensor, zf: Features | None = None) -> dict[str, torch.Tensor]:
        """Return the outputs {"cls", "loc"} for a search crop x (1, 3, H, H).

        `zf` are the features of a template, by default those of the last `template` call. Raises RuntimeError if there
        was no such call.
        """
        zf = self.zf if zf is None else zf
        if zf is None:
            raise RuntimeError("track() needs template features; call template(z) or tracker.init first")
        cls, loc = self.rpn_head(zf, self.features(x))
        return {"cls": cls, "loc": loc}

    # The original's forward takes a batch and returns losses, unlike the one of SiamRPN.
    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Return the losses of a batch: scalars total_loss, cls_loss and loc_loss.

        The batch holds template, search, label_cls, label_loc and label_loc_weight.
        """
        output = super().forward(data["template"], data["search"])
        _check_score_size(output["cls"], data["label_cls"])
        return siamrpn_loss(output, data, **self._loss_weights)


def build_model(cfg: CfgNode) -> ModelBuilder:
    """Return the network of a config, with random weights.

    Raises ValueError for an unknown type and for arguments that a type does not accept.
    """
    return ModelBuilder(cfg)


def _check_score_size(cls: torch.Tensor, label: torch.Tensor) -> None:
    if cls.shape[-2:] != label.shape[-2:]:
        raise ValueError(
            f"TRAIN.OUTPUT_SIZE: the network returns {cls.shape[-1]} cells per side, but the labels have "
            f"{label.shape[-1]}. Set OUTPUT_SIZE to {cls.shape[-1]} and adapt BASE_SIZE"
        )
