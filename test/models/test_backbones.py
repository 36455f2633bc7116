"""Backbones: channels that the config check relies on, size of the score map, invalid arguments."""

import pytest
import torch

from helpers import experiment, tiny_config
from pysot.core.backbone_facts import BACKBONES as CHECKED
from pysot.core.backbone_facts import backbone_channels, backbone_stages, backbone_stride
from pysot.core.config import load_config
from pysot.models.backbone import BACKBONES
from pysot.models.head import UPChannelRPN
from pysot.models.model_builder import build_model

CASES = [
    ("alexnetlegacy", {"width_mult": 0.5}),
    ("alexnet", {}),
    ("alexnet", {"width_mult": 0.25}),
    ("resnet18", {}),
    ("resnet34", {"used_layers": [1]}),
    ("resnet18", {"used_layers": [2, 3]}),
    ("resnet50", {"used_layers": [0, 1, 2, 3, 4]}),
    ("mobilenetv2", {}),
    ("mobilenetv2", {"used_layers": [1, 6], "width_mult": 1.4}),
    ("mobilenetv3_small", {}),
    ("mobilenetv3_small_v3", {"used_layers": [0, 1, 2, 3, 4]}),
    ("mobilenetv3_small", {"used_layers": [2]}),
]


def test_config_check_knows_the_same_backbones():
    assert set(CHECKED) == set(BACKBONES)


@pytest.mark.parametrize(("kind", "kwargs"), CASES)
def test_channels_and_size(kind, kwargs):
    network = BACKBONES[kind](**kwargs).eval()
    with torch.inference_mode():
        features = network(torch.zeros(1, 3, 127, 127))
    features = features if isinstance(features, list) else [features]
    assert [f.shape[1] for f in features] == backbone_channels(kind, kwargs)
    if kind.startswith("alexnet"):
        assert features[0].shape[-1] == 6
    elif kind.startswith("mobilenetv3"):
        sides = [64, 32, 16, 8, 8]
        assert [f.shape[-1] for f in features] == [sides[i] for i in kwargs.get("used_layers", [4])]
    elif 2 in kwargs.get("used_layers", [2]):
        assert features[-1].shape[-1] == 15


@pytest.mark.parametrize("kind", [kind for kind in CHECKED if not kind.startswith("alexnet")])
def test_stages_and_stride(kind):
    """The last stage exists and no later one; a larger image has a cell more for each stride."""
    last = backbone_stages(kind) - 1
    network = BACKBONES[kind](used_layers=[last]).eval()
    with pytest.raises((IndexError, AttributeError)), torch.inference_mode():
        BACKBONES[kind](used_layers=[0, last + 1])(torch.zeros(1, 3, 63, 63))
    with torch.inference_mode():
        small, large = (network(torch.zeros(1, 3, side, side)).shape[-1] for side in (63, 127))
    assert (large - small) * backbone_stride(kind) == 64


@pytest.mark.parametrize("kind", ["resnet18", "resnet34"])
def test_complete_network_on_smaller_resnets(kind):
    channels = "[128, 256, 512]"
    config = load_config(
        experiment("siamrpn_r50_l234_dwxcorr_8gpu"),
        ["BACKBONE.TYPE", kind, "ADJUST.KWARGS.in_channels", channels],
        for_training=True,
    )
    model = build_model(config).eval()
    with torch.inference_mode():
        model.template(torch.zeros(1, 3, 127, 127))
        assert model.track(torch.zeros(1, 3, 255, 255))["cls"].shape == (1, 10, 25, 25)


def test_single_level_neck(tmp_path):
    opts = [
        "BACKBONE.KWARGS.used_layers",
        "[3]",
        "ADJUST.KWARGS.in_channels",
        "[1024]",
        "ADJUST.KWARGS.out_channels",
        "[64]",
        "RPN.TYPE",
        "DepthwiseRPN",
    ]
    name = experiment("siamrpn_r50_l234_dwxcorr_lt")
    text = open(name).read()
    for line, replacement in (
        ("    weighted: true\n", "    out_channels: 64\n"),
        ("WEIGHTED: true", "WEIGHTED: false"),
        ("    in_channels: [128, 256, 512]", "    in_channels: 64"),
        ("  ADJUST_CHANNEL: [128, 256, 512]\n", ""),
        ("  CHANNELS: [512, 1024, 2048]\n", ""),
    ):
        text = text.replace(line, replacement)
    (tmp_path / "config.yaml").write_text(text)
    config = load_config(tmp_path / "config.yaml", opts)
    model = build_model(config).eval()
    assert "neck.downsample.downsample.0.weight" in model.state_dict()
    with torch.inference_mode():
        model.template(torch.zeros(1, 3, 127, 127))
        assert model.track(torch.zeros(1, 3, 255, 255))["loc"].shape == (1, 20, 25, 25)


def test_up_channel_head():
    head = UPChannelRPN(anchor_num=5, feature_in=8)
    cls, loc = head(torch.randn(2, 8, 6, 6), torch.randn(2, 8, 22, 22))
    assert cls.shape == (2, 10, 17, 17) and loc.shape == (2, 20, 17, 17)


def test_arguments_that_a_backbone_does_not_take():
    with pytest.raises(ValueError, match="BACKBONE.KWARGS.*alexnet.*depth"):
        build_model(tiny_config("BACKBONE.KWARGS.depth", 3))


def test_track_needs_a_template():
    with pytest.raises(RuntimeError, match="template"):
        build_model(tiny_config()).track(torch.zeros(1, 3, 255, 255))


def test_labels_of_another_size_are_named():
    model = build_model(tiny_config())
    batch = {
        "template": torch.zeros(1, 3, 127, 127),
        "search": torch.zeros(1, 3, 255, 255),
        "label_cls": torch.zeros(1, 5, 25, 25),
    }
    with pytest.raises(ValueError, match="OUTPUT_SIZE.*17.*25"):
        model(batch)
