"""The training step as a graph: the results of the step without it, on a CPU whose graphs repeat recorded operators."""

import logging
import weakref

import pytest
import torch
import torch.distributed as dist

from fake_graphs import Clock, use_fake_graphs
from helpers import Batches, noisy_batches, tiny_config
from pysot.engine import identity, step_graph
from pysot.engine.amp import TorchAmp
from pysot.engine.engine_builder import build_trainer
from pysot.engine.step_graph import DDP_WARM_UP, MEASURED, WARM_UP, StepGraph
from pysot.models.model_builder import build_model
from pysot.utils.distributed import Rank
from pysot.utils.packed_tensors import Layout, PackedTensors
from rank_helpers import train_two_ranks
from trainer_helpers import same, trainer, weights

CPU = torch.device("cpu")
SETTLED = WARM_UP + 2 * MEASURED + 1  # calls


@pytest.fixture
def graphs(monkeypatch):
    fake = use_fake_graphs(monkeypatch)
    monkeypatch.setattr(step_graph, "time", Clock(fake, 1.0, 2.0))
    return fake


def steps_and_losses(run, count):
    losses = []
    for index in range(count):
        losses.append({name: float(value) for name, value in run.step(run.loader[index % len(run.loader)]).items()})
        run.step_count += 1
    return losses


def pack(batch):
    layout = Layout({name: (tuple(value.shape), value.dtype) for name, value in batch.items()})
    packed = PackedTensors(torch.zeros(layout.size, dtype=torch.uint8), layout)
    for name, value in packed.items():
        value.copy_(batch[name])
    return packed


def begun(folder, *opts, **more):
    run = trainer(folder, *opts, **more)
    run.begin(0)
    return run


@pytest.mark.parametrize(
    "opts",
    [
        (),
        ("BACKBONE.TRAIN_EPOCH", 1),
        ("TRAIN.PRECISION", "bf16"),
        ("TRAIN.PRECISION", "fp16"),
        ("TRAIN.PRECISION", "fp16", "TRAIN.LOSS_SCALE", "dynamic"),
    ],
)
def test_the_losses_are_those_without_a_graph(tmp_path, graphs, opts):
    plain, run = begun(tmp_path, "TRAIN.GRAPH", "off", *opts), begun(tmp_path, *opts)
    expected, losses = (steps_and_losses(each, SETTLED + 3) for each in (plain, run))
    assert list(losses[0]) == ["total_loss", "cls_loss", "loc_loss", "grad_norm"]
    assert losses == expected and same(weights(run), weights(plain))
    assert (graphs.captures, graphs.replays) == (1, MEASURED + 3)


def test_packed_batches(tmp_path, graphs):
    loader = noisy_batches()
    packed = Batches(map(pack, loader))
    runs = [begun(tmp_path, "TRAIN.GRAPH", way, loader=each) for way, each in (("auto", packed), ("off", loader))]
    assert steps_and_losses(runs[0], SETTLED + 2) == steps_and_losses(runs[1], SETTLED + 2)
    (small,) = noisy_batches(1, size=1)
    for run, batch in zip(runs, (pack(small), small), strict=True):
        run.step(batch)
    assert same(*map(weights, runs)) and graphs.replays == MEASURED + 2


def test_a_run_captures_anew_where_the_learning_rate_or_the_trained_parts_change(tmp_path, graphs, caplog):
    caplog.set_level(logging.INFO)
    loader = noisy_batches(SETTLED + 2)
    opts = ("TRAIN.EPOCH", 4, "BACKBONE.TRAIN_EPOCH", 2, "TRAIN.LR_WARMUP.WARMUP", False, "TRAIN.BASE_LR", 0.001)
    results, states = [], []
    for graph in ("auto", "off"):
        run = trainer(tmp_path / graph, "TRAIN.GRAPH", graph, *opts, loader=loader)
        results.append(run.run())
        states.append(weights(run))
    assert same(*states) and results[0]["loss"] == results[1]["loss"]
    assert graphs.captures == 4 and graphs.replays == 4 * (SETTLED + 2) - 2 * (WARM_UP + MEASURED) - 4
    assert caplog.text.count("2000.0 ms operator by operator, 1000.0 ms as a graph: it is a graph") == 2


def test_the_memory_of_a_graph_is_free_for_the_step_before_the_next_capture(tmp_path, graphs):
    run = begun(tmp_path)
    steps_and_losses(run, SETTLED + 1)
    kept = weakref.ref(run.compute.graphs._last), weakref.ref(run.compute._outputs)
    assert None not in [each() for each in kept]
    run.begin(1)
    assert [each() for each in kept] == [None, None]
    steps_and_losses(run, 2)
    assert graphs.captures == 2 and graphs.pools[0] != graphs.pools[1]


def test_a_run_whose_epochs_end_before_the_faster_way_is_known(tmp_path, graphs):
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, loader=noisy_batches(3))
    plain = trainer(tmp_path / "plain", "TRAIN.EPOCH", 2, "TRAIN.GRAPH", "off", loader=noisy_batches(3))
    run.run()
    plain.run()
    assert graphs.captures == 0 and same(weights(run), weights(plain))


def test_the_slower_way_is_left(tmp_path, graphs, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(step_graph, "time", Clock(graphs, 3.0, 2.0))
    plain, run = begun(tmp_path, "TRAIN.GRAPH", "off"), begun(tmp_path)
    assert steps_and_losses(run, SETTLED + 3) == steps_and_losses(plain, SETTLED + 3)
    assert graphs.replays == MEASURED and "3000.0 ms as a graph: it stays operator by operator" in caplog.text
    run.begin(1)
    steps_and_losses(run, 2)
    assert graphs.captures == 1


def test_a_bad_batch_changes_nothing_in_a_graph(tmp_path, graphs):
    run = begun(tmp_path)
    steps_and_losses(run, SETTLED)
    before, momenta = weights(run), [state["momentum_buffer"].clone() for state in run.optimizer.state.values()]
    bad = {name: value.clone() for name, value in run.loader[0].items()}
    bad["search"][0, 0, 0, 0] = float("nan")
    run.skipped_steps.flags.zero_()
    replays = graphs.replays
    run.step(bad)
    assert graphs.replays == replays + 1 and same(weights(run), before)
    assert run.skipped_steps.flags.tolist() == [[1.0], [1.0]]
    after = [state["momentum_buffer"] for state in run.optimizer.state.values()]
    assert all(map(torch.equal, momenta, after))
    run.step(run.loader[0])
    assert not same(weights(run), before) and run.skipped_steps.flags.tolist() == [[0.0], [0.0]]


def test_a_result_is_not_overwritten_by_the_next_step(tmp_path, graphs):
    run = begun(tmp_path)
    steps_and_losses(run, SETTLED)
    first = run.step(run.loader[0])
    value = float(first["total_loss"])
    assert float(run.step(run.loader[1])["total_loss"]) != value == float(first["total_loss"])


def test_the_gradients_of_the_step_that_is_captured_are_its_own(tmp_path, graphs):
    """The log reads them, and a capture leaves new memory without values."""
    runs = [begun(tmp_path, "TRAIN.GRAPH", graph) for graph in ("auto", "off")]
    for run in runs:
        steps_and_losses(run, WARM_UP + MEASURED + 1)
    assert graphs.captures == 1
    gradients = [[p.grad for p in run.model.parameters() if p.requires_grad] for run in runs]
    assert gradients[0] and all(map(torch.equal, *gradients))


@pytest.mark.parametrize("first", [0, SETTLED + 1])
def test_a_batch_of_another_shape_is_computed_without_the_graph(tmp_path, graphs, caplog, first):
    """At the start of an epoch too, where the step is captured."""
    runs = [begun(tmp_path, "TRAIN.GRAPH", graph) for graph in ("auto", "off")]
    (small,) = noisy_batches(1, size=1)
    for run in runs:
        steps_and_losses(run, SETTLED + 1)
        if not first:
            run.begin(1)
        for batch in [small, *run.loader, small, run.loader[0]]:
            run.step(batch)
    assert same(*map(weights, runs)) and graphs.captures == (1 if first else 2)
    gradients = [[p.grad for p in run.model.parameters() if p.requires_grad] for run in runs]
    assert all(map(torch.equal, *gradients))  # for the log
    messages = [record.message for record in caplog.records if "shape" in record.message]
    assert len(messages) == 1 and "Layout(template (1, 3, 127, 127) torch.float32, " in messages[0]
    assert "operator by operator" in messages[0]


@pytest.mark.parametrize("fail_at", [1, 2])
def test_a_step_that_cannot_be_captured(tmp_path, graphs, caplog, fail_at):
    """Such as for lack of memory; at the second capture it is that of the second epoch."""
    graphs.fail_at = fail_at
    runs = [begun(tmp_path, "TRAIN.GRAPH", graph) for graph in ("auto", "off")]
    for run in runs:
        steps_and_losses(run, SETTLED + 1)
        run.begin(1)
        steps_and_losses(run, 3)
    assert same(*map(weights, runs)) and graphs.captures == fail_at
    messages = [record.message for record in caplog.records if "cannot be captured" in record.message]
    assert len(messages) == 1 and "(CUDA error: out of memory)" in messages[0] and "TRAIN.GRAPH off" in messages[0]
    assert runs[0].compute._inputs is None  # their memory is free


@pytest.fixture
def group():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def read_in_forward(model):
    def read(module, inputs):
        inputs[0].sum().item()

    model.rpn_head.register_forward_pre_hook(read)


def read_in_backward(model):
    """DDP then has the gradients of the head, and waits for the others."""
    for parameter in model.backbone.parameters():
        parameter.register_hook(lambda gradient: gradient if gradient.sum() > -1e9 else None)


def read_in_update(optimizer, arguments, keywords):
    optimizer.found_inf.item()


def read_nowhere(model):
    pass


def parallel_losses(folder, graph, count, prepare=read_nowhere):
    """Train as the first of two processes, in a process group of one."""
    config = tiny_config("TRAIN.SNAPSHOT_DIR", str(folder), "TRAIN.GRAPH", graph, for_training=True)
    torch.manual_seed(5)
    run = build_trainer(config, build_model(config), noisy_batches(), CPU, Rank(0, 2), save=False)
    prepare(run.model)
    try:
        run.begin(0)
        losses = steps_and_losses(run, count)
        return losses, weights(run)
    finally:
        run.train_step.network = run.model  # as at the end of Trainer.run
        run.compute = run.train_step


@pytest.mark.parametrize("prepare", [read_nowhere, read_in_forward, read_in_backward])
def test_several_processes(tmp_path, graphs, group, caplog, prepare):
    """An operation that reads the device ends the capture in the middle of DDP's work."""
    count, fails = DDP_WARM_UP + 2 * MEASURED + 3, prepare is not read_nowhere
    runs = [parallel_losses(tmp_path, way, count, prepare) for way in ("auto", "off")]
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])
    assert graphs.captures == 1 and graphs.replays == (0 if fails else MEASURED + 2)
    assert caplog.text.count("cannot be captured as a graph (aten._local_scalar_dense") == fails


@pytest.mark.parametrize("place", [read_in_forward, read_in_backward, "the update"])
def test_a_step_that_reads_the_device(tmp_path, graphs, caplog, place):
    """The capture refuses it, and the loss scaler has to accept the next step."""
    runs = [trainer(tmp_path, "TRAIN.GRAPH", way, "TRAIN.PRECISION", "fp16") for way in ("auto", "off")]
    for run in runs:
        if place != "the update":
            place(run.model)
        run.begin(0)
        if place == "the update":
            run.optimizer.register_step_pre_hook(read_in_update)
        steps_and_losses(run, SETTLED)
    assert same(*map(weights, runs)) and graphs.captures == 1 and graphs.replays == 0
    assert caplog.text.count("cannot be captured as a graph (aten._local_scalar_dense") == 1


def test_an_abandoned_step_leaves_the_loss_scaler_ready():
    amp, parameter = TorchAmp(CPU, "fp16", 32), torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    amp.backward((parameter * 2).sum(), optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        amp.backward((parameter * 2).sum(), optimizer)
    amp.abandon()
    parameter.grad = None
    amp.backward((parameter * 2).sum(), optimizer)
    assert parameter.grad.tolist() == [2.0, 2.0]


def test_no_graph_without_a_card_or_where_the_host_reads_the_device(tmp_path, monkeypatch):
    assert not isinstance(begun(tmp_path).compute, StepGraph)
    use_fake_graphs(monkeypatch)
    assert isinstance(begun(tmp_path).compute, StepGraph)
    assert not isinstance(begun(tmp_path, "TRAIN.GRAPH", "off").compute, StepGraph)
    monkeypatch.setattr(TorchAmp, "reads_device", True)
    assert not isinstance(begun(tmp_path).compute, StepGraph)


def test_processes_that_do_not_all_capture_are_refused(tmp_path, graphs, monkeypatch):
    """Such as with software of different versions: they would wait for each other."""
    plans = []
    monkeypatch.setattr(identity, "gather_from_all", lambda plan: plans.append(plan) or plans)
    trainer(tmp_path / "first", loader=noisy_batches(1)).run()
    with pytest.raises(ValueError, match=r"graphs of steps \(TRAIN\.GRAPH\): auto in rank 0, off in rank 1"):
        trainer(tmp_path / "second", "TRAIN.GRAPH", "off", loader=noisy_batches(1)).run()


def test_an_unknown_value(tmp_path):
    with pytest.raises(ValueError, match=r"TRAIN\.GRAPH: expected one of auto, off; got 'on'"):
        tiny_config("TRAIN.GRAPH", "on")
    assert tiny_config("TRAIN.GRAPH", False).TRAIN.GRAPH == "off"


def test_two_processes(tmp_path):
    """Across the unfreeze epoch; a graph contains the exchange of gradients."""
    cases = [{"folder": str(tmp_path / str(graph)), "graph": graph, "repeats": 12} for graph in (True, False)]
    (first, second), (plain, _) = train_two_ranks("cpu", *cases)[0]
    assert first["weights"] == second["weights"] == pytest.approx(plain["weights"], rel=1e-9)
    # Epochs of 24 steps: the first and, since the backbone trains, the second one settle; the third one captures.
    assert first["replays"] == second["replays"] == 2 * (24 - DDP_WARM_UP - MEASURED - 1) + 23
    bad = [{**case, "folder": f"{case['folder']} bad", "bad_rank": 1} for case in cases]
    (first, second), (plain, _) = train_two_ranks("cpu", *bad)[0]
    assert first["skipped"] == second["skipped"] == plain["skipped"] > 3
    assert first["weights"] == second["weights"] == pytest.approx(plain["weights"], rel=1e-9)
