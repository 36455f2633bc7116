"""Whether training on a device is what it is on a CPU: a short run, checkpoints in both directions, and batches that are no numbers."""

import shutil

import torch

from pysot.benchmarks.drawn import Batches
from pysot.benchmarks.networks import SMALL, batch_of, case_of, network_of, precisions, trainer_of
from pysot.benchmarks.record import Record, Setting
from pysot.engine.checkpoint import checkpoint_path
from pysot.engine.engine_builder import build_trainer
from pysot.utils.device import seed_everything
from pysot.utils.device_builder import open_device
from pysot.utils.distributed import Rank

CPU = torch.device("cpu")
EPOCHS, STEPS = 2, 3
WAY = 0.02  # largest distance of two runs' weights, relative to the way from the start
LOSS = 0.02
LOSS_OF_PRECISIONS = 0.15  # of runs in other precisions, against fp32


def bad_batches(setting: Setting, record: Record) -> None:
    """In each precision: a batch with NaN in an image and one whose loss overflows leave weights, momenta and batch-norm statistics as they were, bit for bit,
    and a good batch after them trains.
    """
    for precision, opts in precisions(setting.kind).items():
        case = case_of(setting, *opts, batch=2)
        device, good = open_device(setting.device, case.cfg), batch_of(case)
        trainer = trainer_of(case, device, [good], epoch=case.unfreeze_epoch)
        trainer.step(good)
        nan, huge = ({name: value.clone() for name, value in good.items()} for _ in range(2))
        nan["search"][0, 0, 0, 0] = float("nan")
        huge["label_loc_weight"] *= 1e30
        for what, bad in (("NaN in an image", nan), ("a loss that overflows", huge)):
            before = _state(trainer)
            trainer.step(bad)
            record.check(f"{what}, {precision}", _changed(before, trainer), 0, "tensors changed")
        before = _state(trainer)
        trainer.step(good)
        record.check(f"a good batch after them trains, {precision}", _changed(before, trainer) == 0, 0, "steps lost")


def _state(trainer) -> dict[str, torch.Tensor]:
    """Copies of weights, statistics and momenta."""
    momenta = {
        f"momentum {i}": state["momentum_buffer"]
        for i, state in enumerate(trainer.optimizer.state.values())
        if "momentum_buffer" in state
    }
    return {name: value.clone() for name, value in (trainer.model.state_dict() | momenta).items()}


def _changed(before: dict[str, torch.Tensor], trainer) -> int:
    return sum(not torch.equal(value, before[name]) for name, value in _state(trainer).items())


def run_and_checkpoints(setting: Setting, record: Record) -> None:
    """A run of the small network there and on the CPU; each goes on from the other's checkpoint of the first epoch; other precisions come to the same loss."""
    kind, here, there = setting.kind, setting.work / "here", setting.work / "there"
    device = open_device(setting.device, case_of(setting).cfg)
    start = network_of(case_of(setting, name=SMALL)).state_dict()
    expected, found = _train(setting, CPU, here), _train(setting, device, there)
    record.check("loss of a short run", abs(found[1] - expected[1]) / expected[1], LOSS)
    record.check("weights after a short run", _way(found[0], expected[0], start), WAY)
    for name, place, target, whole in (
        ("made there, resumed on the CPU", there, CPU, found),
        ("made on the CPU, resumed there", here, device, expected),
    ):
        resumed = _train(setting, target, setting.work / "again", "TRAIN.RESUME", str(checkpoint_path(place, 1)))
        record.check(f"checkpoint {name}", _way(resumed[0], whole[0], start), WAY)
    for precision, opts in list(precisions(kind).items())[1:]:
        device = open_device(setting.device, case_of(setting, *opts).cfg)
        loss = _train(setting, device, setting.work / precision, *opts)[1]
        record.check(f"loss of a short run, {precision}", abs(loss - expected[1]) / expected[1], LOSS_OF_PRECISIONS)
    for place in (here, there, *(setting.work / name for name in ("again", *precisions(kind)))):
        shutil.rmtree(place, ignore_errors=True)


def _train(setting: Setting, device: torch.device, folder, *opts) -> tuple[dict[str, torch.Tensor], float]:
    """The weights, on the CPU, and the last loss of a run of the small network over drawn batches."""
    case = case_of(
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
    batches = Batches([batch_of(case, seed=number) for number in range(STEPS)])
    trainer = build_trainer(case.cfg, network_of(case), batches, device, Rank())
    figures = trainer.run()
    return {name: value.to(CPU) for name, value in trainer.model.state_dict().items()}, figures["loss"]


def _way(found: dict, expected: dict, start: dict) -> float:
    """The distance of two states, relative to that of the expected one from the start: the larger one of weights and of batch-norm statistics."""
    kinds = [[], []]
    for name, value in expected.items():
        if value.is_floating_point():
            kinds["running" in name].append(
                [(a[name].double() - b[name].double()).norm() for a, b in ((found, expected), (expected, start))]
            )
    return max(float(distance / way) for distance, way in (torch.tensor(norms).norm(dim=0) for norms in kinds))
