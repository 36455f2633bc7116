"""Look up entries in tables whose keys come from the config."""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")


def lookup(table: Mapping[str, Value], name: str, *, key: str) -> Value:
    """Return table[name]. Raises ValueError that names the wrong config key, its valid values, and those like it."""
    if name not in table:
        near = difflib.get_close_matches(name, table, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{key} is {name!r}; known: {', '.join(sorted(table))}{hint}")
    return table[name]


def construct(table: Mapping[str, Any], section: Mapping[str, Any], *, key: str) -> Any:
    """Call the entry named by section["TYPE"] with section["KWARGS"].

    Raises ValueError for an unknown type or arguments that it does not take.
    """
    factory = lookup(table, section["TYPE"], key=f"{key}.TYPE")
    try:
        inspect.signature(factory).bind(**section["KWARGS"])
    except TypeError as error:
        raise ValueError(f"{key}.KWARGS does not fit {key}.TYPE {section['TYPE']}: {error}") from None
    return factory(**section["KWARGS"])
