"""Frozen stages that are computed by folded copies."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import assert_same_weights, experiment, load_synthetic_weights, needs_compiler, small_trainer, tiny_config
from pysot.core.config import load_config
from pysot.engine.engine_builder import wants_channels_last
from pysot.engine.frozen import fold_frozen
from pysot.engine.optimizer import FreezePlan
from pysot.models.backbone.resnet import resnet18
from pysot.models.model_builder import build_model
from pysot.models.packed_parts import PackedParts
from pysot.utils.device import autocast

CPU = torch.device("cpu")
NAMES = [
    "siamrpn_r50_l234_dwxcorr_8gpu",
    "siamrpn_mobilev2_l234_dwxcorr",
    "siamrpn_alex_dwxcorr",
    "siamrpn_alex_dwxcorr_otb",
]


def features(backbone, image):
    out = backbone(image)
    return [out] if torch.is_tensor(out) else out


@pytest.mark.parametrize("name", NAMES)
def test_same_features_and_names(name):
    backbone = load_synthetic_weights(build_model(load_config(experiment(name), ["BACKBONE.PRETRAINED", ""])).backbone)
    model = torch.nn.Module()
    model.backbone = backbone
    FreezePlan((), 99).apply(model, 0)
    image = torch.rand(1, 3, 127, 127) * 255
    expected = features(backbone, image)
    state = {name: value.clone() for name, value in backbone.state_dict().items()}
    fold_frozen(backbone)
    assert "forward" in vars(backbone)
    for ours, theirs in zip(features(backbone, image), expected, strict=True):
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max() and not ours.requires_grad
    assert list(state) == list(backbone.state_dict())
    assert all(torch.equal(value, backbone.state_dict()[key]) for key, value in state.items())


def folded_copies(backbone) -> list[torch.nn.Module]:
    """Return the copies that compute the frozen parts."""
    forwards = [vars(module)["forward"] for module in backbone.modules() if "forward" in vars(module)]
    values = [cell.cell_contents for forward in forwards for cell in forward.__closure__]
    return [value.module for value in values if isinstance(value, PackedParts)]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", [NAMES[1], NAMES[2]])
def test_the_copy_is_cast_once_to_the_type_of_autocast(name, precision):
    """A copy gives what autocast gives, up to rounding, with half the memory, and no later pass casts a weight.

    Outside of autocast float32 input still gives float32.
    """
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    image = torch.rand(1, 3, 127, 127) * 255
    model = load_synthetic_weights(build_model(load_config(experiment(name), ["BACKBONE.PRETRAINED", ""])))
    FreezePlan((), 99).apply(model, 0)
    plain = features(model.backbone, image)
    with autocast(CPU, precision):
        expected = features(model.backbone, image)
    fold_frozen(model.backbone, dtype)
    with autocast(CPU, precision), Casts() as casts:
        computed = features(model.backbone, image)
    for ours, theirs in zip(computed, expected, strict=True):
        assert ours.dtype == dtype and (ours - theirs).abs().max() <= 0.02 * theirs.abs().max()
    assert casts.shapes == [(1, 3, 127, 127)]
    weights = [
        layer.weight
        for part in folded_copies(model.backbone)
        for layer in part.modules()
        if isinstance(layer, torch.nn.Conv2d)
    ]
    assert len(weights) > 4 and {weight.dtype for weight in weights} == {dtype}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(torch.equal(a, b) for a, b in zip(features(model.backbone, image), plain, strict=True))


class Casts(TorchDispatchMode):
    """Record of the shapes of tensors that are cast from float32 to another type."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if str(function) == "aten._to_copy.default" and args[0].dtype == torch.float32 != result.dtype:
            self.shapes.append(tuple(args[0].shape))
        return result


def test_a_run_in_half_precision_casts_its_frozen_part(tmp_path):
    run = small_trainer(tmp_path, CPU, "TRAIN.PRECISION", "bf16")
    run.begin(0)
    assert {p.dtype for part in folded_copies(run.model.backbone) for p in part.parameters()} == {torch.bfloat16}
    losses = run.step(run.loader[0])
    assert torch.isfinite(losses["total_loss"])
    run = small_trainer(tmp_path, CPU)
    run.begin(0)
    assert {p.dtype for part in folded_copies(run.model.backbone) for p in part.parameters()} == {torch.float32}


def test_what_trains_is_not_folded_and_learns():
    model = build_model(tiny_config())
    load_synthetic_weights(model.backbone)
    image = torch.rand(2, 3, 127, 127) * 255
    stages = ("layer1", "layer2", "layer3", "layer4", "layer5")
    for trained, folded in (((), [""]), (stages[3:], ["layer1", "layer2", "layer3"]), (stages, [])):
        FreezePlan(trained, 0).apply(model, 0)
        fold_frozen(model.backbone)
        patched = [name for name, module in model.backbone.named_modules() if "forward" in vars(module)]
        assert patched == folded
        if trained:
            before = model.backbone.layer5[1].running_mean.clone()
            model.backbone(image).sum().backward()
            assert not torch.equal(before, model.backbone.layer5[1].running_mean)
            assert model.backbone.layer4[0].weight.grad is not None


def test_channels_last_by_device():
    config = tiny_config()
    assert wants_channels_last(config, torch.device("cpu")) and not wants_channels_last(config, torch.device("cuda"))
    assert wants_channels_last(tiny_config("TRAIN.PRECISION", "bf16"), torch.device("cuda"))
    assert not wants_channels_last(tiny_config("TRAIN.CHANNELS_LAST", "false"), torch.device("cpu"))
    # no NPU is needed to refuse options that it does not support
    npu = type("Device", (), {"type": "npu"})()
    assert not wants_channels_last(config, npu)
    for opts in (("TRAIN.CHANNELS_LAST", "true"), ("TRAIN.COMPILE", "true")):
        with pytest.raises(ValueError, match="not for an NPU"):
            wants_channels_last(tiny_config(*opts), npu)
    with pytest.raises(ValueError, match="TRAIN.CHANNELS_LAST: expected true, false or 'auto'"):
        tiny_config("TRAIN.CHANNELS_LAST", "yes please", for_training=True)


def test_a_checkpoint_of_another_memory_format_goes_on(tmp_path):
    """Both formats give the same steps up to rounding; momenta have the format of the resumed training run."""
    small_trainer(tmp_path / "a", CPU, "TRAIN.CHANNELS_LAST", False, "TRAIN.EPOCH", 2).run()
    resume = ("TRAIN.RESUME", str(tmp_path / "a" / "checkpoint_e2.pth"))
    runs = [small_trainer(tmp_path / "b", CPU, "TRAIN.CHANNELS_LAST", last, *resume) for last in (False, True)]
    for run in runs:
        run.run()
    plain, last = runs
    assert_same_weights(plain.model.state_dict(), last.model.state_dict(), 1e-4)
    weight = last.model.backbone.layer5[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    assert last.optimizer.state[weight]["momentum_buffer"].stride() == weight.stride()


@needs_compiler
def test_compiled_steps_are_the_same(tmp_path):
    plain, compiled = (
        small_trainer(tmp_path, CPU, "TRAIN.COMPILE", on, "TRAIN.EPOCH", 2, "TRAIN.LR_WARMUP.WARMUP", False)
        for on in (False, True)
    )
    assert compiled.run()["loss"] == pytest.approx(plain.run()["loss"], rel=1e-5)
    assert_same_weights(plain.model.state_dict(), compiled.model.state_dict(), 1e-5)


def test_torch_compile_follows_the_cast_copy():
    """It compiles to one graph, without Python between parts."""
    model = load_synthetic_weights(build_model(tiny_config()))
    FreezePlan((), 99).apply(model, 0)
    fold_frozen(model.backbone, torch.bfloat16)
    image = torch.rand(1, 3, 127, 127) * 255
    with autocast(CPU, "bf16"):
        expected = model.backbone(image)
        compiled = torch.compile(model.backbone, backend="eager", fullgraph=True)(image)
    torch.testing.assert_close(compiled, expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


def test_torch_compile_follows_narrow_kernels():
    torch.manual_seed(0)
    backbone = resnet18().eval().requires_grad_(False)
    for stage in (backbone.layer2, backbone.layer3, backbone.layer4):
        kernel = stage[0].downsample[0].weight
        kernel.copy_(F.pad(kernel[:, :, 1:2, 1:2].clone(), (1, 1, 1, 1)))
    image = torch.rand(1, 3, 127, 127) * 255
    expected = backbone(image)
    fold_frozen(backbone)
    features = torch.compile(backbone, backend="eager", fullgraph=True)(image)
    for value, level in zip(features, expected, strict=True):
        torch.testing.assert_close(value, level, rtol=1e-4, atol=1e-4 * float(level.abs().max()))


def test_a_frozen_part_after_one_that_trains_passes_gradients():
    model = load_synthetic_weights(build_model(tiny_config()))
    image = torch.rand(1, 3, 127, 127) * 255
    FreezePlan(("layer2",), 0).apply(model, 0)
    for parameter in model.backbone.layer2.parameters():
        parameter.requires_grad_(True)
    gradients = []
    for fold in (lambda backbone: None, fold_frozen):
        fold(model.backbone)
        model.zero_grad()
        model.backbone(image).sum().backward()
        gradients.append(model.backbone.layer2[0].weight.grad.clone())
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4 * float(gradients[0].abs().max()))
