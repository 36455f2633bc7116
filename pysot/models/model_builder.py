"""Build the network of a config."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from yacs.config import CfgNode

from pysot.core.config import cfg as global_cfg
from pysot.models.backbone import BACKBONES
from pysot.models.head import BAN_HEADS, HEADS
from pysot.models.head.mask import MASK_HEADS, REFINE_HEADS, Cells, MaskFeatures
from pysot.models.loss import siamrpn_loss
from pysot.models.mask_loss import choose_cells, enlarge_masks, mask_loss, mask_windows, object_cells
from pysot.models.neck import NECKS
from pysot.models.point_loss import point_loss
from pysot.models.siamban import SiamBAN
from pysot.models.siammask import SiamMask
from pysot.models.siamrpn import Features, SiamRPN
from pysot.utils.registry import construct


class _ByConfig(type):
    """Type of ModelBuilder: a call for a config with MASK.MASK or BAN.BAN makes another builder."""

    def __call__(cls, cfg: CfgNode | None = None) -> Any:
        cfg = global_cfg if cfg is None else cfg
        if cls is not ModelBuilder:
            return type.__call__(cls, cfg)
        if cfg.BAN.BAN:
            return type.__call__(PointModelBuilder, cfg)
        return type.__call__(MaskModelBuilder if cfg.MASK.MASK else cls, cfg)


class Prediction(NamedTuple):
    """Outputs for B pairs: cls (B, 2A, S, S), loc (B, 4A, S, S), and a function, if the network has masks.

    Without anchors A is 1 and loc are distances, see `SiamBAN`.
    masks(cells) returns the logits (K, 127 * 127) of the masks of cells.
    """

    cls: torch.Tensor
    loc: torch.Tensor
    masks: Callable[[Cells], torch.Tensor] | None = None


class ModelBuilder(SiamRPN, metaclass=_ByConfig):
    """SiamRPN with the interface of the original package.

    Call `template(z)` once, then `track(x)`; `forward` on a training batch returns the losses. Without an argument the
    network is built from the global `cfg`. With MASK.MASK it is a `MaskModelBuilder`, with BAN.BAN a
    `PointModelBuilder`.
    """

    def __init__(self, cfg: CfgNode):
        super().__init__(*_parts(cfg))
        self._loss_weights = _loss_weights(cfg)
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
        cls, loc = self._head(self._template_features(zf), self.features(x))
        return {"cls": cls, "loc": loc}

    def _template_features(self, zf: Features | None) -> Features:
        zf = self.zf if zf is None else zf
        if zf is None:
            raise RuntimeError("track() needs template features; call template(z) or tracker.init first")
        return zf

    def predict(self, data: dict[str, torch.Tensor]) -> Prediction:
        """Return the outputs for the pairs of a training batch."""
        output = SiamRPN.forward(self, data["template"], data["search"])
        return Prediction(output["cls"], output["loc"])

    # The original's forward takes a batch and returns losses, unlike the one of SiamRPN.
    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Return the losses of a batch: scalars total_loss, cls_loss and loc_loss.

        The batch holds template, search, label_cls, label_loc and label_loc_weight.
        """
        output = super().forward(data["template"], data["search"])
        _check_score_size(output["cls"], data["label_cls"])
        return siamrpn_loss(output, data, **self._loss_weights)


class MaskModelBuilder(SiamMask, ModelBuilder):
    """SiamMask with the interface of the original package: `mask_refine(pos)` may follow `track(x)`.

    `forward` trains the masks of cells with positive anchors, with REFINE.REFINE the refined masks alone.
    """

    def __init__(self, cfg: CfgNode):
        mask_head = construct(MASK_HEADS, cfg.MASK, key="MASK")
        refine_head = construct(REFINE_HEADS, cfg.REFINE, key="REFINE") if cfg.REFINE.REFINE else None
        backbone, neck, rpn_head = _parts(cfg)
        if neck is None:
            raise ValueError("MASK.MASK needs a neck of one level; set ADJUST.ADJUST to true")
        SiamMask.__init__(self, backbone, neck, rpn_head, mask_head, refine_head)
        train = cfg.TRAIN
        self._loss_weights = _loss_weights(cfg)
        self._mask_weight, self._cells_per_pair = train.MASK_WEIGHT, train.MASK_CELLS
        self._stride, self._margin = cfg.ANCHOR.STRIDE, (cfg.TRACK.BASE_SIZE - train.BASE_SIZE) // 2
        self.zf = None
        self._mask_features: MaskFeatures | None = None

    def track(self, x: torch.Tensor, zf: Features | None = None) -> dict[str, torch.Tensor]:
        """Return the outputs {"cls", "loc", "mask"} for search crops x (B, 3, H, H), and store what a refinement needs.

        `mask` (B, 63 * 63, S, S) are the logits of a mask along the channels of each cell.
        """
        z = self._template_features(zf)
        features, levels = self.search_features(x)
        cls, loc = self.rpn_head(z, features)
        correlation = self.mask_head.correlation(self.mask_head.conv_kernel(z), features)
        self._mask_features = MaskFeatures.of(levels, correlation) if hasattr(self, "refine_head") else None
        return {"cls": cls, "loc": loc, "mask": self.mask_head.head(correlation)}

    def mask_refine(self, pos: Sequence[int] | Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the logits (K, 127 * 127) of refined masks at `pos`, row and column of cells in the last search crops.

        These are two numbers, a cell in each crop, or two tensors (K,): with one crop K of its cells, otherwise a cell
        per crop. Raises RuntimeError without a `track` call before, or without a refinement, ValueError for another
        number of cells.
        """
        features = self._mask_features
        if features is None:
            raise RuntimeError("mask_refine() needs REFINE.REFINE and the features of a track(x) call before it")
        crops, device = len(features.correlation), features.correlation.device
        rows, columns = (torch.as_tensor(index, device=device).reshape(-1) for index in pos)
        if len(rows) == 1:
            rows, columns = rows.expand(crops), columns.expand(crops)
        if crops > 1 and len(rows) != crops:
            raise ValueError(f"expected one cell, or one for each of {crops} search crops, got {len(rows)}")
        samples = torch.arange(crops, device=device) if crops > 1 else torch.zeros_like(rows)
        return self.refine(features, Cells(samples, rows, columns))

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Return the losses of a batch: scalars as ModelBuilder's, and those of `mask_loss`.

        With a refinement they are total_loss and those of `mask_loss`. Beside its other labels the batch holds
        search_mask (B, H, H), 1 in the object, has_mask (B,), and cell_keys (B, S, S), see `choose_cells`.
        """
        label = data["label_cls"]
        wanted = object_cells(label, data["has_mask"])
        cells, is_wanted = choose_cells(wanted, data["cell_keys"], self._cells_per_pair * len(label))
        target = mask_windows(data["search_mask"], cells, wanted.shape[-1], self._stride)
        z, x, predict_masks = self._mask_parts(data)
        losses: dict[str, torch.Tensor] = {"total_loss": x.new_zeros((), dtype=torch.float32)}
        if not hasattr(self, "refine_head"):
            cls, loc = self.rpn_head(z, x)
            losses = siamrpn_loss({"cls": cls, "loc": loc}, data, **self._loss_weights)
        logits = predict_masks(cells)
        masks = mask_loss(logits, target, is_wanted)
        return {**losses, "total_loss": losses["total_loss"] + self._mask_weight * masks["mask_loss"], **masks}

    def predict(self, data: dict[str, torch.Tensor]) -> Prediction:
        z, x, predict_masks = self._mask_parts(data)
        cls, loc = self.rpn_head(z, x)
        return Prediction(cls, loc, predict_masks)

    def _mask_parts(
        self, data: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, Callable[[Cells], torch.Tensor]]:
        """Return the features of template and search crops of a training batch, and `Prediction.masks`."""
        z = self.features(data["template"])
        x, levels = self.search_features(data["search"], self._margin)
        correlation = self.mask_head.correlation(self.mask_head.conv_kernel(z), x)
        _check_score_size(correlation, data["label_cls"])
        if hasattr(self, "refine_head"):
            return z, x, lambda cells: self.refine(MaskFeatures.of(levels, correlation), cells)
        return z, x, lambda cells: enlarge_masks(self.mask_head.masks_of(correlation, cells))


class PointModelBuilder(SiamBAN, ModelBuilder):
    """Network without anchors with the interface of the original package."""

    def __init__(self, cfg: CfgNode):
        SiamBAN.__init__(self, *_parts(cfg))
        self._loss_weights = _loss_weights(cfg)
        self.zf = None

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Return the losses of a batch: scalars total_loss, cls_loss and loc_loss.

        The batch holds template, search, label_cls (B, S, S) and label_loc (B, 4, S, S), see `point_loss`.
        """
        output = SiamRPN.forward(self, data["template"], data["search"])
        _check_score_size(output["cls"], data["label_cls"])
        return point_loss(output, data, **self._loss_weights)


def _loss_weights(cfg: CfgNode) -> dict[str, float]:
    return {"cls_weight": cfg.TRAIN.CLS_WEIGHT, "loc_weight": cfg.TRAIN.LOC_WEIGHT}


def _parts(cfg: CfgNode) -> tuple[nn.Module, nn.Module | None, nn.Module]:
    """Return backbone, neck and head of a config."""
    neck = construct(NECKS, cfg.ADJUST, key="ADJUST") if cfg.ADJUST.ADJUST else None
    backbone = construct(BACKBONES, cfg.BACKBONE, key="BACKBONE")
    head = construct(BAN_HEADS, cfg.BAN, key="BAN") if cfg.BAN.BAN else construct(HEADS, cfg.RPN, key="RPN")
    return backbone, neck, head


def build_model(cfg: CfgNode) -> ModelBuilder:
    """Return the network of a config, with random weights.

    Raises ValueError for an unknown type and for arguments that a type does not accept.
    """
    return ModelBuilder(cfg)


def _check_score_size(cls: torch.Tensor, label: torch.Tensor) -> None:
    if cls.shape[-2:] != label.shape[-2:]:
        raise ValueError(
            f"TRAIN.OUTPUT_SIZE: the network returns {cls.shape[-1]} cells per side, but the labels have "
            f"{label.shape[-1]}. Set OUTPUT_SIZE to {cls.shape[-1]} and, with anchors, adapt BASE_SIZE"
        )
