"""Cropping that is interrupted: a full disk, a killed process, a killed command."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
from toy_data import files_below, make_video

from helpers import ROOT
from pysot.datasets import crop
from pysot.datasets.crop import CropResult, crop_all, crop_video, crop_videos
from pysot.datasets.raw.video import RawVideo


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    video, written = make_video(tmp_path), []

    def write_bytes(path, data):
        with open(path, "wb") as stream:
            written.append(path)
            if len(written) > 2:
                stream.write(data[:100])
                raise OSError(errno.ENOSPC, "No space left on device")
            stream.write(data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(OSError, match="No space left") as caught:
        crop_all([video], tmp_path / "out")
    assert caught.value.errno == errno.ENOSPC and "finished crops are kept" in str(caught.value)
    assert files_below(tmp_path / "out") == ["clip/000000.00.x.jpg", "clip/000001.00.x.jpg"]
    assert all(path.suffix == ".part" for path in written)  # a crop is never incomplete under its final name
    monkeypatch.undo()
    assert crop_all([video], tmp_path / "out") == CropResult(written=2, present=2)


def test_interrupt_while_writing(tmp_path, monkeypatch):
    def interrupted(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        crop_video(make_video(tmp_path), tmp_path / "out")
    assert files_below(tmp_path / "out") == []


def die(video, out, size):
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_process_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(crop, "crop_video", die)
    videos = [make_video(tmp_path, f"v{number}", frames=1) for number in range(3)]
    with pytest.raises(ChildProcessError, match="killed while working on v0"):
        list(crop_videos(videos, tmp_path / "out", procs=2))


SCRIPT = """
import signal
import sys
from pathlib import Path
from pysot.datasets.crop import crop_all
from pysot.datasets.raw.video import RawFrame, RawVideo
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit that it is ignored
    paths = sorted(Path(sys.argv[1]).glob("*.jpg"))
    frames = [RawFrame(path, number, {"00": (40.0, 60.0, 90.0, 100.0)}) for number, path in enumerate(paths)]
    videos = [RawVideo(f"v{number}", tuple(frames)) for number in range(200)]
    crop_all(videos, Path(sys.argv[2]), procs=int(sys.argv[3]))
"""


def children(pid):
    """Return the ids of a process's child processes, empty if /proc has no such list."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listing.read_text().split()] if listing.exists() else []


def is_alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("procs, number", [(1, signal.SIGKILL), (2, signal.SIGKILL), (2, signal.SIGINT)])
def test_run_that_is_killed_can_be_continued(tmp_path, procs, number):
    video = make_video(tmp_path, "raw", frames=10)
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path / "raw", tmp_path / "out", str(procs)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("out/*/*.x.jpg"))) < 30 and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = children(process.pid)
    process.send_signal(number)
    assert process.wait(60) != 0
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))
    finished = sorted(path for path in tmp_path.glob("out/*/*.x.jpg") if not path.name.startswith("."))
    assert 30 <= len(finished) < 2000
    assert all(cv2.imread(str(path)).shape == (511, 511, 3) for path in finished)
    again = crop_all([RawVideo(f"v{number}", video.frames) for number in range(8)], tmp_path / "out")
    assert again.written + again.present == 80 and again.present > 0
    assert not list(tmp_path.glob("out/v[0-7]/.*.part"))
