"""tools/_cli.py: importing it changes nothing in the process; `prepare_process` makes the changes that tools need."""

import ast
import json
import os
import subprocess
import sys

from helpers import ROOT

STATE = """
import json, logging, os, resource, signal, sys

def state():
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "limits": {
            name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")
        },
        "logging": [root.level, logging.root.manager.disable, [repr(handler) for handler in root.handlers]],
        "signals": {str(number): repr(signal.getsignal(number)) for number in signal.valid_signals()},
        "hooks": [repr(sys.excepthook), repr(sys.unraisablehook)],
        "path": sys.path[:],
    }

sys.path.insert(0, sys.argv[1])
if sys.argv[2:]:
    resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))
before = state()
import _cli
after = state()
print("imported", flush=True)
heavy = [name for name in ("torch", "numpy", "cv2", "pysot") if name in sys.modules]
_cli.prepare_process()
import pysot
print(json.dumps({
    "changed": [name for name in before if before[name] != after[name]],
    "heavy": heavy,
    "prepared": [name for name in before if before[name] != state()[name]],
}))
"""


def run_state(tmp_path, *arguments: str) -> subprocess.CompletedProcess:
    """Import _cli in a fresh process outside the repository, with a small address space if there are arguments."""
    return subprocess.run(
        [sys.executable, "-c", STATE, str(ROOT / "tools"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_tools_take_the_package_beside_them(tmp_path):
    """`pip install '.[tune]'` copies the package into the environment, without tools and experiments beside it."""
    (tmp_path / "pysot").mkdir()
    (tmp_path / "pysot" / "__init__.py").write_text("raise SystemExit('the installed package')\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "reproduce.py"), "quickstart", "--small", "--check", "--out", "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_it_changes_nothing(tmp_path):
    done = run_state(tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["changed"] == [] and found["heavy"] == []
    assert found["prepared"] == ["hooks", "path"], "pysot is importable, and a failing import of torch is explained"


def test_a_small_address_space_is_refused_when_the_process_is_prepared(tmp_path):
    done = run_state(tmp_path, "small")
    assert done.stdout == "imported\n" and done.returncode == 2 and "limited to 500 MiB of address space" in done.stderr


def test_every_tool_prepares_its_process_before_other_imports():
    scripts = [path for path in (ROOT / "tools").glob("*.py") if not path.name.startswith("_")]
    scripts += (ROOT / "training_dataset").glob("*/*.py")
    assert len(scripts) > 20
    for path in scripts:
        text = path.read_text()
        assert "\n_cli.prepare_process()\n" in text, path
        statements = ast.parse(text.partition("\n_cli.prepare_process()\n")[0]).body
        earlier = {
            alias.name for statement in statements if isinstance(statement, ast.Import) for alias in statement.names
        }
        earlier |= {statement.module for statement in statements if isinstance(statement, ast.ImportFrom)}
        assert {name.partition(".")[0] for name in earlier} <= {*sys.stdlib_module_names, "_cli"}, path
