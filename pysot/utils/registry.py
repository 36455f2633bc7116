"""Look-up in tables whose keys come from the config."""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def lookup(table: Mapping[str, Value], name: str, *, key: str) -> Value:
    """Return table[name]. Raises ValueError that says which config key is wrong and what it may be."""
    if name not in table:
        raise ValueError(f"{key} is {name!r}; known: {', '.join(sorted(table))}")
    return table[name]
