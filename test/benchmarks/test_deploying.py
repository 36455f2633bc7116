"""Benchmark of exported trackers: its ways, engines that are missing, targets."""

from dataclasses import replace

import pytest
import torch

from helpers import TINY, experiment, moving_square
from pysot.benchmarks import deploying, exports
from pysot.benchmarks.case_builder import read_case
from pysot.benchmarks.deploying import deploy
from pysot.benchmarks.exports import write_export
from pysot.benchmarks.job import Job
from pysot.benchmarks.tracking_ways import Way
from pysot.deploy import engines
from pysot.utils.distributed import Rank
from pysot.utils.progress import progress_bar

CONFIG = experiment("quickstart")


@pytest.fixture
def job(tmp_path):
    moving_square(tmp_path / "CLIPS" / "square")
    (tmp_path / "CLIPS" / "list.txt").write_text("square\n")
    return Job(
        read_case(CONFIG, TINY),
        torch.device("cpu"),
        Rank(),
        lambda rank, device: 0,
        progress_bar,
        steps=2,
        repeats=2,
        batches=(1, 3),
        precisions=("fp32",),
        dataset=("CLIPS", str(tmp_path)),
        config=CONFIG,
        opts=TINY,
    )


def test_rows(job):
    pytest.importorskip("openvino")
    rows, words = deploy(job)
    values = {row.name: row for row in rows}
    forms = ("one stream", "batch 3", "one stream, any batch", "one stream, grouped", "one stream, matmul")
    ways = [f"{engine} fp32, {form}" for engine in ("onnxruntime", "openvino") for form in forms]
    for way in ways:
        assert values[f"{way}, overlap with torch's boxes"].value > 0.999
        assert values[way].ratio > 0 and values[f"{way}, latency"].unit == "ms"
    assert values["torch fp32, one stream"].ratio == 1 and values["torch fp32, batch 3"].value > 0
    assert len(rows) == 3 * (len(ways) + 2) - 1 + 1  # the baseline has no overlap; one is the fastest
    fastest = values["the fastest export in fp32"]
    assert fastest.value in [values[f"{engine} fp32, one stream"].value for engine in ("onnxruntime", "openvino")]
    assert "\nthe fastest export in fp32: o" in words and "left out" not in words


def test_int8_and_an_engine_that_is_not_installed(job, monkeypatch):
    """Crops are generated for the calibration, also where the config's training sets are missing."""
    monkeypatch.setattr(engines, "_is_installed", lambda engine: engine.name != "openvino")
    rows, words = deploy(replace(job, precisions=("int8",), repeats=1, batches=(1,)))
    assert {row.name for row in rows if row.ratio} == {"torch fp32, one stream", "onnxruntime int8, one stream"}
    assert "openvino is left out: the engine openvino needs the package openvino: pip install openvino" in words
    assert "int8: " in words and "of 11 convolutions of the search, mean error" in words


def test_a_card_is_refused(job):
    with pytest.raises(ValueError, match="add --device cpu"):
        deploy(replace(job, device=torch.device("meta")))


def test_missing_packages(job, tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "_PACKAGES", ("json", "no_such_package"))
    with pytest.raises(ImportError, match="exports need the packages no_such_package: pip install no_such_package"):
        write_export(None, job.case.cfg, tmp_path / "exported", progress_bar)


def test_bf16_is_a_precision_of_torch_and_openvino(job):
    model = deploying.load_network(job)
    names = [way.name for way in deploying._torch_ways(job, model, ("bf16",))]
    assert names == ["torch fp32, one stream", "torch fp32, batch 3", "torch bf16, one stream", "torch bf16, batch 3"]


@pytest.mark.parametrize(
    ("experiment", "amx", "targets"),
    [
        ("siamrpn_r50_l234_dwxcorr_8gpu", True, (1.25, 5.0)),
        ("siamrpn_r50_l234_dwxcorr_8gpu", False, (None, None)),
        ("siamrpn_mobilev2_l234_dwxcorr", True, (1.7, 4.5)),
        ("quickstart", True, (None, None)),
    ],
)
def test_targets(job, monkeypatch, experiment, amx, targets):
    monkeypatch.setattr(deploying, "has_amx_bf16", lambda: amx)
    names = ("torch fp32", "onnxruntime fp32", "openvino fp32", "openvino bf16", "openvino int8")
    ways = [Way(f"{name}, one stream", 1, None) for name in names]
    for way, seconds in zip(ways, (6.0, 4.0, 3.0, 1.0, 2.0), strict=True):
        way.reading, way.tracking = [[9.0]], [[seconds]]
    rows, words = deploying._best(replace(job, config=f"experiments/{experiment}/config.yaml"), ways)
    assert [(row.ratio, row.target) for row in rows] == [(2.0, targets[0]), (6.0, targets[1])]
    assert words == [
        "the fastest export in fp32: openvino fp32, one stream",
        "the fastest of OpenVINO in bf16 and int8: openvino bf16, one stream",
    ]
