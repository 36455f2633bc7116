"""Inputs of a claim against what is recorded: missing, changed, too few, first seen."""

import dataclasses
import hashlib

import pytest
from toy_data import make_crops

from helpers import moving_square
from pysot.datasets.index import load_annotation
from pysot.reproduction.claim import DataSet, Total
from pysot.reproduction.claims import CLAIMS
from pysot.reproduction.inputs import (
    benchmark_rows,
    code_row,
    config_digest,
    config_row,
    count_rows,
    device_rows,
    file_row,
    find_benchmark,
    missing_row,
    training_rows,
    truth_digest,
    weights_row,
)

RECIPE = CLAIMS["siamrpn_r50_l234_dwxcorr_8gpu"]
TOY = DataSet("TOY", "see its readme", (Total("videos", 4, "its page"), Total("boxes", 20, "its page")))


def verdicts(rows) -> dict[str, str]:
    return {row.item: row.verdict for row in rows}


def test_a_missing_set_says_where_to_get_it():
    row = missing_row(RECIPE.training[0], "training set")
    assert row.verdict == "missing"
    assert row.sentence == "training set VID: expected to be here, got nothing; see training_dataset/vid/readme.md"


@pytest.mark.parametrize(
    ("count", "verdict"), [(101, "differs"), (100, "not recorded"), (50, "not recorded"), (49, "differs")]
)
def test_a_limit_of_the_raw_data(count, verdict):
    data_set = DataSet("COCO", "see its readme", (Total("videos", 100, "its page", is_limit=True),))
    (row,) = count_rows(data_set, {"videos": count})
    assert row.verdict == verdict and "at most 100 (its page)" in row.expected


def test_counts_without_a_source_are_not_recorded():
    rows = list(count_rows(TOY, {"videos": 4, "tracks": 4, "boxes": 19}))
    assert [row.verdict for row in rows] == ["same", "not recorded", "differs"]
    assert rows[1].expected == "not recorded" and rows[1].found == "4"


def test_a_training_set(tmp_path):
    make_crops(tmp_path)
    path = tmp_path / "train.json"

    def rows(data_set=TOY):
        return verdicts(training_rows(data_set, load_annotation("TOY", tmp_path / "crop511", path), path))

    first = rows()
    assert first == {
        "TOY: videos": "same",
        "TOY: tracks": "not recorded",
        "TOY: boxes": "same",
        "TOY: train.json": "not recorded",
    }
    assert (tmp_path / "train.json.sha256").read_text().endswith("  train.json\n")
    assert rows()["TOY: train.json"] == "same"
    path.write_text(path.read_text().replace("100, 50", "101, 50", 1))
    assert rows()["TOY: train.json"] == "differs"
    known = dataclasses.replace(TOY, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert rows(known)["TOY: train.json"] == "same"


def test_a_changed_json_is_named(tmp_path):
    path = tmp_path / "train.json"
    path.write_text("{}")
    file_row("TOY: train.json", path, "", "see its readme")
    path.write_text("{} ")
    row = file_row("TOY: train.json", path, "", "see its readme")
    assert row.verdict == "differs"
    assert f"{path} has changed: see its readme. If the change is meant, delete {path}.sha256" in row.sentence


def test_a_damaged_record_is_an_error(tmp_path):
    (tmp_path / "train.json").write_text("{}")
    (tmp_path / "train.json.sha256").write_text("nothing")
    with pytest.raises(ValueError, match="expected a sha256 of 64 hex digits"):
        file_row("TOY: train.json", tmp_path / "train.json", "", "")


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "train.json").write_text("{}")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pysot.reproduction.inputs.record_hash", refuse)
    row = file_row("TOY: train.json", tmp_path / "train.json", "", "")
    assert (
        row.verdict == "not recorded" and "cannot be written (Permission denied), only this folder has it" in row.found
    )


@pytest.fixture
def benchmark(tmp_path):
    for index in range(2):
        moving_square(tmp_path / "TOY" / f"square{index}", seed=index)
    (tmp_path / "TOY" / "list.txt").write_text("square0\nsquare1\n")
    return tmp_path


def test_a_benchmark(benchmark):
    assert find_benchmark("OTHER", [benchmark]) is None
    dataset, folder = find_benchmark("TOY", [benchmark / "none", benchmark])
    complete = DataSet("TOY", "see its page", (Total("videos", 2, "its page"), Total("frames", 12, "its page")))
    expected = {"TOY: videos": "same", "TOY: frames": "same", "TOY: ground truth": "not recorded"}
    assert verdicts(benchmark_rows(complete, dataset, folder)) == expected
    known = dataclasses.replace(complete, sha256=truth_digest(dataset))
    truth = benchmark / "TOY" / "square0" / "groundtruth.txt"
    assert verdicts(benchmark_rows(known, dataset, folder))["TOY: ground truth"] == "same"
    truth.write_text(truth.read_text().replace("20,30", "20,31", 1))
    changed = find_benchmark("TOY", [benchmark])[0]
    assert verdicts(benchmark_rows(known, changed, folder))["TOY: ground truth"] == "differs"
    (benchmark / "TOY" / "square1" / "color" / "00000001.jpg").unlink()
    rows = benchmark_rows(known, dataset, folder)
    assert [row.sentence for row in rows if row.verdict == "missing"][0].startswith(
        "TOY: frames on the disk: expected all"
    )


def test_weights(tmp_path):
    claim = CLAIMS["nanotrackv3-VOT2018"]
    row = weights_row(claim, tmp_path)
    assert row.verdict == "missing" and row.remedy == "python tools/get_weights.py nanotrackv3"
    (tmp_path / "pretrained_models").mkdir()
    (tmp_path / claim.weights).write_bytes(b"other weights")
    assert weights_row(claim, tmp_path).verdict == "differs"
    assert weights_row(CLAIMS["quickstart"], tmp_path) is None


def test_a_changed_config(tmp_path):
    path = tmp_path / "experiments" / "nanotrackv3" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("A: 1\nB: [2, 3]\n")
    digest = config_digest(path)
    path.write_text("# words\nB: [2, 3]\nA: 1  # more words\n")
    assert config_digest(path) == digest
    row = config_row(CLAIMS["nanotrackv3-VOT2018"], tmp_path)
    assert row.verdict == "differs" and row.remedy == "git checkout experiments/nanotrackv3/config.yaml"


@pytest.mark.parametrize(
    ("kind", "cards", "devices", "batch", "expected"),
    [
        ("npu", 8, 8, 28, {"kind of device": "same", "devices x pairs of a step": "same"}),
        (
            "npu",
            4,
            4,
            56,
            {"kind of device": "same", "devices x pairs of a step": "same", "pairs of each device": "noted"},
        ),
        ("npu", 4, 8, 28, {"kind of device": "same", "npu devices": "missing", "devices x pairs of a step": "same"}),
        ("cuda", 4, 4, 28, {"kind of device": "differs", "devices x pairs of a step": "differs"}),
    ],
)
def test_devices(kind, cards, devices, batch, expected):
    assert verdicts(device_rows(RECIPE, kind, cards, devices, batch)) == expected


def test_tracking_has_no_devices():
    assert not list(device_rows(CLAIMS["nanotrackv3-VOT2018"], "cpu", 0, 1, 0))


def test_code():
    assert code_row("", []).verdict == "not recorded"
    assert code_row("0" * 40, []).verdict == "same"
    row = code_row("0" * 40, [f"pysot/{index}.py" for index in range(7)])
    assert row.verdict == "differs" and row.found.endswith("pysot/4.py and 2 more")
