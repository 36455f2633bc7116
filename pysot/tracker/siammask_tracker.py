"""Tracker of SiamMask: the target's mask and the rotated box around it. Paper: Wang et al., 2019."""

from typing import Any

import numpy as np

from pysot.tracker.siamrpn_tracker import SiamRPNTracker


class MaskOutputs(dict):
    """Outputs of a frame; "mask" is laid back into the frame when it is asked for."""

    def __missing__(self, key: str) -> np.ndarray:
        if key != "mask":
            raise KeyError(key)
        self[key] = self["target_mask"].in_frame()
        return self[key]


class SiamMaskTracker(SiamRPNTracker):
    """SiamRPNTracker that also returns masks. Its network has a mask branch with refinement."""

    masks = True

    def track(self, img: np.ndarray, with_mask: bool | None = None) -> dict[str, Any]:
        """Find the target in the next frame. Errors are those of `SiamRPNTracker.track`.

        Returns {"bbox": [x, y, w, h], "best_score": confidence in [0, 1], "polygon": 8 numbers, "target_mask":
        `TargetMask`}, and with `with_mask` (default: TRACK.MASK_OUTPUT) "mask": probabilities of the frame's pixels,
        (H, W) float32. Without, outputs["mask"] computes them at its first use.
        """
        outputs = MaskOutputs(super().track(img))
        outputs["target_mask"] = target = self.batch.masks[0]
        outputs["polygon"] = target.polygon().tolist()
        if self.settings.mask_output if with_mask is None else with_mask:
            outputs["mask"] = target.in_frame()
        return outputs
