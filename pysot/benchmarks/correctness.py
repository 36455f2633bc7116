"""Checks of a device against the CPU: network outputs, losses, gradients, and the ways to correlate."""

from collections.abc import Callable

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from pysot.benchmarks.case_builder import Case
from pysot.benchmarks.networks import (
    NETWORKS,
    SMALL,
    load_reference,
    make_batch,
    make_case,
    make_network,
    make_trainer,
    pin_batch,
    precisions,
    ways_to_step,
)
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.synthetic import synthetic_image
from pysot.core.xcorr import grouped_correlation, methods_on
from pysot.models.model_builder import ModelBuilder
from pysot.utils.device import autocast, device_module, half_dtype
from pysot.utils.device_builder import open_device

CPU = torch.device("cpu")
# Largest allowed errors by precision: at least three times the errors seen on CPUs. They are relative: to the largest
# value for outputs, to the value for losses, to the norm for the gradient of a parameter.
MAX_FORWARD_ERROR = {"fp32": 1e-3, "tf32": 1e-2, "hf32": 1e-2, "bf16": 5e-2, "fp16": 1e-2}
MAX_LOSS_ERROR = {"fp32": 1e-4, "tf32": 5e-3, "hf32": 5e-3, "bf16": 5e-2, "fp16": 1e-2}
MAX_GRADIENT_ERROR = {"fp32": 1e-3, "tf32": 5e-2, "hf32": 5e-2, "bf16": 0.2, "fp16": 0.1}
MAX_GRADIENT_ERROR_OF_BATCH_STATISTICS = 1e-2
# Relative to the largest gradient. A smaller gradient is rounding noise, such as that of a bias before batch-norm.
NEGLIGIBLE_GRADIENT = 1e-9
MAX_CORRELATION_ERROR = {"fp32": 1e-4, "tf32": 5e-3, "hf32": 5e-3, "bf16": 6e-2, "fp16": 1e-2}
MAX_REFERENCE_ERROR = 2e-3


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference over the largest expected value; NaN if either has a NaN."""
    # An NPU has no float64, so both are moved to the CPU first.
    actual, expected = (tensor.detach().to(CPU).double() for tensor in (actual, expected))
    return float((actual - expected).abs().max() / expected.abs().max())


def _image_tensor(name: str, side: int) -> torch.Tensor:
    return torch.from_numpy(synthetic_image(name, side, side)).permute(2, 0, 1)[None].float().contiguous()


@torch.inference_mode()
def outputs(model: ModelBuilder, device: torch.device, precision: str, side: int) -> dict[str, torch.Tensor]:
    """Return cls and loc of a synthetic template and a search crop of `side` pixels."""
    model = model.to(device).eval()
    with autocast(device, precision):
        model.template(_image_tensor("template", 127).to(device))
        result = model.track(_image_tensor("search", side).to(device))
        return {name: value.float().to(CPU) for name, value in result.items()}


def forward(setting: Setting, record: Record) -> None:
    """Check the outputs of each network in each precision against the CPU.

    In fp32 they are also checked against numbers of the original implementation, if the data folder has them.
    """
    for name in (SMALL,) if setting.short else NETWORKS:
        case = make_case(setting, name=name)
        side, expected = case.instance_size, None
        for precision, opts in precisions(setting.kind).items():
            device_case = make_case(setting, *opts, name=name)
            device = open_device(setting.device, device_case.cfg)
            if expected is None:
                expected = outputs(make_network(case, name), CPU, "fp32", side)
            actual = outputs(make_network(case, name), device, device_case.precision, side)
            error = max(relative_error(actual[key], expected[key]) for key in expected)
            record.check(f"forward, {name}, {precision}", error, MAX_FORWARD_ERROR[precision])
            if precision == "fp32" and (reference := load_reference(setting, f"{name}.forward.npz")) is not None:
                error = max(relative_error(actual[key], torch.from_numpy(reference[key])) for key in actual)
                record.check(f"forward, {name}, against the original's numbers", error, MAX_REFERENCE_ERROR)


def losses_and_gradients(setting: Setting, record: Record) -> None:
    """Check losses and gradients of a batch of two pairs in each precision against the CPU in fp32.

    The backbone is frozen, then training. Batch-norm uses its synthetic statistics. Statistics of a batch of two pairs
    amplify rounding errors some hundred times, so they are checked in fp32 only.
    """
    all_precisions = precisions(setting.kind)
    for state, fixed in (("frozen", True), ("training", True), ("training, statistics of the batch", False)):
        expected = None
        for precision, opts in all_precisions.items() if fixed else [("fp32", [])]:
            case = make_case(setting, *opts, batch=2)
            device = open_device(setting.device, case.cfg)
            epoch = 0 if state == "frozen" else case.unfreeze_epoch
            if expected is None:
                expected = _losses_and_gradients(make_case(setting, batch=2), CPU, epoch, fixed)
            losses, gradients = _losses_and_gradients(case, device, epoch, fixed)
            error = max(abs(losses[name] - value) / abs(value) for name, value in expected[0].items())
            record.check(f"losses, backbone {state}, {precision}", error, MAX_LOSS_ERROR[precision])
            allowed = MAX_GRADIENT_ERROR[precision] if fixed else MAX_GRADIENT_ERROR_OF_BATCH_STATISTICS
            error = _largest_gradient_error(gradients, expected[1])
            record.check(f"gradients, backbone {state}, {precision}", error, allowed)


def _losses_and_gradients(
    case: Case,
    device: torch.device,
    epoch: int,
    fixed_statistics: bool,
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Return the losses, and the gradient of each parameter on the CPU."""
    trainer = make_trainer(case, device, [make_batch(case)], epoch)
    for module in trainer.model.modules():
        if fixed_statistics and isinstance(module, _BatchNorm):
            module.eval()
    losses = trainer.train_step.forward(trainer.to_device(trainer.loader[0]))
    trainer.train_step.backward(losses["total_loss"])
    gradients = {name: p.grad.to(CPU).double() for name, p in trainer.model.named_parameters() if p.grad is not None}
    return {name: value.item() for name, value in losses.items()}, gradients


def _largest_gradient_error(actual: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Return the largest relative error, in the norm, of a parameter's gradient; negligible gradients are skipped."""
    least = NEGLIGIBLE_GRADIENT * max(float(value.norm()) for value in expected.values())
    return max(
        float((actual[name] - value).norm() / value.norm()) for name, value in expected.items() if value.norm() > least
    )


def correlation(setting: Setting, record: Record) -> None:
    """Check each way to correlate in each precision, forward and both gradients, against float64 on the CPU."""
    pairs, channels = (2, 8) if setting.short else (4, 64)
    for precision, opts in precisions(setting.kind).items():
        device = open_device(setting.device, make_case(setting, *opts).cfg)
        generator = torch.Generator().manual_seed(0)
        search, kernel = (
            torch.randn(pairs, channels, side, side, generator=generator).to(half_dtype(precision)) for side in (29, 5)
        )
        expected = _correlate_with_gradients(grouped_correlation, search.double(), kernel.double())
        for name, correlate in methods_on(device).items():
            actual = _correlate_with_gradients(correlate, search.to(device), kernel.to(device))
            error = max(map(relative_error, actual, expected))
            record.check(f"correlation, {name}, {precision}", error, MAX_CORRELATION_ERROR[precision])


def _correlate_with_gradients(
    correlate: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    search: torch.Tensor,
    kernel: torch.Tensor,
) -> list[torch.Tensor]:
    """Return the correlation and its gradients for the loss sum(correlation ** 2) / 2, which scale with the values."""
    search, kernel = search.requires_grad_(), kernel.requires_grad_()
    out = correlate(search, kernel)
    return [out, *torch.autograd.grad(out, (search, kernel), out.detach())]


def no_waits(setting: Setting, record: Record) -> None:
    """Check that a step in each precision runs while torch forbids the host to wait for the device."""
    for precision, opts in precisions(setting.kind).items():
        device = open_device(setting.device, make_case(setting, *opts).cfg)
        for way, graph_opts in ways_to_step(device).items():
            case = make_case(setting, *opts, *graph_opts, batch=4)
            batch = pin_batch(make_batch(case), device)
            trainer = make_trainer(case, device, [batch])
            for _ in range(3):  # the first steps allocate and select kernels
                trainer.step(batch)
            module, waits = device_module(device), 0
            module.set_sync_debug_mode("error")
            try:
                trainer.step(batch)
            except RuntimeError as error:
                waits = 1
                record.note(f"a step in {precision}{way} waits: {str(error).splitlines()[0]}")
            finally:
                module.set_sync_debug_mode("default")
            record.check(f"a step that waits for nothing, {precision}{way}", waits, 0, "waits")
