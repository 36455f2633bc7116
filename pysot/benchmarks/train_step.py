"""Measures the training step, in parts and against the plain way of doing it."""

import statistics
import time
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn

from pysot.core.xcorr import grouped_correlation
from pysot.engine.optimizer import FreezePlan
from pysot.engine.train_loop import Trainer
from pysot.models.head.rpn import DepthwiseXCorr
from pysot.models.siamrpn import SiamRPN
from pysot.utils.device import synchronize

PARTS = ("to_device", "forward", "backward", "update")


def select_and_mean(cls: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """The classification loss of the original, cls (B, 2A, S, S) and label (B, A, S, S): it gathers objects and background by lists of indices."""
    scores = (
        F.log_softmax(cls.reshape(cls.shape[0], 2, -1, *cls.shape[2:]), dim=1).permute(0, 2, 3, 4, 1).reshape(-1, 2)
    )
    flat, losses = label.reshape(-1), []
    for value in (1, 0):
        chosen = (flat == value).nonzero().squeeze(1)
        if len(chosen):
            losses.append(F.nll_loss(scores.index_select(0, chosen), flat.index_select(0, chosen)))
    return sum(losses) / 2


class PlainStep:
    """A step as it is commonly written: images and network in float32 and contiguous, frozen layers run as they are,
    one grouped convolution for the correlation, the loss by lists of indices, and numbers read from the device for the
    losses and the norm of each gradient.

    `model` is put on the device and into the state of `epoch`, its heads get the grouped convolution. `cls_weight` and
    `loc_weight` weigh the two losses, `grad_clip` is the largest norm of all gradients together.
    """

    def __init__(
        self,
        model: SiamRPN,
        freeze: FreezePlan,
        epoch: int,
        device: torch.device,
        *,
        momentum: float,
        weight_decay: float,
        cls_weight: float,
        loc_weight: float,
        grad_clip: float,
    ):
        self.model, self.device = model.to(device), device
        self.cls_weight, self.loc_weight, self.grad_clip = cls_weight, loc_weight, grad_clip
        freeze.apply(model, epoch)
        for module in model.modules():
            if isinstance(module, DepthwiseXCorr):
                module.correlate = grouped_correlation
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(
            parameters, lr=1e-5, momentum=momentum, weight_decay=weight_decay, foreach=False
        )

    def __call__(self, batch: dict) -> list[float]:
        """Step on a batch of CPU tensors; returns total, cls and loc loss and the norm of each gradient."""
        batch = {name: value.to(self.device) for name, value in batch.items()}
        output = SiamRPN.forward(self.model, batch["template"], batch["search"])
        cls = select_and_mean(output["cls"], batch["label_cls"])
        size, _, height, width = output["loc"].shape
        error = (output["loc"].reshape(size, 4, -1, height, width) - batch["label_loc"]).abs().sum(dim=1)
        loc = (error * batch["label_loc_weight"]).sum() / size
        total = self.cls_weight * cls + self.loc_weight * loc
        self.optimizer.zero_grad()
        total.backward()
        parameters = self.optimizer.param_groups[0]["params"]
        numbers = [value.item() for value in (total, cls, loc, *(p.grad.norm() for p in parameters))]
        nn.utils.clip_grad_norm_(parameters, self.grad_clip, foreach=False)
        self.optimizer.step()
        return numbers


def seconds_per_step(
    step: Callable[[dict], object],
    batches: list[dict],
    device: torch.device,
    steps: int,
    repeats: int,
    warm_up: int = 3,
) -> list[float]:
    """Seconds per step of each of `repeats` runs of `steps` steps, after a warm-up."""
    for index in range(warm_up):
        step(batches[index % len(batches)])
    seconds = []
    for _ in range(repeats):
        synchronize(device)
        began = time.perf_counter()
        for index in range(steps):
            step(batches[index % len(batches)])
        synchronize(device)
        seconds.append((time.perf_counter() - began) / steps)
    return seconds


def time_parts(trainer: Trainer, batches: Iterable[dict], steps: int) -> dict[str, float]:
    """Median seconds of the parts of a step, each waited for, and of the wait for data before it: their sum is more
    than a step takes that waits for none. While it measures, the parts of this trainer are timed ones.
    """
    spent: dict[str, list[float]] = {name: [] for name in ("data wait", *PARTS, "rest")}

    def timed(name: str, function: Callable) -> Callable:
        def call(*args):
            synchronize(trainer.device)
            began = time.perf_counter()
            result = function(*args)
            synchronize(trainer.device)
            spent[name].append(time.perf_counter() - began)
            return result

        return call

    for name in PARTS:
        setattr(trainer, name, timed(name, getattr(trainer, name)))
    try:
        fetch, source = timed("data wait", next), iter(batches)
        for _ in range(steps):
            batch = fetch(source)
            began = time.perf_counter()
            trainer.step(batch)
            synchronize(trainer.device)
            spent["rest"].append(time.perf_counter() - began - sum(spent[name][-1] for name in PARTS))
            trainer.step_count += 1
    finally:
        for name in PARTS:
            delattr(trainer, name)
    return {name: statistics.median(seconds[len(seconds) // 4 :]) for name, seconds in spent.items()}


def verdict(parts: dict[str, float]) -> str:
    """What the step spends its time on, in words; `parts` as `time_parts` gives them, and `communication` where processes wait for each other."""
    total = sum(parts.values())
    work, exchange = parts["forward"] + parts["backward"], parts.get("communication", 0.0)
    if parts["data wait"] > 0.15 * total:
        return f"data-bound: {parts['data wait'] / total:.0%} of the time goes by waiting for data; more TRAIN.NUM_WORKERS or cores"
    if exchange > 0.15 * total:
        return f"communication-bound: {exchange / total:.0%} of the time goes by waiting for gradients of other processes; a larger TRAIN.BATCH_SIZE"
    if work < 0.8 * (total - exchange):
        return (
            f"host-bound: only {work / total:.0%} of the time goes into forward and backward; a larger TRAIN.BATCH_SIZE"
        )
    return f"compute-bound: {work / total:.0%} of the time goes into forward and backward"
