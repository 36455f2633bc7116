"""Checks of the source: one list for run_tests.sh, for the pre-commit hooks and for CI."""

import re

import yaml

from helpers import ROOT

RUN_TESTS = (ROOT / "test" / "run_tests.sh").read_text()


def hooks() -> dict[str, str]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    return {hook["id"]: hook["entry"] for repo in config["repos"] for hook in repo["hooks"]}


def test_hooks_are_the_checks_of_the_test_command():
    checks = re.findall(r'^"\$PYTHON" -m (ruff .*|mypy.*)$', RUN_TESTS, re.MULTILINE)
    assert checks == ["ruff check", "ruff format --check", "mypy"]
    assert [entry.removeprefix("python -m ") for name, entry in hooks().items() if name != "shellcheck"] == checks
    assert hooks()["shellcheck"] == "shellcheck -x"  # test/tools/test_launch.py runs the same


def test_the_workflow_calls_the_ci_script():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == ["bash .ci/run"] and (ROOT / ".ci" / "run").exists()
