"""Data sets that are tracked in batches: the same results for any batch and workers, resume, shared times."""

import json
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from toolkit_data import TrackerOfSlots, WanderingTracker, sequence_on_disk, slots_in_process

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.experiments.parallel import run_in_processes
from pysot.toolkit.experiments.runner import lockstep_slots, run_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.results.files import save_vot
from pysot.toolkit.results.paths import find_ope_runs, holds_results, vot_file
from pysot.toolkit.results.server_zip import zip_results
from pysot.toolkit.results.trajectory import Trajectory

SETTINGS = VotSettings(2, 9, 5)
LENGTHS = {"a": 30, "b": 8, "c": 17, "d": 12, "e": 25}


def boxes(length, offset=0):
    return [np.array([20.0 + offset, 30, 40, 30])] * length


@pytest.fixture
def sequences(tmp_path):
    return [sequence_on_disk(tmp_path, name, boxes(length, ord(name))) for name, length in LENGTHS.items()]


def data_set(sequences, protocol="supervised", name="VOT2018"):
    if protocol == "multistart":
        sequences = [replace(sequence, anchors=((0, False), (5, False), (7, True))) for sequence in sequences]
    return Dataset(name, list(sequences), ("all",), SETTINGS if protocol != "one pass" else None, protocol)


def results_in(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.txt") if "_time" not in path.name
    }


def count(counter, sequence, *_):
    counter[sequence.name] += 1


def test_a_timed_experiment_refuses_a_batch(tmp_path, sequences):
    with pytest.raises(ValueError, match="realtime experiment needs the time .* pass a tracker of one target"):
        run_dataset(TrackerOfSlots(2), data_set(sequences), tmp_path / "out", experiment="realtime")


@pytest.mark.parametrize("protocol", ["supervised", "multistart", "longterm", "one pass"])
def test_results_do_not_depend_on_batch_and_workers(tmp_path, sequences, protocol):
    dataset = data_set(sequences, protocol)
    run_dataset(WanderingTracker(), dataset, tmp_path / "alone")
    expected = results_in(tmp_path / "alone")
    assert len(expected) == len(LENGTHS) * (3 if protocol == "multistart" else 1)
    for batch in (3, 8):
        folder, frames, done = tmp_path / f"batch{batch}", Counter(), Counter()
        on_frame, on_sequence = partial(count, frames), partial(count, done)
        progress = run_dataset(TrackerOfSlots(batch), dataset, folder, on_frame, on_sequence)
        assert sorted(progress.tracked) == [*LENGTHS] and done == dict.fromkeys(LENGTHS, 1)
        assert results_in(folder) == expected
        assert protocol == "multistart" or frames == LENGTHS
    if protocol in ("supervised", "multistart"):
        for batch in (1, 3, 8):
            folder = tmp_path / f"workers{batch}"
            slots = lockstep_slots(batch, 2, dataset, folder)
            progress = run_in_processes(partial(slots_in_process, slots), 2, dataset, folder)
            assert sorted(progress.tracked) == [*LENGTHS] and results_in(folder) == expected


def test_no_process_is_left_without_work(tmp_path, sequences):
    dataset = data_set(sequences)
    assert [lockstep_slots(8, workers, dataset, tmp_path / "out") for workers in (1, 2, 3, 9)] == [5, 3, 2, 1]
    assert lockstep_slots(2, 1, dataset, tmp_path / "out") == 2
    assert lockstep_slots(8, 2, data_set(sequences, "multistart"), tmp_path / "out") == 8
    run_dataset(WanderingTracker(), dataset.only(["a", "b", "c"]), tmp_path / "out")
    assert lockstep_slots(8, 1, dataset, tmp_path / "out") == 2
    run_dataset(WanderingTracker(), dataset, tmp_path / "out")
    assert lockstep_slots(8, 1, dataset, tmp_path / "out") == 1


def test_failed_anchors_and_the_others(tmp_path, sequences):
    """A damaged frame that one of three runs needs: its sequence has failed, and the results of the others stay."""
    dataset = data_set(sequences, "multistart").only(["a", "b"])
    path = dataset.sequences[0].frame_paths[2]
    shutil.move(path, tmp_path / "kept.png")
    progress = run_dataset(TrackerOfSlots(4), dataset, tmp_path / "out")
    assert progress.tracked == ["b"] and "sequence a, frame 3" in progress.failed["a"]
    assert [*results_in(tmp_path / "out" / "baseline" / "a")] == ["a_00000005.txt"]
    shutil.move(tmp_path / "kept.png", path)
    tracker = TrackerOfSlots(4)
    again = run_dataset(tracker, dataset, tmp_path / "out")
    assert (again.kept, again.tracked) == (["b"], ["a"]) and tracker.starts == [[0, 1]]
    run_dataset(WanderingTracker(), dataset, tmp_path / "alone")
    assert results_in(tmp_path / "out") == results_in(tmp_path / "alone")


def test_a_stop_keeps_finished_sequences(tmp_path, sequences):
    dataset, seen = data_set(sequences), []

    def stop(sequence, step):
        seen.append(sequence.name)
        if seen.count("a") == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_dataset(TrackerOfSlots(5), dataset, tmp_path / "out", stop)
    finished = sorted(path.name for path in (tmp_path / "out" / "baseline").iterdir())
    assert finished == ["b", "c", "d"]
    again = run_dataset(TrackerOfSlots(5), dataset, tmp_path / "out")
    assert sorted(again.kept) == finished and sorted(again.tracked) == ["a", "e"]


def test_shared_times_are_recorded_and_not_simulated_from(tmp_path, sequences):
    dataset = data_set(sequences)
    folder = tmp_path / "out"
    run_dataset(TrackerOfSlots(3), dataset, folder)
    shared = vot_file(folder, "a").with_name("a_001_batch.value")
    numbers = list(map(int, shared.read_text().split()))
    assert len(numbers) == 30 and numbers[0] == 3 and len(list(folder.rglob("*_batch.value"))) == 5
    assert not score_trackers(dataset, [folder]).trackers[0].problems
    problems = score_trackers(dataset, [folder], experiment="realtime").trackers[0].problems
    assert len(problems) == 5 and "a_001_batch.value" in problems[0] and "again without --batch" in problems[0]
    for name in LENGTHS:
        vot_file(folder, name).unlink()
    run_dataset(WanderingTracker(), dataset, folder)
    assert not list(folder.rglob("*_batch.value"))
    assert not score_trackers(dataset, [folder], experiment="realtime").trackers[0].problems


@pytest.mark.parametrize(("name", "result"), [("GOT-10k", "a/a_001"), ("OTB100", "a")])
def test_shared_times_of_one_pass_sets(tmp_path, sequences, name, result):
    dataset = data_set(sequences, "one pass", name).only(["a", "b"])
    folder = tmp_path / "out"
    run_dataset(TrackerOfSlots(2), dataset, folder)
    assert (folder / f"{result}_batch.value").read_text().split() == ["2"] * 8 + ["1"] * 22
    assert holds_results(folder, "") and find_ope_runs(folder, "a") == [folder / f"{result}.txt"]
    (score,) = score_trackers(dataset, [folder], mode="official").trackers
    notes = [note for note in score.notes if "2 of 2 videos were tracked in a batch" in note]
    assert len(notes) == (name == "GOT-10k") and json.dumps(score.to_json())
    members = zipfile.ZipFile(zip_results(folder, dataset, tmp_path / "out.zip")).namelist()
    assert not [member for member in members if "batch" in member]
    for path in folder.rglob("*.txt"):
        path.unlink()
    run_dataset(WanderingTracker(), dataset, folder)
    assert not list(folder.rglob("*_batch.value"))
    (score,) = score_trackers(dataset, [folder], mode="official").trackers
    assert not [note for note in score.notes if "batch" in note]


def test_a_batch_needs_a_number_per_frame(tmp_path):
    with pytest.raises(ValueError, match="confidence and batch"):
        Trajectory.from_frames([1, *boxes(3)], batch=[2, 2])
    save_vot(tmp_path / "a_001.txt", Trajectory.from_frames([1, *boxes(3)], batch=[2, 2, 1, 1]))
    assert (tmp_path / "a_001_batch.value").read_text() == "2\n2\n1\n1\n"
