"""The command tools/get_weights.py."""

import fcntl
import os
import struct
import subprocess
import sys
import termios

import pytest

from file_server import FileServer
from helpers import ROOT
from pysot.utils.published_weights import PUBLISHED
from terminal_helpers import open_terminal

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def server():
    with FileServer(CONTENT) as running:
        yield running


def get_weights(cwd, *arguments, before="", stderr=subprocess.PIPE) -> subprocess.CompletedProcess:
    """Run the command with --out weights, after the statements `before`."""
    script = (
        f"import runpy, sys; sys.argv = sys.argv[1:]; sys.path[:0] = {[str(ROOT), str(ROOT / 'tools')]}\n"
        f"{before}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", script, ROOT / "tools" / "get_weights.py", "--out", "weights", *arguments]
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60
    )
    assert "Traceback" not in (done.stderr or "")
    return done


def test_the_list(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet50-0676ba61.pth").write_bytes(b"")
    lines = get_weights(tmp_path).stdout.splitlines()
    assert len(lines) == 2 * len(PUBLISHED) + 1
    states = {line.split()[0]: line.split()[1] for line in lines[:-1:2]}
    assert list(states) == list(PUBLISHED)
    assert states["resnet50"] == "here" and states["resnet18"] == "-" and states["siammask_r50_l3"] == "by"
    assert os.listdir(tmp_path / "weights") == ["resnet50-0676ba61.pth"]


def test_wrong_arguments(tmp_path):
    done = get_weights(tmp_path, "resnet18", "nanotrackv2")
    assert done.returncode == 2 and "did you mean nanotrackv3" in done.stderr and os.listdir(tmp_path) == []
    done = get_weights(tmp_path, "resnet18", "resnet34", "--url", "file:///none")
    assert done.returncode == 2 and "expected one NAME, got 2" in done.stderr


def test_a_download_that_is_cut_off_goes_on(server, tmp_path):
    server.cut_after, server.cuts, server.ranges = 100_000, -1, False
    arguments = ("siammask_r50_l3", "--url", server.address)
    done = get_weights(tmp_path, *arguments)
    assert done.returncode == 2 and "cut off after 100000 of 512000 bytes" in done.stderr
    assert f"as {tmp_path / 'weights' / 'siammask_r50_l3.pth'}" in done.stderr
    server.cuts, server.ranges = 0, True
    server.requests.clear()
    done = get_weights(tmp_path, *arguments)
    assert done.returncode == 0 and "first seen, stored in siammask_r50_l3.pth.sha256" in done.stdout, done.stderr
    assert server.requests == [("bytes=100000-", '"1"')] and done.stderr == ""
    assert (tmp_path / "weights" / "siammask_r50_l3.pth").read_bytes() == CONTENT
    done = get_weights(tmp_path, "siammask_r50_l3")
    assert done.returncode == 0 and "as recorded" in done.stdout and len(server.requests) == 1


def test_a_wrong_hash(server, tmp_path):
    done = get_weights(tmp_path, "nanotrackv3", "--url", server.address)
    assert done.returncode == 2 and f"expected sha256 {PUBLISHED['nanotrackv3'].sha256}, got" in done.stderr
    assert os.listdir(tmp_path / "weights") == []


def test_one_that_fails_does_not_stop_the_others(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "siammask_r50_l3.pth").write_bytes(CONTENT)
    done = get_weights(tmp_path, "siamrpn_alex_dwxcorr", "siammask_r50_l3")
    assert (
        done.returncode == 2 and "error: siamrpn_alex_dwxcorr: " in done.stderr and "siammask_r50_l3: /" in done.stdout
    )
    assert "siamrpn_alex_dwxcorr " not in done.stderr  # its name is said once


def test_what_to_do_with_weights_of_another_layout(server, tmp_path):
    entry = (
        "from pysot.utils.published_weights import PUBLISHED, PublishedWeights\n"
        f"PUBLISHED['mine'] = PublishedWeights('mine.pth', {server.address!r}, convert=('resnet18', 'mine.model'))"
    )
    done = get_weights(tmp_path, "mine", before=entry)
    folder = tmp_path / "weights"
    command = f"python tools/convert_pretrained.py resnet18 {folder / 'mine.pth'} {folder / 'mine.model'}"
    assert done.returncode == 0 and done.stdout.splitlines()[1].endswith(command), done.stderr


def test_a_full_disk(server, tmp_path):
    arguments = ("siammask_r50_l3", "--url", server.address)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))"
    done = get_weights(tmp_path, *arguments, before=limit)
    assert done.returncode == 2
    assert "siammask_r50_l3.pth: File too large. 200000 bytes that came are kept" in done.stderr
    done = get_weights(tmp_path, *arguments)
    assert done.returncode == 0 and server.requests[-1] == ("bytes=200000-", '"1"')


def test_the_bar_on_a_terminal(server, tmp_path):
    terminal, end = open_terminal()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))  # rows, columns
    done = get_weights(tmp_path, "siammask_r50_l3", "--url", server.address, stderr=end)
    os.close(end)
    drawn = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert done.returncode == 0 and "siammask_r50_l3" in drawn and "512k/512k" in drawn and "B/s" in drawn
