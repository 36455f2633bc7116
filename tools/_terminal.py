"""Colours on terminals: each stream is asked on its own, and files and pipes get plain text.

The variable NO_COLOR, which the option --no-color of every tool sets, and TERM=dumb turn colours off.
"""

import os
import sys
from collections.abc import Callable
from typing import TextIO

from colorama import Fore, Style, just_fix_windows_console

# Light blue is readable on dark and on light backgrounds, blue is not on dark ones.
_STYLES = {
    "best": Style.BRIGHT + Fore.GREEN,
    "second": Fore.LIGHTBLUE_EX,
    "unscored": Style.DIM,
    "warning": Fore.YELLOW,
    "error": Fore.RED,
}


def fix_windows_console() -> None:
    """Make old consoles of Windows understand colours; elsewhere this does nothing."""
    just_fix_windows_console()


def has_colours(stream: TextIO) -> bool:
    """Return whether text on a stream is coloured."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painter(stream: TextIO) -> Callable[[str, str], str]:
    """Return paint(text, role), which colours a text for a stream; unless the stream has colours, it changes nothing.

    Roles are "best", "second", "unscored", "warning" and "error".
    """
    if not has_colours(stream):
        return lambda text, role: text
    return lambda text, role: f"{_STYLES[role]}{text}{Style.RESET_ALL}"


def print_error(text: str) -> None:
    """Print the line `error: text` to stderr."""
    print(painter(sys.stderr)(f"error: {text}", "error"), file=sys.stderr)
