import errno
import json
import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from toolkit_data import make_sequence, save_baseline

from helpers import ROOT
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.results.claims import claim_tracker_dir
from pysot.toolkit.results.files import (
    LOST,
    SKIPPED,
    START,
    TRACKED,
    ResultError,
    Trajectory,
    load_baseline,
    load_ope,
    save_ope,
    save_vot,
)
from pysot.toolkit.results.paths import anchor_file, find_ope_runs, is_nested, tracker_dirs, vot_file, vot_files
from pysot.toolkit.results.server_zip import missing_results, zip_if_complete, zip_results
from pysot.utils.files import write_json

FRAMES = [1, [1.0, 2, 3, 4], 2, 0, 0, 0, 0, 1, list(range(8))]


def write(tmp_path, text, name="a_001.txt"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("1\n1,2,3,x\n0\n", "line 2 needs numbers, got '1,2,3,x'"),
        ("1\n1,2,3\n0\n", "line 2 needs 0, 1, 2, or a region"),
        ("1\n0\n1,2,3,4,5\n", "line 3 needs 0, 1, 2, or a region"),
        ("1\n3\n0\n", "line 2 needs 0, 1, 2"),
        ("1\n1.5\n0\n", "line 2 needs 0, 1, 2"),
        ("1\nnan\n0\n", "line 2 needs 0, 1, 2"),
        ("1\n1,nan,3,4\n0\n", "line 2 has a number that is not finite"),
        ("1\n0\n1,2,inf,4\n", "line 3 has a number that is not finite"),
        ("1\n1,2,3,4,5,6,nan,8\n0\n", "line 2 has a number that is not finite"),
        ("1\n1,2,-3,4\n0\n", "line 2 has a negative width or height"),
        ("1\n\n0\n", "line 2 needs numbers"),
        ("1,2,3,4\n1,2,3,4\n1,2,3,4\n", "does not begin with 1"),
        ("0\n0\n0\n", "does not begin with 1"),
        ("1\n0\n", "has 2 lines for 3 frames"),
        ("1\n0\n0\n0\n", "has 4 lines for 3 frames"),
        (b"\xff\xfe1\x00", "not a text file"),
    ],
)
def test_damaged_results_are_named(tmp_path, text, reason):
    path = write(tmp_path, text)
    with pytest.raises(ResultError, match="a_001.txt") as error:
        load_baseline(path, 3)
    assert reason in str(error.value)


def test_missing_result(tmp_path):
    with pytest.raises(ResultError, match="no result file .*a_001.txt; track"):
        load_baseline(tmp_path / "a_001.txt")
    assert vot_files(tmp_path, "a") == [vot_file(tmp_path, "a")]


@pytest.mark.parametrize(
    "text",
    [
        "1\r\n1.5,2,3,4\r\n2\r\n",
        "1\n1.5\t2\t3\t4\n2\n\n\n",
        " 1\n1.5 2  3 4 \n2",
        "1\n1.5; 2 ;3;4\n2\n",
        "\ufeff1\n1.5,2,3,4\n2.0\n",
        "1.0000\n1.5, 2, 3, 4\n2\n",
    ],
)
def test_other_separators_and_line_ends_are_understood(tmp_path, text):
    trajectory = load_baseline(write(tmp_path, text), 3)
    assert trajectory.codes.tolist() == [START, TRACKED, LOST]
    assert trajectory.regions[1, :4].tolist() == [1.5, 2, 3, 4] and np.isnan(trajectory.regions[1, 4:]).all()


@pytest.mark.parametrize(
    "text", ["1\n1,5;2,5;3,0;4,0\n2\n", "1\n1,5\t2,5\t3,0\t4,0\n2\n", "1\n1,5 2 3 4\n2\n", "1\n1,2;3,4\n2\n"]
)
def test_decimal_commas_are_no_polygons(tmp_path, text):
    with pytest.raises(ResultError, match="a_001.txt line 2 needs decimal points and one kind of separator, got '1,"):
        load_baseline(write(tmp_path, text), 3)


def test_saved_and_loaded(tmp_path):
    trajectory = Trajectory.from_frames(FRAMES, seconds=np.arange(9) / 10)
    path = save_baseline(tmp_path, "clip", trajectory, repetition=2)
    assert path == tmp_path / "baseline" / "clip" / "clip_002.txt"
    assert path.read_text() == (
        "1\n1.0000,2.0000,3.0000,4.0000\n2\n0\n0\n0\n0\n1\n0.0000,1.0000,2.0000,3.0000,4.0000,5.0000,6.0000,7.0000\n"
    )
    again = load_baseline(path, 9)
    np.testing.assert_array_equal(again.regions, trajectory.regions)
    assert again.codes.tolist() == [
        START,
        TRACKED,
        LOST,
        SKIPPED,
        SKIPPED,
        SKIPPED,
        SKIPPED,
        START,
        TRACKED,
    ] and again.failures.tolist() == [2]
    assert (path.parent / "clip_002_time.value").read_text().splitlines()[1] == "0.100000"
    assert vot_files(tmp_path, "clip") == [path]


def test_numbers_as_float32(tmp_path):
    path = save_baseline(tmp_path, "clip", Trajectory.from_frames([1, [1234.56785, 0, 1, 1]]))
    # without the conversion to float32 it would be 1234.5678 (or 1234.5679, by rounding)
    assert path.read_text().splitlines()[1].startswith("1234.5679,")


def test_one_frame(tmp_path):
    assert len(load_baseline(save_baseline(tmp_path, "clip", Trajectory.from_frames([1])), 1)) == 1


def test_a_full_disk_leaves_the_old_result(tmp_path, monkeypatch):
    path = save_baseline(tmp_path, "clip", Trajectory.from_frames(FRAMES))
    before = path.read_text()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="clip_001.txt.*No space left"):
        save_baseline(tmp_path, "clip", Trajectory.from_frames([1, 0]))
    assert path.read_text() == before and [entry.name for entry in path.parent.iterdir()] == ["clip_001.txt"]


def test_trajectory_checks_itself():
    nan = np.full((2, 8), np.nan)
    without_region, invalid_code = ([1, 3], nan, None), ([1, 5], nan, None)
    for codes, regions, seconds in (
        without_region,
        invalid_code,
        ([1], nan, None),
        ([1, 0], nan, np.zeros(3)),
        ([1, 0], np.zeros((2, 8)), None),
    ):
        with pytest.raises(ValueError):
            Trajectory(np.array(codes), regions, seconds)
    with pytest.raises(ValueError, match="needs codes"):
        Trajectory.from_frames([])


def test_one_pass_results(tmp_path):
    boxes = np.array([[1, 2, 3, 4], [1.25, 2, 3, 4]])
    path = save_ope(tmp_path, "clip", boxes)
    np.testing.assert_array_equal(load_ope(path, 2), boxes)
    for text, reason in (
        ("1,2,3\n", "line 1 needs x,y,width,height"),
        ("1,2,3,4\n1,2,-3,4\n", "line 2 has a negative"),
        ("1,2,3,nan\n", "not finite"),
    ):
        with pytest.raises(ResultError, match=reason):
            load_ope(write(tmp_path, text))
    with pytest.raises(ResultError, match="2 lines for 3 frames"):
        load_ope(path, 3)
    with pytest.raises(ValueError, match="clip"):
        save_ope(tmp_path, "clip", [[1, 2, 3]])


def test_trackers_of_a_folder(tmp_path):
    for name in ("model", "model_old", "other"):
        vot_file(tmp_path / "SET" / name, "clip").parent.mkdir(parents=True)
    (tmp_path / "SET" / "notes").mkdir()

    def names(*args):
        return [path.name for path in tracker_dirs(*args)]

    assert names(tmp_path, "SET") == names(tmp_path / "SET", "SET") == ["model", "model_old", "other"]
    assert names(tmp_path, "SET", ["model"]) == ["model"]
    assert names(tmp_path, "SET", ["mod"]) == ["model", "model_old"]
    assert names(tmp_path, "SET", ["other", "model"]) == ["model", "other"]
    assert names(tmp_path / "SET" / "other", "SET") == ["other"]
    with pytest.raises(FileNotFoundError, match="begins with 'x'.*model, model_old"):
        tracker_dirs(tmp_path, "SET", ["x"])
    with pytest.raises(FileNotFoundError, match="no results folder"):
        tracker_dirs(tmp_path / "nowhere", "SET")
    with pytest.raises(FileNotFoundError, match="expected"):
        tracker_dirs(tmp_path / "SET" / "notes", "SET")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1\n0\n0\n", 2),
        ("1\n1,2,3,4\n1\n", 3),
        ("1\n2\n1,2,3,4\n", 3),
        ("1\n2\n2\n", 3),
        ("1\n1,2,3,4\n0\n", 3),
    ],
)
def test_orders_that_no_run_has(tmp_path, text, line):
    with pytest.raises(ResultError, match=f"line {line}: .* after .* cannot be"):
        load_baseline(write(tmp_path, text))


def test_a_start_right_after_a_loss_and_skipped_frames_before_the_first_are_fine(tmp_path):
    assert load_baseline(write(tmp_path, "0\n1\n2\n1\n1,2,3,4\n2\n0\n")).codes.tolist() == [
        SKIPPED,
        START,
        LOST,
        START,
        TRACKED,
        LOST,
        SKIPPED,
    ]


def test_finished_results_may_be_in_a_read_only_folder(tmp_path, monkeypatch):
    """Results of this network are accepted, others refused; a folder that cannot be made is named."""
    claim_tracker_dir(tmp_path / "model", "one")

    def full(*args):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pysot.toolkit.results.claims.write_json", full)
    claim_tracker_dir(tmp_path / "model", "one")
    with pytest.raises(OSError, match="Read-only"):
        claim_tracker_dir(tmp_path / "model", "two")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot make .*file/results: Not a directory. Choose another --results_dir"):
        claim_tracker_dir(tmp_path / "file/results/model", "one")


def test_results_of_two_networks_do_not_mix(tmp_path):
    claim_tracker_dir(tmp_path / "model", "one")
    claim_tracker_dir(tmp_path / "model", "two")  # nothing was tracked yet
    save_baseline(tmp_path / "model", "a", Trajectory.from_frames(FRAMES))
    claim_tracker_dir(tmp_path / "model", "two")
    with pytest.raises(ValueError, match="model holds results of another network.*--results_dir"):
        claim_tracker_dir(tmp_path / "model", "one")
    (tmp_path / "model" / "network.json").unlink()
    for damaged in (None, "", '{"sha256": "tw', "[]"):
        if damaged is not None:
            (tmp_path / "model" / "network.json").write_text(damaged)
        with pytest.raises(ValueError, match="another network.* or of unknown origin"):
            claim_tracker_dir(tmp_path / "model", "two")


def test_results_of_two_devices_do_not_mix(tmp_path):
    claim_tracker_dir(tmp_path / "model", "net cpu fp32")
    save_baseline(tmp_path / "model", "a", Trajectory.from_frames(FRAMES))
    with pytest.raises(
        ValueError,
        match=r"of another network or of other settings \(computed on cpu fp32, this run on cuda fp32, TF32\), "
        "which this run would mix with its own; remove or rename",
    ):
        claim_tracker_dir(tmp_path / "model", "net cuda fp32, TF32")
    write_json(tmp_path / "model" / "network.json", {"sha256": "net", "runs": []})  # by a version without the device
    with pytest.raises(
        ValueError,
        match="of this network and these settings by an earlier version, .* "
        'write "sha256": "net cpu fp32" into its network.json',
    ):
        claim_tracker_dir(tmp_path / "model", "net cpu fp32")
    with pytest.raises(ValueError, match=r"holds results of another network or of other settings, which"):
        claim_tracker_dir(tmp_path / "model", "other cpu fp32")
    write_json(tmp_path / "model" / "network.json", {"sha256": "net cpu fp32", "runs": []})
    claim_tracker_dir(tmp_path / "model", "net cpu fp32")


CLAIM = """
import sys, time
sys.path.insert(0, {root!r})
from pysot.toolkit.results.claims import claim_tracker_dir
while time.time() < {start}: pass
try:
    claim_tracker_dir({folder!r}, sys.argv[1])
    print("claimed", flush=True)
    time.sleep(3)
except ValueError as error:
    print(error)
"""


def test_results_of_any_experiment_are_protected(tmp_path):
    """Results of a protocol without a fixed folder name are protected as well."""
    claim_tracker_dir(tmp_path / "model", "one")
    save_vot(vot_file(tmp_path / "model", "a", experiment="widths"), Trajectory.from_frames([1, [1, 2, 3, 4]]))
    with pytest.raises(ValueError, match="holds results of another network"):
        claim_tracker_dir(tmp_path / "model", "two")


def test_one_of_several_processes_claims_a_folder(tmp_path):
    """Three processes start together, five times: one with other settings, two with the same."""
    for turn in range(5):
        folder = str(tmp_path / f"m{turn}")
        code = CLAIM.format(root=str(ROOT), start=time.time() + 1.0, folder=folder)
        runs = [
            subprocess.Popen([sys.executable, "-c", code, word], stdout=subprocess.PIPE, text=True)
            for word in ("one", "two", "two")
        ]
        said = sorted(run.communicate()[0].strip() for run in runs)
        claimed = said.count("claimed")
        assert claimed in (1, 2) and all(
            "is being filled by another run" in sentence for sentence in said if sentence != "claimed"
        ), said
    claim_tracker_dir(tmp_path / "m0", "three")  # all processes ended without a result
    assert json.loads((tmp_path / "m0/network.json").read_text())["sha256"] == "three"


def hidden_set(name, *videos, frames=4) -> Dataset:
    """Data set with ground truth in the first frame only."""
    truth = [np.array([1.0, 2, 3, 4])] + [np.full(4, np.nan)] * (frames - 1)
    return Dataset(name, [make_sequence(video, truth=truth) for video in videos], (), None)


@pytest.mark.parametrize(
    "name, members",
    [
        ("TrackingNet", ["a-1.txt", "b.txt"]),
        ("LaSOT", ["a-1.txt", "b.txt"]),
        ("GOT-10k", ["a-1/a-1_001.txt", "a-1/a-1_time.txt", "b/b_001.txt", "b/b_time.txt"]),
    ],
)
def test_zips_for_the_servers_round_trip(tmp_path, name, members):
    dataset = hidden_set(name, "a-1", "b")
    boxes = np.arange(16.0).reshape(4, 4)
    assert dataset.hidden_truth
    save_ope(tmp_path / "m", "A_1" if name == "LaSOT" else "a-1", boxes, np.full(4, 0.25), nested=is_nested(dataset))
    save_ope(tmp_path / "m", "b", boxes + 1, np.full(4, 0.5), nested=is_nested(dataset))
    with zipfile.ZipFile(zip_results(tmp_path / "m", dataset, tmp_path / "m.zip")) as archive:
        assert sorted(archive.namelist()) == members and archive.testzip() is None
        archive.extractall(tmp_path / "again")
    np.testing.assert_array_equal(load_ope(find_ope_runs(tmp_path / "again", "a-1")[0], 4), boxes)
    np.testing.assert_array_equal(load_ope(find_ope_runs(tmp_path / "again", "b")[0], 4), boxes + 1)
    if name == "GOT-10k":
        assert (tmp_path / "again" / "b" / "b_time.txt").read_text() == "0.500000\n" * 4


def test_a_zip_is_whole_or_absent(tmp_path):
    save_ope(tmp_path / "m", "a", np.ones((4, 4)), nested=True)
    with pytest.raises(ResultError, match="a_time.txt: the server needs the seconds of each frame"):
        zip_results(tmp_path / "m", hidden_set("GOT-10k", "a"), tmp_path / "m.zip")
    with pytest.raises(ResultError, match="no result file .*b.txt"):
        zip_results(tmp_path / "m", hidden_set("TrackingNet", "a", "b"), tmp_path / "m.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_all_repetitions_and_their_times_are_packed(tmp_path):
    """The got10k toolkit writes three results, and one column of seconds for each."""
    folder, boxes = tmp_path / "m" / "a", np.arange(16.0).reshape(4, 4)
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        np.savetxt(folder / f"a_{number:03d}.txt", boxes + number, fmt="%.3f", delimiter=",")
    (folder / "a_time.txt").write_text("0.1,0.2,0.3\n" * 4)
    with zipfile.ZipFile(zip_results(tmp_path / "m", hidden_set("GOT-10k-test", "a"), tmp_path / "m.zip")) as archive:
        assert archive.namelist() == ["a/a_001.txt", "a/a_002.txt", "a/a_003.txt", "a/a_time.txt"]
        assert archive.read("a/a_time.txt") == b"0.100000,0.200000,0.300000\n" * 4 and archive.read(
            "a/a_003.txt"
        ).startswith(b"3.0000,4.0000")
    (folder / "a_time.txt").write_text("0.1,0.2,0.3\n" * 3 + "0.1\n")
    (folder / "a_time.txt").write_text("0.1,0.2\n" * 4)
    with pytest.raises(
        ResultError, match="a_time.txt line 1 needs a number of seconds for each of 3 repetitions, got 0.1,0.2"
    ):
        zip_results(tmp_path / "m", hidden_set("GOT-10k-test", "a"), tmp_path / "m.zip")
    (folder / "a_time.txt").write_text("0.1,0.2,0.3\n" * 3 + "0.1\n")
    (folder / "a_003.txt").rename(folder / "a_004.txt")
    with pytest.raises(ResultError, match="has no a_003.txt, but later repetitions"):
        find_ope_runs(tmp_path / "m", "a")
    (folder / "a_004.txt").rename(folder / "a_003.txt")
    with pytest.raises(
        ResultError, match="a_time.txt line 4 needs a number of seconds for each of 3 repetitions, got 0.1"
    ):
        zip_results(tmp_path / "m", hidden_set("GOT-10k-test", "a"), tmp_path / "m.zip")


def test_a_zip_is_made_of_all_videos_or_not_at_all(tmp_path):
    """With missing results no zip is written and an existing zip is kept; a part of a set is reported as a part."""
    dataset, path = hidden_set("hidden", "a", "b"), tmp_path / "siam.v1.zip"
    save_ope(tmp_path / "siam.v1", "a", np.ones((4, 4)))
    assert missing_results(tmp_path / "siam.v1", dataset) == ["b"]
    assert (
        "nothing to send yet: 1 of 2 videos have no result (b)" in zip_if_complete(tmp_path / "siam.v1", dataset, path)
        and not path.exists()
    )
    save_ope(tmp_path / "siam.v1", "b", np.ones((4, 4)))
    assert zip_if_complete(tmp_path / "siam.v1", dataset, path) == f"hidden is scored by its server: send it {path}"
    (tmp_path / "siam.v1" / "a.txt").unlink()
    assert "nothing to send yet" in zip_if_complete(tmp_path / "siam.v1", dataset, path) and zipfile.ZipFile(
        path
    ).namelist() == ["a.txt", "b.txt"]
    save_ope(tmp_path / "n", "a", np.ones((4, 4)))
    assert "TrackingNet has 511 sequences and 1 are here" in zip_if_complete(
        tmp_path / "n", hidden_set("TrackingNet", "a"), tmp_path / "n.zip"
    )


@pytest.mark.parametrize("written", ["Clip.1", "clip_1", "CLIP-1"])
def test_names_of_folders_and_repetitions(tmp_path, written):
    (tmp_path / "m" / "baseline" / written).mkdir(parents=True)
    for number in (1, 2, 15):
        (tmp_path / "m" / "baseline" / written / f"{written}_{number:03d}.txt").write_text("1\n1,2,3,4\n")
    assert [path.name[-7:-4] for path in vot_files(tmp_path / "m", "clip-1")] == ["001", "002", "015"]
    (tmp_path / "m" / "baseline" / written / f"{written}_002.bin").touch()
    (tmp_path / "m" / "baseline" / written / f"{written}_003.bin").touch()
    assert [path.name[-7:] for path in vot_files(tmp_path / "m", "clip-1")] == [
        "001.txt",
        "002.txt",
        "003.bin",
        "015.txt",
    ]
    assert vot_files(tmp_path / "m", "clip-2") == [tmp_path / "m" / "baseline" / "clip-2" / "clip-2_001.txt"]


def test_similar_names_of_folders(tmp_path):
    """The folder of clip_1 is never used for clip-1; ambiguous folders and files are reported."""
    for folder, stem in (("clip_1", "clip_1"), ("slow", "SLOW")):
        (tmp_path / "m" / "baseline" / folder).mkdir(parents=True)
        (tmp_path / "m" / "baseline" / folder / f"{stem}_001.txt").write_text("1\n1,2,3,4\n")
    assert (
        len(vot_files(tmp_path / "m", "clip_1", similar_names=["clip-1"])) == 1
        and not vot_files(tmp_path / "m", "clip-1", similar_names=["clip_1"])[0].exists()
    )
    assert anchor_file(tmp_path / "m", "clip-1", 0, similar_names=["clip_1"]).parent.name == "clip-1"
    assert [path.name for path in vot_files(tmp_path / "m", "slow")] == ["SLOW_001.txt"]
    (tmp_path / "m" / "baseline" / "slow" / "Slow_002.txt").write_text("1\n1,2,3,4\n")
    with pytest.raises(ValueError, match="slow: SLOW and Slow in .* may both be its results"):
        vot_files(tmp_path / "m", "slow")
    (tmp_path / "m" / "baseline" / "clip_1").rename(tmp_path / "m" / "baseline" / "CLIP-1")
    with pytest.raises(ValueError, match="CLIP-1 in .* may belong to clip_1 or to clip-1"):
        vot_files(tmp_path / "m", "clip_1", similar_names=["clip-1"])


def test_unreadable_files_are_named(tmp_path, monkeypatch):
    """A folder in place of a file and an unreadable file raise a ResultError, so that other trackers are scored."""
    (tmp_path / "a_001.txt").mkdir()
    with pytest.raises(ResultError, match="a_001.txt cannot be read .*directory"):
        load_baseline(tmp_path / "a_001.txt", 3)
    with pytest.raises(ResultError, match="a_001.txt cannot be read"):
        load_ope(tmp_path / "a_001.txt", 3)
    path = write(tmp_path, "1\n1,2,3,4\n", "b_001.txt")

    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(ResultError, match="b_001.txt cannot be read .*Permission denied"):
        load_baseline(path, 2)


def test_a_pipe_is_no_result(tmp_path):
    os.mkfifo(tmp_path / "a_001.txt")
    with pytest.raises(ResultError, match="a_001.txt is a pipe"):
        load_baseline(tmp_path / "a_001.txt", 3)


def test_other_text_files_do_not_hide_trackers(tmp_path):
    """A text file beside the folders of one-pass trackers is ignored; a GOT-10k tracker's folder is one tracker."""
    for name in ("m", "n"):
        save_ope(tmp_path / name, "a", np.ones((3, 4)))
    (tmp_path / "scores.txt").write_text("m 0.5")
    assert [path.name for path in tracker_dirs(tmp_path, "OTB100", experiments=("",))] == ["m", "n"]
    assert [path.name for path in tracker_dirs(tmp_path, "OTB100", ["n"], ("",))] == ["n"]
    save_ope(tmp_path / "got", "a", np.ones((3, 4)), nested=True)
    assert tracker_dirs(tmp_path / "got", "GOT-10k", experiments=("",)) == [tmp_path / "got"]
    with pytest.raises(FileNotFoundError, match="folder of one tracker, and its name does not begin with n"):
        tracker_dirs(tmp_path / "m", "OTB100", ["n"], ("",))
