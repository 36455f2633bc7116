"""Colours of the tools: on terminals only, each stream on its own, unless they are turned off."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers import ROOT, TINY, experiment, moving_square, tiny_config
from pysot.models.model_builder import build_model
from terminal_helpers import open_terminal

SMALL = ROOT / "test" / "parity" / "vot_small"
GREEN, LIGHT_BLUE, DIM, YELLOW, RED = "\x1b[1m\x1b[32m", "\x1b[94m", "\x1b[2m", "\x1b[33m", "\x1b[31m"
LOG = """
import logging, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import _cli
_cli.prepare_process()
def main():
    _cli.setup_logging(file=Path("run.log"))
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logging.log(level, "a line of level %d", level)
    raise ValueError("it ends")
_cli.run(main)
"""


def run_tool(command, cwd, terminal: str = "", **environment: str) -> tuple[int, dict[str, str]]:
    """Run a command whose stream `terminal`, "stdout", "stderr" or neither, is a pseudo-terminal.

    Return its status and what came on each stream.
    """
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    files = {name: Path(cwd) / f"{name}.txt" for name in ("stdout", "stderr")}
    streams = {name: path.open("wb") for name, path in files.items()}
    parent, child = open_terminal()
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={**env, "TERM": "xterm", **environment},
        stdin=subprocess.DEVNULL,
        **{**streams, **({terminal: child} if terminal else {})},
    )
    os.close(child)
    received = b""
    while chunk := read(parent):
        received += chunk
    status = process.wait(60)
    os.close(parent)
    for stream in streams.values():
        stream.close()
    texts = {name: path.read_text() for name, path in files.items()}
    if terminal:
        texts[terminal] = received.decode().replace("\r\n", "\n")
    return status, texts


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux: the other side is closed
        return b""


@pytest.fixture
def command(tmp_path):
    """Return the command that scores vot_small, with a tracker that has no results."""
    folder = tmp_path / "results" / "VOT2016"
    folder.mkdir(parents=True)
    for name in ("tracker_a", "tracker_b", "tracker_c"):
        (folder / name).symlink_to(SMALL / "results" / name)
    (folder / "broken" / "baseline").mkdir(parents=True)
    return [ROOT / "tools" / "eval.py", "-p", "results", "-d", "VOT2016", "--datasetdir", SMALL]


def test_a_table_has_colours_on_a_terminal(command, tmp_path):
    status, in_a_file = run_tool(command, tmp_path)
    assert status == 0 and "\x1b" not in in_a_file["stdout"] + in_a_file["stderr"]
    status, texts = run_tool(command, tmp_path, "stdout")
    text = texts["stdout"]
    assert status == 0 and "\x1b" not in texts["stderr"]
    first_table = text.partition("Warning:")[0].splitlines()
    lines = {line.split()[1]: line for line in first_table if line.startswith("|      tracker_")}
    assert len(lines) == 3
    accuracy = {name: float(re.search(r"\|[^|]*? ([\d.]+) ", line).group(1)) for name, line in lines.items()}
    best = max(accuracy, key=lambda name: accuracy[name])
    assert f"{GREEN}  {accuracy[best]:.3f}   \x1b[0m" in lines[best], repr(lines[best])
    assert text.count(GREEN) >= 4 and LIGHT_BLUE in text
    assert re.search(re.escape(f"|{DIM}") + r" +broken \[not scored\] +" + re.escape("\x1b[0m|"), text)
    assert f"\n{YELLOW}Warning: broken is not scored" in text
    assert re.sub(r"\x1b\[\d+m", "", text) == in_a_file["stdout"]


@pytest.mark.parametrize("off", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}], ids=["NO_COLOR", "dumb", "--no-color"])
def test_colours_are_turned_off(command, tmp_path, off):
    status, expected = run_tool(command, tmp_path)
    status, texts = run_tool([*command, *([] if off else ["--no-color"])], tmp_path, "stdout", **off)
    assert status == 0 and texts["stdout"] == expected["stdout"]


def test_an_empty_variable_turns_nothing_off(command, tmp_path):
    assert GREEN in run_tool(command, tmp_path, "stdout", NO_COLOR="")[1]["stdout"]


def test_warnings_and_errors(tmp_path):
    status, texts = run_tool(["-c", LOG, ROOT / "tools"], tmp_path, "stderr")
    lines = texts["stderr"].splitlines()
    assert status == 2 and len(lines) == 4
    assert re.fullmatch(r"\[[\d:]+\] a line of level 20", lines[0])
    assert lines[1].startswith(f"{YELLOW}[") and lines[1].endswith("a line of level 30\x1b[0m")
    assert lines[2].startswith(f"{RED}[") and lines[2].endswith("a line of level 40\x1b[0m")
    assert lines[3] == f"{RED}error: it ends\x1b[0m"
    assert "\x1b" not in (tmp_path / "run.log").read_text()
    (tmp_path / "run.log").unlink()
    status, plain = run_tool(["-c", LOG, ROOT / "tools"], tmp_path)
    assert status == 2 and plain["stderr"].endswith("a line of level 40\nerror: it ends\n")
    assert "\x1b" not in plain["stderr"]


def test_an_error_of_the_arguments(command, tmp_path):
    command = [*command, "--num", "none"]
    status, texts = run_tool(command, tmp_path, "stderr")
    assert status == 2 and texts["stderr"].startswith("usage: eval.py")
    line = texts["stderr"].splitlines()[-1]
    assert line.startswith(f"{RED}eval.py: error: argument --num/-n: ") and line.endswith("\x1b[0m")
    status, plain = run_tool(command, tmp_path)
    assert status == 2 and plain["stderr"] == re.sub(r"\x1b\[\d+m", "", texts["stderr"])


def test_the_table_after_tracking(tmp_path):
    for seed, name in enumerate(("one", "two")):
        moving_square(tmp_path / "testing_dataset" / "VOT2016" / name)
        torch.manual_seed(seed)
        torch.save(build_model(tiny_config()).state_dict(), tmp_path / f"{name}.pth")
    (tmp_path / "testing_dataset" / "VOT2016" / "list.txt").write_text("one\ntwo\n")
    command = [ROOT / "tools" / "test.py", "--config", experiment("quickstart"), "--snapshot", "one.pth", "two.pth"]
    command += ["--dataset", "VOT2016", "--video", "one", "--device", "cpu", "--opts", *TINY]
    status, texts = run_tool(command, tmp_path, "stdout")
    assert status == 0, texts["stderr"]
    assert GREEN in texts["stdout"] and f"{YELLOW}Note: scores of 1 of 2 videos\x1b[0m" in texts["stdout"]
    status, again = run_tool(command, tmp_path)
    assert re.sub(r"\x1b\[\d+m", "", texts["stdout"]) == again["stdout"]
