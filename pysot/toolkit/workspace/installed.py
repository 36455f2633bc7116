"""The vot-toolkit of an interpreter, which may be that of another environment."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pysot.toolkit.workspace import support
from pysot.utils.registry import lookup

_ASKED = Path(__file__).with_name("asked.py")
_SECONDS = 300  # for an answer that needs no tracker; the toolkit compiles functions at its first import


@dataclass(frozen=True)
class Toolkit:
    """Installed vot-toolkit: its interpreter, its version, and one of its stacks: the name, and the file's content."""

    python: str
    version: str
    stack_name: str
    stack: dict[str, Any]

    @property
    def experiments(self) -> list[support.Experiment]:
        """Experiments of the stack. Raises ValueError if it has none."""
        return support.read_experiments(self.stack)

    @property
    def command(self) -> str:
        """Path of the toolkit's program `vot`, which pip installs beside the interpreter."""
        return str(Path(self.python).with_name("vot"))


def find_toolkit(stack: str, python: str = sys.executable) -> Toolkit:
    """Return the vot-toolkit of an interpreter and one of its stacks: a name, or the path of a stack's file.

    Raises FileNotFoundError for an interpreter or a file that does not exist, ValueError for an old or broken toolkit
    or none, and for an unknown stack, with the names of those like it.
    """
    if not Path(python).is_file():
        raise FileNotFoundError(f"no interpreter {python}; name the python of the environment that has vot-toolkit")
    is_file = stack.endswith((".yaml", ".yml"))
    if is_file and not Path(stack).is_file():
        raise FileNotFoundError(f"no file {stack}; expected a stack's file or a stack's name, such as vot2022/longterm")
    answer = ask(python, _SECONDS, "describe", str(Path(stack).resolve()) if is_file else stack)
    version = answer["version"]
    if not version:
        raise ValueError(
            f"{python} has no vot-toolkit. In an environment of its own: {support.INSTALL}; then name its interpreter "
            "with --toolkit"
        )
    support.check_version(version)
    if "error" in answer:
        raise ValueError(
            f"vot-toolkit {version} of {python} cannot be imported ({answer['error']}). A newer attributee than 0.1.9 "
            f"does not import on Python 3.11; in its environment: {support.INSTALL}"
        )
    if not is_file:
        lookup(dict.fromkeys(answer["stacks"]), stack, key=f"the stack of vot-toolkit {version}")
    support.read_experiments(answer["stack"] or {})
    return Toolkit(os.path.abspath(python), version, stack, answer["stack"])


def ask(python: str, seconds: float, *words: str) -> dict[str, Any]:
    """Return the answer of `asked.py` to words. Raises ValueError if none comes, or not in time."""
    command = [python, str(_ASKED), *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)  # with the tracker that it has started
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise ValueError(f"{python} did not answer in {seconds:.0f} s") from None
        raise
    last = (output.strip().splitlines() or [""])[-1]
    if process.returncode or not last.startswith("{"):
        raise ValueError(f"{python} gives no answer about vot-toolkit: {(errors or output).strip()[-400:]}")
    return json.loads(last)
