"""Whether a device computes what a CPU computes: outputs, losses and gradients of networks, and the ways to correlate."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from pysot.benchmarks.case_builder import Case
from pysot.benchmarks.drawn import drawn_image
from pysot.benchmarks.networks import (
    NETWORKS,
    SMALL,
    batch_of,
    case_of,
    golden,
    network_of,
    pinned,
    precisions,
    trainer_of,
)
from pysot.benchmarks.record import Record, Setting
from pysot.core.xcorr import WAYS
from pysot.utils.device import autocast, device_module, half_type
from pysot.utils.device_builder import open_device

CPU = torch.device("cpu")
# Largest errors relative to the largest value (outputs), to the value (losses), to the norm (the gradient of a parameter): three times what CPUs show, or more.
FORWARD = {"fp32": 1e-3, "tf32": 1e-2, "hf32": 1e-2, "bf16": 5e-2, "fp16": 1e-2}
LOSS = {"fp32": 1e-4, "tf32": 5e-3, "hf32": 5e-3, "bf16": 5e-2, "fp16": 1e-2}
GRADIENT = {"fp32": 1e-3, "tf32": 5e-2, "hf32": 5e-2, "bf16": 0.2, "fp16": 0.1}
GRADIENT_OF_STATISTICS = 1e-2
NOTHING = 1e-9  # of the largest gradient: what a bias before batch-norm gets, which is rounding alone
CORRELATION = {"fp32": 1e-4, "tf32": 5e-3, "hf32": 5e-3, "bf16": 6e-2, "fp16": 1e-2}
GOLDEN = 2e-3


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, over the largest expected value. NaN where something is NaN."""
    found, expected = (tensor.detach().to(CPU).double() for tensor in (found, expected))  # an NPU has no float64
    return float((found - expected).abs().max() / expected.abs().max())


def _image(tag: str, side: int) -> torch.Tensor:
    return torch.from_numpy(drawn_image(tag, side, side)).permute(2, 0, 1)[None].float().contiguous()


@torch.inference_mode()
def outputs(model, device: torch.device, precision: str, side: int) -> dict[str, torch.Tensor]:
    """cls and loc of a drawn template and search crop of `side` pixels."""
    model = model.to(device).eval()
    with autocast(device, precision):
        model.template(_image("template", 127).to(device))
        return {name: value.float().to(CPU) for name, value in model.track(_image("search", side).to(device)).items()}


def forward(setting: Setting, record: Record) -> None:
    """Each network in each precision against the CPU, and in fp32 against the original's numbers where the data folder has them."""
    for name in (SMALL,) if setting.short else NETWORKS:
        case = case_of(setting, name=name)
        side, expected = case.instance_size, None
        for precision, opts in precisions(setting.kind).items():
            wanted = case_of(setting, *opts, name=name)
            device = open_device(setting.device, wanted.cfg)
            if expected is None:
                expected = outputs(network_of(case, name), CPU, "fp32", side)
            found = outputs(network_of(case, name), device, wanted.precision, side)
            record.check(
                f"forward, {name}, {precision}",
                max(relative_error(found[key], expected[key]) for key in expected),
                FORWARD[precision],
            )
            if precision == "fp32" and (numbers := golden(setting, f"{name}.forward.npz")) is not None:
                worst = max(relative_error(found[key], torch.from_numpy(numbers[key])) for key in found)
                record.check(f"forward, {name}, against the original's numbers", worst, GOLDEN)


def losses_and_gradients(setting: Setting, record: Record) -> None:
    """Losses and gradients of a batch of two pairs in each precision against the CPU's in fp32, the backbone frozen and training. Batch-norm has its drawn
    statistics: those of two pairs magnify a rounding some hundred times, so that they are looked at in fp32 only.
    """
    known = precisions(setting.kind)
    for state, fixed in (("frozen", True), ("training", True), ("training, statistics of the batch", False)):
        expected = None
        for precision, opts in known.items() if fixed else [("fp32", [])]:
            case = case_of(setting, *opts, batch=2)
            device, epoch = open_device(setting.device, case.cfg), 0 if state == "frozen" else case.unfreeze_epoch
            if expected is None:
                expected = _derive(case_of(setting, batch=2), CPU, epoch, fixed)
            losses, gradients = _derive(case, device, epoch, fixed)
            worst = max(abs(losses[name] - value) / abs(value) for name, value in expected[0].items())
            record.check(f"losses, backbone {state}, {precision}", worst, LOSS[precision])
            allowed = GRADIENT[precision] if fixed else GRADIENT_OF_STATISTICS
            record.check(f"gradients, backbone {state}, {precision}", _worst(gradients, expected[1]), allowed)


def _derive(
    case: Case,
    device: torch.device,
    epoch: int,
    fixed: bool,
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Losses, and the gradient of each parameter, on the CPU; batch-norm with `fixed` statistics."""
    trainer = trainer_of(case, device, [batch_of(case)], epoch)
    for module in trainer.model.modules():
        if fixed and isinstance(module, _BatchNorm):
            module.eval()
    losses = trainer.forward(trainer.to_device(trainer.loader[0]))
    trainer.backward(losses["total_loss"])
    gradients = {name: p.grad.to(CPU).double() for name, p in trainer.model.named_parameters() if p.grad is not None}
    return {name: value.item() for name, value in losses.items()}, gradients


def _worst(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest relative error, in the norm, of the gradient of a parameter."""
    least = NOTHING * max(float(value.norm()) for value in expected.values())
    return max(
        float((found[name] - value).norm() / value.norm()) for name, value in expected.items() if value.norm() > least
    )


def correlation(setting: Setting, record: Record) -> None:
    """Each way to correlate in each precision, forward and both gradients, against float64 on the CPU."""
    pairs, channels = (2, 8) if setting.short else (4, 64)
    for precision, opts in precisions(setting.kind).items():
        device = open_device(setting.device, case_of(setting, *opts).cfg)
        generator = torch.Generator().manual_seed(0)
        search, kernel = (
            torch.randn(pairs, channels, side, side, generator=generator).to(half_type(precision)) for side in (29, 5)
        )
        exact = _with_gradients(WAYS["grouped convolution"], search.double(), kernel.double())
        for name, way in WAYS.items():
            found = _with_gradients(way, search.to(device), kernel.to(device))
            record.check(
                f"correlation, {name}, {precision}", max(map(relative_error, found, exact)), CORRELATION[precision]
            )


def _with_gradients(way, search: torch.Tensor, kernel: torch.Tensor) -> list[torch.Tensor]:
    """The result, and the gradients of the sum of its squares over two, which are its own size."""
    search, kernel = search.requires_grad_(), kernel.requires_grad_()
    out = way(search, kernel)
    return [out, *torch.autograd.grad(out, (search, kernel), out.detach())]


def no_waits(setting: Setting, record: Record) -> None:
    """A step in each precision during which torch forbids the host to wait for the device."""
    for precision, opts in precisions(setting.kind).items():
        case = case_of(setting, *opts, batch=4)
        device = open_device(setting.device, case.cfg)
        batch = pinned(batch_of(case), device)
        trainer = trainer_of(case, device, [batch])
        for _ in range(3):  # what is made or looked for once
            trainer.step(batch)
        module, waits = device_module(device), 0
        module.set_sync_debug_mode("error")
        try:
            trainer.step(batch)
        except RuntimeError as error:
            waits = 1
            record.note(f"a step in {precision} waits: {str(error).splitlines()[0]}")
        finally:
            module.set_sync_debug_mode("default")
        record.check(f"a step that waits for nothing, {precision}", waits, 0, "waits")
