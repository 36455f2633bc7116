"""The plain training step as a baseline, and timing of a training step and its parts."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from pysot.benchmarks.synthetic import Batch
from pysot.core.xcorr import grouped_correlation
from pysot.engine.optimizer import FreezePlan
from pysot.engine.step_graph import StepGraph
from pysot.engine.train_loop import Trainer
from pysot.models.head.rpn import DepthwiseXCorr
from pysot.models.siamrpn import SiamRPN
from pysot.utils.device import synchronize

PARTS = ("copy", "images", "forward", "backward", "update")


def select_and_mean(cls: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the classification loss of the original, which selects objects and background by lists of indices.

    Shapes: cls (B, 2A, S, S), label (B, A, S, S).
    """
    per_anchor = cls.reshape(cls.shape[0], 2, -1, *cls.shape[2:])
    scores = F.log_softmax(per_anchor, dim=1).permute(0, 2, 3, 4, 1).reshape(-1, 2)
    flat, losses = label.reshape(-1), []
    for value in (1, 0):
        chosen = (flat == value).nonzero().squeeze(1)
        if len(chosen):
            losses.append(F.nll_loss(scores.index_select(0, chosen), flat.index_select(0, chosen)))
    return cast(torch.Tensor, sum(losses)) / 2


class PlainStep:
    """Training step as it is commonly written, the baseline of the benchmarks.

    Images and network are float32 and contiguous, frozen layers run unchanged, the correlation is one grouped
    convolution, the loss selects by lists of indices, and the losses and the norm of each gradient are read from the
    device.

    `model` is moved to the device and put into the freeze state of `epoch`; its heads get the grouped convolution.
    `cls_weight` and `loc_weight` weight the two losses, `grad_clip` is the largest norm of all gradients together.
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
    ) -> None:
        self.model = model.to(device)
        self.device = device
        self.cls_weight = cls_weight
        self.loc_weight = loc_weight
        self.grad_clip = grad_clip
        freeze.apply(model, epoch)
        for module in model.modules():
            if isinstance(module, DepthwiseXCorr):
                module.correlate = grouped_correlation
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(
            parameters, lr=1e-5, momentum=momentum, weight_decay=weight_decay, foreach=False
        )

    def __call__(self, batch: Batch) -> list[float]:
        """Step on a batch of CPU tensors; return total, cls and loc loss and the norm of each gradient."""
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
    step: Callable[[Batch], object],
    batches: list[Batch],
    device: torch.device,
    steps: int,
    repeats: int,
    warm_up: int,
) -> list[float]:
    """Return the seconds per step of each of `repeats` repetitions of `steps` steps, after `warm_up` steps."""
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


def time_parts(trainer: Trainer, batches: Iterable[Batch], steps: int) -> dict[str, float]:
    """Return the median seconds of each part of a step, and of the wait for data before it.

    Parts are PARTS, or where the steps are graphs, `copy` and `graph`. The host waits for the device after each part,
    so the sum is more than a step takes without these waits. Methods are replaced by timed ones while this runs.
    """
    owners: dict[str, tuple[Any, str]] = {name: (trainer.train_step, name) for name in PARTS}
    if isinstance(trainer.compute, StepGraph) and trainer.compute.is_used:
        owners = {"copy": (trainer.uploads, "copy"), "graph": (trainer, "compute")}
    owners["copy"] = (trainer.uploads, "copy")
    spent: dict[str, list[float]] = {name: [] for name in ("data wait", *owners, "rest")}

    def add_timer(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            synchronize(trainer.device)
            began = time.perf_counter()
            result = function(*args)
            synchronize(trainer.device)
            spent[name].append(time.perf_counter() - began)
            return result

        return timed

    with contextlib.ExitStack() as stack:
        for name, (owner, method) in owners.items():
            stack.enter_context(_replaced(owner, method, add_timer(name, getattr(owner, method))))
        fetch, source = add_timer("data wait", next), iter(batches)
        for _ in range(steps):
            batch = fetch(source)
            began = time.perf_counter()
            trainer.step(batch)
            synchronize(trainer.device)
            spent["rest"].append(time.perf_counter() - began - sum(spent[name][-1] for name in owners))
            trainer.step_count += 1
    return {name: statistics.median(seconds[len(seconds) // 4 :]) for name, seconds in spent.items()}


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Give an object another attribute while this runs; one of its class comes back as it was."""
    before = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def computing_seconds(parts: dict[str, float]) -> float:
    """Return the seconds of forward and backward, or of the graph."""
    return sum(parts.get(name, 0.0) for name in ("forward", "backward", "graph"))


def describe_bottleneck(parts: dict[str, float]) -> str:
    """Return a sentence that names the bottleneck of a step.

    `parts` are seconds as from `time_parts`, with `communication` where processes wait for each other.
    """
    total = sum(parts.values())
    work, communication = computing_seconds(parts), parts.get("communication", 0.0)
    place = "in the graph" if "graph" in parts else "in forward and backward"
    if parts["data wait"] > 0.15 * total:
        share = parts["data wait"] / total
        return f"data-bound: {share:.0%} of the time is spent waiting for data; use more TRAIN.NUM_WORKERS or cores"
    if communication > 0.15 * total:
        return (
            f"communication-bound: {communication / total:.0%} of the time is spent waiting for gradients of other "
            "processes; use a larger TRAIN.BATCH_SIZE"
        )
    if work < 0.8 * (total - communication):
        return f"host-bound: only {work / total:.0%} of the time is spent {place}; use a larger TRAIN.BATCH_SIZE"
    return f"compute-bound: {work / total:.0%} of the time is spent {place}"
