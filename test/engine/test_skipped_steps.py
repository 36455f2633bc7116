"""Skipped steps on saturating chips, where NaN may become 0 and infinity the largest float, and nothing propagates."""

import pytest
import torch

from helpers import noisy_batches, small_trainer
from pysot.engine.skipped_steps import LARGEST_NORM, LARGEST_STATISTIC, flat_statistics, is_bad_batch, is_bad_norm

VALID, LARGEST = torch.tensor(1.0), torch.tensor(torch.finfo(torch.float32).max)
INVALID = [float("nan"), float("inf"), LARGEST.item()]


def saturate(model: torch.nn.Module) -> None:
    """Make every gradient the one of a saturating chip."""
    for parameter in model.parameters():
        parameter.requires_grad_().register_hook(lambda gradient: gradient.nan_to_num(0.0))


@pytest.mark.parametrize("value", INVALID)
def test_decisions_are_comparisons(value):
    statistics, value = [torch.zeros(3), torch.zeros(2, dtype=torch.long)], torch.tensor(value)
    assert is_bad_batch(value, statistics) and is_bad_batch(torch.tensor(1.1e4), [])
    assert not is_bad_batch(VALID, statistics) and not is_bad_batch(VALID, [])
    statistics[0][1] = value
    assert is_bad_batch(VALID, statistics)
    # the root of the largest float is the norm when the squares have saturated
    assert is_bad_norm(value) and is_bad_norm(LARGEST.sqrt()) and LARGEST.sqrt() > LARGEST_NORM
    assert not is_bad_norm(VALID * 1e9)
    assert is_bad_batch(VALID, [-LARGEST.reshape(1) / 1e7]) and LARGEST_STATISTIC < LARGEST / 1e7


def test_a_network_without_statistics():
    assert flat_statistics(torch.nn.Linear(2, 2)) == []


@pytest.mark.parametrize(
    ("spoil", "precision"),
    [("nan", "fp32"), ("nan", "fp16"), ("nan", "bf16"), ("loss", "fp32"), ("statistics", "fp32")],
)
def test_nothing_bad_is_left_where_gradients_saturate(tmp_path, precision, spoil):
    loader = noisy_batches(3)
    if spoil == "loss":
        loader[1]["label_loc_weight"] *= 1e7
    opts = ["TRAIN.PRECISION", precision, "TRAIN.PRINT_FREQ", 10]
    run = small_trainer(tmp_path, torch.device("cpu"), *opts, loader=loader)
    saturate(run.model)
    run.begin(1)
    run.step(loader[0])
    if spoil == "nan":
        loader[1]["search"][0, 0, 0, 0] = float("nan")
    if spoil == "statistics":
        forward = run.model.forward
        run.model.forward = lambda batch: (forward(batch), run.statistics[0][5].fill_(LARGEST))[0]
    before, momenta = state(run)
    run.step(loader[1])
    after, momenta_after = state(run)
    assert [name for name, value in after.items() if not torch.equal(value, before[name])] == []
    assert all(map(torch.equal, momenta, momenta_after)) and run.skipped_steps.flags[:, 0].tolist() == [1, 1]
    if spoil != "statistics":
        run.step(loader[2])
        name = "rpn_head.cls.head.3.weight"
        assert not torch.equal(state(run)[0][name], before[name]), "a valid step trains"


def state(run) -> tuple[dict, list]:
    """Return copies of all tensors of the network, and of the momenta."""
    tensors = {name: value.clone() for name, value in run.model.state_dict().items()}
    return tensors, [s["momentum_buffer"].clone() for s in run.optimizer.state.values()]
