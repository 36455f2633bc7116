"""The help pages of the tools: each fits on a screen, and ends with two commands that its parser takes."""

import json
import os
import subprocess
import sys

import pytest

from helpers import ROOT

TOOLS = sorted(path for path in (ROOT / "tools").glob("*.py") if not path.name.startswith("_"))
LINES, COLUMNS = 50, 100


@pytest.fixture(scope="module")
def pages() -> dict[str, dict]:
    """Return {file name: its page, its options, and the faults of each example}."""
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "test" / "tools" / "help_pages.py"), *map(str, TOOLS)],
        env={**environment, "COLUMNS": str(COLUMNS)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("tool", [path.name for path in TOOLS])
def test_a_page(pages, tool):
    """`benchmark.py NAME --help` and `prepare_data.py SET --help` print the page of the tool too."""
    lines = pages[tool]["page"].rstrip("\n").split("\n")
    assert len(lines) <= LINES
    assert [line for line in lines if len(line) > COLUMNS] == []
    assert lines[0].startswith(f"usage: {tool} ")
    first = lines[lines.index("") + 1]
    assert first[0].isupper() and "." in first, "the first sentence says what the tool does"
    assert len(pages[tool]["examples"]) == 2
    assert {example: faults for example, faults in pages[tool]["examples"].items() if faults} == {}
    assert "--no-color" in pages[tool]["options"]
