"""tools/check_device.py: the complete command in its short form, and steps that hang, raise or die."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import check_device
import pytest

from helpers import ROOT
from pysot.benchmarks import supervise
from pysot.benchmarks.record import Check, Findings, Measurement, Record, Setting, read_record
from pysot.benchmarks.report import as_json, markdown, text, verdict
from pysot.benchmarks.steps import MAKE_DATA, STEPS
from pysot.benchmarks.supervise import FAILED, LATE, NO_TIME, OK, SKIPPED, WRONG, Outcome, Step, run_steps

INJECTED = """
import os, signal, subprocess, time
def good(setting, record):
    record.measurement("speed", 3.0, "x")
    record.check("sum", 0.5, 1)
def wrong(setting, record):
    record.check("sum", 2, 1)
    record.check("mean", float("nan"), 1)
def hangs(setting, record):
    record.note("begun")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    helper = subprocess.Popen(["sleep", "600"])
    record.measurement("helper", helper.pid, "")
    time.sleep(600)
def raises(setting, record):
    record.check("before", 0, 1)
    import atexit
    atexit.register(print, "[ERROR] a library says goodbye")
    raise RuntimeError("CUDA error: device-side assert triggered")
def dies(setting, record):
    with record.path.open("a") as stream:
        stream.write('["notes", "whole"]\\n["figures", {"na')
    os.kill(os.getpid(), signal.SIGKILL)
def describes(setting, record):
    record.note(f"{setting.device} {setting.short} {setting.data.name} {setting.seconds <= 20}")
"""


def step(function: str, seconds: float = 20, **more) -> Step:
    return Step(function, f"injected:{function}", seconds, more.pop("seconds_short", seconds), **more)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs steps of INJECTED and returns their outcomes."""
    (tmp_path / "injected.py").write_text(INJECTED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(supervise, "_MIN_SECONDS", 0.2)
    reported = []

    def run(*steps, kind="cpu", seconds=60.0, short=False):
        outcomes = run_steps(
            steps,
            kind,
            Setting(kind, tmp_path / "data", tmp_path, short),
            seconds,
            lambda outcomes_so_far: reported.append(len(outcomes_so_far)),
        )
        assert reported[-len(steps) :] == list(range(1, len(steps) + 1))
        return outcomes

    return run


def test_a_step_that_fails_stops_no_other(run):
    start = time.monotonic()
    outcomes = run(step("good"), step("hangs", 4), step("raises"), step("dies"), step("wrong"), step("describes"))
    assert [outcome.state for outcome in outcomes] == [
        OK,
        LATE,
        FAILED,
        FAILED,
        WRONG,
        OK,
    ] and time.monotonic() - start < 40
    good, hangs, raises, dies, wrong, describes = outcomes
    assert good.findings == Findings([Measurement("speed", 3.0, "x")], [Check("sum", 0.5, 1)]) and good.passed
    assert (
        hangs.findings.notes == ["begun"]
        and "ended after 4 s; what it had found until then is kept" in hangs.reason
        and 4 <= hangs.seconds < 10
    )
    with pytest.raises(ProcessLookupError):  # its helper process has ended with it
        for _ in range(50):
            os.kill(int(hangs.findings.measurements[0].value), 0)
            time.sleep(0.1)
    assert raises.reason == "RuntimeError: CUDA error: device-side assert triggered" and raises.findings.checks[0].right
    assert raises.findings.notes[0] == "the end of its log:" and any(
        "in raises" in note for note in raises.findings.notes
    )
    assert "died of SIGKILL" in dies.reason and dies.findings.notes == ["whole"] and not dies.findings.measurements
    assert math.isnan(wrong.findings.checks[1].error) and not any(check.right for check in wrong.findings.checks)
    assert describes.findings.notes == ["cpu False data True"]
    assert [outcome.passed for outcome in outcomes] == [True, False, False, False, False, True]
    assert verdict(outcomes) == "2 of 4 checks are right; look at: hangs, raises, dies, wrong"


def test_the_whole_never_takes_longer_than_it_may(run):
    start = time.monotonic()
    outcomes = run(step("hangs", 60), step("good"), step("describes", required=True), seconds=3)
    assert time.monotonic() - start < 8
    assert [outcome.state for outcome in outcomes] == [NO_TIME] * 3 and [outcome.passed for outcome in outcomes] == [
        True,
        True,
        False,
    ]
    assert "all that was left" in outcomes[0].reason and outcomes[0].findings.notes == ["begun"]
    assert "no time was left for: hangs, good, describes" in verdict(outcomes)


def test_steps_of_other_devices_and_of_the_long_form_are_left_out(run):
    outcomes = run(step("good", kinds=("cuda",), skip_reason="CUDA only"), step("raises", seconds_short=0), short=True)
    assert [(outcome.state, outcome.reason) for outcome in outcomes] == [
        (SKIPPED, "CUDA only"),
        (SKIPPED, "not in the short form"),
    ]
    assert all(outcome.passed for outcome in outcomes)
    outcomes = run(step("good", kinds=("cuda",)), kind="cuda")
    assert outcomes[0].state == OK


def test_records_keep_numbers_that_json_has_not(tmp_path):
    record = Record(tmp_path / "a.jsonl")
    record.check("a", float("inf"), 1, "pixels")
    record.measurement("b", float("nan"), "ms", target=2.0)
    told = read_record(record.path)
    assert (
        told.checks == [Check("a", math.inf, 1, "pixels")]
        and math.isnan(told.measurements[0].value)
        and told.measurements[0].target == 2
    )
    assert read_record(tmp_path / "none") == Findings() and "NaN" not in record.path.read_text()


def test_the_report_marks_what_is_wrong_with_what_was_found_and_allowed():
    checks = [Check("boxes", 0.3, 0.05, "pixels"), Check("forward", 0.0, 0.1)]
    told = Findings(
        [Measurement("speed", 1234.5, "pairs/s", 1000.0), Measurement("odd", math.nan, "")], checks, ["a | b"]
    )
    outcomes = [
        Outcome(Step("tracking", "", 1, 1), WRONG, 2.0, told),
        Outcome(Step("forward", "", 1, 1), FAILED, 1.0, Findings(), "died | of SIGKILL"),
    ]
    lines = list(text(outcomes))
    assert any(line.startswith("!! boxes") and "0.3 pixels (allowed 0.05) WRONG" in line for line in lines)
    assert any("speed" in line and "1234 pairs/s (target 1000)" in line for line in lines)
    assert lines[-1] == "1 of 2 checks are right; look at: tracking, forward"
    page = markdown(outcomes, "A card")
    assert (
        page.startswith("# A card\n")
        and "| boxes | 0.3 pixels | 0.05 | **WRONG** |" in page
        and "died \\| of SIGKILL" in page
    )
    found = json.loads(json.dumps(as_json(outcomes, "cpu", 3.0), allow_nan=False))
    assert (
        found["passed"] is False
        and found["steps"][0]["checks"][0]["right"] is False
        and found["steps"][0]["figures"][1]["value"] == "nan"
    )


def test_the_table_names_functions_that_are_there_and_fits_six_minutes_typically():
    for each in (MAKE_DATA, *STEPS):
        module, _, function = each.function.partition(":")
        path = ROOT / (module.replace(".", "/") + ".py")
        assert re.search(rf"^def {function}\(setting: Setting, record: Record\)", path.read_text(), re.MULTILINE), (
            each.function
        )
        assert each.skip_reason or len(each.kinds) == 3
    assert [each.name for each in STEPS][-1] == "compiled forms"


@pytest.mark.parametrize(
    ("cards", "name", "found"),
    [
        ([], "auto", "cpu"),
        (["npu:0", "npu:1"], "auto", "npu"),
        (["cuda:0"], "cuda:0", "cuda:0"),
        (["cuda:0"], "cpu", "cpu"),
    ],
)
def test_the_device_that_is_meant(monkeypatch, cards, name, found):
    monkeypatch.setattr(
        check_device, "accelerators", lambda: [types.SimpleNamespace(type=card.partition(":")[0]) for card in cards]
    )
    monkeypatch.setattr(check_device, "choose_device", None)  # nothing is opened
    assert check_device.find_device(name) == found


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "tools" / "check_device.py"), "--out", str(folder), *arguments]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--device", "sofa"), "expected auto, npu, cuda, cpu"),
        (("--device", "cpu", "--data", "nowhere"), "is missing training data: no nowhere/training_dataset/COCO"),
        (("--minutes", "0"), "expected more than 0"),
    ],
)
def test_mistakes_are_sentences(tmp_path, arguments, words):
    done = subprocess.run(command(tmp_path, *arguments), cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


def test_a_check_that_is_told_to_end_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen(
        command(tmp_path, "--device", "cpu"),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    process.stderr.readline()  # the first step has ended, the second has started
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143 and json.loads((tmp_path / "report.json").read_text())["steps"]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(tmp_path) not in running


def test_the_short_form_on_a_cpu(tmp_path):
    """Run the complete command with generated data; it takes a minute and a half on two idle cores.

    Beside other work it takes many times that, so it is given more than its usual six minutes.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(tmp_path, "--device", "cpu", "--minutes", "25"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1600,
        env=environment,
    )
    report = json.loads((tmp_path / "report.json").read_text())
    states = {each["name"]: each["state"] for each in report["steps"]}
    assert done.returncode == 0 and report["passed"], done.stdout + done.stderr
    assert set(states) == {each.name for each in (MAKE_DATA, *STEPS)}
    assert {name for name, state in states.items() if state != OK} == {
        "a step that waits for nothing",
        "compiled forms",
        "steps as a graph",
    }
    checks = [check for each in report["steps"] for check in each["checks"]]
    assert len(checks) > 40 and all(check["right"] for check in checks)
    names = [figure["name"] for each in report["steps"] for figure in each["figures"]]
    assert {
        "frozen step",
        "plain way",
        "unfrozen step",
        "times the plain way",
        "tracking, quickstart",
        "loader of 1 process",
        "2 processes",
    } <= set(names)
    page = (tmp_path / "check_device_cpu.md").read_text()
    assert (
        f"{len(checks)} of {len(checks)} checks are right" in page
        and f"{len(checks)} of {len(checks)} checks are right" in done.stdout
    )
    assert page.count("aten::") >= 20  # the profile
