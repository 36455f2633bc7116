"""Fixtures of all tests."""

from pathlib import Path

import pytest

from helpers import ROOT

LONGEST = (
    "test_a_soak_of_kills_and_faults",
    "test_the_short_form_on_a_cpu",
    "test_quickstart_fails_runs_resumes_and_reuses",
    "test_the_simulator_is_the_cpu",
)


def pytest_collection_modifyitems(items):
    """Put the longest tests first, and skip tests marked npu if there is no NPU.

    With the longest tests first, the processes of a parallel test session end together. An NPU may be real or simulated
    (test/npu_sim).
    """
    items.sort(key=lambda item: item.name not in LONGEST)
    marked = [item for item in items if item.get_closest_marker("npu")]
    if marked and not _has_npu():
        skip = pytest.mark.skip(reason="no NPU available; bash test/run_tests.sh runs this on simulated ones")
        for item in marked:
            item.add_marker(skip)


def _has_npu() -> bool:
    import torch

    return hasattr(torch, "npu") and torch.npu.is_available()


@pytest.fixture
def shared() -> Path:
    """Return the team's folder of data and numbers; tests that use it are skipped if it does not exist."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("there is no ../shared folder")
    return folder
