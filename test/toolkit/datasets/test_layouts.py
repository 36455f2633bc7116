"""Published layouts of one-pass sets. Frames are empty files because none is opened."""

import numpy as np
import pytest

from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.subsets import SUBSETS, UAV123_STARTS


def touch(folder, numbers, digits=6):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{number:0{digits}d}.jpg").touch()


def write_truth(path, lines, separator=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(map(str, line)) + "\n" for line in lines))


def names(dataset):
    return [sequence.name for sequence in dataset.sequences]


def numbers(sequence):
    return [int(path.rsplit("/", 1)[1].split(".")[0]) for path in sequence.frame_paths]


BOX = (10, 20, 30, 40)


@pytest.mark.parametrize(
    "name, shown",
    [
        ("UAV123", "anno/UAV123/<sequence>.txt"),
        ("NFS30", "<sequence>/30/<sequence>.txt"),
        ("TC128", "<sequence>_gt.txt"),
        ("TrackingNet", "TEST/anno/<sequence>.txt"),
        ("LaSOT", "groundtruth_rect.txt (OTB) or groundtruth.txt (LaSOT"),
    ],
)
def test_an_empty_folder_shows_what_is_expected(tmp_path, name, shown):
    with pytest.raises(FileNotFoundError, match=f"no data set {name}") as error:
        load_dataset(name, tmp_path)
    assert shown in str(error.value)


def test_every_problem_is_reported(tmp_path):
    touch(tmp_path / "data_seq" / "UAV123" / "bike1", range(1, 4))
    write_truth(tmp_path / "anno" / "UAV123" / "bike1.txt", [BOX] * 3)
    write_truth(tmp_path / "anno" / "UAV123" / "boat1.txt", [BOX] * 3)
    write_truth(tmp_path / "anno" / "UAV123" / "car2.txt", [("a", "b")])
    touch(tmp_path / "data_seq" / "UAV123" / "car2", [1])
    with pytest.raises(ValueError, match="2 problems") as error:
        load_dataset("UAV123", tmp_path)
    assert (
        "boat1: no frames in" in str(error.value)
        and "car2.txt line 1 needs numbers" in str(error.value)
        and "data_seq/UAV123/<video>" in str(error.value)
    )


def test_uav123_pieces(tmp_path):
    """bird1_2 starts at image 775 of bird1, at 10 Hz at image 259; ground truth is NaN if the target is absent."""
    touch(tmp_path / "data_seq" / "UAV123" / "bird1", range(770, 790))
    touch(tmp_path / "data_seq" / "UAV123_10fps" / "bird1", range(255, 270))
    touch(tmp_path / "data_seq" / "UAV123" / "car1_s", range(1, 4))
    write_truth(tmp_path / "anno" / "UAV123" / "bird1_2.txt", [BOX, ("NaN",) * 4, BOX])
    write_truth(tmp_path / "anno" / "UAV123" / "car1_s.txt", [BOX] * 3)
    write_truth(tmp_path / "anno" / "UAV123_10fps" / "bird1_2.txt", [BOX] * 2)
    write_truth(tmp_path / "anno" / "UAV20L" / "bird1.txt", [BOX] * 20)
    dataset = load_dataset("UAV123", tmp_path)
    assert (
        names(dataset) == ["bird1_2", "car1_s"]
        and numbers(dataset.sequences[0]) == [775, 776, 777]
        and np.isnan(dataset.sequences[0].ground_truth[1]).all()
    )
    assert numbers(load_dataset("UAV123_10fps", tmp_path).sequences[0]) == [259, 260]
    assert names(load_dataset("uav20l", tmp_path)) == ["bird1"] and len(UAV123_STARTS) == 51
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "UAV123").symlink_to(tmp_path)
    assert names(load_dataset("UAV123", tmp_path / "sets")) == ["bird1_2", "car1_s"]
    assert names(load_dataset("UAV20L", tmp_path / "sets")) == ["bird1"]


def test_nfs(tmp_path):
    """Corners become sizes, and an extra frame at the end is dropped.

    At 30 Hz every eighth line counts if the file has one line per frame at 240 Hz.
    """
    lines = [(0, 10 + index, 20, 40 + index, 60, index + 1, 0, 0, 0, '"ball game"') for index in range(80)]
    write_truth(tmp_path / "ball" / "30" / "ball.txt", lines, " ")
    touch(tmp_path / "ball" / "30" / "ball", range(1, 12), 5)
    write_truth(tmp_path / "ball" / "240" / "ball.txt", lines, " ")
    touch(tmp_path / "ball" / "240" / "ball", range(1, 81), 5)
    slow, fast = (load_dataset(name, tmp_path).sequences[0] for name in ("NFS30", "NFS240"))
    assert [region.tolist() for region in slow.ground_truth] == [
        [10 + 8 * index, 20, 30, 40] for index in range(10)
    ] and numbers(slow) == list(range(1, 11))
    assert len(fast) == 80 and fast.ground_truth[5].tolist() == [15, 20, 30, 40]
    (tmp_path / "ball" / "30" / "ball.txt").write_text("0 1 2 3\n")
    with pytest.raises(ValueError, match="ball.txt line 1 needs an id, x1 y1 x2 y2"):
        load_dataset("NFS30", tmp_path)


def test_a_missing_frame_in_the_middle(tmp_path):
    """A gap would shift all later boxes if the numbers of images and of lines may differ."""
    touch(tmp_path / "NFS30" / "ball" / "30" / "ball", (1, 2, *range(4, 11)), 5)
    write_truth(
        tmp_path / "NFS30" / "ball" / "30" / "ball.txt",
        [(0, 10, 20, 40, 60, index, 0, 0, 0, '"ball"') for index in range(10 * 8)],
        " ",
    )
    touch(tmp_path / "OTB100" / "Deer" / "img", (1, 2, 4, 5, 6), 4)
    write_truth(tmp_path / "OTB100" / "Deer" / "groundtruth_rect.txt", [BOX] * 4)
    touch(tmp_path / "UAV123" / "data_seq" / "UAV123" / "bird1", (775, 777, 778), 6)
    write_truth(tmp_path / "UAV123" / "anno" / "UAV123" / "bird1_2.txt", [BOX] * 3)
    for name, message in (
        ("NFS30", "there is no 00003.jpg in .*30/ball"),
        ("OTB100", "there is no 0003.jpg in .*Deer/img"),
        ("UAV123", "bird1_2: there is no 000776.jpg in .*bird1"),
    ):
        with pytest.raises(ValueError, match=message):
            load_dataset(name, tmp_path)


def test_tc128(tmp_path):
    touch(tmp_path / "Ball_ce1" / "img", range(1, 8), 4)
    write_truth(tmp_path / "Ball_ce1" / "Ball_ce1_gt.txt", [BOX] * 3)
    (tmp_path / "Ball_ce1" / "Ball_ce1_frames.txt").write_text("4,6\n")
    dataset = load_dataset("TC128", tmp_path)
    assert names(dataset) == ["Ball_ce1"] and numbers(dataset.sequences[0]) == [4, 5, 6]


def test_trackingnet_and_got_10k_without_truth(tmp_path):
    touch(tmp_path / "TEST" / "frames" / "abc_0", range(12), 1)
    write_truth(tmp_path / "TEST" / "anno" / "abc_0.txt", [BOX])
    dataset = load_dataset("TrackingNet", tmp_path)
    assert (
        dataset.hidden_truth
        and numbers(dataset.sequences[0]) == list(range(12))
        and dataset.sequences[0].ground_truth[0].tolist() == list(BOX)
    )
    for part, lines in (("val", 5), ("test", 1)):
        video = tmp_path / "GOT-10k" / part / f"GOT-10k_{part}_1"
        touch(video, range(1, 6), 8)
        write_truth(video / "groundtruth.txt", [BOX] * lines)
        (tmp_path / "GOT-10k" / part / "list.txt").write_text(f"GOT-10k_{part}_1\n")
    val, test = load_dataset("GOT-10k", tmp_path), load_dataset("GOT-10k-test", tmp_path)
    assert (
        names(val) == ["GOT-10k_val_1"]
        and not val.hidden_truth
        and names(test) == ["GOT-10k_test_1"]
        and test.hidden_truth
    )
    assert names(load_dataset("GOT-10k-val", tmp_path / "GOT-10k")) == ["GOT-10k_val_1"]


def test_a_got_10k_folder_of_another_name_is_no_vot_set(tmp_path):
    touch(tmp_path / "mine" / "a", range(1, 4), 8)
    write_truth(tmp_path / "mine" / "a" / "groundtruth.txt", [BOX] * 3)
    (tmp_path / "mine" / "a" / "absence.label").write_text("0\n1\n0\n")
    (tmp_path / "mine" / "list.txt").write_text("a\n")
    dataset = load_dataset("mine", tmp_path)
    assert dataset.one_pass and dataset.sequences[0].visible.tolist() == [True, False, True]


def test_lasot_takes_the_testing_set(tmp_path):
    for name in ("cat-1", "cat-2", "dog-3"):
        folder = tmp_path / "LaSOT" / name.split("-")[0] / name
        touch(folder / "img", range(1, 4), 8)
        write_truth(folder / "groundtruth.txt", [BOX] * 3)
    assert len(load_dataset("LaSOT", tmp_path)) == 3
    (tmp_path / "LaSOT" / "testing_set.txt").write_text("cat-2\ndog-3\n")
    assert names(load_dataset("LaSOT", tmp_path)) == ["cat-2", "dog-3"]
    (tmp_path / "LaSOT" / "testing_set.txt").write_text("cat-2\nowl-1\n")
    with pytest.raises(ValueError, match="owl-1: listed in testing_set.txt"):
        load_dataset("LaSOT", tmp_path)


def test_an_incomplete_set_is_reported(tmp_path, caplog):
    for name in ("David", "Deer"):
        touch(tmp_path / "OTB100" / name / "img", range(1, 4), 4)
        write_truth(tmp_path / "OTB100" / name / "groundtruth_rect.txt", [BOX] * 3)
    load_dataset("OTB100", tmp_path)
    assert "OTB100 has 100 sequences, 2 of them are in" in caplog.text


def test_parts_of_otb100(tmp_path):
    """OTB50 and CVPR13 are read from the folder of OTB100, in any spelling; missing sequences are named."""
    for name in {*SUBSETS["otb50"]} - {"Human4-2", "Skating2-1", "Skating2-2", "David"} | {"Coke"}:
        touch(tmp_path / "OTB100" / name / "img", range(1, 4), 4)
        write_truth(tmp_path / "OTB100" / name / "groundtruth_rect.txt", [BOX] * 3)
    touch(tmp_path / "OTB100" / "David" / "img", range(298, 304), 4)
    write_truth(tmp_path / "OTB100" / "David" / "groundtruth_rect.txt", [BOX] * 4)
    for name, targets in (("Human4", (2,)), ("Skating2", (1, 2))):
        touch(tmp_path / "OTB100" / name / "img", range(1, 4), 4)
        for target in targets:
            write_truth(tmp_path / "OTB100" / name / f"groundtruth_rect.{target}.txt", [BOX] * 3, "\t")
    dataset = load_dataset("OTB50", tmp_path)
    assert names(dataset) == list(SUBSETS["otb50"]) and len(dataset) == 50
    assert numbers(dataset.only(["David"]).sequences[0]) == [300, 301, 302, 303] and len(SUBSETS["cvpr13"]) == 51
    assert len(load_dataset("OTB2015", tmp_path)) == 51
    assert (
        names(load_dataset("OTB50", tmp_path / "OTB100")) == names(dataset)
        and len(load_dataset("OTB100", tmp_path)) == 51
    )
    with pytest.raises(ValueError, match="Boy: belongs to CVPR13, but there is no such sequence"):
        load_dataset("CVPR13", tmp_path)


@pytest.mark.shared
def test_parts_of_the_published_json(shared):
    folder = shared / "data" / "benchmarks"
    assert (
        names(load_dataset("OTB2013", folder)) == names(load_dataset("CVPR13", folder))
        and len(load_dataset("OTB2015", folder)) == 100
    )
    assert len(load_dataset("OTB50", folder)) == 50 and len(load_dataset("CVPR13", folder)) == 51
