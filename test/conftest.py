"""Fixtures of all tests."""

from pathlib import Path

import pytest

from helpers import ROOT


@pytest.fixture
def shared() -> Path:
    """The team's folder of data and numbers; tests that use it are skipped where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared folder here")
    return folder
