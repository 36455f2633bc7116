"""Files that are either whole or absent: every output is written under a temporary name and renamed."""

import contextlib
import errno
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
except ImportError:  # not on Windows
    fcntl = None

logger = logging.getLogger(__name__)
REPO_ROOT = Path(__file__).resolve().parents[2]
_ABANDONED = 3600  # seconds after which a temporary file belongs to nobody


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside `path` for writing; on success it is flushed to disk and takes the name `path`, on any error it is removed
    and what stood at `path` before stays. Parent folders are made. Mode is "w" (UTF-8, \\n line ends) or "wb". Raises OSError that names `path`
    when the folder can't be written or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        with os.fdopen(handle, mode, **text) as stream:
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
    """Write the names in a folder to the disk: a file that was renamed has its new name after a loss of power as well. Systems that cannot are left alone."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def flush_disk() -> None:
    """Write all that was written so far to the disk, which for many small files is quicker than one by one. Nothing where the system cannot."""
    with contextlib.suppress(AttributeError):
        os.sync()


def publish_folder(part: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Give a folder that is complete its name, with all that lies in it on the disk: a loss of power leaves no empty files under a name that says so."""
    flush_disk()
    os.replace(part, folder)
    flush_folder(Path(folder).parent)


@contextlib.contextmanager
def lock_for_writing(path: str | os.PathLike, holder: str) -> Iterator[None]:
    """Hold the lock of a file that says who `holder` is. It ends with the process, and helper processes do not inherit it. Raises BlockingIOError, whose
    strerror is the holder, if another process has it; OSError that names the file if it can't be written. A file system without locks is told.
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
                "%s cannot be locked (%s): see to it that no other run writes into its folder", path, error.strerror
            )
        with contextlib.suppress(OSError):  # a full disk: the name is for messages only
            stream.truncate(0)
            stream.write(holder)
            stream.flush()
        yield


def check_folder(folder: str | os.PathLike) -> None:
    """Make the folder, try to write in it before hours are spent, and remove what a killed `atomic_write` left. Raises OSError that names it. Any number of
    processes may do so at once.
    """
    probe = Path(folder) / f".writable.{os.getpid()}.{threading.get_ident()}"
    with atomic_write(probe) as stream:
        stream.write("")
    probe.unlink()
    for left in Path(folder).glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # another process may be faster
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()


@contextlib.contextmanager
def file_lock(path: str | os.PathLike, keep: bool = False) -> Iterator[bool]:
    """Hold a file's lock; whether that was possible, which it is not in a folder that can't be written. Without `keep` the file is removed afterwards, and a
    process that waits for it may then hold it beside another: for work that may be done twice.
    """
    try:
        stream = open(path, "w") if fcntl else None
    except OSError:
        stream = None
    if stream is None:
        yield fcntl is None
        return
    with stream:
        with contextlib.suppress(OSError):  # a file system without locks: the last one to finish wins, all are whole
            fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            yield True
        finally:
            if not keep:
                with contextlib.suppress(OSError):
                    Path(path).unlink()


def find_path(path: str | os.PathLike, what: str, remedy: str, folder: str | os.PathLike | None = None) -> Path:
    """A path of the config as it is found: absolute, relative to the current folder, or relative to the repository. With `folder`, relative to that alone,
    with or without the path's first part (training_dataset). Raises FileNotFoundError.
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
    """Write `value` as JSON, whole or not at all. Raises OSError as `atomic_write`, TypeError for values that JSON has no form for."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    with atomic_write(path) as stream:
        stream.write(text + "\n")


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file, whole or not at all. Raises OSError as `atomic_write`."""
    with atomic_write(path, "wb") as stream:
        stream.write(data)


def read_json(path: str | os.PathLike, what: str) -> Any:
    """The value in a JSON file. `what` says in the error what the file is for, as in "annotation of COCO".

    Raises FileNotFoundError if it is missing, ValueError if it is empty, cut off or not JSON that can be read.
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
        state = (
            "is empty"
            if not text.strip()
            else f"is cut off or not JSON ({error.msg}, line {error.lineno} column {error.colno})"
        )
        raise ValueError(f"{what}: {path} {state}; make the file again") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets thousands deep
        raise ValueError(f"{what}: {path} cannot be read as JSON ({error}); make the file again") from None


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
