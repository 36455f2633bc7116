"""Benchmark of tracking: bad input, frames without end, and what it reports."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from toolkit_data import make_sequence

from helpers import moving_square, tiny_config
from pysot.benchmarks import tracking_speed
from pysot.benchmarks.case_builder import build_case
from pysot.benchmarks.job import Job
from pysot.benchmarks.tracking_speed import PARTS, track
from pysot.benchmarks.tracking_ways import Clip, ManyTargets, Runner, TwoInFlight, Way, clips_of
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset
from pysot.tracker.tracker_builder import build_batch_tracker
from pysot.utils.distributed import Rank


@pytest.fixture
def job(tmp_path):
    for name, seed in (("first", 0), ("second", 1)):
        moving_square(tmp_path / "CLIPS" / name, seed=seed)
    (tmp_path / "CLIPS" / "list.txt").write_text("first\nsecond\n")
    return Job(
        build_case(tiny_config()),
        torch.device("cpu"),
        Rank(),
        lambda rank, device: 0,
        steps=4,
        repeats=2,
        batches=(1, 3),
        precisions=("fp32",),
        dataset=("CLIPS", str(tmp_path)),
    )


def test_missing_frames():
    with pytest.raises(FileNotFoundError, match="--datasetdir"):
        clips_of(Dataset("NONE", [make_sequence()], (), None))


def test_a_target_that_fails_ends_the_benchmark(job):
    model = tracking_speed.load_network(job)
    way = ManyTargets(build_batch_tracker(model, job.case.cfg, 2))
    images = [np.zeros((60, 80, 3), np.uint8)] * 2
    way.start(images, [np.array([20.0, 20, 9, 9])] * 2)
    with pytest.raises(ValueError, match="uint8"):
        way.track([images[0], images[1].astype(np.float32)])


def test_frames_run_forwards_and_backwards():
    clip = Clip("abcd", np.zeros(4))
    assert "".join(clip.path(step) for step in range(10)) == "abcdcbabcd"
    assert [Clip("a", np.zeros(4)).path(step) for step in range(3)] == ["a"] * 3


def test_rows(job):
    rows, words = track(job)
    values = {row.name: row for row in rows}
    forms = [f"fp32, one stream, {form}" for form in tracking_speed._forms("cpu")]
    for way in ("plain way", "fp32, one stream", "fp32, batch 1", "fp32, batch 3", *forms):
        parts = [values[f"{way}, {part}"].value for part in ("read", *PARTS)]
        assert min(parts) > 0 and values[way].value < values[f"{way}, without reading"].value
        assert values[f"{way}, latency"].value <= values[f"{way}, 95 % within"].value
    assert values["plain way"].ratio == 1 and values["fp32, batch 3"].ratio > 0
    assert values["fp32, batch 3, overlap with the plain way's boxes"].value > 0.99
    assert "amx_bf16" in words and "2 sequences" in words and not any("bf16" in name for name in values)
    for way in ("plain way", "fp32, one stream", "fp32, batch 3"):
        assert 0 < values[f"{way}, crops and decoding"].value < 100 and f"\n{way}: " in words


def test_two_frames_in_flight_give_the_same_boxes(job):
    clips, found = clips_of(load_dataset(*job.dataset)), {}
    for kind in (ManyTargets, TwoInFlight):
        tracker = build_batch_tracker(tracking_speed.load_network(job), job.case.cfg, 2)
        with ThreadPoolExecutor(1) as threads:
            runner, way = Runner(clips, threads), Way("", 2, kind(tracker))
            runner.run(way, 3)  # the next run starts while a frame is in flight
            found[kind] = runner.run(way, 5)[2]
    np.testing.assert_array_equal(found[TwoInFlight], found[ManyTargets])


def test_forms_need_a_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert list(tracking_speed._forms("cpu")) == ["crops by torch"]
    assert "compiled" in tracking_speed._forms("cuda")


@pytest.mark.parametrize(
    ("experiment", "amx", "name", "target"),
    [
        ("siamrpn_alex_dwxcorr_otb", True, "bf16, batch 8", 5.0),
        ("siamrpn_alex_dwxcorr", False, "bf16, batch 8", None),
        ("siamrpn_r50_l234_dwxcorr", False, "fp32, one stream", 1.15),
        ("siamrpn_r50_l234_dwxcorr", True, "fp32, batch 8", None),
        ("quickstart", True, "fp32, one stream", None),
        ("siamrpn_r50_l234_dwxcorr", True, "fp32, one stream, compiled", None),
    ],
)
def test_targets(job, monkeypatch, experiment, amx, name, target):
    monkeypatch.setattr(tracking_speed, "has_amx_bf16", lambda: amx)
    assert tracking_speed._target(replace(job, config=f"experiments/{experiment}/config.yaml"), name) == target
