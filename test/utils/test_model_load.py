"""Checkpoints that are accepted, checkpoints that are refused, and the messages."""

import os
import pickle
import zipfile
from collections import Counter

import numpy as np
import pytest
import torch

from helpers import experiment, tiny_config, tiny_mask_config
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.utils.model_load import load_pretrain, read_checkpoint


@pytest.fixture
def model():
    torch.manual_seed(1)
    return build_model(tiny_config())


def saved(path, content):
    torch.save(content, path)
    return path


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_missing(tmp_path, model):
    with pytest.raises(FileNotFoundError, match="none.pth"):
        load_pretrain(model, tmp_path / "none.pth")


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_cut_off(tmp_path, model, share, legacy):
    path = tmp_path / "model.pth"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ValueError, match="model.pth"):
        load_pretrain(model, path)


@pytest.mark.parametrize("content", [b"hello", b"\x89PNG\r\n\x1a\n" + b"0" * 200])
def test_no_checkpoint(tmp_path, model, content):
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(ValueError, match="model.pth"):
        load_pretrain(model, tmp_path / "model.pth")


def test_a_list_is_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="holds a list"):
        read_checkpoint(saved(tmp_path / "model.pth", [1, 2]))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("was_run",)


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_code_in_a_pickle_is_refused(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    write({"state_dict": {"a": torch.zeros(1)}, "epoch": Evil()}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match="refused|no checkpoint"):
        read_checkpoint(tmp_path / "model.pth")
    assert not (tmp_path / "was_run").exists()


def parts_of(state):
    """Return a dict for each part of the network, as some programs save them."""
    parts = {}
    for name, value in state.items():
        first, rest = name.split(".", 1)
        parts.setdefault(first, {})[rest] = value
    return parts


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
        lambda s: {"net": s, "epoch": 3},
        lambda s: {"model": s},
        lambda s: {"weights": s, "ema": s},
        lambda s: {"whatever": s, "acc": 0.5},
        lambda s: {f"module.module.{k}": v for k, v in s.items()},
        lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
        lambda s: {"model": {f"model._orig_mod.{k}": v for k, v in s.items()}},
        lambda s: {k: v.numpy() for k, v in s.items()},
        lambda s: {"checkpoint": {"model": s}},
        lambda s: {"model": {"state_dict": s, "epoch": 3}},
        lambda s: {"model": {**s, "version": 1}},
        lambda s: {"state_dict": {}, "model": s},
        lambda s: {"model": s, "mean": torch.zeros(3)},
        lambda s: {**{f"model.{k}": v for k, v in s.items()}, **{f"model_ema.{k}": v for k, v in s.items()}},
        lambda s: parts_of(s),
        lambda s: {"epoch": 3, "model": parts_of(s)},
        lambda s: {"state_dict": parts_of(s)},
        lambda s: {
            "model": s,
            "milestones": Counter({10: 1}),
            "optimizer": {"state": {0: {"momentum_buffer": torch.ones(9)}}, "param_groups": []},
        },
    ],
)
def test_forms_of_a_whole_network(tmp_path, model, wrap):
    other = build_model(tiny_config())
    assert not equal(model, other)
    assert load_pretrain(other, saved(tmp_path / "model.pth", wrap(model.state_dict()))) is other
    assert equal(model, other)


def test_backbone_takes_its_share_of_a_whole_network(tmp_path, model):
    other = build_model(tiny_config())
    load_pretrain(other.backbone, saved(tmp_path / "model.pth", model.state_dict()))
    assert equal(model.backbone, other.backbone) and not equal(model.rpn_head, other.rpn_head)


def test_backbone_files(tmp_path, model, caplog):
    path = saved(tmp_path / "backbone.pth", {**model.backbone.state_dict(), "fc.weight": torch.zeros(3)})
    other = build_model(tiny_config())
    load_pretrain(other.backbone, path)
    assert equal(model.backbone, other.backbone) and not caplog.records
    load_pretrain(other, path)
    assert "backbone weights only" in caplog.text


def test_a_file_of_the_backbone_of_a_network(tmp_path, model, caplog):
    """The backbone weights have their names in the network."""
    other = build_model(tiny_config())
    state = model.state_dict()
    before = {name: value.clone() for name, value in other.rpn_head.state_dict().items()}
    backbone = {name: value for name, value in state.items() if name.startswith("backbone.")}
    load_pretrain(other, saved(tmp_path / "b.pth", backbone))
    assert equal(model.backbone, other.backbone) and "backbone weights only" in caplog.text
    other_heads = {name.replace("rpn_head", "box_head"): value for name, value in state.items()}
    with pytest.raises(ValueError, match="another architecture"):  # the heads of another tracker are not ignored
        load_pretrain(other, saved(tmp_path / "c.pth", other_heads))
    assert all(torch.equal(value, before[name]) for name, value in other.rpn_head.state_dict().items())


def test_legacy_alexnet_without_its_prefix(tmp_path):
    config = load_config(experiment("siamrpn_alex_dwxcorr"))
    model, other = build_model(config), build_model(config)
    state = {name.removeprefix("features."): value for name, value in model.backbone.state_dict().items()}
    load_pretrain(other.backbone, saved(tmp_path / "b.pth", state))
    assert equal(model.backbone, other.backbone)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("rpn_head.cls.head.3.weight"), "missing: rpn_head.cls.head.3.weight"),
        (lambda s: s.update({"rpn_head.cls_weight": torch.ones(3)}), "unknown: rpn_head.cls_weight"),
        (
            lambda s: s.update({"rpn_head.cls.head.3.bias": torch.ones(3)}),
            r"rpn_head.cls.head.3.bias is \(3,\), expected \(10,\)",
        ),
    ],
)
def test_another_architecture_is_named_and_changes_nothing(tmp_path, model, change, words):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = {k: torch.zeros_like(v) for k, v in model.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=f"another architecture.*{words}"):
        load_pretrain(model, saved(tmp_path / "model.pth", state))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("crc", [True, False])
def test_flipped_bytes_in_the_middle(tmp_path, model, crc):
    """Damage is found by checksums; a file without them, an option of PyTorch, is read as it is."""
    torch.serialization.set_crc32_options(crc)
    try:
        path = saved(tmp_path / "model.pth", {"state_dict": model.state_dict(), "epoch": 1})
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_checkpoint(path)["epoch"] == 1
    data = bytearray(path.read_bytes())
    start = data.find(model.state_dict()["rpn_head.cls.head.0.weight"].numpy().tobytes())
    data[start : start + 64] = bytes(64)
    path.write_bytes(data)
    if not crc:
        assert read_checkpoint(path)["epoch"] == 1
        return
    words = "copy it again or take an earlier one"
    with pytest.raises(
        ValueError, match=f"model.pth is damaged: .*/data/[0-9]+ in it does not have its checksum; {words}"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{1: torch.zeros(1)}, {"state_dict": {1: torch.zeros(1)}}])
def test_names_that_are_no_text(tmp_path, content):
    with pytest.raises(ValueError, match="names that are not strings"):
        read_checkpoint(saved(tmp_path / "model.pth", content))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tmp_path, model, value):
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["rpn_head.cls.head.3.bias"][0] = value
    with pytest.raises(ValueError, match="NaN or infinity in weights: rpn_head.cls.head.3.bias"):
        load_pretrain(model, saved(tmp_path / "model.pth", state))


def test_the_refusal_names_the_object_and_gives_no_advice_to_run_it(tmp_path):
    with pytest.raises(ValueError, match="was refused") as caught:
        read_checkpoint(saved(tmp_path / "model.pth", {"state_dict": {}, "x": Evil()}))
    message = str(caught.value)
    assert "mkdir" in message and "\x1b" not in message and "can still be loaded" not in message


@pytest.mark.parametrize("prefix", ["module.", "model.backbone.", "module.module.backbone."])
def test_backbones_under_wrappers(tmp_path, model, prefix):
    other = build_model(tiny_config())
    state = {f"{prefix}{name}": value for name, value in model.backbone.state_dict().items()}
    load_pretrain(other.backbone, saved(tmp_path / "b.pth", {"net": state}))
    assert equal(model.backbone, other.backbone)
    if prefix == "module.":
        load_pretrain(other, tmp_path / "b.pth")


def test_weights_in_several_places_are_named(tmp_path, model):
    with pytest.raises(ValueError, match="weights under teacher, student, none of which is called state_dict"):
        read_checkpoint(saved(tmp_path / "model.pth", {"teacher": model.state_dict(), "student": model.state_dict()}))


@pytest.mark.parametrize(
    "experiment_name, names, architecture",
    [
        (
            "siamrpn_r50_l234_dwxcorr_8gpu",
            {
                "conv1.weight": (64, 3, 7, 7),
                "layer1.0.conv3.weight": (256, 64, 1, 1),
                "fc.weight": (1000, 2048),
                "layer2.0.downsample.0.weight": (512, 256, 1, 1),
            },
            "resnet50",
        ),
        (
            "siamrpn_alex_dwxcorr",
            {
                "features.0.weight": (64, 3, 11, 11),
                "features.10.weight": (256, 256, 3, 3),
                "classifier.1.weight": (1, 1),
            },
            "alexnet",
        ),
        (
            "siamrpn_mobilev2_l234_dwxcorr",
            {"features.0.0.weight": (32, 3, 3, 3), "features.18.0.weight": (1280, 320, 1, 1)},
            "mobilenetv2",
        ),
    ],
)
def test_torchvisions_layout_is_named(tmp_path, experiment_name, names, architecture):
    backbone = build_model(load_config(experiment(experiment_name))).backbone
    path = saved(tmp_path / "torchvision.pth", {name: torch.zeros(shape) for name, shape in names.items()})
    command = f"python tools/convert_pretrained.py {architecture} .*torchvision.pth"
    with pytest.raises(ValueError, match=f"as torchvision has them; convert them first: {command}"):
        load_pretrain(backbone, path)


NUMBERS = [np.float64(0.005), np.float32(1.5), np.int64(7), np.bool_(True), np.complex64(1j), np.uint8(3)]


@pytest.mark.parametrize("name", ["numpy._core.multiarray", "numpy.core.multiarray"])
def test_numbers_of_numpy_are_plain_values(tmp_path, name):
    """Learning-rate schedules leave such numbers in an optimizer's groups; the names are those of NumPy 1 and 2."""
    groups = [{"lr": NUMBERS[0], "all": (*NUMBERS,)}]
    state, curve = {"a": torch.zeros(1)}, np.arange(6.0).reshape(2, 3)
    content = {"state_dict": state, "optimizer": {"param_groups": groups}, "curve": curve}
    torch.save(content, tmp_path / "original.pth")
    with (
        zipfile.ZipFile(tmp_path / "original.pth") as original,
        zipfile.ZipFile(tmp_path / "model.pth", "w") as changed,
    ):
        for item in original.namelist():
            data = original.read(item)
            changed.writestr(item, _with_module_name(data, name) if item.endswith("data.pkl") else data)
    checkpoint = read_checkpoint(tmp_path / "model.pth")
    group = checkpoint["optimizer"]["param_groups"][0]
    assert type(group["lr"]) is float and list(group["all"]) == [number.item() for number in NUMBERS]
    assert {type(number) for number in group["all"]} <= {float, int, bool, complex}
    assert isinstance(checkpoint["curve"], torch.Tensor) and checkpoint["curve"].tolist() == [[0, 1, 2], [3, 4, 5]]


def _with_module_name(data, name):
    for module in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        data = data.replace(b"c" + module + b"\n", b"c" + name.encode() + b"\n")
    return data


@pytest.mark.parametrize(
    "value",
    [
        np.array([Evil()], object),
        np.array(["a"]),
        np.datetime64("2020-01-01"),
        np.str_("x"),
        np.zeros(2, [("a", "f8")]),
    ],
    ids=["object", "text", "date", "str", "record"],
)
def test_other_values_of_numpy_are_refused(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="refused|no checkpoint"):
        read_checkpoint(saved(tmp_path / "model.pth", {"state_dict": {"a": torch.zeros(1)}, "x": value}))
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("own", ["boxes", "other boxes", "base", "masks"])
@pytest.mark.parametrize("given", ["boxes", "other boxes", "base", "masks"])
def test_checkpoints_of_networks_with_and_without_masks(tmp_path, own, given):
    """A sentence says what is missing and what to load; the boxes of SiamMask are those of other networks or not."""
    configs = {
        "boxes": tiny_mask_config("base", "MASK.MASK", False, "BACKBONE.KWARGS.used_layers", [5]),
        "other boxes": tiny_config(),
        "base": tiny_mask_config("base"),
        "masks": tiny_mask_config("refine"),
    }
    network = build_model(configs[own])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    path = saved(tmp_path / "model.pth", build_model(configs[given]).state_dict())
    level = {"boxes": 0, "other boxes": 0, "base": 1, "masks": 2}
    if own == given:
        load_pretrain(network, path)
        return
    if level[given] == 0 < level[own]:
        parts = " and ".join(["mask_head", "refine_head"][: level[own]])
        words = f"is a SiamRPN checkpoint without {parts}, the mask branch.* Load a SiamMask checkpoint"
    elif level[given] < level[own]:
        words = "is a SiamMask checkpoint without refine_head. .* REFINE.REFINE true"
    elif level[given] > level[own]:
        parts = ["mask_head", "refine_head"][level[own] : level[given]]
        words = f"is a SiamMask checkpoint: this network has no {' and no '.join(parts)}. Load .* or use the config"
    else:
        words = "another architecture"
    with pytest.raises(ValueError, match=words):
        load_pretrain(network, path)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_second_stage_of_siammask_starts_from_the_first(tmp_path, caplog):
    """The refinement, which the first stage does not have, keeps its values; a part of it may not be missing."""
    network, base = build_model(tiny_mask_config("refine")), build_model(tiny_mask_config("base"))
    before = {name: value.clone() for name, value in network.refine_head.state_dict().items()}
    load_pretrain(network, saved(tmp_path / "base.pth", base.state_dict()), may_lack=("refine_head",))
    assert "has no refine_head, which keeps its values" in caplog.text
    assert torch.equal(network.mask_head.head[3].weight, base.mask_head.head[3].weight)
    assert all(torch.equal(value, before[name]) for name, value in network.refine_head.state_dict().items())
    state = network.state_dict()
    state.pop("refine_head.v0.0.weight")
    with pytest.raises(ValueError, match=r"missing: refine_head.v0.0.weight"):
        load_pretrain(network, saved(tmp_path / "part.pth", state), may_lack=("refine_head",))
