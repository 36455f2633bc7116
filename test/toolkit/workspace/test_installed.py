"""Finding vot-toolkit, with programs in place of its interpreter."""

import json
import sys
import time

import pytest

from helpers import is_alive
from pysot.toolkit.workspace import installed
from pysot.toolkit.workspace.installed import ask, find_toolkit

STACK = {"experiments": {"baseline": {"type": "unsupervised"}}}
GOOD = {"version": "0.7.4", "stacks": ["vot2022/longterm", "vots2023"], "stack": STACK}


@pytest.fixture
def interpreter(tmp_path):
    """Return a function that writes a program which prints an answer, or text."""

    def write(answer, status=0):
        text = answer if isinstance(answer, str) else f"warning: slow\n{json.dumps(answer)}"
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\nprint({text!r})\nraise SystemExit({status})\n")
        path.chmod(0o755)
        return str(path)

    return write


def test_an_interpreter_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="no interpreter .*gone"):
        find_toolkit("vots2023", str(tmp_path / "gone"))


def test_a_stack_file_that_does_not_exist(interpreter):
    with pytest.raises(FileNotFoundError, match="no file mine.yaml; expected a stack's file or a stack's name"):
        find_toolkit("mine.yaml", interpreter(GOOD))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({**GOOD, "version": ""}, "has no vot-toolkit. In an environment of its own: pip install vot-toolkit==0.7.4"),
        ({**GOOD, "version": "0.6.4"}, "vot-toolkit 0.6.4 does not run"),
        ({"version": "0.9.0", "error": "TypeError: dataclass_transform"}, "attributee"),
        ({**GOOD, "stack": None, "stacks": ["vot2022/longterm"]}, "did you mean vot2022/longterm"),
        ({**GOOD, "stacks": ["vot2022/longtrem"], "stack": {}}, "the stack has no experiments"),
    ],
)
def test_toolkits_that_cannot_be_used(interpreter, answer, words):
    with pytest.raises(ValueError, match=words):
        find_toolkit("vot2022/longtrem", interpreter(answer))


@pytest.mark.parametrize(("text", "status"), [("Segmentation fault", 0), ("{}", 3), ("", 0)])
def test_no_answer(interpreter, text, status):
    with pytest.raises(ValueError, match="gives no answer about vot-toolkit"):
        ask(interpreter(text, status), 20, "describe", "x")


def test_an_answer_that_takes_too_long(tmp_path):
    """The tracker that was started ends too."""
    slow = tmp_path / "python"
    slow.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n")
    slow.chmod(0o755)
    begun = time.monotonic()
    with pytest.raises(ValueError, match="did not answer in 1 s"):
        ask(str(slow), 1, "describe", "x")
    assert time.monotonic() - begun < 30  # it does not wait for the tracker
    child, deadline = int((tmp_path / "child").read_text()), time.monotonic() + 20
    while is_alive(child) and time.monotonic() < deadline:  # the signal takes a moment
        time.sleep(0.01)
    assert not is_alive(child)


def test_a_toolkit(interpreter):
    toolkit = find_toolkit("vot2022/longterm", python := interpreter(GOOD))
    assert (toolkit.python, toolkit.version) == (python, "0.7.4")
    assert toolkit.command.endswith("/vot") and toolkit.experiments[0].type == "unsupervised"


def test_an_environment_without_the_toolkit_is_asked():
    """The file that is executed needs nothing of this package."""
    if installed.ask(sys.executable, 60, "describe", "x")["version"]:
        pytest.skip("vot-toolkit is installed here")
    with pytest.raises(ValueError, match="has no vot-toolkit"):
        find_toolkit("vots2023")
