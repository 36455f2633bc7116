"""Steps that all processes skip together, because the loss or gradients of one are non-finite or have exploded."""

import logging
from collections.abc import Callable

import torch
from torch import nn

logger = logging.getLogger(__name__)

# All decisions are comparisons that hold only for valid values. NaN and infinity fail them, and so do the largest
# floats, which a saturating chip returns instead of infinity. Nothing relies on NaN to propagate, because such a chip
# may replace it by 0.
LARGEST_LOSS = 1e4  # as in the original: a larger loss means that the batch or the network is broken
# Rounding to float32 changes weights of norm 10 by 1e-6. With a gradient above this norm, that alone would change the
# loss by more than LARGEST_LOSS, so the direction of the gradient has no meaning.
LARGEST_NORM = 1e10
# Reached by activations of 1e10 everywhere, whose gradients are far above LARGEST_NORM. Saturated activations leave at
# least the root of the largest float32, 1.8e19.
LARGEST_STATISTIC = 1e20
MAX_IN_A_ROW = 50
REMEDY = "Lower TRAIN.BASE_LR, check the pretrained weights and the data, or resume from an earlier checkpoint"


@torch.no_grad()
def is_bad_batch(loss: torch.Tensor, statistics: list[torch.Tensor]) -> torch.Tensor:
    """Return whether the step after a forward pass must be skipped, a scalar bool on the device.

    The decision depends on the loss and on the batch-norm `statistics` after the pass, see `flat_statistics`.
    """
    bad = ~(loss <= LARGEST_LOSS)
    for flat in statistics:
        if flat.is_floating_point():
            bad = bad | ~(flat.abs().amax() <= LARGEST_STATISTIC)
    return bad


def is_bad_norm(norm: torch.Tensor) -> torch.Tensor:
    """Return whether gradients of this total norm, a scalar tensor, are unusable."""
    return ~(norm <= LARGEST_NORM)


@torch.no_grad()
def flat_statistics(model: nn.Module) -> list[torch.Tensor]:
    """Concatenate the buffers of all batch-norm layers to one tensor (N,) per type; the layers get views of them.

    The buffers are running means and variances, and counts of batches. The list is empty for a network without any.
    A bad batch would change them permanently, so they are restored after a skipped step; on a concatenated tensor this
    takes two operators.
    """
    flats = []
    for dtype in sorted({buffer.dtype for buffer in model.buffers()}, key=str):
        buffers = [buffer for buffer in model.buffers() if buffer.dtype == dtype]
        flats.append(torch.cat([buffer.reshape(-1) for buffer in buffers]))
        for buffer, part in zip(buffers, flats[-1].split([buffer.numel() for buffer in buffers]), strict=True):
            buffer.data = part.view_as(buffer)
    return flats


class SkippedSteps:
    """Count of skipped steps.

    Flags are set on the device and read together with the losses, at least every `window` steps.
    `describe(epoch, step)` names the training items of this process in a step of an epoch, both from 0.
    """

    def __init__(self, window: int, device: torch.device, describe: Callable[[int, int], str] | None = None):
        # The first row marks skipped steps, the second row those skipped because of this process's own batch.
        self.flags = torch.zeros(2, window, device=device)
        self.describe = describe
        self.total = 0
        self.in_a_row = 0
        self.counted = 0

    def mark(self, step: int, skipped: torch.Tensor, bad_own_batch: torch.Tensor) -> None:
        """Record on the device whether step number `step` (from 0) was `skipped`, and whether by the own batch."""
        column = self.flags[:, step % self.flags.shape[1]]
        column[0] = skipped
        column[1] = bad_own_batch

    def count(self, skipped: list[float], steps: int, epoch: int, epoch_start: int) -> None:
        """Count the skipped steps up to number `steps`.

        `skipped` is the first row of flags, averaged over all processes. Raises RuntimeError after MAX_IN_A_ROW skipped
        steps in a row.
        """
        own = self.flags[1].tolist() if any(skipped) else []
        self.flags.zero_()
        for step in range(self.counted, steps):
            if skipped[step % len(skipped)] == 0:
                self.in_a_row = 0
                continue
            self.total += 1
            self.in_a_row += 1
            cause = self._describe_cause(own[step % len(own)] > 0, epoch, step - epoch_start)
            logger.warning(
                "step %d skipped by all processes: its loss or gradients are non-finite or too large. %s",
                step + 1,
                cause,
            )
            if self.in_a_row >= MAX_IN_A_ROW:
                raise RuntimeError(
                    f"{MAX_IN_A_ROW} steps in a row had a loss or gradients that are non-finite or too large, "
                    f"the last at step {step + 1}. {cause}. {REMEDY}"
                )
        self.counted = steps

    def check_epoch(self, epoch: int, steps: int, total_before: int) -> None:
        """Raise RuntimeError if all `steps` steps of an epoch, after `total_before` skipped steps, were skipped."""
        if self.total - total_before == steps > 0:
            raise RuntimeError(
                f"every step of epoch {epoch + 1} had a loss or gradients that are non-finite or too large; "
                f"nothing was saved. {REMEDY}"
            )

    def _describe_cause(self, bad_own_batch: bool, epoch: int, step: int) -> str:
        if not bad_own_batch:
            return "The loss of this process was valid"
        items = f", its items: {self.describe(epoch, step)}" if self.describe else ""
        return f"The loss of this process is the cause{items}"

    def state_dict(self) -> dict:
        """Return the counts that a resumed training run needs, as plain numbers."""
        return {
            "flags": self.flags[0].tolist(),
            "total": self.total,
            "in_a_row": self.in_a_row,
            "counted": self.counted,
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue with the counts of a checkpoint, and with its flags if the window is the same."""
        self.total = state["total"]
        self.in_a_row = state["in_a_row"]
        if len(state["flags"]) == self.flags.shape[1]:
            self.flags[0] = torch.tensor(state["flags"])
            self.counted = state["counted"]
