"""Kinds of trackers and backbones that weights belong to, recognised by the names of the weights."""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

MASK_PARTS = ("mask_head", "refine_head")  # of SiamMask
_WRAPPERS = re.compile(r"^((module|model|_orig_mod)\.)+")


class Family(NamedTuple):
    """Kind of tracker: its name, a part that only its networks have, what it tracks with, and an experiment."""

    name: str
    part: str
    means: str
    experiment: str


# The order matters: a SiamMask has an rpn_head too.
_FAMILIES = (
    Family("SiamMask", "mask_head", "anchors and masks", "siammask_r50_l3"),
    Family("SiamRPN", "rpn_head", "anchors", "siamrpn_r50_l234_dwxcorr"),
    Family("NanoTrack", "ban_head", "points, without anchors", "nanotrackv3"),
    Family("SiamBAN", "head", "points, without anchors", "siamban_r50_l234"),
)


def family_of(names: Collection[str]) -> Family | None:
    """Return the kind of tracker that names of weights belong to; None for a backbone or others."""
    parts = {_WRAPPERS.sub("", name).partition(".")[0] for name in names}
    return next((family for family in _FAMILIES if family.part in parts), None)


def family_difference(own: Collection[str], found: Collection[str]) -> str:
    """Return the end of a sentence if weights `found` are of another kind of tracker than a network's `own`; else "".

    A SiamMask checkpoint without the refinement of masks is of another kind than a network with it.
    """
    wanted, got = family_of(own), family_of(found)
    if wanted is None or got is None:
        return ""
    if wanted == got or {wanted.part, got.part} == {"rpn_head", "mask_head"}:
        return _mask_difference(own, found)
    return (
        f"is a checkpoint of {got.name} ({got.means}), and this network is a {wanted.name} ({wanted.means}). Load a "
        f"checkpoint of {wanted.name}, or use the config that this one was trained with, such as that of "
        f"experiments/{got.experiment}"
    )


def _mask_difference(own: Collection[str], found: Collection[str]) -> str:
    """Return the end of a sentence if only one of two networks has SiamMask's parts, or some of them; else ""."""
    if not any(name.startswith("rpn_head.") for name in found):
        return ""
    wanted, got = (
        [part for part in MASK_PARTS if any(name.startswith(f"{part}.") for name in names)] for names in (own, found)
    )
    missing, unused = ([part for part in a if part not in b] for a, b in ((wanted, got), (got, wanted)))
    if missing and not got:
        return (
            f"is a SiamRPN checkpoint without {' and '.join(missing)}, the mask branch of this SiamMask network. Load "
            "a SiamMask checkpoint, or use the config that this one was trained with (MASK.MASK false)"
        )
    if missing:
        return (
            f"is a SiamMask checkpoint without {' and '.join(missing)}. Load one that was trained with REFINE.REFINE "
            "true, in the second stage; to start that stage from this one, name it in TRAIN.PRETRAINED"
        )
    if unused:
        return (
            f"is a SiamMask checkpoint: this network has no {' and no '.join(unused)}. Load a checkpoint without, or "
            "use the config that this one was trained with, such as siammask_r50_l3 (MASK.MASK and REFINE.REFINE true)"
        )
    return ""


def torchvision_architecture(state: Mapping[str, Any]) -> str:
    """Return the architecture of weights in torchvision's layout; "" for any other layout."""
    shortcut = state.get("layer2.0.downsample.0.weight")
    if "conv1.weight" in state and shortcut is not None and shortcut.shape[-1] == 1:
        if "layer1.0.conv3.weight" in state:
            return "resnet50"
        return "resnet34" if "layer3.5.conv1.weight" in state else "resnet18"
    if {"features.0.weight", "features.10.weight", "classifier.1.weight"} <= state.keys():
        return "alexnet"
    return "mobilenetv2" if {"features.0.0.weight", "features.18.0.weight"} <= state.keys() else ""
