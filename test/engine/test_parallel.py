"""DDP around a network, in a process group of one."""

import gc
import weakref

import pytest
import torch
import torch.distributed as dist

from pysot.engine.amp import TorchAmp
from pysot.engine.parallel import wrap_model
from pysot.engine.train_settings import TrainSettings
from pysot.engine.train_step import TrainStep
from pysot.utils.distributed import Rank

CPU = torch.device("cpu")


@pytest.fixture
def group():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def make_network():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def compute_gradients(network):
    network(torch.ones(1, 2)).sum().backward()


def test_a_wrapper_that_failed_halfway_ends_before_the_next_one(group):
    """Otherwise its hooks still expect gradients: DDP's first wrapper in a process is in a cycle of references."""
    model, optimizer = make_network()
    settings = TrainSettings(epochs=1, batch_size=1, grad_clip=1.0, grad_sum=True, print_freq=1)
    step = TrainStep(model, optimizer, TorchAmp(CPU, "fp32", 1), [], settings, CPU, Rank(0, 2))
    step.wrap()
    vars(step.network)["cycle"] = [step.network]
    earlier = weakref.ref(step.network)
    gc.disable()
    try:
        fail = model[0].weight.register_hook(lambda gradient: gradient.tolist().missing)
        with pytest.raises(AttributeError):
            compute_gradients(step.network)
        fail.remove()
        step.wrap()
        assert earlier() is None
        for _ in range(2):
            compute_gradients(step.network)
    finally:
        gc.enable()


def test_ddp_does_not_time_later_steps(group):
    """The capture of a graph may be one of them, whose events cannot be waited for."""
    network = wrap_model(*make_network(), CPU, 2)
    for _ in range(102):
        compute_gradients(network)
    assert network._get_ddp_logging_data()["iteration"] == 10
