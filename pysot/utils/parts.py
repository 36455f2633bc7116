"""Parts of a job that several machines do: which part has which items, and the files that record finished parts.

Part I of N is the same on every machine. Its record `<name>.<I>-of-<N>.json` is written when the part is finished.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pysot.utils.files import read_json

Item = TypeVar("Item")
_FILE = re.compile(r"\.?(?P<name>.+)\.(?P<number>\d+)-of-(?P<count>\d+)\.(json|lock)")


def share(items: Iterable[Item], number: int, count: int, size: Callable[[Item], tuple[int, str]]) -> list[Item]:
    """Return the items of part `number` (from 1) of `count`, with about the same total size as the others.

    `size` returns the size of an item and its unique name. Items are dealt round-robin, the largest first.
    """

    def order(item: Item) -> tuple[int, str]:
        amount, name = size(item)
        return -amount, name

    return sorted(items, key=order)[number - 1 :: count]


def share_size(items: int, number: int, count: int) -> int:
    """Return how many of so many items a part has."""
    return len(range(number - 1, items, count))


def part_file(folder: Path, name: str, number: int, count: int) -> Path:
    """Return the path of the record of a part."""
    return folder / f"{name}.{number}-of-{count}.json"


def lock_file(record: Path) -> Path:
    """Return the path of the lock that a process holds while it works on the part of a record."""
    return record.with_name(f".{record.stem}.lock")


def find_records(folder: Path, name: str) -> dict[tuple[int, int], Path]:
    """Return the records of the parts of a job by (count, number), sorted."""
    return {key: path for key, path in _files(folder, name) if path.suffix == ".json"}


def begun_counts(folder: Path, name: str) -> list[int]:
    """Return into how many parts a job has been split, as its records and locks say; several if it was split again."""
    return sorted({count for (count, _), _ in _files(folder, name)})


def recorded_jobs(folder: Path) -> list[str]:
    """Return the names of the jobs that have a record in a folder, sorted."""
    matches = (_FILE.fullmatch(path.name) for path in folder.glob("*.json"))
    return sorted({match["name"] for match in matches if match})


def _files(folder: Path, name: str) -> list[tuple[tuple[int, int], Path]]:
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _FILE.fullmatch(path.name)
        if match and match["name"] == name:
            found.append(((int(match["count"]), int(match["number"])), path))
    return sorted(found)


def read_record(path: Path, key: tuple[int, int], form: int, fields: Iterable[str], remedy: str) -> dict[str, Any]:
    """Return the content of the record of a part, whose key is (count, number).

    Raises ValueError, which ends in the remedy, for a damaged file, one of another form or without a field, and for
    the record of another part under this name.
    """
    content = read_json(path, "record of a part")
    if not isinstance(content, dict) or content.get("form") != form or {*fields, "part"} - {*content}:
        found = content.get("form") if isinstance(content, dict) else None
        raise ValueError(f"{path} is not a record of form {form} (its form: {found}); {remedy}")
    count, number = key
    if content["part"] != [number, count]:
        raise ValueError(
            f"{path} must be the record of part {number} of {count}, but it is a copy of that of part "
            f"{content['part'][0]} of {content['part'][1]}; remove it. Then {remedy}"
        )
    return content


def command_template(arguments: Sequence[str], number: int, count: int) -> list[str]:
    """Return a command line with {part} in the place of the I/N of its part."""
    own = f"{number}/{count}"
    is_value = [word == own or (word.startswith("-") and word.endswith(f"={own}")) for word in arguments]
    return [word.removesuffix(own) + "{part}" if here else word for word, here in zip(arguments, is_value, strict=True)]


def command_of(template: Sequence[str], number: int, count: int) -> str:
    """Return the command line of another part."""
    return " ".join(["python", *(shlex.quote(word.replace("{part}", f"{number}/{count}")) for word in template)])
