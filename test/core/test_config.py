"""Config tree: the keys of the original, its eleven experiments, and the messages for mistakes."""

import os
import re

import pytest

from helpers import experiment, parity_json
from pysot.core import config as config_module
from pysot.core.config import cfg, default_config, load_config

NAMES = sorted(parity_json("config_values.json")["experiments"])


def leaves(tree: dict, path: str = ""):
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield path + key, value


def value_of(config, name: str):
    for part in name.split("."):
        config = config[part]
    return list(config) if isinstance(config, tuple) else config


def error_message(*opts, name: str = "siamrpn_r50_l234_dwxcorr_8gpu", for_training: bool = True) -> str:
    with pytest.raises(ValueError) as caught:
        load_config(experiment(name), list(opts), for_training=for_training)
    return str(caught.value)


# A single loader process limits ResNet-50 to 360 to 550 pairs/s on any card, so the default is as many as the cores
# allow. The items do not depend on the number of processes.
OWN_DEFAULTS = {"TRAIN.NUM_WORKERS": -1}


def test_defaults_are_the_originals():
    defaults = dict(leaves(parity_json("config_values.json")["defaults"]))
    assert set(OWN_DEFAULTS) <= set(defaults)
    for name, value in (defaults | OWN_DEFAULTS).items():
        assert (
            value_of(default_config(), name) == value
            and type(value_of(default_config(), name)) is type(value)
            or value == {}
        ), name


@pytest.mark.parametrize("name", NAMES)
def test_experiments_load_with_the_originals_values(name):
    config = load_config(experiment(name))
    for key, value in leaves(parity_json("config_values.json")["experiments"][name]):
        assert value_of(config, key) == value, key


def test_every_key_has_a_reason():
    lines = open(config_module.__file__, encoding="utf-8").read().splitlines()
    bare = [
        line
        for before, line in zip(lines, lines[1:], strict=False)
        if re.match(r"__C\.[A-Z_.]+ = (?!CN|dataset_node)", line) and "#" not in line and not before.startswith("#")
    ]
    assert not bare


def test_global_tree_merges_like_the_originals(tmp_path):
    tree = cfg.clone()
    tree.merge_from_file(experiment("siamrpn_r50_l234_dwxcorr_8gpu"))
    assert tree.BACKBONE.TYPE == "resnet50" and tree.RPN.KWARGS.weighted is True
    tree.merge_from_list(["TRAIN.BATCH_SIZE", "4", "DATASET.NAMES", ["COCO"]])
    assert tree.TRAIN.BATCH_SIZE == 4 and tree.DATASET.NAMES == ("COCO",)
    assert cfg.BACKBONE.TYPE == "res50"


@pytest.mark.parametrize(
    ("opts", "words"),
    [
        (["TRAIN.EPOC", "3"], ["unknown config key TRAIN.EPOC", "TRAIN.EPOCH"]),
        (["DATASET.NAMS", "[A]"], ["DATASET.NAMS", "DATASET.NAMES"]),
        (["DATASET.TEMPLTE.SHIFT", "3"], ["DATASET.TEMPLTE", "DATASET.TEMPLATE"]),
        (["DATASET.VID.ROOTS", "x"], ["DATASET.VID.ROOTS", "DATASET.VID.ROOT"]),
        (["DATASET.MINE.ROOT", "x"], ["DATASET.MINE", "missing ANNO"]),
        (["DATASET.MINE.ROOT", "x", "DATASET.MINE.ANNO", "y", "DATASET.MINE.RANGE", "1"], ["unknown RANGE"]),
        (["TRAIN.EPOCH", "many"], ["TRAIN.EPOCH", "a whole number", "'many'"]),
        (["TRAIN.EPOCH", "1.5"], ["TRAIN.EPOCH", "a whole number"]),
        (["TRAIN.EPOCH", "true"], ["TRAIN.EPOCH", "a whole number"]),
        (["TRAIN.LOG_GRADS", "3"], ["TRAIN.LOG_GRADS", "true or false"]),
        (["TRAIN.BASE_LR", "fast"], ["TRAIN.BASE_LR", "a number"]),
        (["TRAIN", "3"], ["TRAIN", "a section"]),
        (["DATASET.NAMES", "VID"], ["DATASET.NAMES", "a list"]),
        (["TRAIN.EPOCH"], ["KEY VALUE"]),
        (["TRAIN.EPOCH", "2", "TRAIN.EPOCH.X", "3"], ["TRAIN.EPOCH.X", "each key once"]),
        (["TRAIN.EPOCH", "[1"], ["cannot read"]),
    ],
)
def test_mistakes_are_explained(opts, words):
    message = error_message(*opts)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("opts", "words"),
    [
        (["TRAIN.OUTPUT_SIZE", "17"], ["TRAIN.OUTPUT_SIZE", "= 25", "got 17", "Set it to 25"]),
        (["ANCHOR.ANCHOR_NUM", "3"], ["ANCHOR.ANCHOR_NUM", "= 5", "got 3"]),
        (["RPN.KWARGS.anchor_num", "3"], ["RPN.KWARGS.anchor_num", "= 5", "got 3"]),
        (["ANCHOR.RATIOS", "[1, 2]"], ["ANCHOR.ANCHOR_NUM", "= 2", "RPN.KWARGS.anchor_num"]),
        (
            ["ADJUST.KWARGS.in_channels", "[512, 1024, 1024]"],
            ["[512, 1024, 2048]", "resnet50", "got [512, 1024, 1024]"],
        ),
        (["ADJUST.KWARGS.out_channels", "[256, 256]"], ["ADJUST.KWARGS.out_channels", "3 numbers"]),
        (["ADJUST.ADJUST", "false"], ["RPN.KWARGS.in_channels", "[512, 1024, 2048]"]),
        (["RPN.KWARGS.in_channels", "[256, 256, 128]"], ["RPN.KWARGS.in_channels", "[256, 256, 256]"]),
        (["RPN.TYPE", "DepthwiseRPN"], ["RPN.TYPE", "expected MultiRPN"]),
        (["BACKBONE.TYPE", "resnet18"], ["[128, 256, 512]", "resnet18"]),
        (["BACKBONE.TYPE", "res50"], ["BACKBONE.TYPE", "resnet50", "'res50'"]),
        (["BACKBONE.KWARGS.used_layers", "[5]"], ["used_layers", "0 to 4"]),
        (["BACKBONE.CHANNELS", "[1, 2, 3]"], ["BACKBONE.CHANNELS", "[512, 1024, 2048]"]),
        (["ANCHOR.RATIOS", "[0, 1, 1, 1, 1]"], ["ANCHOR.RATIOS", "above 0"]),
        (["ANCHOR.RATIOS", "[a, 1, 1, 1, 1]"], ["ANCHOR.RATIOS", "numbers"]),
        (["ANCHOR.SCALES", "[0]"], ["ANCHOR.SCALES", "above 0"]),
        (["BACKBONE.TRAIN_LAYERS", "[1]"], ["BACKBONE.TRAIN_LAYERS", "names"]),
        (["DATASET.NAMES", "[[COCO]]"], ["DATASET.NAMES", "names"]),
        (["RPN.KWARGS.anchor_num", "'5'"], ["RPN.KWARGS.anchor_num", "whole number"]),
        (["RPN.KWARGS.in_channels", "256"], ["RPN.KWARGS.in_channels", "a list"]),
        (["ADJUST.KWARGS.out_channels", "x"], ["ADJUST.KWARGS.out_channels", "whole number"]),
        (["BACKBONE.KWARGS.width_mult", "a"], ["BACKBONE.KWARGS.width_mult", "'a'"]),
        (["TRACK.BASE_SIZE", "0"], ["TRACK.BASE_SIZE", "expected 8"]),
        (["TRAIN.BASE_SIZE", "0", "TRAIN.OUTPUT_SIZE", "17"], ["TRAIN.BASE_SIZE", "expected 8"]),
        (["TRAIN.LR_WARMUP.EPOCH", "20"], ["TRAIN.LR_WARMUP.EPOCH", "1 to EPOCH - 1 (19)", "got 20"]),
        (
            ["TRAIN.LR.TYPE", "multi-step", "TRAIN.LR.KWARGS.steps", "[5, 15]"],
            ["TRAIN.LR.KWARGS.steps", "1 to 14", "[5, 15]"],
        ),
        (["TRAIN.LR.TYPE", "multi-step", "TRAIN.LR.KWARGS.steps", "[9, 5]"], ["TRAIN.LR.KWARGS.steps", "rising"]),
        (["BACKBONE.LAYERS_LR", "-0.1"], ["BACKBONE.LAYERS_LR", "0 or more", "-0.1"]),
        (["BACKBONE.TRAIN_EPOCH", "-1"], ["BACKBONE.TRAIN_EPOCH", "got -1"]),
        (["TRAIN.START_EPOCH", "20"], ["TRAIN.START_EPOCH", "got 20"]),
        (["TRAIN.BATCH_SIZE", "0"], ["TRAIN.BATCH_SIZE", "above 0"]),
        (["TRAIN.PRECISION", "fp8"], ["TRAIN.PRECISION", "bf16", "'fp8'"]),
        (["TRACK.PRECISION", "tf32"], ["TRACK.PRECISION", "fp16", "'tf32'"]),
        (["TRACK.CROPS", "card"], ["TRACK.CROPS", "auto, device, host", "'card'"]),
        (["TRACK.GRAPH", "never"], ["TRACK.GRAPH", "auto, off", "'never'"]),
        (["TRACK.GRAPH", "on"], ["TRACK.GRAPH", "auto, off", "'on'"]),
        (["TRAIN.LOSS_SCALE", "fast"], ["TRAIN.LOSS_SCALE", "dynamic"]),
        (["TRAIN.THR_LOW", "0.7"], ["TRAIN.THR_LOW", "THR_HIGH"]),
        (["DATASET.NEG", "1.5"], ["DATASET.NEG", "0 to 1"]),
        (["DATASET.NAMES", "[]"], ["at least one"]),
        (["MASK.MASK", "True", "DATASET.NAMES", "[VID, COCO]"], ["MASKS: expected true", "VID, COCO", "--with-masks"]),
        (["DATASET.COCO.MASKS", "1"], ["DATASET.COCO.MASKS", "true or false"]),
    ],
)
def test_relations_are_checked(opts, words):
    message = error_message(*opts)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("text", ["TRACK:\n  GRAPH: off\n", "TRACK:\n  GRAPH: 'off'\n"])
def test_off_is_a_word(tmp_path, text):
    """YAML reads off as false."""
    (tmp_path / "config.yaml").write_text(text)
    assert load_config(experiment("quickstart"), ["TRACK.GRAPH", "off"]).TRACK.GRAPH == "off"
    config = default_config()
    config.merge_from_file(tmp_path / "config.yaml")
    assert config.TRACK.GRAPH == "off"


def test_a_new_data_set_needs_no_code():
    config = load_config(
        experiment("quickstart"),
        ["DATASET.MINE.ROOT", "a", "DATASET.MINE.ANNO", "b", "DATASET.NAMES", "[MINE]"],
        for_training=True,
    )
    assert config.DATASET.MINE == {"ROOT": "a", "ANNO": "b", "FRAME_RANGE": 100, "NUM_USE": -1, "MASKS": False}


@pytest.mark.parametrize("names", ["[VID, COCO]", "[COCO]", "[VID, PREPARED]"])
def test_one_set_with_masks_is_enough(names):
    """A set that describes itself may have masks, which is known when it is opened."""
    opts = ["MASK.MASK", "True", "DATASET.NAMES", names, "DATASET.COCO.MASKS", "True"]
    assert "MASKS" not in error_message(*opts, "TRAIN.KEEP", "-1")


def test_numbers_that_yaml_reads_as_text():
    assert load_config(experiment("quickstart"), ["TRAIN.BASE_LR", "1e-3"]).TRAIN.BASE_LR == 0.001
    assert load_config(experiment("quickstart"), ["TRAIN.LR.KWARGS.end_lr", "1e-3"]).TRAIN.LR.KWARGS.end_lr == 0.001
    assert load_config(experiment("quickstart"), ["TRAIN.LOSS_SCALE", "dynamic"]).TRAIN.LOSS_SCALE == "dynamic"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got nothing"),
        ("- a\n", "got list"),
        ("TRAIN: [", "not YAML"),
        ("TRAIN:\n  EPOC: 1\n", "TRAIN.EPOC"),
    ],
)
def test_bad_files_are_named(tmp_path, text, words):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"config.yaml.*{re.escape(words)}"):
        load_config(path)


def test_missing_file():
    with pytest.raises(FileNotFoundError, match="nowhere.yaml"):
        load_config("nowhere.yaml")


def test_a_failed_merge_changes_nothing():
    tree = default_config()
    with pytest.raises(ValueError):
        tree.merge_from_list(["TRAIN.EPOCH", "3", "TRAIN.BATCH_SIZE", "x"])
    assert tree.TRAIN.EPOCH == 20


def test_loaded_config_is_frozen():
    with pytest.raises(AttributeError):
        load_config(experiment("quickstart")).merge_from_list(["TRAIN.EPOCH", 3])


def test_experiments_of_the_repository_all_load():
    folder = os.path.dirname(os.path.dirname(experiment("quickstart")))
    names = [n for n in os.listdir(folder) if os.path.isdir(os.path.join(folder, n))]
    assert set(NAMES) < set(names)
    for name in names:
        load_config(experiment(name))


@pytest.mark.parametrize(
    "value, names",
    [
        ("('COCO',)", ["COCO"]),
        ("('COCO', 'VID')", ["COCO", "VID"]),
        ("[COCO]", ["COCO"]),
        ("['COCO', VID]", ["COCO", "VID"]),
    ],
)
def test_lists_in_the_spelling_of_yacs(value, names):
    assert list(load_config(experiment("quickstart"), ["DATASET.NAMES", value]).DATASET.NAMES) == names


@pytest.mark.parametrize("value", ["('COCO')", "(COCO,)", "(", "COCO"])
def test_invalid_lists(value):
    with pytest.raises(ValueError, match="DATASET.NAMES"):
        load_config(experiment("quickstart"), ["DATASET.NAMES", value])
