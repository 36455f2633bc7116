"""TRAIN.PROFILE with the real torch_npu.profiler; the simulator's CANN has no kernels to show."""

import csv
import ctypes
import json
import logging
import shlex

import pytest
import torch

from helpers import SIMULATED, small_trainer
from npu_helpers import record
from pysot.engine.train_loop import Trainer
from pysot.utils import profilers
from pysot.utils.device import choose_device, profiler_module

pytestmark = pytest.mark.npu


def train(folder, window: str) -> tuple[Trainer, dict]:
    opts = ["TRAIN.PROFILE", window, "TRAIN.LOG_DIR", str(folder / "logs")]
    run = small_trainer(folder / "snapshot", choose_device("npu"), *opts)
    return run, run.run()


def test_steps_of_the_window_are_recorded_and_results_are_the_same(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (run, results), (other, expected) = train(tmp_path, "3-4"), train(tmp_path / "other", "")
    assert results["loss"] == expected["loss"]
    for name, value in run.model.state_dict().items():
        assert torch.equal(value.cpu(), other.model.state_dict()[name].cpu()), name
    folder = tmp_path / "logs/profile"
    (data,) = folder.glob("rank0_*_ascend_pt")
    output = data / "ASCEND_PROFILER_OUTPUT"
    content = json.loads((output / "trace_view.json").read_text())
    events = content if isinstance(content, list) else content["traceEvents"]
    assert {event["name"] for event in events if "ProfilerStep" in event["name"]} == {
        "ProfilerStep#3",
        "ProfilerStep#4",
    }
    with open(output / "operator_details.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["Name"] == "aten::convolution_backward"]
    assert rows and len(rows) % 2 == 0 and all(row["Input Shapes"] for row in rows)
    summary = (folder / "summary_rank0.txt").read_text()
    assert "aten::convolution_backward" in summary and f"trace: {output}/trace_view.json" in summary
    assert f"to view it: open {data} in MindStudio Insight" in caplog.text
    if SIMULATED:
        assert "the profile is incomplete: it has no kernels of npu:0" in caplog.text


def test_data_that_cannot_be_parsed_are_a_warning_with_a_command(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(profilers, "_PARSE", "raise SystemExit('no parser here')")
    run, results = train(tmp_path, "2-3")
    assert results["steps"] == 6 and run.step_count == 6
    assert (
        "the profile is lost, training goes on" in caplog.text and "(no parser here); later: python -c " in caplog.text
    )


def test_the_command_for_later_works(tmp_path, caplog, monkeypatch):
    parse = profilers._PARSE
    monkeypatch.setattr(profilers, "_PARSE", "raise SystemExit('busy')")
    train(tmp_path, "2-3")
    command = shlex.split(caplog.text.partition("later: ")[2].splitlines()[0])
    (data,) = (tmp_path / "logs/profile").glob("rank0_*_ascend_pt")
    assert command == ["python", "-c", "raise SystemExit('busy')", str(data)]
    done = record("-c", parse, str(data))
    assert done.returncode == 0 and (data / "ASCEND_PROFILER_OUTPUT/trace_view.json").exists(), (
        done.stdout + done.stderr
    )


def test_a_cann_without_its_profiler_is_an_error_at_the_start(tmp_path, monkeypatch):
    device = choose_device("npu")
    assert profiler_module(device).__name__ == "torch_npu.profiler"

    def refuse(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(RuntimeError, match="TRAIN.PROFILE 2-3: the profiler of CANN cannot be used .*set_env.sh"):
        train(tmp_path, "2-3")
    assert not (tmp_path / "snapshot/run.json").exists()
