"""Tracking with several workers: the same results as with one, even if a sequence fails or a process dies."""

import signal
import sys
import threading
import time
from functools import partial

import cv2
import pytest
from toolkit_data import TrackerInProcess, moving_polygons, write_frames

from helpers import check_processes_end
from pysot.toolkit.datasets.sequence import Dataset, Sequence, VotSettings
from pysot.toolkit.experiments.parallel import run_in_processes, run_in_threads
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.results.paths import vot_file

WORKERS = pytest.mark.parametrize("run_in_workers", [run_in_processes, run_in_threads])
LENGTHS = {"a": 8, "b": 20, "c": 12}


@pytest.fixture
def dataset(tmp_path):
    sequences = []
    for name, length in LENGTHS.items():
        write_frames(tmp_path / name, length)
        paths = [str(tmp_path / name / f"{index + 1:08d}.png") for index in range(length)]
        if length == 12:
            for path in paths:
                image = cv2.imread(path)
                image[0, 0, 1] = 255
                cv2.imwrite(path, image)
        sequences.append(Sequence(name, paths, moving_polygons(length), 200, 150))
    return Dataset("SET", sequences, ("all",), VotSettings(2, 9, 5))


def texts(folder):
    return {name: vot_file(folder, name).read_text() for name in LENGTHS if vot_file(folder, name).exists()}


@WORKERS
def test_same_results_as_with_one_worker(tmp_path, dataset, run_in_workers):
    run_dataset(TrackerInProcess(tmp_path, "", 0), dataset, tmp_path / "one")
    frames, seen = [], []
    progress = run_in_workers(
        partial(TrackerInProcess, tmp_path, ""),
        2,
        dataset,
        tmp_path / "two",
        frames.append,
        lambda sequence, state, trajectory: seen.append((sequence.name, state, len(trajectory))),
    )
    assert texts(tmp_path / "two") == texts(tmp_path / "one") and len(texts(tmp_path / "two")) == 3
    assert sorted(progress.tracked) == ["a", "b", "c"]
    assert sorted(seen) == [(name, "tracked", length) for name, length in LENGTHS.items()]
    assert frames == sorted(frames) and frames[-1] == sum(LENGTHS.values()) and (tmp_path / "process1").exists()
    again = run_in_workers(partial(TrackerInProcess, tmp_path, ""), 2, dataset, tmp_path / "two")
    assert sorted(again.kept) == ["a", "b", "c"]


@WORKERS
def test_an_exception_loses_one_sequence_only(tmp_path, dataset, run_in_workers):
    progress = run_in_workers(partial(TrackerInProcess, tmp_path, "fails"), 2, dataset, tmp_path / "out")
    assert sorted(progress.tracked) == ["a", "b"] and progress.failed == {"c": "KeyError: 'weights'"}
    assert sorted(texts(tmp_path / "out")) == ["a", "b"]


def test_a_process_that_dies_is_reported_and_finished_sequences_stay(tmp_path, dataset):
    with pytest.raises(RuntimeError, match="a process died .* with fewer --workers"):
        run_in_processes(partial(TrackerInProcess, tmp_path, "dies"), 2, dataset, tmp_path / "out")
    assert set(texts(tmp_path / "out")) == {"a", "b"}


@WORKERS
def test_a_tracker_that_cannot_be_built_says_why(tmp_path, dataset, run_in_workers):
    with pytest.raises(FileNotFoundError, match="no such snapshot"):
        run_in_workers(partial(TrackerInProcess, tmp_path, "cannot start"), 2, dataset, tmp_path / "out")


@WORKERS
def test_the_longest_come_first(tmp_path, dataset, run_in_workers):
    seen = []
    run_in_workers(
        partial(TrackerInProcess, tmp_path, ""),
        1,
        dataset,
        tmp_path / "out",
        on_sequence=lambda sequence, *_: seen.append(sequence.name),
    )
    assert seen == ["b", "c", "a"]
    assert [sequence.name for sequence in dataset.longest_first()] == ["b", "c", "a"]


class Patient:
    """Tracker that takes its time."""

    def __init__(self, tracker):
        self.tracker, self.init = tracker, tracker.init

    def track(self, image):
        time.sleep(0.05)
        return self.tracker.track(image)


def test_an_interrupt_ends_the_threads_and_keeps_finished_sequences(tmp_path, dataset):
    def interrupt(sequence, state, trajectory):
        raise KeyboardInterrupt

    def build(number):
        return Patient(TrackerInProcess(tmp_path, "", number))

    with pytest.raises(KeyboardInterrupt):
        run_in_threads(build, 1, dataset, tmp_path / "out", on_sequence=interrupt)
    assert sorted(texts(tmp_path / "out")) == ["b"], "the thread ends at its next frame, in the second sequence"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tracker")]
    assert run_in_threads(build, 2, dataset, tmp_path / "out").kept == ["b"]


def test_a_full_disk_ends_the_threads(tmp_path, dataset):
    (tmp_path / "out").write_text("a file where the folder of results should be")
    with pytest.raises(OSError, match="out"):
        run_in_threads(partial(TrackerInProcess, tmp_path, ""), 2, dataset, tmp_path / "out")


SCRIPT = """
import signal
import sys
from functools import partial
from pathlib import Path
from toolkit_data import SlowTracker, slow_set
from helpers import ROOT
from pysot.toolkit.experiments.parallel import run_in_processes

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs and nohup ignore these
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    folder = Path(sys.argv[1])
    run_in_processes(partial(SlowTracker, folder), 2, slow_set(folder), folder / "out")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes end with their parent on Linux")
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_processes_end_when_their_parent_does(tmp_path, signum):
    """Only the parent gets the signal. A file that a process writes is complete or absent."""
    check_processes_end(tmp_path, SCRIPT, signum)
