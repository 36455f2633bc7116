"""Steps that all processes skip together, because the loss or a gradient of one of them is no finite number or has exploded."""

import logging
from collections.abc import Callable

import torch
from torch import nn

logger = logging.getLogger(__name__)

# All decisions are comparisons that hold for sound values only: NaN and infinity fail them, and so do the largest numbers of a float, which a chip that
# saturates gives instead. Nothing relies on NaN to spread, since such a chip may turn it into 0.
LARGEST_LOSS = 1e4  # as in the original: a larger loss says that the batch or the network is broken
# Weights of length 10 rounded to float32 move by 1e-6: with a longer gradient that alone changes the loss by more than LARGEST_LOSS, it points nowhere.
LARGEST_NORM = 1e10
# Activations of 1e10 throughout, whose gradients are far above LARGEST_NORM. The root of the largest float32, 1.8e19, is what saturated ones leave at least.
LARGEST_STATISTIC = 1e20
MAX_IN_A_ROW = 50
REMEDY = "Lower TRAIN.BASE_LR, check the pretrained weights and the data, or go on from an earlier checkpoint"


@torch.no_grad()
def bad_batch(loss: torch.Tensor, statistics: list[torch.Tensor]) -> torch.Tensor:
    """Whether a forward pass ended in what nothing can be learnt from, a scalar bool on the device: by its loss, and by what it left in the `statistics` of
    `flat_statistics`.
    """
    bad = ~(loss <= LARGEST_LOSS)
    for flat in statistics:
        if flat.is_floating_point():
            bad = bad | ~(flat.abs().amax() <= LARGEST_STATISTIC)
    return bad


def bad_norm(norm: torch.Tensor) -> torch.Tensor:
    """Whether gradients of this total norm, a scalar tensor, are no gradients."""
    return ~(norm <= LARGEST_NORM)


@torch.no_grad()
def flat_statistics(model: nn.Module) -> list[torch.Tensor]:
    """The running means and variances of all batch-norm layers, laid end to end (N,), and their counts of batches: the layers keep theirs as views of it.
    Empty for a network without any.

    One bad batch would spoil them for ever, so they are put back after a skipped step; laid end to end that is two operators each.
    """
    flats = []
    for dtype in sorted({buffer.dtype for buffer in model.buffers()}, key=str):
        buffers = [buffer for buffer in model.buffers() if buffer.dtype == dtype]
        flats.append(torch.cat([buffer.reshape(-1) for buffer in buffers]))
        for buffer, part in zip(buffers, flats[-1].split([buffer.numel() for buffer in buffers]), strict=True):
            buffer.data = part.view_as(buffer)
    return flats


class SkippedSteps:
    """Counts skipped steps. Flags are set on the device and read with the losses, every `window` steps at most.

    `describe(epoch, step)` names the training items of this process in a step of an epoch, from 0.
    """

    def __init__(self, window: int, device: torch.device, describe: Callable[[int, int], str] | None = None):
        # a row for steps that were skipped, one for those in which this process's own batch was to blame
        self.flags, self.describe = torch.zeros(2, window, device=device), describe
        self.total = self.in_a_row = self.counted = 0

    def mark(self, step: int, bad: torch.Tensor, here: torch.Tensor) -> None:
        """Note on the device whether step number `step` (from 0) was `bad`, and whether it was so `here`, by the batch of this process."""
        column = self.flags[:, step % self.flags.shape[1]]
        column[0] = bad
        column[1] = here

    def count(self, joint: list[float], steps: int, epoch: int, epoch_start: int) -> None:
        """Take in the first row of flags, as all processes see it, for the steps up to number `steps`. Raises RuntimeError after MAX_IN_A_ROW in a row."""
        own = self.flags[1].tolist() if any(joint) else []
        self.flags.zero_()
        for step in range(self.counted, steps):
            if joint[step % len(joint)] == 0:
                self.in_a_row = 0
                continue
            self.total += 1
            self.in_a_row += 1
            blame = self._blame(own[step % len(own)] > 0, epoch, step - epoch_start)
            logger.warning(
                "step %d skipped by all processes: its loss or its gradients are no sound numbers. %s", step + 1, blame
            )
            if self.in_a_row >= MAX_IN_A_ROW:
                raise RuntimeError(
                    f"{MAX_IN_A_ROW} steps in a row had a loss or gradients that are no numbers, the last at step {step + 1}. {blame}. {REMEDY}"
                )
        self.counted = steps

    def _blame(self, own: bool, epoch: int, step: int) -> str:
        if not own:
            return "The loss of this process was sound"
        return "The loss of this process is to blame" + (
            f", its items: {self.describe(epoch, step)}" if self.describe else ""
        )

    def state_dict(self) -> dict:
        """What a resumed run needs: plain numbers."""
        return {
            "flags": self.flags[0].tolist(),
            "total": self.total,
            "in_a_row": self.in_a_row,
            "counted": self.counted,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on counting; flags are kept if the window is as before."""
        self.total, self.in_a_row = state["total"], state["in_a_row"]
        if len(state["flags"]) == self.flags.shape[1]:
            self.flags[0], self.counted = torch.tensor(state["flags"]), state["counted"]
