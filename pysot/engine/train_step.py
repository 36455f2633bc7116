"""Training step on a batch that is on the device: losses, gradients, and an update that a bad batch does not cause."""

import gc

import torch
from torch import nn

from pysot.engine.amp import ApexAmp, TorchAmp
from pysot.engine.batch import float_images
from pysot.engine.optimizer import clear_gradients, clip_gradients, step_unless_bad
from pysot.engine.parallel import wrap_model
from pysot.engine.skipped_steps import is_bad_batch, is_bad_norm
from pysot.engine.train_settings import TrainSettings
from pysot.models.siamrpn import SiamRPN
from pysot.utils.distributed import Rank, any_over_ranks
from pysot.utils.packed_tensors import PackedTensors

Values = dict[str, torch.Tensor]
Batch = Values | PackedTensors


class TrainStep:
    """Training step of a network and an optimizer, computed operator by operator; call `wrap` first.

    `statistics` are those of `flat_statistics`. The host reads nothing from the device, so that it does not wait.
    """

    def __init__(
        self,
        model: SiamRPN,
        optimizer: torch.optim.Optimizer,
        amp: TorchAmp | ApexAmp,
        statistics: list[torch.Tensor],
        settings: TrainSettings,
        device: torch.device,
        rank: Rank,
    ):
        self.model = model
        self.network: nn.Module = model
        self.optimizer = optimizer
        self.amp = amp
        self.statistics = statistics
        self.settings = settings
        self.device = device
        self.rank = rank

    def wrap(self) -> None:
        """Wrap the network in DDP if there are several processes, which must all do so."""
        self.network = self.model
        if self.rank.world_size > 1:
            gc.collect()  # until an earlier wrapper has ended, its hooks and streams take part in the backward pass
        self.network = wrap_model(self.model, self.optimizer, self.device, self.rank.world_size)

    def __call__(self, batch: Batch) -> Values:
        """Train on a batch on the device, whose images may be bytes, see `images`.

        Returns scalars on the device: the losses of this process, `grad_norm` (before clipping), and the truth values
        `skipped` (the step changed nothing, in any process) and `bad_batch` (because of the batch of this process).
        """
        before = [flat.clone() for flat in self.statistics]
        losses = self.forward(self.images(batch))
        bad_batch = is_bad_batch(losses["total_loss"], self.statistics)
        # Within DDP's no_sync each process steps on its own, without an exchange.
        exchanges = getattr(self.network, "require_backward_grad_sync", False)
        # The exchange proceeds while the gradients are computed.
        get_bad_on_any_rank = any_over_ranks(bad_batch) if exchanges else lambda: bad_batch
        overflow = self.backward(losses["total_loss"])
        norm, skipped = self.update(get_bad_on_any_rank() | overflow)
        for flat, old in zip(self.statistics, before, strict=True):
            torch.where(skipped, old, flat, out=flat)
        detached = {name: loss.detach() for name, loss in losses.items()}
        return {**detached, "grad_norm": norm, "skipped": skipped, "bad_batch": bad_batch}

    def images(self, batch: Batch) -> Values:
        """Return a batch with float images, see `float_images`, in the memory format of the network."""
        layout = torch.channels_last if self.settings.channels_last else torch.contiguous_format
        return float_images(batch, layout)

    def forward(self, batch: Values) -> Values:
        """Clear the gradients and return the losses of a batch with float images."""
        clear_gradients(self.optimizer, in_place=self.network is not self.model)
        with self.amp.autocast():
            return self.network(batch)

    def backward(self, loss: torch.Tensor) -> bool:
        """Compute gradients, reduced over the processes; return whether the device reported an overflow.

        See `TorchAmp.backward`.
        """
        # DDP averages gradients over the processes. Their number as a factor makes the sum, for which BASE_LR is tuned.
        factor = self.rank.world_size if self.settings.grad_sum else 1
        return self.amp.backward(loss * factor, self.optimizer)

    def update(self, bad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Clip the gradients and step, unless the batch is `bad` or its gradients are.

        Returns the gradient norm before clipping, and whether the step was skipped.
        """
        norm = clip_gradients(self.optimizer, self.settings.grad_clip)
        # The norm is that of the reduced gradients: every process sees the same value and takes the same decision.
        skipped = bad | is_bad_norm(norm)
        step_unless_bad(skipped, self.optimizer)
        self.amp.update()
        return norm, skipped

    def abandon(self) -> None:
        """Forget a step that failed halfway: its gradients, and what the loss scaler knows of it."""
        clear_gradients(self.optimizer, in_place=self.network is not self.model)
        if isinstance(self.amp, TorchAmp):
            self.amp.abandon()
