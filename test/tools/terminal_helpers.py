"""Pseudo-terminals, which some containers do not have."""

import pty

import pytest


def open_terminal() -> tuple[int, int]:
    """Return the two ends of a pseudo-terminal, or skip the test where there is none."""
    try:
        return pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal: {error}")
