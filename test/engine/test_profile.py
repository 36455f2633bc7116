"""TRAIN.PROFILE: which steps are in the trace, equal results, windows that are wrong or beyond the end, ends inside."""

import errno
import json
import logging
import os
import re
import signal
import sys
import types

import pytest
import torch

from helpers import checkpoints, tiny_config
from pysot.engine import profile
from pysot.engine.engine_builder import build_profile_window, run_identity
from pysot.utils import profilers
from pysot.utils.log_helper import SpeedMeter
from pysot.utils.signals import Interrupted, StopRequest
from pysot.utils.watchdog import Heartbeat
from trainer_helpers import CPU, same, trainer, weights


def profiled(folder, window, *opts, **more):
    """Return a trainer of two epochs of four steps that profiles a window of them."""
    opts = ["TRAIN.EPOCH", 2, "TRAIN.PROFILE", window, "TRAIN.LOG_DIR", str(folder / "logs"), *opts]
    return trainer(folder / "snapshot", *opts, **{"steps": 4, **more})


def traces(folder) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((folder / "logs/profile").glob("rank0.*.pt.trace.json"))]


def steps_in(trace: dict) -> list[int]:
    names = {event.get("name", "") for event in trace["traceEvents"]}
    return sorted(int(name.partition("#")[2]) for name in names if name.startswith("ProfilerStep#"))


@pytest.mark.parametrize(("window", "steps"), [("3-4", [3, 4]), ("1-2", [1, 2]), ("2-2", [2]), ("4-6", [4, 5, 6])])
def test_the_steps_of_the_window_are_in_the_trace(tmp_path, caplog, window, steps):
    caplog.set_level(logging.INFO)
    profiled(tmp_path, window).run()
    (trace,) = traces(tmp_path)
    assert steps_in(trace) == steps
    operators = [event for event in trace["traceEvents"] if event.get("name") == "aten::convolution"]
    assert operators and len(operators) % len(steps) == 0 and operators[0]["args"]["Input Dims"]
    text = (tmp_path / "logs/profile/summary_rank0.txt").read_text()
    assert "aten::convolution" in text and "Input Shapes" in text and "trace: " in text
    names = sorted(path.name for path in (tmp_path / "logs/profile").iterdir())
    assert len(names) == 2 and not caplog.text.count("WARNING")
    for words in (
        f"steps {steps[0]} to {steps[-1]} of this process will be profiled (TRAIN.PROFILE). They are slower: FPS",
        f"profile of {len(steps)} steps: {tmp_path}/logs/profile/rank0.",
        "operators by time: ",
        f"to view it: tensorboard --logdir '{tmp_path}/logs/profile'",
    ):
        assert words in caplog.text, words


def test_each_rank_has_its_own_files(tmp_path):
    for rank in (0, 3):
        with profile.StepProfiler(profile.ProfileWindow(1, 1, tmp_path), CPU, rank, Heartbeat()) as profiler:
            torch.ones(2).add(1)
            assert profiler.step()
    names = {re.sub(r"\d{6,}", "N", path.name) for path in tmp_path.iterdir()}
    traces_and_tables = {f"rank{n}.N.pt.trace.json" for n in (0, 3)} | {f"summary_rank{n}.txt" for n in (0, 3)}
    assert names == traces_and_tables


def test_results_are_those_without_a_profile(tmp_path):
    with_profile, without = profiled(tmp_path / "a", "2-3"), profiled(tmp_path / "b", "")
    results = [run.run() for run in (with_profile, without)]
    assert results[0]["loss"] == results[1]["loss"] and same(weights(with_profile), weights(without))
    assert traces(tmp_path / "a") and not (tmp_path / "b/logs").exists()
    key = "TRAIN.PROFILE"
    assert all(key not in run_identity(tiny_config(key, window))["config"] for window in ("", "2-3"))


def test_a_resumed_run_counts_from_its_start(tmp_path):
    profiled(tmp_path, "").run()
    opts = ["TRAIN.EPOCH", 3, "TRAIN.RESUME", "auto"]
    profiled(tmp_path, "2-3", *opts).run()
    assert [steps_in(trace) for trace in traces(tmp_path)] == [[2, 3]]
    assert checkpoints(tmp_path / "snapshot") == [f"checkpoint_e{n}.pth" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("30:35", "with a hyphen, such as 30-35"),
        (615, "got 615"),  # YAML reads 10:15 so
        ("0-3", "from 1 on"),
        ("5-4", "two rising steps"),
        ("-3", "got -3"),
        ("7", "FIRST-LAST"),
        ("1-51", "at most 50 steps.*got 51"),
    ],
)
def test_a_wrong_window_is_an_error(window, words):
    with pytest.raises(ValueError, match=f"TRAIN.PROFILE: expected .*{words}"):
        tiny_config("TRAIN.PROFILE", window, for_training=True)


def test_a_window_needs_a_folder(tmp_path):
    with pytest.raises(ValueError, match="TRAIN.LOG_DIR: expected a folder, in which TRAIN.PROFILE"):
        tiny_config("TRAIN.PROFILE", "1-2", "TRAIN.LOG_DIR", "", for_training=True)
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(OSError, match="cannot write .*logs/profile"):
        profiled(tmp_path, "1-2")
    assert not (tmp_path / "snapshot/run.json").exists()


@pytest.mark.parametrize(
    ("window", "steps", "words"),
    [
        ("20-25", None, "the run ended after step 8 of this process: nothing is profiled"),
        ("9-9", None, "the run ended after step 8 of this process: nothing is profiled"),
        ("10-12", None, "nothing is profiled"),
        ("7-10", [7, 8], "only 2 of 4 steps are profiled; choose steps before that"),
    ],
)
def test_a_window_beyond_the_end_is_a_warning(tmp_path, caplog, window, steps, words):
    results = profiled(tmp_path, window).run()
    assert results["steps"] == 8 and results["snapshot"] == tmp_path / "snapshot/checkpoint_e2.pth"
    assert words in caplog.text and f"TRAIN.PROFILE {window}" in caplog.text
    # The trace of a part ends with the name of the step that did not come.
    assert [steps_in(trace)[:2] for trace in traces(tmp_path)] == ([steps] if steps else [])


def test_max_step_ends_a_window(tmp_path, caplog):
    profiled(tmp_path, "2-8", max_steps=3).run()
    assert "only 2 of 7 steps are profiled" in caplog.text and len(traces(tmp_path)) == 1


@pytest.mark.parametrize("step", [2, 3, 6])
def test_a_stop_request_saves_the_state_and_the_profile(tmp_path, caplog, step):
    caplog.set_level(logging.INFO)
    request = StopRequest()
    run = profiled(tmp_path, "3-6", stop=request)
    compute = run.step

    def ask(batch):
        if run.step_count == step - 1:
            request.ask(signal.SIGTERM)
        return compute(batch)

    run.step = ask
    with pytest.raises(Interrupted, match=f"after step {step}; its state is saved"):
        run.run()
    recorded = step - 2
    assert len(traces(tmp_path)) == (recorded > 0)
    words = {0: "nothing is profiled", 1: "only 1 of 4 steps", 4: "profile of 4 steps"}[recorded]
    assert words in caplog.text and caplog.text.count("choose steps before") == (recorded < 4)
    resumed = profiled(tmp_path, "", "TRAIN.RESUME", "auto", seed=99)
    resumed.run()
    complete = profiled(tmp_path / "complete", "")
    complete.run()
    assert same(weights(complete), weights(resumed))
    torch.autograd.profiler.profile().__enter__().__exit__(None, None, None)  # no profiler is left running


def test_a_fault_inside_the_window_is_not_hidden(tmp_path, caplog):
    run = profiled(tmp_path, "2-6")
    compute = run.step

    def fail(batch):
        if run.step_count == 3:
            raise RuntimeError("the card is on fire")
        return compute(batch)

    run.step = fail
    with pytest.raises(RuntimeError, match="the card is on fire"):
        run.run()
    assert "only 2 of 5 steps are profiled" in caplog.text and len(traces(tmp_path)) == 1


def test_a_full_disk_does_not_end_the_run(tmp_path, caplog, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(profile, "write_recording", fail)
    results = profiled(tmp_path, "2-3").run()
    assert results["steps"] == 8 and "the profile is lost, training goes on" in caplog.text
    assert "No space left" in caplog.text and "steps are profiled" not in caplog.text


def test_a_validation_ends_the_window(tmp_path, caplog):
    run = profiled(tmp_path, "3-6", validate=lambda path: {"EAO": 0.5})
    results = run.run()
    assert results["eao"] == 0.5 and [steps_in(trace)[:2] for trace in traces(tmp_path)] == [[3, 4]]
    assert "the epoch ended after step 4 of this process: only 2 of 4 steps are profiled" in caplog.text
    later = profiled(tmp_path / "later", "6-7", validate=lambda path: {"EAO": 0.5})
    later.run()
    assert [steps_in(trace) for trace in traces(tmp_path / "later")] == [[6, 7]]


def test_profiled_steps_do_not_count_in_the_speed(tmp_path):
    meter = SpeedMeter(10)
    for step in range(1, 13):
        meter.add(9.0 if 7 <= step <= 9 else 1.0, mark=step % 2 == 0, counts=not 7 <= step <= 9)
    assert meter.mean == 10 and meter.spread == 0 and meter.line().startswith("FPS 10.00 +- 0.00 pairs/s, 3 steps")
    alone = SpeedMeter(10)
    alone.add(2.0, mark=True, counts=False)
    assert alone.mean == 5
    run = profiled(tmp_path, "3-3")
    added = []
    run.monitor.end_step = lambda synchronized, counts: added.append(counts) or run.monitor.means.add(batch_time=1.0)
    run.monitor.speed.add(1.0, True)
    run.monitor.begin_epoch = lambda loader, *_: loader
    run.run()
    assert added == [False, False, False, True, True, True, True, True]  # a step that prepares, one of warm-up


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "TRAIN.PROFILE 2-3: the profiler of CANN cannot be used .*libmsprofiler.so.*source CANN's set_env.sh"),
        ({"PROFILER_SAMPLECONFIG": "x"}, "under msprof .PROFILER_SAMPLECONFIG is set.: use one of the two"),
        ({"PROFILING_MODE": "dynamic"}, "under msprof .PROFILING_MODE is set"),
    ],
)
def test_the_profiler_of_an_npu_that_cannot_work_is_an_error(tmp_path, monkeypatch, variables, words):
    """Without torch_npu its module is a fake; the libraries of CANN are missing here."""
    package = types.ModuleType("torch_npu")
    package.profiler = types.ModuleType("torch_npu.profiler")
    monkeypatch.setitem(sys.modules, "torch_npu", package)
    monkeypatch.setitem(sys.modules, "torch_npu.profiler", package.profiler)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = tiny_config("TRAIN.PROFILE", "2-3", "TRAIN.LOG_DIR", str(tmp_path))
    with pytest.raises(RuntimeError, match=words):
        build_profile_window(config, types.SimpleNamespace(type="npu"))
    assert build_profile_window(config, torch.device("cpu")).folder == tmp_path / "profile"


CSV = """Name,Input Shapes,Host Self Duration(us),Device Self Duration(us)
aten::add,"2,3",1.5,
aten::conv,"2,3
4",10.0,20.0
aten::add,"5",2.5,1.0
"""


def test_tables_of_csv_files(tmp_path):
    path = tmp_path / "operator_details.csv"
    path.write_text(CSV)
    columns = ("Device Self Duration(us)", "Host Self Duration(us)")
    rows = [re.split(r"\s{2,}", line) for line in profilers._csv_table(path, "Name", columns).splitlines()]
    assert rows == [
        ["Name", "calls", *columns],
        ["aten::conv", "1", "20.0", "10.0"],
        ["aten::add", "2", "1.0", "4.0"],
    ]
    assert (
        profilers._csv_table(tmp_path / "kernel_details.csv", "Type", columns)
        == "none: kernel_details.csv is missing\n"
    )
