"""Runs without restarts, and the realtime clock, against vot-toolkit itself where it is installed."""

import numpy as np
import pytest
from toolkit_data import ask_vot_toolkit, make_sequence, needs_vot_toolkit

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.evaluation import longterm
from pysot.toolkit.evaluation.runs import run_overlaps
from pysot.toolkit.experiments.scoring import evaluate_tracker
from pysot.toolkit.results.files import Trajectory, save_vot
from pysot.toolkit.results.paths import anchor_file, vot_file
from pysot.toolkit.tracking.realtime import FrameClock
from pysot.utils.masks import Mask

BOX = [20.0, 20, 20, 20]
SETTINGS = VotSettings(low=20, high=60, peak=20)


def shaken(rng, truth, size):
    """Return the entries of a result around the truth, far away for a while."""
    entries = [1]
    for box in truth[1:]:
        entries.append(np.concatenate([box[:2] + rng.normal(0, 3, 2), np.maximum(box[2:] + rng.normal(0, 2, 2), 2)]))
    away = int(rng.integers(10, len(truth) - 12))
    for frame in range(away, away + int(rng.integers(1, 12))):
        entries[frame] = np.array([size[0] - 12.0, size[1] - 9, 8, 7])
    return entries


def cases(seed, absent=0):
    rng, size = np.random.default_rng(seed), (150, 120)
    for index in range(5):
        frames = int(rng.integers(60, 140))
        corners = rng.uniform(10, 60, 2) + np.cumsum(rng.normal(0, 0.5, (frames, 2)), axis=0)
        truth = [np.concatenate([upper_left, rng.uniform(25, 40, 2)]) for upper_left in corners]
        entries, confidence = shaken(rng, truth, size), [0.0, *rng.uniform(0, 1, frames - 1).round(4)]
        for frame in rng.choice(range(5, frames), absent, replace=False):
            truth[frame] = np.full(4, np.nan)
            if rng.random() < 0.5:
                entries[frame] = 0
        sequence = make_sequence(f"s{index}", truth=truth, width=size[0], height=size[1])
        yield sequence, Trajectory.from_frames(entries, confidence=confidence), entries


def as_case(sequence, entries, **more):
    truth = [0 if np.isnan(region).any() else region.tolist() for region in sequence.ground_truth]
    return {
        "size": [sequence.width, sequence.height],
        "truth": truth,
        "result": [np.asarray(entry).tolist() for entry in entries],
        **more,
    }


@needs_vot_toolkit
def test_long_term_of_the_official_toolkit(tmp_path):
    tracked = list(cases(0, absent=8))
    expected = ask_vot_toolkit(
        tmp_path,
        "longterm",
        cases=[as_case(sequence, entries, scores=list(result.confidence)) for sequence, result, entries in tracked],
    )
    visible = [sum(bool(np.isfinite(region).all()) for region in sequence.ground_truth) for sequence, _, _ in tracked]
    videos = [
        longterm.Video(run_overlaps(sequence, result), result.confidence, count)
        for (sequence, result, _), count in zip(tracked, visible, strict=True)
    ]
    score = longterm.long_term_score(videos, official=True)
    assert (score.f1, score.precision, score.recall) == pytest.approx(
        (expected["f1"], expected["precision"], expected["recall"]), abs=1e-6
    )


@needs_vot_toolkit
def test_unsupervised_of_the_official_toolkit(tmp_path):
    tracked = list(cases(1))
    dataset = Dataset("VOT2018", [sequence for sequence, _, _ in tracked], ("all",), VotSettings(2, 9, 5))
    for sequence, result, _ in tracked:
        save_vot(vot_file(tmp_path / "m", sequence.name, experiment="unsupervised"), result)
    expected = ask_vot_toolkit(
        tmp_path, "unsupervised", burn_in=10, cases=[as_case(sequence, entries) for sequence, _, entries in tracked]
    )
    assert evaluate_tracker(dataset, tmp_path / "m", "unsupervised").numbers["accuracy"] == pytest.approx(
        expected["accuracy"], abs=1e-4
    )


@needs_vot_toolkit
@pytest.mark.parametrize("painted", [False, True])
def test_many_starts_of_the_official_toolkit(tmp_path, painted):
    rng, asked_cases, sequences = np.random.default_rng(2), [], []
    for number, (sequence, _, _) in enumerate(cases(2)):
        masks = {}
        if painted:
            truth = [np.rint(region) for region in sequence.ground_truth]
            masks = {
                index: Mask(*box[:2].astype(int).tolist(), rng.random(box[3:1:-1].astype(int)) < 0.8)
                for index, box in enumerate(truth)
            }
            boxes = [masks[index].box for index in range(len(truth))]
            sequence = make_sequence(sequence.name, truth=boxes, width=150, height=120, masks=masks)
        anchors = ((0, False), (len(sequence) // 2, False), (len(sequence) - 1, True))
        sequence = make_sequence(
            sequence.name, truth=sequence.ground_truth, width=150, height=120, anchors=anchors, masks=masks
        )
        sequences.append(sequence)
        for frame, backwards in anchors:
            part = sequence.run_from(frame, backwards)
            entries = shaken(rng, part.ground_truth, (150, 120))
            save_vot(anchor_file(tmp_path / "m", sequence.name, frame), Trajectory.from_frames(entries))
            case = as_case(part, entries, number=number, frames=len(sequence))
            case["result"] = [
                entry if np.isscalar(entry) else np.round(np.float32(entry).astype(float), 4).tolist()
                for entry in entries
            ]
            if painted:
                case["truth"] = [part.masks[index].text() for index in range(len(part))]
            asked_cases.append(case)
    expected = ask_vot_toolkit(tmp_path, "multistart", cases=asked_cases, low=20, high=60)
    del expected["overlaps"]
    dataset = Dataset("VOT2022", sequences, (), SETTINGS, "multistart")
    assert evaluate_tracker(dataset, tmp_path / "m", "baseline").numbers == pytest.approx(expected, abs=1e-6)


@needs_vot_toolkit
def test_the_clock_of_the_official_toolkit(tmp_path):
    times = np.random.default_rng(4).choice([0.01, 0.04, 0.06, 0.12, 0.3], (20, 40)).tolist()
    shown = []
    for seconds in times:
        clock, last = FrameClock(), 0
        clock.start(seconds[0])
        shown.append([0])
        for frame in range(1, len(seconds)):
            if not clock.misses_frame():
                last = frame
                clock.spend(seconds[frame])
            shown[-1].append(last)
    assert shown == ask_vot_toolkit(tmp_path, "realtime", cases=times)["shown"]
