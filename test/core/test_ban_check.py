"""Config check of networks without anchors."""

import pytest

from helpers import experiment
from pysot.core.config import load_config

NANO, BAN, RPN = "nanotrackv3", "siamban_r50_l234", "siamrpn_r50_l234_dwxcorr_8gpu"


def message_of(name: str, *opts) -> str:
    with pytest.raises(ValueError) as caught:
        load_config(experiment(name), list(opts))
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "opts", "words"),
    [
        (BAN, ["BAN.TYPE", "MultiRPN"], ["BAN.TYPE", "DepthwiseBAN, MultiBAN, NanoBAN", "'MultiRPN'"]),
        (BAN, ["BAN.BAN", "2"], ["BAN.BAN", "true or false"]),
        (BAN, ["BAN.TPYE", "MultiBAN"], ["BAN.TPYE", "BAN.TYPE"]),
        (BAN, ["POINT.STRIDE", 16], ["POINT.STRIDE: expected 8, the stride of resnet50; got 16"]),
        (BAN, ["POINT.STRIDE", 0], ["POINT.STRIDE: expected a number above 0"]),
        (NANO, ["POINT.STRIDE", 8], ["POINT.STRIDE: expected 16, the stride of mobilenetv3_small; got 8"]),
        (BAN, ["TRACK.OUTPUT_SIZE", 15], ["TRACK.OUTPUT_SIZE: expected 25", "INSTANCE_SIZE 255; got 15"]),
        (BAN, ["TRACK.OUTPUT_SIZE", -1], ["TRACK.OUTPUT_SIZE: expected a number above 0"]),
        (BAN, ["TRACK.INSTANCE_SIZE", 287], ["TRACK.OUTPUT_SIZE: expected 29", "287"]),
        (BAN, ["TRACK.INSTANCE_SIZE", 100], ["TRACK.INSTANCE_SIZE: expected at least EXEMPLAR_SIZE (127)"]),
        (BAN, ["TRAIN.OUTPUT_SIZE", 17], ["TRAIN.OUTPUT_SIZE: expected 25", "SEARCH_SIZE 255; got 17"]),
        (NANO, ["TRAIN.OUTPUT_SIZE", 25], ["TRAIN.OUTPUT_SIZE: expected 15"]),
        (NANO, ["TRACK.EXEMPLAR_SIZE", 143], ["TRACK.EXEMPLAR_SIZE: expected 113 to 128", "got 143"]),
        (NANO, ["BAN.TYPE", "DepthwiseBAN"], ["BACKBONE.TYPE", "BAN.TYPE DepthwiseBAN", "BAN.TYPE to NanoBAN"]),
        (NANO, ["BAN.BAN", False, "TRAIN.OUTPUT_SIZE", 25], ["BACKBONE.TYPE", "BAN.BAN false", "BAN.BAN to true"]),
        (NANO, ["BACKBONE.KWARGS.used_layers", [2]], ["used_layers: expected [4] or [3]", "got [2]"]),
        (NANO, ["BACKBONE.KWARGS.used_layers", [5]], ["used_layers", "0 to 4"]),
        (NANO, ["BAN.KWARGS.in_channels", 64], ["BAN.KWARGS.in_channels: expected 96 (the channels of mobilenet"]),
        (NANO, ["BAN.KWARGS.out_channels", "x"], ["BAN.KWARGS.out_channels", "whole number"]),
        (BAN, ["BAN.TYPE", "NanoBAN"], ["BACKBONE.TYPE: expected mobilenetv3_small", "got resnet50"]),
        (BAN, ["BAN.TYPE", "DepthwiseBAN"], ["BAN.TYPE: expected MultiBAN for 3 feature levels; got DepthwiseBAN"]),
        (BAN, ["BAN.KWARGS.in_channels", [256, 256]], ["[256, 256, 256] (ADJUST.KWARGS.out_channels)"]),
        (BAN, ["BAN.KWARGS.in_channels", 256], ["BAN.KWARGS.in_channels: expected [256, 256, 256]", "got 256"]),
        (BAN, ["BAN.KWARGS.cls_out_channels", 1], ["BAN.KWARGS.cls_out_channels: expected 2", "got 1"]),
        (BAN, ["MASK.MASK", True], ["MASK.MASK: expected false with BAN.BAN"]),
        (BAN, ["TRACK.TYPE", "SiamRPNTracker"], ["expected SiamBANTracker or SiamBANLTTracker with BAN.BAN true"]),
        (RPN, ["TRACK.TYPE", "SiamBANTracker"], ["TRACK.TYPE: expected another tracker with BAN.BAN false"]),
        (
            NANO,
            ["TRACK.TYPE", "SiamBANLTTracker", "TRACK.LOST_INSTANCE_SIZE", 839],
            [
                "TRACK.LOST_INSTANCE_SIZE: expected TRACK.INSTANCE_SIZE (255) plus a multiple of POINT.STRIDE (16)",
                "839",
            ],
        ),
        (RPN, ["BAN.BAN", True], ["BAN.KWARGS.in_channels: expected [256, 256, 256]", "got none"]),
    ],
)
def test_problems(name, opts, words):
    message = message_of(name, *opts)
    assert all(word in message for word in words), message


def test_values_of_anchors_do_not_matter():
    load_config(experiment(BAN), ["ANCHOR.ANCHOR_NUM", 3, "TRACK.BASE_SIZE", 0, "RPN.KWARGS.in_channels", 7])


def test_values_without_anchors_do_not_matter():
    load_config(experiment(RPN), ["TRACK.OUTPUT_SIZE", 15, "POINT.STRIDE", 16, "BAN.TYPE", "NanoBAN"])


@pytest.mark.parametrize("name", [NANO, BAN])
def test_training(name):
    """The size of the labels is checked without BASE_SIZE, which anchors have."""
    load_config(experiment(name), ["TRAIN.BASE_SIZE", 3], for_training=True)
    for opts, words in (
        (["TRAIN.POS_NUM", 65], "TRAIN.POS_NUM: expected at most TOTAL_NUM (64); got 65"),
        (["DATASET.NAMES", []], "DATASET.NAMES: expected at least one"),
        (["TRAIN.OUTPUT_SIZE", 17], "TRAIN.OUTPUT_SIZE: expected"),
    ):
        with pytest.raises(ValueError) as caught:
            load_config(experiment(name), opts, for_training=True)
        assert words in str(caught.value)
