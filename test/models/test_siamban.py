"""Networks without anchors: parity with their authors, parts, and what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers import PARITY, experiment, load_synthetic_weights, parity_json, synthetic_image
from pysot.core.config import default_config, load_config
from pysot.core.xcorr import xcorr_pixelwise
from pysot.models.folding import fold_network
from pysot.models.head.ban import DepthwiseBAN, MultiBAN
from pysot.models.head.nano import CentreCorrelation
from pysot.models.model_builder import ModelBuilder, build_model
from pysot.utils.model_load import load_pretrain, read_checkpoint

NAMES = {"nanotrackv3": 15, "siamban_r50_l234": 25}


def crop(tag: str, side: int) -> torch.Tensor:
    return torch.from_numpy(synthetic_image(tag, side, side).transpose(2, 0, 1)[None].astype(np.float32))


def outputs(model) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        model.eval().template(crop("template", 127))
        return model.track(crop("search", 255))


def assert_parity(found, name: str, tolerance: float) -> None:
    expected = np.load(PARITY / f"{name}.forward.npz")
    for key in ("cls", "loc"):
        assert found[key].shape == expected[key].shape
        assert np.abs(found[key].numpy() - expected[key]).max() <= tolerance * np.abs(expected[key]).max(), key


def nano_config(*opts):
    return load_config(experiment("nanotrackv3"), list(opts))


@pytest.fixture(scope="module")
def nano():
    return load_synthetic_weights(build_model(nano_config())).eval()


def test_siamban_is_the_authors():
    model = load_synthetic_weights(build_model(load_config(experiment("siamban_r50_l234"))), loc_gain=-0.0025)
    assert_parity(outputs(model), "siamban_r50_l234", 1e-3)


@pytest.mark.shared
def test_nanotrack_with_its_published_weights_is_the_authors(shared):
    model = load_pretrain(build_model(nano_config()), shared / "data" / "weights" / "nanotrackv3.pth")
    assert_parity(outputs(model), "nanotrackv3", 1e-4)
    state = read_checkpoint(shared / "data" / "weights" / "nanotrackv3.pth")["state_dict"]
    own = model.state_dict()
    assert len(state) == len(own)
    for (name, value), (published_name, expected) in zip(own.items(), state.items(), strict=True):
        assert published_name.removeprefix("module.") == name and torch.equal(value, expected), name
    assert_folded(model)


def assert_folded(model) -> None:
    expected = outputs(model)
    folded = fold_network(model)
    with torch.inference_mode():
        cls, loc = folded.match(folded.kernels(crop("template", 127)), crop("search", 255))
    for key, value in expected.items():
        found = {"cls": cls, "loc": loc}[key]
        torch.testing.assert_close(found, value, rtol=1e-3, atol=1e-4 * float(value.abs().max()))


@pytest.mark.parametrize("backbone", ["mobilenetv3_small", "mobilenetv3_small_v3"])
def test_nanotrack_of_synthetic_weights(nano, backbone):
    """The outputs are those of the layers written one by one, with the names of the published weights."""
    model = build_model(nano_config("BACKBONE.TYPE", backbone)).double().eval()
    model.load_state_dict(nano.state_dict())
    with torch.inference_mode():
        model.template(crop("template", 127).double())
        found = model.track(crop("search", 255).double())
    state = model.state_dict()
    z, x = (features(state, crop(tag, side)) for tag, side in (("template", 127), ("search", 255)))
    assert z.shape == (1, 96, 8, 8) and x.shape == (1, 96, 16, 16)
    for key, *names in (("cls", "cls", "cls_tower", "cls_logits"), ("loc", "reg", "bbox_tower", "bbox_pred")):
        expected = head_branch(state, *names, z, x)
        expected = expected.exp() if key == "loc" else expected
        assert found[key].shape == (1, len(expected[0]), 15, 15)
        torch.testing.assert_close(found[key], expected, rtol=1e-10, atol=1e-10)


def conv(state, name, x, **options):
    return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **options)


def norm(state, name, x):
    parts = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(state[f"{name}.{part}"] for part in parts))


def features(state, x):
    """Compute the backbone: kernel, stride, whether it has factors, and whether its activation is the hard swish."""
    name = "backbone.features"
    x = F.hardswish(norm(state, f"{name}.0.1", conv(state, f"{name}.0.0", x.double(), stride=2, padding=1)))
    for index, stride in enumerate((2, 2, 1, 2, 1, 1, 1, 1, 1), 1):
        act = F.hardswish if index > 3 else F.relu
        block, start = f"{name}.{index}.conv", x
        if index == 1:
            x = act(norm(state, f"{block}.1", conv(state, f"{block}.0", x, stride=2, padding=1, groups=16)))
            x = norm(state, f"{block}.5", conv(state, f"{block}.4", factors(state, f"{block}.3.fc", x)))
            continue
        x = act(norm(state, f"{block}.1", conv(state, f"{block}.0", x)))
        kernel = state[f"{block}.3.weight"].shape[-1]
        x = conv(state, f"{block}.3", x, stride=stride, padding=kernel // 2, groups=x.shape[1])
        x = norm(state, f"{block}.4", x)
        x = act(factors(state, f"{block}.5.fc", x) if index > 3 else x)
        x = norm(state, f"{block}.8", conv(state, f"{block}.7", x))
        if x.shape == start.shape:
            x = x + start
    return x


def factors(state, name, x):
    hidden = F.relu(F.linear(x.mean((2, 3)), state[f"{name}.0.weight"], state[f"{name}.0.bias"]))
    return x * F.hardsigmoid(F.linear(hidden, state[f"{name}.2.weight"], state[f"{name}.2.bias"]))[:, :, None, None]


def head_branch(state, branch, tower, last, z, x):
    def both(name, z):
        return [
            norm(state, f"{name}.{part}.1", conv(state, f"{name}.{part}.0", value))
            for part, value in (("conv_kernel", z), ("conv_search", x))
        ]

    name = f"ban_head.corr_pw_{branch}"
    kernel, search = both(name, z)
    pixels = torch.einsum("ckl,cij->klij", kernel[0], search[0]).reshape(1, 64, 16, 16)
    hidden = conv(state, f"{name}.CA_layer.fc1", pixels.mean((2, 3), keepdim=True)).relu()
    pixels = pixels * conv(state, f"{name}.CA_layer.fc2", hidden).sigmoid()
    pixels = F.relu6(norm(state, f"{name}.conv.1", conv(state, f"{name}.conv.0", pixels, groups=64)))
    pixels = norm(state, f"{name}.conv.4", conv(state, f"{name}.conv.3", pixels))
    kernel, search = both(f"ban_head.corr_dw_{branch}", z[:, :, 2:6, 2:6])
    depth = F.conv2d(search, kernel.transpose(0, 1), padding=1, groups=96)
    joined = conv(state, f"ban_head.down_{branch}.0", torch.cat((pixels, depth), 1))
    for index in range(0, 30, 5):
        part = f"ban_head.{tower}."
        joined = conv(state, f"{part}{index}", joined, padding=1, groups=96)
        joined = F.relu6(norm(state, f"{part}{index + 1}", joined))
        joined = norm(state, f"{part}{index + 4}", conv(state, f"{part}{index + 3}", joined))
    return conv(state, f"ban_head.{last}.0", joined)


def test_the_neck_of_nanotrack_takes_no_part(nano):
    before = outputs(nano)
    bare = build_model(nano_config("ADJUST.ADJUST", False)).eval()
    assert not any(name.startswith("neck.") for name in bare.state_dict())
    bare.load_state_dict({name: value for name, value in nano.state_dict().items() if not name.startswith("neck.")})
    for key, value in outputs(bare).items():
        assert torch.equal(value, before[key])


def test_a_folded_network_gives_the_same_outputs(nano):
    assert_folded(nano)


def test_a_batch_is_its_images(nano):
    torch.manual_seed(0)
    z, x = torch.rand(2, 3, 127, 127) * 255, torch.rand(2, 3, 255, 255) * 255
    with torch.inference_mode():
        cls, loc = nano.match(nano.kernels(z), x)
        for i in range(2):
            single = nano.track(x[i : i + 1], nano.features(z[i : i + 1]))
            torch.testing.assert_close(cls[i : i + 1], single["cls"], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(loc[i : i + 1], single["loc"], rtol=1e-4, atol=1e-5)


def test_pixelwise_correlation():
    torch.manual_seed(0)
    search, kernel = torch.rand(2, 3, 5, 6), torch.rand(2, 3, 4, 2)
    found = xcorr_pixelwise(search, kernel)
    assert found.shape == (2, 8, 5, 6)
    for image, row, column, i, j in ((0, 0, 0, 0, 0), (1, 3, 1, 4, 5), (1, 2, 0, 1, 3)):
        expected = (kernel[image, :, row, column] * search[image, :, i, j]).sum()
        torch.testing.assert_close(found[image, 2 * row + column, i, j], expected)


def test_depthwise_correlation_is_padded():
    branch = CentreCorrelation(3, 4).eval()
    assert branch.match(torch.rand(1, 4, 4, 4), torch.rand(1, 3, 9, 9)).shape == (1, 4, 8, 8)


def test_distances_of_one_and_of_several_levels():
    """A level of MultiBAN has the names of a DepthwiseBAN; its distances have a learned exponent."""
    torch.manual_seed(0)
    one, several = DepthwiseBAN(8, 8).eval(), MultiBAN([8, 8], weighted=True).eval()
    assert [name for name in several.state_dict() if "." not in name] == ["cls_weight", "loc_weight", "loc_scale"]
    for level in (several.box2, several.box3):
        level.load_state_dict(one.state_dict())
    several.loc_scale.data = torch.tensor([1.0, 2.0])
    several.loc_weight.data = torch.tensor([0.0, 1.0])
    z, x = torch.rand(2, 8, 7, 7), torch.rand(2, 8, 15, 15)
    with torch.inference_mode():
        cls, loc = one(z, x)
        assert cls.shape == (2, 2, 9, 9) and loc.shape == (2, 4, 9, 9) and (loc > 0).all()
        found_cls, found_loc = several([z, z], [x, x])
        share = torch.tensor(1.0).sigmoid()
        torch.testing.assert_close(found_cls, cls)
        torch.testing.assert_close(found_loc, (1 - share) * loc + share * loc**2)
        matched = several.match(several.kernels([z, z]), [x, x])
        assert torch.equal(matched[0], found_cls) and torch.equal(matched[1], found_loc)


def test_one_level_of_siamban():
    opts = ["BACKBONE.TYPE", "resnet18", "BACKBONE.KWARGS.used_layers", [2], "ADJUST.KWARGS.in_channels", [128]]
    opts += ["ADJUST.KWARGS.out_channels", [16], "BAN.TYPE", "DepthwiseBAN", "BAN.KWARGS.in_channels", 16]
    config = load_config(
        experiment("siamrpn_r50_l234_dwxcorr_8gpu"), [*opts, "BAN.BAN", True, "TRACK.TYPE", "SiamBANTracker"]
    )
    found = outputs(load_synthetic_weights(build_model(config), loc_gain=-0.0025))
    assert found["cls"].shape == (1, 2, 25, 25) and found["loc"].shape == (1, 4, 25, 25) and (found["loc"] > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_config_has_the_number_of_points_of_the_network(name):
    config = load_config(experiment(name))
    assert config.TRACK.OUTPUT_SIZE == config.TRAIN.OUTPUT_SIZE == NAMES[name]


@pytest.mark.parametrize("side", [239, 255, 256, 257])
def test_the_check_knows_the_points_of_other_crops(nano, side):
    points = nano.match(nano.kernels(torch.zeros(1, 3, 127, 127)), torch.zeros(1, 3, side, side))[0].shape[-1]
    nano_config("TRACK.INSTANCE_SIZE", side, "TRACK.OUTPUT_SIZE", points)
    with pytest.raises(ValueError, match=f"TRACK.OUTPUT_SIZE: expected {points}, .*; got {points + 1}"):
        nano_config("TRACK.INSTANCE_SIZE", side, "TRACK.OUTPUT_SIZE", points + 1)


def test_predict_gives_the_outputs_of_training_pairs(nano):
    pair = {"template": crop("template", 127), "search": crop("search", 255)}
    with torch.inference_mode():
        found = nano.predict(pair)
    expected = outputs(nano)
    assert found.masks is None
    for key in ("cls", "loc"):
        torch.testing.assert_close(getattr(found, key), expected[key], rtol=1e-4, atol=1e-5)


def test_weights_of_the_other_family(tmp_path, nano):
    torch.save(nano.state_dict(), tmp_path / "nano.pth")
    words = r"nano.pth is a checkpoint of NanoTrack \(.*, and this network is a SiamBAN .*experiments/nanotrackv3$"
    with pytest.raises(ValueError, match=words):
        load_pretrain(build_model(load_config(experiment("siamban_r50_l234"))), tmp_path / "nano.pth")


def test_without_a_config_the_global_one_counts(monkeypatch):
    config = default_config()
    config.merge_from_file(experiment("nanotrackv3"))
    monkeypatch.setattr("pysot.models.model_builder.global_cfg", config)
    assert list(ModelBuilder().state_dict()) == list(parity_json("nanotrackv3.state_dict.json"))
