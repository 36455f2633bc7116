"""Bars with speed and ETA for long work.

Library functions take a `Bar`, by default `no_bar`; commands and functions for interactive use pass `progress_bar`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

# bar(items, total=None, description="") returns the items and shows them as they are taken. With None for the items it
# returns a context whose object has update(n), `total` and refresh().
Bar = Callable[..., Any]
_BRIEF = 1.0  # seconds


def progress_bar(
    items: Iterable | None,
    total: int | None = None,
    description: str = "",
    initial: int = 0,
    unit: str = "it",
    delay: float = 0,
) -> Any:
    """Return the items with a bar on a terminal, see `Bar`; nothing is drawn if stderr is a file.

    A bar inside another one is below it, and goes when it is done. The unit B, bytes, is shown as kB, MB and so on.
    Nothing is drawn in the first `delay` seconds.
    """
    return tqdm(
        items,
        total=total,
        desc=description,
        initial=initial,
        unit=unit,
        unit_scale=unit == "B",
        delay=delay,
        leave=None,
        disable=None,
        dynamic_ncols=True,
    )


def brief_bar(items: Iterable, total: int | None = None, description: str = "") -> Any:
    """Return the items with a bar that is only drawn if they take more than a second."""
    return progress_bar(items, total, description, delay=_BRIEF)


def no_bar(items: Iterable, total: int | None = None, description: str = "") -> Iterable:
    """Return the items: a `Bar` that shows nothing."""
    return items
