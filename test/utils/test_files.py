"""Files are complete or absent."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pysot.utils import files
from pysot.utils.files import atomic_write, check_folder, find_path, read_json, write_json


def test_missing_empty_and_cut_off_json(tmp_path):
    with pytest.raises(FileNotFoundError, match="notes: no file.*a.json"):
        read_json(tmp_path / "a.json", "notes")
    for text, words in (("", "is empty"), ('{"a": [1, 2', "is cut off or not JSON")):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match=f"notes.*a.json {words}"):
            read_json(tmp_path / "a.json", "notes")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_json(tmp_path / "a.json", "notes")


def test_round_trip_in_a_new_folder(tmp_path):
    write_json(tmp_path / "b" / "a.json", {"ä": [1, 2.5, None]})
    assert read_json(tmp_path / "b" / "a.json", "notes") == {"ä": [1, 2.5, None]}
    assert os.listdir(tmp_path / "b") == ["a.json"]


def test_an_error_keeps_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError):
        with atomic_write(path) as stream:
            stream.write("new")
            raise KeyError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="a.txt: No space left on device.*free space"):
        write_json(path, {})
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_the_name_of_a_file_reaches_the_disk_after_its_content(tmp_path, monkeypatch):
    flushed, real_fsync = [], os.fsync

    def fsync(handle):
        flushed.append(os.readlink(f"/proc/self/fd/{handle}"))
        real_fsync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_write(tmp_path / "a.txt") as stream:
        stream.write("content")
    assert len(flushed) == 2 and ".a.txt." in flushed[0] and flushed[1] == str(tmp_path)


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write .*a.txt"):
        with atomic_write(tmp_path / "file" / "a.txt"):
            pass


def test_permissions_follow_the_umask(tmp_path):
    write_json(tmp_path / "a.json", 1)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o666 & ~files._umask()


def test_check_folder_removes_what_killed_runs_left(tmp_path):
    for name, age in ((".old.pth.x.tmp", 7200), (".new.pth.x.tmp", 10)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    check_folder(tmp_path)
    assert os.listdir(tmp_path) == [".new.pth.x.tmp"]


def test_paths_are_found_from_here_then_from_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_path("requirements.txt", "KEY", "Do that.") == files.REPO_ROOT / "requirements.txt"
    (tmp_path / "requirements.txt").write_text("")
    assert find_path("requirements.txt", "KEY", "Do that.") == tmp_path / "requirements.txt"
    with pytest.raises(FileNotFoundError, match="KEY: looked for .* and for .*, found nothing. Do that."):
        find_path("gone.txt", "KEY", "Do that.")


def test_many_processes_check_a_folder_at_once(tmp_path):
    """No process fails because another one removes a file first."""
    for number in range(200):
        (tmp_path / f".old{number}.tmp").write_text("")
        os.utime(tmp_path / f".old{number}.tmp", (time.time() - 7200,) * 2)
    with ThreadPoolExecutor(24) as threads:
        list(threads.map(lambda _: check_folder(tmp_path), range(48)))
    assert os.listdir(tmp_path) == []
