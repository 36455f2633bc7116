"""Hashes of files, recorded when a file is first seen: `<file>.sha256` beside it, in the format of sha256sum."""

import os
import re
from pathlib import Path

from pysot.utils.files import atomic_write

SHA256_DIGITS = 64


def hash_record(path: str | os.PathLike) -> Path:
    """Return the path of the record of a file."""
    return Path(path).with_name(f"{Path(path).name}.sha256")


def recorded_hash(path: str | os.PathLike, known: str = "") -> str:
    """Return the SHA-256 that a file must have: the `known` one, or, if that is incomplete, that of the record.

    `known` may be the first digits, or empty; without a record it is returned as it is. Raises ValueError for a record
    that is damaged or contradicts `known`.
    """
    record = hash_record(path)
    if len(known) == SHA256_DIGITS or not record.exists():
        return known
    stored = record.read_text(encoding="utf-8", errors="replace").partition(" ")[0]
    if not re.fullmatch(rf"[0-9a-f]{{{SHA256_DIGITS}}}", stored) or not stored.startswith(known):
        raise ValueError(
            f"{record}: expected a sha256 of {SHA256_DIGITS} hex digits that starts with {known or 'any'}, "
            f"got {stored!r}. Delete the file to store the hash again"
        )
    return stored


def record_hash(path: str | os.PathLike, sha256: str) -> None:
    """Write the record of a file. Raises OSError."""
    with atomic_write(hash_record(path)) as stream:
        stream.write(f"{sha256}  {Path(path).name}\n")
