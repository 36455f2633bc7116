"""Build the network that a config describes."""

import torch
from yacs.config import CfgNode

from pysot.core.config import cfg as global_cfg
from pysot.models.backbone import BACKBONES
from pysot.models.head import HEADS
from pysot.models.loss import siamrpn_loss
from pysot.models.neck import NECKS
from pysot.models.siamrpn import SiamRPN
from pysot.utils.registry import construct


class ModelBuilder(SiamRPN):
    """SiamRPN with the interface of the original package: `template(z)` once, then `track(x)`; `forward` on a training batch gives the losses.

    Without an argument it is built from the global `cfg`.
    """

    def __init__(self, cfg: CfgNode | None = None):
        cfg = global_cfg if cfg is None else cfg
        if cfg.MASK.MASK:
            raise ValueError(
                "MASK.MASK is true: SiamMask's mask branch is not built here yet; set MASK.MASK and REFINE.REFINE to false"
            )
        neck = construct(NECKS, cfg.ADJUST, key="ADJUST") if cfg.ADJUST.ADJUST else None
        super().__init__(construct(BACKBONES, cfg.BACKBONE, key="BACKBONE"), neck, construct(HEADS, cfg.RPN, key="RPN"))
        self._loss_weights = {"cls_weight": cfg.TRAIN.CLS_WEIGHT, "loc_weight": cfg.TRAIN.LOC_WEIGHT}
        self.zf = None

    def template(self, z: torch.Tensor):
        """The features of the template crop z (1, 3, 127, 127), which are also remembered for `track`."""
        self.zf = self.features(z)
        return self.zf

    def track(self, x: torch.Tensor, zf=None) -> dict[str, torch.Tensor]:
        """Outputs {"cls", "loc"} for a search crop x (1, 3, H, H) and the features `zf` of a template, by default those of the last `template`. Raises
        RuntimeError before any.
        """
        zf = self.zf if zf is None else zf
        if zf is None:
            raise RuntimeError("track() needs a template; call template(z) (or tracker.init) first")
        cls, loc = self.rpn_head(zf, self.features(x))
        return {"cls": cls, "loc": loc}

    def forward(self, data: dict) -> dict[str, torch.Tensor]:
        """Losses of a batch {template, search, label_cls, label_loc, label_loc_weight}: scalars total_loss, cls_loss, loc_loss."""
        output = super().forward(data["template"], data["search"])
        _check_score_size(output["cls"], data["label_cls"])
        return siamrpn_loss(output, data, **self._loss_weights)


def build_model(cfg: CfgNode) -> ModelBuilder:
    """The network of a config, weights random. Raises ValueError for an unknown type and for arguments that a type does not take."""
    return ModelBuilder(cfg)


def _check_score_size(cls: torch.Tensor, label: torch.Tensor) -> None:
    if cls.shape[-2:] != label.shape[-2:]:
        raise ValueError(
            f"TRAIN.OUTPUT_SIZE: the network gives {cls.shape[-1]} cells per side, the labels have {label.shape[-1]}. "
            f"Set OUTPUT_SIZE to {cls.shape[-1]} (and BASE_SIZE to fit)"
        )
