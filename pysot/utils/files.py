"""Files that are either complete or absent: every output is written under a temporary name and renamed."""

import contextlib
import errno
import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)
REPO_ROOT = Path(__file__).resolve().parents[2]
_ABANDONED = 3600  # seconds after which a temporary file belongs to no process any more


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside `path` for writing, and rename it to `path` on success.

    The content is flushed to disk first. On any error the temporary file is removed, and an existing `path` stays as it
    was. Parent folders are made. `mode` is "w" (UTF-8, \\n line ends) or "wb". Raises OSError that names `path` if the
    folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        options: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        with os.fdopen(handle, mode, **options) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"cannot write {path}: {error.strerror or error}. Choose a folder you may write to, with free space",
            ) from error
        raise


def flush_folder(folder: str | os.PathLike) -> None:
    """Write the names in a folder to disk, so that a renamed file keeps its new name after a power failure.

    Does nothing on systems that cannot.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def flush_disk() -> None:
    """Write everything written so far to disk, which for many small files is faster than one by one.

    Does nothing on systems that cannot.
    """
    with contextlib.suppress(AttributeError):
        os.sync()


def publish_folder(part: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Rename a complete folder from `part` to `folder` after its content is on disk.

    So a power failure never leaves empty files in a folder that counts as complete.
    """
    flush_disk()
    os.replace(part, folder)
    flush_folder(Path(folder).parent)


@contextlib.contextmanager
def lock_for_writing(path: str | os.PathLike, holder: str) -> Iterator[None]:
    """Hold the lock of a file in which `holder` is written.

    The lock ends with the process, and helper processes do not inherit it. A file system without locks is reported as a
    warning. Raises BlockingIOError, whose strerror is the holder, if another process has the lock, and OSError that
    names the file if it cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path, "a+", encoding="utf-8")
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write {path}: {error.strerror}. Choose a folder you may write to"
        ) from error
    with stream:
        try:
            if fcntl:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                stream.seek(0)
                raise BlockingIOError(error.errno, stream.read().strip() or "unknown") from None
            logger.warning(
                "%s cannot be locked (%s): make sure that no other run writes into its folder", path, error.strerror
            )
        with contextlib.suppress(OSError):  # a full disk: the name is for messages only
            stream.truncate(0)
            stream.write(holder)
            stream.flush()
        yield


def check_folder(folder: str | os.PathLike) -> None:
    """Make a folder, check that it can be written, and remove the files that a killed `atomic_write` left.

    Any number of processes may do so at once. Raises OSError that names the folder.
    """
    probe = Path(folder) / f".writable.{os.getpid()}.{threading.get_ident()}"
    with atomic_write(probe) as stream:
        stream.write("")
    probe.unlink()
    for temporary in Path(folder).glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # another process may be faster
            if time.time() - temporary.stat().st_mtime > _ABANDONED:
                temporary.unlink()


@contextlib.contextmanager
def file_lock(path: str | os.PathLike, keep_file: bool = False) -> Iterator[bool]:
    """Hold the lock of a file; yield whether that was possible, which it is not in a folder that cannot be written.

    Without `keep_file` the file is removed afterwards. A process that waits for it may then hold the lock together with
    another one, so this is for work that may be done twice.
    """
    try:
        stream = open(path, "w") if fcntl else None
    except OSError:
        stream = None
    if stream is None:
        yield fcntl is None
        return
    with stream:
        with contextlib.suppress(OSError):  # a file system without locks: the last process wins, its files are complete
            fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            yield True
        finally:
            if not keep_file:
                with contextlib.suppress(OSError):
                    Path(path).unlink()


def find_path(path: str | os.PathLike, what: str, remedy: str, folder: str | os.PathLike | None = None) -> Path:
    """Find a path of the config: absolute, relative to the current folder, or relative to the repository.

    With `folder`, the path is relative to that folder only, with or without its first part (training_dataset). `what`
    names the path in errors. Raises FileNotFoundError.
    """
    path = Path(path).expanduser()
    if path.is_absolute():
        tried = [path]
    elif folder is not None:
        tried = [Path(folder) / path, Path(folder).joinpath(*path.parts[1:])]
    else:
        tried = [Path.cwd() / path, REPO_ROOT / path]
    for candidate in tried:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(
        f"{what}: looked for {' and for '.join(map(str, dict.fromkeys(tried)))}, found nothing. {remedy}"
    )


def write_json(path: str | os.PathLike, value: Any, indent: int | None = None) -> None:
    """Write `value` as JSON, completely or not at all.

    Raises OSError as `atomic_write`, and TypeError for values that JSON cannot represent.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    with atomic_write(path) as stream:
        stream.write(text + "\n")


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file, completely or not at all. Raises OSError as `atomic_write`."""
    with atomic_write(path, "wb") as stream:
        stream.write(data)


def file_hash(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: str | os.PathLike, what: str) -> Any:
    """Return the value in a JSON file. `what` names the file in errors, as in "annotation of COCO".

    Raises FileNotFoundError if it is missing, ValueError if it is empty, cut off or not readable as JSON.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"{what}: no file {path}. Make it or correct the path") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{what}: {path} is not UTF-8 text ({error.reason} at byte {error.start}); make the file again"
        ) from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        state = f"is cut off or not JSON ({error.msg}, line {error.lineno} column {error.colno})"
        if not text.strip():
            state = "is empty"
        raise ValueError(f"{what}: {path} {state}; make the file again") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # a number with thousands of digits, or brackets nested thousands deep
        raise ValueError(f"{what}: {path} cannot be read as JSON ({error}); make the file again") from None


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
