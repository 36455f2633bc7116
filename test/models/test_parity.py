"""Networks against the original: parameter names, order and shapes, outputs, losses and gradients."""

import numpy as np
import pytest
import torch

from helpers import (
    EXPERIMENTS,
    PARITY,
    experiment,
    load_synthetic_weights,
    parity_json,
    synthetic_batch,
    synthetic_image,
)
from pysot.core.config import load_config
from pysot.models.model_builder import build_model

STATE_DICTS = sorted(p.name.removesuffix(".state_dict.json") for p in PARITY.glob("*.state_dict.json"))


def tensor(tag: str, side: int) -> torch.Tensor:
    return torch.from_numpy(synthetic_image(tag, side, side).transpose(2, 0, 1)[None].astype(np.float32))


@pytest.mark.parametrize("name", STATE_DICTS)
def test_state_dict(name):
    state = build_model(load_config(experiment(name))).state_dict()
    assert [(key, list(value.shape)) for key, value in state.items()] == list(
        parity_json(f"{name}.state_dict.json").items()
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_forward(name):
    config = load_config(experiment(name))
    gains = {"cls_gain": 10, "loc_gain": 2} if "mobile" in name else {}
    model = load_synthetic_weights(build_model(config), **gains).eval()
    with torch.inference_mode():
        model.template(tensor("template", 127))
        output = model.track(tensor("search", config.TRACK.INSTANCE_SIZE))
    expected = np.load(PARITY / f"{name}.forward.npz")
    for key in ("cls", "loc"):
        assert np.abs(output[key].numpy() - expected[key]).max() <= 1e-3 * np.abs(expected[key]).max()


@pytest.mark.parametrize(("name", "score"), [("siamrpn_alex_dwxcorr", 21), ("siamrpn_r50_l234_dwxcorr_8gpu", 25)])
def test_losses_and_gradients(name, score):
    config, expected = load_config(experiment(name)), parity_json(f"{name}.loss.json")
    model = load_synthetic_weights(build_model(config)).train()
    for module in model.backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    losses = model(synthetic_batch(2, config.TRACK.INSTANCE_SIZE, score))
    losses["total_loss"].backward()
    for key, value in expected["losses"].items():
        assert losses[key].item() == pytest.approx(value, rel=1e-4), key
    norms = {key: parameter.grad.norm().item() for key, parameter in model.named_parameters()}
    assert set(norms) == set(expected["grad_norms"])
    for key, value in expected["grad_norms"].items():
        assert norms[key] == pytest.approx(value, rel=0.01, abs=1e-9), key
