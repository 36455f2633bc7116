"""Fixtures of the quick-start tests."""

import pytest

from pysot.datasets.quickstart.photos import load_photographs


@pytest.fixture(scope="session")
def photos():
    """Photographs of the test split."""
    return load_photographs("test")
