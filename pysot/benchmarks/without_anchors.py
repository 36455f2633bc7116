"""Check of networks without anchors on a device, NanoTrack and SiamBAN, and the speed of training and tracking."""

import torch

from pysot.benchmarks.case_builder import Case
from pysot.benchmarks.correctness import CPU, MAX_FORWARD_ERROR, MAX_LOSS_ERROR, outputs, relative_error
from pysot.benchmarks.networks import (
    NANO,
    SIAMBAN,
    make_batch,
    make_case,
    make_network,
    make_trainer,
    pin_batch,
    precisions,
    ways_to_step,
)
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.step_speed import record_timing, steps_and_repeats
from pysot.benchmarks.tracking import COMPARED_FRAMES, MAX_BOX_ERROR, time_ways, track_boxes
from pysot.benchmarks.training import time_trainer
from pysot.models.model_builder import ModelBuilder
from pysot.toolkit.datasets import load_dataset
from pysot.utils.bbox import init_box_from_region
from pysot.utils.device import autocast
from pysot.utils.device_builder import open_device
from pysot.utils.image import read_image


def points(setting: Setting, record: Record) -> None:
    """Check NanoTrack, and in the long form SiamBAN, with synthetic weights against the CPU.

    Checks outputs and losses in each precision, and boxes; records the speed of the training step and of tracking, the
    latter as `tracking.lockstep` does.
    """
    for name in (NANO,) if setting.short else (NANO, SIAMBAN):
        _check_precisions(setting, record, name)
        _track(setting, record, name)
        _time_steps(setting, record, name)


def _check_precisions(setting: Setting, record: Record, name: str) -> None:
    """Check outputs, and the losses of two pairs, with the statistics that batch-norm has stored."""
    case = make_case(setting, name=name, batch=2)
    expected, expected_losses = _outputs_and_losses(make_network(case, name), case, CPU, "fp32")
    for precision, opts in precisions(setting.kind).items():
        case = make_case(setting, *opts, name=name, batch=2)
        device = open_device(setting.device, case.cfg)
        found, losses = _outputs_and_losses(make_network(case, name), case, device, case.precision)
        error = max(relative_error(found[key], value) for key, value in expected.items())
        record.check(f"forward, {name}, {precision}", error, MAX_FORWARD_ERROR[precision])
        error = max(abs(losses[key] - value) / abs(value) for key, value in expected_losses.items())
        record.check(f"losses, {name}, {precision}", error, MAX_LOSS_ERROR[precision])


def _outputs_and_losses(
    model: ModelBuilder, case: Case, device: torch.device, precision: str
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Return the outputs of `correctness.outputs`, and the losses of a batch."""
    found = outputs(model, device, precision, case.instance_size)
    with torch.inference_mode(), autocast(device, precision):
        losses = model({key: value.to(device) for key, value in make_batch(case).items()})
    return found, {key: float(value) for key, value in losses.items()}


def _track(setting: Setting, record: Record, name: str) -> None:
    """Check the boxes of the first frames, and record the speed of tracking."""
    sequence = load_dataset("vot", setting.data).sequences[0]
    images = [read_image(path) for path in sequence.frame_paths[: COMPARED_FRAMES + 1]]
    init_box = init_box_from_region(sequence.ground_truth[0])
    case = make_case(setting, name=name)
    expected = track_boxes(make_network(case, name), case.cfg, images, init_box)
    model = make_network(case, name).to(open_device(setting.device, case.cfg))
    error = float(abs(track_boxes(model, case.cfg, images, init_box) - expected).max())
    record.check(f"boxes of {COMPARED_FRAMES} frames, {name}", error, MAX_BOX_ERROR, "pixels")
    time_ways(setting, record, name, model, case.cfg, images, init_box)


def _time_steps(setting: Setting, record: Record, name: str) -> None:
    """Record the speed of the training step with the backbone frozen, in each way in which steps are computed."""
    for way, opts in ways_to_step(torch.device(setting.device)).items():
        case = make_case(setting, *opts, name=name)
        device = open_device(setting.device, case.cfg)
        trainer = make_trainer(case, device, [pin_batch(make_batch(case, seed=number), device) for number in range(2)])
        timing = time_trainer(trainer, trainer.loader, *steps_and_repeats(setting))
        record_timing(record, f"frozen step, {name}{way}", timing, case.batch_size)
