"""Downloads are complete and verified, or absent; what was cut off is continued."""

import errno
import hashlib
import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from file_server import FileServer
from pysot.utils import download as module
from pysot.utils.download import DownloadError, check_file, download

CONTENT = np.random.RandomState(1).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with FileServer(CONTENT) as running:
        yield running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def names(path) -> list[str]:
    return sorted(os.listdir(path.parent))


def cut_off(server, path, size=200_000, **options) -> None:
    """Leave the first bytes of a download that was cut off."""
    server.cut_after, server.cuts = size, -1
    ranges, server.ranges = server.ranges, False
    with pytest.raises(DownloadError, match=f"cut off after {size} of 300000 bytes .*kept"):
        download(server.address, path, **options)
    assert names(path) == [".weights.pth.part", ".weights.pth.part.json"]
    server.cuts, server.ranges = 0, ranges
    server.requests.clear()


def test_addresses_that_are_none(path):
    for url in ("", "weights.pth", "ftp://host/weights.pth"):
        with pytest.raises(ValueError, match="expected an address that starts with http://"):
            download(url, path)
    with pytest.raises(DownloadError, match="cannot be reached"):
        download("http://", path)
    assert names(path) == []


@pytest.mark.parametrize("sha256", ["", SHA256[:8], SHA256])
def test_a_file_in_a_new_folder(server, tmp_path, sha256):
    path = tmp_path / "new" / "weights.pth"
    seen = []
    assert download(server.address, path, sha256, lambda *numbers: seen.append(numbers)) == SHA256
    assert path.read_bytes() == CONTENT and names(path) == ["weights.pth"]
    assert seen[0] == (0, 300_000) and seen[-1] == (300_000, 300_000) and seen == sorted(seen)
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_address(path, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    assert download(source.as_uri(), path, SHA256) == SHA256 and path.read_bytes() == CONTENT
    with pytest.raises(DownloadError, match="none cannot be reached.*No such file"):
        download((tmp_path / "none").as_uri(), tmp_path / "other")


def test_a_connection_that_ends_early_is_continued_at_once(server, path):
    server.cut_after, server.cuts = 90_000, 3
    assert download(server.address, path) == SHA256 and path.read_bytes() == CONTENT
    assert server.requests == [(None, None), *((f"bytes={n}-", '"1"') for n in (90_000, 180_000, 270_000))]


def test_a_later_call_continues(server, path):
    cut_off(server, path)
    seen = []
    assert download(server.address, path, on_progress=lambda *numbers: seen.append(numbers)) == SHA256
    assert server.requests == [("bytes=200000-", '"1"')] and seen[0] == (200_000, 300_000)
    assert path.read_bytes() == CONTENT and names(path) == ["weights.pth"]


def test_a_server_that_ignores_ranges_starts_again(server, path):
    server.ranges = False
    cut_off(server, path)
    assert download(server.address, path) == SHA256 and path.read_bytes() == CONTENT
    assert server.requests == [("bytes=200000-", '"1"')]


def test_another_version_is_not_mixed_with_the_first(server, path):
    cut_off(server, path)
    server.content, server.version = CONTENT[::-1], '"2"'
    assert download(server.address, path) == hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert path.read_bytes() == CONTENT[::-1]


def test_without_a_version_only_a_hash_allows_to_continue(server, path):
    server.version = ""
    cut_off(server, path)
    assert download(server.address, path) == SHA256 and server.requests == [(None, None)]
    path.unlink()
    cut_off(server, path)
    assert download(server.address, path, SHA256[:8]) == SHA256 and server.requests == [("bytes=200000-", None)]


def test_another_address_starts_again(server, path):
    cut_off(server, path)
    assert download(f"{server.address}?mirror", path) == SHA256 and server.requests == [(None, None)]


def test_a_time_of_change_serves_as_version(server, path):
    server.version, server.headers = "", {"Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT", "ETag": 'W/"weak"'}
    cut_off(server, path)
    server.version = "Sat, 01 Jan 2022 00:00:00 GMT"
    assert download(server.address, path) == SHA256 and server.requests == [("bytes=200000-", server.version)]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]"])
def test_a_part_of_unknown_origin_starts_again(server, path, damage):
    cut_off(server, path)
    (path.parent / ".weights.pth.part.json").write_bytes(damage)
    assert download(server.address, path) == SHA256 and server.requests == [(None, None)]


def test_a_complete_part_is_only_verified(server, path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "replace", killed)
        patch.setattr(module, "write_json", lambda path, value: path.write_text(module.json.dumps(value)))
        with pytest.raises(KeyboardInterrupt):
            download(server.address, path)
    server.requests.clear()
    assert download(server.address, path) == SHA256 and server.requests == [] and path.read_bytes() == CONTENT


def test_a_file_that_became_shorter_starts_again(server, path):
    cut_off(server, path)
    server.content = CONTENT[:1000]
    assert download(server.address, path) == hashlib.sha256(CONTENT[:1000]).hexdigest()
    assert server.requests == [("bytes=200000-", '"1"'), (None, None)]


def test_other_bytes_than_asked_for(server, path):
    cut_off(server, path)
    server.headers = {"Content-Range": "bytes 5-299999/300000"}
    with pytest.raises(DownloadError, match="asked for the bytes from 200000, the server sent 'bytes 5-"):
        download(server.address, path)
    assert (path.parent / ".weights.pth.part").read_bytes() == CONTENT[:200_000]


def test_a_wrong_hash_keeps_nothing(server, path):
    with pytest.raises(DownloadError, match=f"expected sha256 {'0' * 64}, got {SHA256}. It was not kept"):
        download(server.address, path, "0" * 64)
    assert names(path) == []


def test_a_file_that_exists(server, path):
    path.write_bytes(CONTENT)
    assert download(server.address, path, SHA256[:8]) == SHA256
    with pytest.raises(ValueError, match=f"weights.pth has another hash: expected sha256 00, got {SHA256}. Move it"):
        download(server.address, path, "00")
    assert server.requests == [] and path.read_bytes() == CONTENT
    with pytest.raises(FileNotFoundError, match="none"):
        check_file(path.parent / "none", "")


def test_a_second_process_waits_and_takes_the_file(server, path):
    digests = []
    threads = [threading.Thread(target=lambda: digests.append(download(server.address, path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [SHA256] * 3 and len(server.requests) == 1 and names(path) == ["weights.pth"]


def test_a_server_that_refuses(server, path):
    server.status = 404
    with pytest.raises(DownloadError, match="weights.pth: the server answered 404 Not Found"):
        download(server.address, path)
    assert names(path) == []


def test_a_page_in_place_of_the_file(server, path):
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(DownloadError, match="is a web page, not a file"):
        download(server.address, path)
    assert names(path) == []


def test_a_server_without_lengths(server, path):
    server.headers = {"Content-Length": None}
    with pytest.raises(DownloadError, match="states no length and no hash is known"):
        download(server.address, path)
    seen = []
    assert download(server.address, path, SHA256, lambda *numbers: seen.append(numbers)) == SHA256
    assert seen[-1] == (300_000, None)


def test_no_network(path):
    with FileServer(b"") as server:
        address = server.address
    with pytest.raises(DownloadError, match="weights.pth cannot be reached: .*refused"):
        download(address, path)
    assert names(path) == []


def test_a_full_disk_keeps_what_came(server, path, monkeypatch):
    cut_off(server, path)

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(
            OSError, match="cannot write .*weights.pth: No space left on device. 300000 bytes"
        ) as caught:
            download(server.address, path)
    assert caught.value.errno == errno.ENOSPC and not isinstance(caught.value, DownloadError)
    assert download(server.address, path) == SHA256 and path.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write .*weights.pth: .*Choose a folder you may write to"):
        download(server.address, tmp_path / "file" / "weights.pth")
    assert server.requests == []


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(0, 200_000),
    cuts=st.lists(st.integers(1, 150_000), max_size=4),
    ranges=st.booleans(),
    version=st.sampled_from(['"1"', ""]),
)
def test_any_cuts_end_in_the_same_file(tmp_path_factory, size, cuts, ranges, version):
    path = tmp_path_factory.mktemp("cuts") / "weights.pth"
    with FileServer(CONTENT[:size]) as server:
        server.ranges, server.version = ranges, version
        for cut in cuts:
            server.cut_after, server.cuts = cut, 1
            try:
                download(server.address, path)
            except DownloadError as error:
                assert "cut off" in str(error) and not path.exists()
        server.cuts = 0
        assert download(server.address, path) == hashlib.sha256(CONTENT[:size]).hexdigest()
    assert path.read_bytes() == CONTENT[:size] and names(path) == ["weights.pth"]
