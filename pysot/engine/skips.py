"""Steps that all processes skip together, because the loss or a gradient of one of them is no finite number or has exploded."""

import logging
from collections.abc import Callable

import torch
from torch import nn

logger = logging.getLogger(__name__)

LARGEST_LOSS = 1e4  # as in the original: a larger loss says that the batch or the network is broken
MAX_IN_A_ROW = 50
REMEDY = "Lower TRAIN.BASE_LR, check the pretrained weights and the data, or go on from an earlier checkpoint"


def poison_if_bad(loss: torch.Tensor) -> torch.Tensor:
    """The loss, or NaN if it is above LARGEST_LOSS: then the gradients of all processes become NaN by their sum, and all see the same."""
    return loss * torch.where(loss.detach() > LARGEST_LOSS, float("nan"), 1.0)


@torch.no_grad()
def flat_statistics(model: nn.Module) -> torch.Tensor:
    """The running means and variances of all batch-norm layers, laid end to end (N,): the layers keep theirs as views of it.

    One bad batch would make them NaN for ever, so they are put back after a skipped step; laid end to end that is two operators.
    """
    buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    flat = torch.cat([buffer.reshape(-1) for buffer in buffers]) if buffers else torch.zeros(0, device=next(model.parameters()).device)
    for buffer, part in zip(buffers, flat.split([buffer.numel() for buffer in buffers]), strict=True):
        buffer.data = part.view_as(buffer)
    return flat


class SkippedSteps:
    """Counts skipped steps. Flags are set on the device and read with the losses, every `window` steps at most.

    `describe(epoch, step)` names the training items of this process in a step of an epoch, from 0.
    """

    def __init__(self, window: int, device: torch.device, describe: Callable[[int, int], str] | None = None):
        # a row for steps that were skipped, one for those in which this process's own loss was to blame
        self.flags, self.describe = torch.zeros(2, window, device=device), describe
        self.total = self.in_a_row = self.counted = 0

    def mark(self, step: int, bad: torch.Tensor, loss: torch.Tensor) -> None:
        """Note on the device whether step number `step` (from 0) was `bad`, and whether this process's `loss` was."""
        column = self.flags[:, step % self.flags.shape[1]]
        column[0] = bad
        column[1] = ~(loss <= LARGEST_LOSS)

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
            logger.warning("step %d skipped by all processes: its gradients are no finite numbers. %s", step + 1, blame)
            if self.in_a_row >= MAX_IN_A_ROW:
                raise RuntimeError(f"{MAX_IN_A_ROW} steps in a row had gradients that are no numbers, the last at step {step + 1}. {blame}. {REMEDY}")
        self.counted = steps

    def _blame(self, own: bool, epoch: int, step: int) -> str:
        if not own:
            return "The loss of this process was sound"
        return "The loss of this process is to blame" + (f", its items: {self.describe(epoch, step)}" if self.describe else "")

    def state_dict(self) -> dict:
        """What a resumed run needs: plain numbers."""
        return {"flags": self.flags[0].tolist(), "total": self.total, "in_a_row": self.in_a_row, "counted": self.counted}

    def load_state_dict(self, state: dict) -> None:
        """Go on counting; flags are kept if the window is as before."""
        self.total, self.in_a_row = state["total"], state["in_a_row"]
        if len(state["flags"]) == self.flags.shape[1]:
            self.flags[0], self.counted = torch.tensor(state["flags"]), state["counted"]
