"""Settings in lockstep find what each finds alone, and equal crops are computed once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import moving_square, small_config, small_model, tiny_config
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.alone import track_alone
from pysot.tracker import torch_network
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.settings import Execution
from pysot.tracker.siamrpn_tracker import network_of
from pysot.tracker.torch_network import DeviceForm
from pysot.tracker.tracker_builder import TRACKERS, build_tracker, track_settings
from pysot.tuning.call_sizes import CallSizes
from pysot.tuning.lockstep import follow
from pysot.tuning.search_builder import setting_config
from pysot.tuning.shared_network import SharedNetwork
from pysot.utils.device import one_thread

VALUES = [
    {"PENALTY_K": 0.05, "WINDOW_INFLUENCE": 0.2, "LR": 0.3},
    {"PENALTY_K": 0.05, "WINDOW_INFLUENCE": 0.2, "LR": 0.31},
    {"PENALTY_K": 0.4, "WINDOW_INFLUENCE": 0.7, "LR": 0.5},
    {"PENALTY_K": 0.1, "CONTEXT_AMOUNT": 0.7},
    {"INSTANCE_SIZE": 271},
]
LONG_TERM = ("TRACK.TYPE", "SiamRPNLTTracker", "TRACK.LOST_INSTANCE_SIZE", 319, "TRACK.CONFIDENCE_LOW", 0.505)


def make_set(folder, name="VOT2018", frames=14, videos=1):
    for index in range(videos):
        moving_square(folder / name / f"square{index}", frames=frames, seed=index)
    (folder / name / "list.txt").write_text("".join(f"square{index}\n" for index in range(videos)))
    return load_dataset(name, folder)


def make_network(config, stage=""):
    torch.manual_seed(1)
    return small_model(config, stage).eval()


def task_of(dataset, experiment):
    (task,) = find_protocol(dataset, experiment).tasks(dataset, dataset.sequences[0], Path("unused"))
    return task


def follow_all(dataset, model, configs, shared=None, experiment="unsupervised"):
    """Return the outcomes of the first sequence for each config, and the network they share."""
    task = task_of(dataset, experiment)
    kind = TRACKERS[configs[0].TRACK.TYPE]
    network = network_of(model, Execution(), track_settings(configs[0]), kind.masks)
    shared = shared or SharedNetwork(network, CallSizes(127))
    trackers = [BatchTracker(shared, track_settings(config), long_term=kind.long_term) for config in configs]
    with one_thread(torch.device("cpu")):
        return follow(task, trackers, shared, lambda *_: None), shared


def track_each(dataset, model, configs, experiment="unsupervised"):
    task = task_of(dataset, experiment)
    with one_thread(torch.device("cpu")):
        return [track_alone(build_tracker(model, c), task.sequence, task.steps(task.sequence, None)) for c in configs]


def assert_same(outcomes, expected):
    for outcome, trajectory in zip(outcomes, expected, strict=True):
        assert isinstance(outcome, Trajectory), outcome
        np.testing.assert_array_equal(outcome.codes, trajectory.codes)
        np.testing.assert_array_equal(outcome.regions, trajectory.regions)


@pytest.mark.parametrize(
    ("stage", "opts"),
    [("", ()), ("", LONG_TERM), ("point", ()), ("nano", ()), ("refine", ("TRACK.TYPE", "SiamMaskTracker"))],
    ids=["anchors", "long-term", "points", "nano", "masks"],
)
def test_settings_find_what_each_finds_alone(tmp_path, stage, opts):
    dataset, config = make_set(tmp_path), small_config(stage, *opts)
    sized = [values for values in VALUES if "INSTANCE_SIZE" not in values or stage == ""]
    configs = [setting_config(config, values) for values in sized]
    model = make_network(config, stage)
    expected = track_each(dataset, model, configs)
    outcomes, shared = follow_all(dataset, model, configs)
    assert_same(outcomes, expected)
    assert shared.computed < shared.searched
    assert len({outcome.regions.tobytes() for outcome in outcomes}) > 1


def test_settings_restart_after_different_losses(tmp_path):
    """The untrained network loses the square at frames that depend on the setting."""
    dataset, config = make_set(tmp_path, frames=60), tiny_config()
    configs = [setting_config(config, {"LR": lr, "WINDOW_INFLUENCE": w}) for lr in (0.1, 0.9) for w in (0.1, 0.3, 0.8)]
    model = make_network(config)
    expected = track_each(dataset, model, configs, "baseline")
    outcomes, _ = follow_all(dataset, model, configs, experiment="baseline")
    assert_same(outcomes, expected)
    assert len({tuple(outcome.failures) for outcome in outcomes}) > 1


def test_crops_of_a_card_come_in_one_call(tmp_path, monkeypatch):
    """With the form of an accelerator, a frame's crops are one call whose size is a power of two."""
    dataset, config = make_set(tmp_path), tiny_config()
    configs = [setting_config(config, values) for values in VALUES[:3]]
    model = make_network(config)
    expected = track_each(dataset, model, configs)
    form = DeviceForm(torch.float64, on_host=False, static=True, device_crops=False)
    monkeypatch.setitem(torch_network.FORMS, "cpu", form)
    sizes = []
    network = network_of(model, Execution(), track_settings(config), False)
    track = network.track
    monkeypatch.setattr(network, "track", lambda state, crops: sizes.append(len(crops)) or track(state, crops))
    outcomes, _ = follow_all(dataset, model, configs, SharedNetwork(network, CallSizes(127)))
    assert {*sizes} <= {1, 2, 4}
    assert len(sizes) == 13
    for outcome, trajectory in zip(outcomes, expected, strict=True):
        np.testing.assert_allclose(outcome.regions, trajectory.regions, atol=0.01)


def test_equal_settings_compute_a_crop_once(tmp_path):
    dataset, config = make_set(tmp_path), tiny_config()
    outcomes, shared = follow_all(dataset, make_network(config), [config] * 4)
    assert (shared.searched, shared.computed) == (4 * 13, 13)
    assert_same(outcomes, outcomes[:1] * 4)


def test_frames_are_decoded_once(tmp_path, monkeypatch):
    dataset, config, read = make_set(tmp_path, frames=60), tiny_config(), []
    from pysot.toolkit.tracking import frames

    monkeypatch.setattr(
        frames, "read_image", lambda path, read_image=frames.read_image: read.append(path) or read_image(path)
    )
    configs = [setting_config(config, {"LR": lr}) for lr in (0.1, 0.5, 0.9)]
    outcomes, _ = follow_all(dataset, make_network(config), configs, experiment="baseline")
    assert len({tuple(outcome.failures) for outcome in outcomes}) > 1
    assert len(read) == len(set(read)) <= 60


def test_a_failing_setting_ends_alone(tmp_path):
    dataset, config = make_set(tmp_path), tiny_config()
    model = make_network(config)
    network = network_of(model, Execution(), track_settings(config), False)
    shared = SharedNetwork(network, CallSizes(127))
    good = track_settings(config)
    trackers = [BatchTracker(shared, good), BatchTracker(shared, replace(good, penalty_k=float("nan")))]
    first, second = follow(task_of(dataset, "unsupervised"), trackers, shared, lambda *_: None)
    assert isinstance(first, Trajectory)
    assert isinstance(second, ValueError)


def test_a_damaged_frame_ends_those_that_need_it(tmp_path):
    dataset, config = make_set(tmp_path), tiny_config()
    Path(dataset.sequences[0].frame_paths[9]).write_bytes(b"")
    outcomes, _ = follow_all(dataset, make_network(config), [config, config])
    assert all(isinstance(outcome, ValueError) and "frame 10" in str(outcome) for outcome in outcomes)
