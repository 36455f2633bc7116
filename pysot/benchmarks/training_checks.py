"""Checks of training on a device against the CPU: a short training run, checkpoints in both directions, bad batches."""

import shutil
from pathlib import Path

import torch

from pysot.benchmarks.networks import (
    SMALL,
    make_batch,
    make_case,
    make_network,
    make_trainer,
    precisions,
    ways_to_step,
)
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.synthetic import Batch, Batches
from pysot.engine.checkpoint import checkpoint_path
from pysot.engine.engine_builder import build_trainer
from pysot.engine.train_loop import Trainer
from pysot.utils.device import seed_everything
from pysot.utils.device_builder import open_device
from pysot.utils.distributed import Rank

CPU = torch.device("cpu")
EPOCHS, STEPS = 2, 3
# Largest difference of the weights of two training runs, relative to their change since the start.
MAX_WEIGHT_DIFFERENCE = 0.02
MAX_LOSS_DIFFERENCE = 0.02
MAX_LOSS_DIFFERENCE_OF_GRAPHS = 2e-3  # the kernels are the same, but some of them add in any order
# Of a training run in another precision, against fp32.
MAX_LOSS_DIFFERENCE_OF_PRECISIONS = 0.15

State = dict[str, torch.Tensor]


def bad_batches(setting: Setting, record: Record) -> None:
    """Check in each precision that bad batches change nothing and that a good batch after them trains.

    Bad batches have NaN in an image, or a loss that overflows. Weights, momenta and batch-norm statistics must keep
    every bit.
    """
    for precision, opts in precisions(setting.kind).items():
        device = open_device(setting.device, make_case(setting, *opts).cfg)
        for way, graph_opts in ways_to_step(device).items():
            case = make_case(setting, *opts, *graph_opts, batch=2)
            good = make_batch(case)
            trainer = make_trainer(case, device, [good], epoch=case.unfreeze_epoch)
            trainer.step(good)
            _check_bad_batches(trainer, good, precision + way, record)


def _check_bad_batches(trainer: Trainer, good: Batch, variant: str, record: Record) -> None:
    nan, huge = ({name: value.clone() for name, value in good.items()} for _ in range(2))
    nan["search"][0, 0, 0, 0] = float("nan")
    huge["label_loc_weight"] *= 1e30
    for name, bad in (("NaN in an image", nan), ("a loss that overflows", huge)):
        before = _copy_state(trainer)
        trainer.step(bad)
        record.check(f"{name}, {variant}", _count_changed(before, trainer), 0, "tensors changed")
    before = _copy_state(trainer)
    trainer.step(good)
    lost = _count_changed(before, trainer) == 0
    record.check(f"a good batch after them trains, {variant}", lost, 0, "steps lost")


def steps_as_graph(setting: Setting, record: Record) -> None:
    """Check the losses of steps as a graph against the same steps operator by operator, frozen and unfrozen.

    The learning rate changes in the middle, as between epochs.
    """
    device = open_device(setting.device, make_case(setting).cfg)
    ways = ways_to_step(device)
    if len(ways) < 2:
        record.note("this device captures no graphs: steps are computed operator by operator")
        return
    for precision, opts in precisions(setting.kind).items():
        for name, is_unfrozen in (("frozen", False), ("unfrozen", True)):
            losses = []
            for graph_opts in ways.values():
                case = make_case(setting, *opts, *graph_opts, name=SMALL, batch=4)
                device = open_device(setting.device, case.cfg)
                batches = [make_batch(case), make_batch(case, seed=1)]
                batches[1]["label_loc"] *= 2  # otherwise a graph that keeps its first batch has almost the same losses
                trainer = make_trainer(case, device, batches, case.unfreeze_epoch if is_unfrozen else 0)
                losses.append([trainer.step(batch)["total_loss"].item() for batch in batches * STEPS])
                trainer.begin(case.unfreeze_epoch + 1 if is_unfrozen else 0)
                losses[-1] += [trainer.step(batch)["total_loss"].item() for batch in batches]
            plain, graph = map(torch.tensor, losses)
            error = float(((graph - plain).abs() / plain).max())
            record.check(f"losses of {name} steps as a graph, {precision}", error, MAX_LOSS_DIFFERENCE_OF_GRAPHS)


def _copy_state(trainer: Trainer) -> State:
    """Return copies of weights, batch-norm statistics and momenta."""
    assert trainer.optimizer is not None  # the trainer has begun
    momenta = {
        f"momentum {i}": state["momentum_buffer"]
        for i, state in enumerate(trainer.optimizer.state.values())
        if "momentum_buffer" in state
    }
    return {name: value.clone() for name, value in (trainer.model.state_dict() | momenta).items()}


def _count_changed(before: State, trainer: Trainer) -> int:
    return sum(not torch.equal(value, before[name]) for name, value in _copy_state(trainer).items())


def run_and_checkpoints(setting: Setting, record: Record) -> None:
    """Check a short training run of the small network on the device against the same on the CPU.

    Each of the two also resumes from the other's checkpoint of the first epoch. Other precisions must reach the same
    loss.
    """
    cpu_folder, device_folder = setting.work / "cpu", setting.work / "device"
    device = open_device(setting.device, make_case(setting).cfg)
    start = make_network(make_case(setting, name=SMALL)).state_dict()
    expected_state, expected_loss = _train(setting, CPU, cpu_folder)
    state, loss = _train(setting, device, device_folder)
    record.check("loss of a short run", abs(loss - expected_loss) / expected_loss, MAX_LOSS_DIFFERENCE)
    error = _weight_difference(state, expected_state, start)
    record.check("weights after a short run", error, MAX_WEIGHT_DIFFERENCE)
    for name, folder, target, uninterrupted in (
        ("made there, resumed on the CPU", device_folder, CPU, state),
        ("made on the CPU, resumed there", cpu_folder, device, expected_state),
    ):
        checkpoint = str(checkpoint_path(folder, 1))
        resumed, _ = _train(setting, target, setting.work / "resumed", "TRAIN.RESUME", checkpoint)
        error = _weight_difference(resumed, uninterrupted, start)
        record.check(f"checkpoint {name}", error, MAX_WEIGHT_DIFFERENCE)
    all_precisions = precisions(setting.kind)
    for precision, opts in list(all_precisions.items())[1:]:
        device = open_device(setting.device, make_case(setting, *opts).cfg)
        _, loss = _train(setting, device, setting.work / precision, *opts)
        error = abs(loss - expected_loss) / expected_loss
        record.check(f"loss of a short run, {precision}", error, MAX_LOSS_DIFFERENCE_OF_PRECISIONS)
    for folder in (cpu_folder, device_folder, *(setting.work / name for name in ("resumed", *all_precisions))):
        shutil.rmtree(folder, ignore_errors=True)


def _train(setting: Setting, device: torch.device, folder: Path, *opts: object) -> tuple[State, float]:
    """Train the small network on synthetic batches; return its weights, on the CPU, and the last loss."""
    case = make_case(
        setting,
        "TRAIN.EPOCH",
        EPOCHS,
        "BACKBONE.TRAIN_EPOCH",
        0,
        "TRAIN.PRINT_FREQ",
        STEPS,
        *opts,
        "TRAIN.SNAPSHOT_DIR",
        str(folder),
        name=SMALL,
        batch=4,
    )
    seed_everything(0)
    batches = Batches([make_batch(case, seed=number) for number in range(STEPS)])
    trainer = build_trainer(case.cfg, make_network(case), batches, device, Rank())
    results = trainer.run()
    return {name: value.to(CPU) for name, value in trainer.model.state_dict().items()}, results["loss"]


def _weight_difference(actual: State, expected: State, start: State) -> float:
    """Return the distance of two states relative to the distance of `expected` from `start`.

    Distances are computed over all weights, and over all batch-norm statistics; the larger ratio counts.
    """
    weights: list[list[torch.Tensor]] = []
    statistics: list[list[torch.Tensor]] = []
    for name, value in expected.items():
        if value.is_floating_point():
            norms = [
                (first[name].double() - second[name].double()).norm()
                for first, second in ((actual, expected), (expected, start))
            ]
            (statistics if "running" in name else weights).append(norms)
    ratios = []
    for group in (weights, statistics):
        difference, change = torch.tensor(group).norm(dim=0)
        ratios.append(float(difference / change))
    return max(ratios)
