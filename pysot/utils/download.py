"""Download of a file that continues where it was cut off, and has its name only when it is complete and verified.

Until then it is `.<name>.part` beside its place, and `.<name>.part.json` says where these bytes come from.
"""

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from pysot.utils.files import file_hash, file_lock, flush_folder, write_json

_BLOCK = 2**16  # bytes
_TIMEOUT = 30  # seconds without an answer
Progress = Callable[[int, int | None], None]


class DownloadError(OSError):
    """A download failed because of the server, the way to it, or what came; local causes are other OSErrors."""


def download(url: str, path: str | os.PathLike, sha256: str = "", on_progress: Progress | None = None) -> str:
    """Fetch the file at `url`, unless `path` exists, and return its SHA-256 as 64 hex digits.

    `url` starts with http://, https:// or file://. `sha256` is the expected hash or its first digits, "" takes any.
    `on_progress(received, total)` is called with bytes; total is None if the server does not say it. Bytes of an
    earlier call are continued if the server still has the same version, or if a hash is expected; otherwise the
    download starts again. A connection that ends early is opened again as long as that brings more bytes.

    Raises ValueError for another kind of address or an existing file with another hash, DownloadError if the server
    cannot be reached, refuses, stops early or sends a file with another hash, and OSError that names the file if it
    cannot be written. Then `path` is unchanged; bytes that came are kept for the next call, unless their hash is wrong.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "file"):
        raise ValueError(f"expected an address that starts with http://, https:// or file://, got {url!r}")
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(path.with_name(f".{path.name}.lock")):
            if path.exists():
                return check_file(path, sha256)
            _receive_all(url, part, bool(sha256), on_progress or (lambda received, total: None))
            return _publish(url, part, path, sha256)
    except DownloadError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        kept = f" {part.stat().st_size} bytes that came are kept." if os.access(part, os.F_OK) else ""
        raise OSError(
            error.errno, f"cannot write {path}: {reason}.{kept} Choose a folder you may write to, with free space"
        ) from error


def check_file(path: str | os.PathLike, sha256: str) -> str:
    """Return the SHA-256 of a file.

    Raises ValueError that names the file if the hash does not start with `sha256`.
    """
    digest = file_hash(path)
    if not digest.startswith(sha256):
        raise ValueError(
            f"{path} has another hash: expected sha256 {sha256}, got {digest}. Move it away and fetch it again"
        )
    return digest


def _receive_all(url: str, part: Path, has_hash: bool, on_progress: Progress) -> None:
    """Fetch the bytes that `part` lacks, in as many connections as bring more of them."""
    most = 0
    while reason := _receive(url, part, has_hash, on_progress):
        size = part.stat().st_size
        if size <= most:
            total = _read_origin(part).get("length") or "an unknown number of"
            raise DownloadError(
                f"{url}: cut off after {size} of {total} bytes ({reason}). They are kept, the same command goes on"
            )
        most = size


def _receive(url: str, part: Path, has_hash: bool, on_progress: Progress) -> str:
    """Fetch what `part` lacks in one connection; return why it ended early, "" if `part` is complete."""
    origin = _read_origin(part)
    start = 0
    if origin.get("url") == url and (origin.get("version") or has_hash):
        start = part.stat().st_size
    if start and start == origin.get("length"):
        return ""
    with _open(url, start, origin.get("version") or "") as response:
        headers = response.headers
        if headers.get_content_type() == "text/html":
            raise DownloadError(f"{url} is a web page, not a file: open it in a browser")
        continues = response.status == 206
        if continues and not headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise DownloadError(
                f"{url}: asked for the bytes from {start}, the server sent {headers.get('Content-Range')!r}. "
                f"Delete {part} to start again"
            )
        if not continues:
            start = 0
        length = headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        if total is None and not has_hash and not getattr(response, "chunked", False):
            raise DownloadError(f"{url}: the server states no length and no hash is known, so it cannot be verified")
        with open(part, "ab" if continues else "wb") as stream:
            if not continues:
                # After the old bytes are gone: they must never be continued as this version.
                write_json(_origin_path(part), {"url": url, "version": _version(headers), "length": total})
            reason = _copy(response, stream, start, total, on_progress)
            stream.flush()
            os.fsync(stream.fileno())
        return reason


def _copy(response: Any, stream: BinaryIO, received: int, total: int | None, on_progress: Progress) -> str:
    """Append the body of a response; return why it ended early, "" if it did not."""
    while True:
        on_progress(received, total)
        try:
            block = response.read(_BLOCK)
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        if not block:
            return "the connection was closed" if total is not None and received < total else ""
        stream.write(block)
        received += len(block)


def _open(url: str, start: int, version: str) -> Any:
    """Open an address, from byte `start` on if it still is this version. Raises DownloadError."""
    headers = {"User-Agent": "pysot", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    if start and version:
        headers["If-Range"] = version
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _open(url, 0, "")
        raise DownloadError(f"{url}: the server answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} cannot be reached: {getattr(error, 'reason', error)}") from None


def _version(headers: Any) -> str:
    """Return what identifies this version of a file for If-Range: a strong ETag, or the time of its change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _origin_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_origin(part: Path) -> dict[str, Any]:
    """Return url, version and length of the file that `part` is the beginning of, {} if that is not known."""
    try:
        origin = json.loads(_origin_path(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return origin if isinstance(origin, dict) and part.is_file() else {}


def _publish(url: str, part: Path, path: Path, sha256: str) -> str:
    """Rename a complete file to its name, if its hash is right, and return the hash."""
    try:
        digest = check_file(part, sha256)
    except ValueError:
        digest = check_file(part, "")
        part.unlink()
        _origin_path(part).unlink(missing_ok=True)
        raise DownloadError(
            f"{url} has another hash: expected sha256 {sha256}, got {digest}. It was not kept: it is another file than "
            "the recorded one, or was changed on its way"
        ) from None
    os.replace(part, path)
    flush_folder(path.parent)
    _origin_path(part).unlink(missing_ok=True)
    return digest
