"""Kinds of trackers by the names of their weights, and the sentence on two that differ."""

import pytest
import torch

from helpers import experiment, parity_json, tiny_config, tiny_mask_config
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.utils.model_load import OtherNetwork, load_pretrain
from pysot.utils.weight_families import family_difference, family_of

FILES = {
    "SiamRPN": "siamrpn_r50_l234_dwxcorr",
    "SiamMask": "siammask_r50_l3",
    "NanoTrack": "nanotrackv3",
    "SiamBAN": "siamban_r50_l234",
}
NAMES = {family: list(parity_json(f"{file}.state_dict.json")) for family, file in FILES.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "model.module.", "_orig_mod."])
@pytest.mark.parametrize("family", NAMES)
def test_published_names_are_recognised(family, prefix):
    found = family_of([prefix + name for name in NAMES[family]])
    assert found.name == family and load_config(experiment(found.experiment)) is not None


@pytest.mark.parametrize(
    "names",
    [[], ["conv1.weight"], ["backbone.conv1.weight"], ["neck.a"], ["box_head.cls.head.0.weight"], ["headless.a"]],
)
def test_others_are_not(names):
    assert family_of(names) is None
    assert family_difference(names, NAMES["SiamRPN"]) == family_difference(NAMES["SiamRPN"], names) == ""


@pytest.mark.parametrize("own", NAMES)
@pytest.mark.parametrize("given", NAMES)
def test_the_sentence_names_both_and_what_to_load(own, given):
    text = family_difference(NAMES[own], NAMES[given])
    if own == given:
        assert text == ""
    elif {own, given} == {"SiamRPN", "SiamMask"}:
        assert given in text and "SiamMask" in text and "Load a" in text
    else:
        assert f"is a checkpoint of {given} (" in text and f"this network is a {own} (" in text
        assert f"Load a checkpoint of {own}" in text and FILES[given] in text


def test_one_sentence_for_weights_of_another_kind(tmp_path):
    """Not a list of names; the network does not change."""
    network = build_model(tiny_config())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for name, config in (("nano", load_config(experiment("nanotrackv3"))), ("mask", tiny_mask_config("refine"))):
        torch.save(build_model(config).state_dict(), tmp_path / f"{name}.pth")
        with pytest.raises(OtherNetwork) as caught:
            load_pretrain(network, tmp_path / f"{name}.pth")
        text = str(caught.value)
        assert f"{name}.pth is a " in text and "missing:" not in text and len(text) < 400 and "\n" not in text
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
