"""The config inside checkpoints: what it holds, and that it describes the same network and tracker."""

import pytest
import torch

from helpers import ROOT, experiment
from pysot.core.config import load_config
from pysot.core.stored_config import config_text, load_stored_config
from pysot.utils.model_load import read_checkpoint

NAMES = sorted(path.parent.name for path in (ROOT / "experiments").glob("*/config.yaml"))
NETWORK = ("META_ARC", "ADJUST", "RPN", "BAN", "MASK", "REFINE", "ANCHOR", "POINT", "TRACK")


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_comes_back(name):
    cfg = load_config(experiment(name))
    stored = load_stored_config(config_text(cfg), "a.pth")
    assert {key: stored[key] for key in NETWORK} == {key: cfg[key] for key in NETWORK} and stored.is_frozen()
    assert stored.BACKBONE.KWARGS == cfg.BACKBONE.KWARGS and stored.BACKBONE.TYPE == cfg.BACKBONE.TYPE


def test_nothing_of_data_and_machine_is_stored():
    private = ["TRAIN.SNAPSHOT_DIR", "/home/me/run", "BACKBONE.PRETRAINED", "/home/me/r50.model"]
    private += ["DATASET.COCO.ROOT", "/home/me/coco", "TRAIN.PRETRAINED", "/home/me/start.pth"]
    machine = ["TRACK.PRECISION", "bf16", "TRACK.COMPILE", True, "TRACK.CROPS", "host", "TRACK.GRAPH", "off"]
    path = experiment("siamrpn_alex_dwxcorr")
    text = config_text(load_config(path, [*private, *machine]))
    assert text == config_text(load_config(path)) and "/home" not in text


def test_it_is_plain_text_in_a_checkpoint(tmp_path):
    text = config_text(load_config(experiment("siamrpn_alex_dwxcorr"), ["TRACK.LR", 1e-5]))
    torch.save({"state_dict": {"backbone.a": torch.ones(1)}, "config": text}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth")["config"] == text
    cfg = load_stored_config(text, "a.pth", ["TRACK.PENALTY_K", 0.5])
    assert cfg.TRACK.LR == 1e-5 and cfg.TRACK.PENALTY_K == 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "a.pth, its config: not YAML"),
        ("", "a.pth, its config: expected a YAML mapping of config keys, got nothing"),
        ("TRACK: {TIPE: x}", "a.pth, its config: unknown config key TRACK.TIPE; did you mean TRACK.TYPE"),
        ("TRACK: {LR: fast}", "a.pth, its config: TRACK.LR: expected a number"),
    ],
)
def test_damaged_texts(text, words):
    with pytest.raises(ValueError, match=words):
        load_stored_config(text, "a.pth")
