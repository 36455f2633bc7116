"""Any tracker on any data set by two calls, `run` and `report`, and the example of the README."""

import os

import numpy as np
import pytest
from toolkit_data import TrackerOfSlots, make_raw_set, write_frames

from helpers import ROOT, moving_square
from pysot import report, run
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.results.files import load_baseline, load_ope, load_run
from pysot.toolkit.tracking.step import as_outputs


class Still:
    """Tracker that stays where it started."""

    def init(self, frame, box):
        self.box = np.asarray(box)

    def track(self, frame):
        return {"bbox": self.box, "best_score": 0.5}


class Bare(Still):
    def track(self, frame):
        return self.box


class Pair(Still):
    def track(self, frame):
        return self.box.tolist(), 0.5


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """A VOT set TINY and a one-pass set in `clips`, below the current folder."""
    monkeypatch.chdir(tmp_path)
    make_raw_set(tmp_path / "testing_dataset" / "TINY")
    for name in ("one", "two"):
        write_frames(tmp_path / "clips" / name / "img", 5)
        (tmp_path / "clips" / name / "groundtruth_rect.txt").write_text("20,30,40,30\n" * 5)
    return tmp_path


def test_a_vot_set(sets):
    folder = run(Still(), "TINY")
    assert folder.resolve() == sets / "results" / "TINY" / "Still"
    assert len(load_baseline(folder / "baseline" / "boxes" / "boxes_001.txt", 8)) == 8
    scores = report("Still", "TINY")
    assert [score.name for score in scores.scored] == ["Still"]
    assert "|    Still     |" in str(scores) and "EAO" in str(scores)
    assert 0 < scores.trackers[0].accuracy < 1


@pytest.mark.parametrize("form", [Still, Bare, Pair])
def test_what_track_may_return(sets, form):
    """The results are the same, and the confidence counts where a protocol wants it."""
    run(form(), "TINY", name="any", experiment="unsupervised")
    run(Still(), "TINY", name="Still", experiment="unsupervised")
    for path in (sets / "results" / "TINY" / "Still" / "unsupervised").rglob("*_001.txt"):
        assert path.read_bytes() == (sets / "results/TINY/any" / path.relative_to(path.parents[2])).read_bytes()
    (sets / "testing_dataset" / "TINY").rename(sets / "testing_dataset" / "VOT2018-LT")
    run(form(), "VOT2018-LT", name="any", videos=["boxes"])
    confidence = load_run(sets / "results/VOT2018-LT/any/longterm/boxes/boxes_001.txt").confidence
    np.testing.assert_array_equal(confidence[1:], np.full(7, np.nan if form is Bare else 0.5))


def test_a_one_pass_set_by_its_path(sets):
    folder = run(Still(), "./clips", videos=["two"])
    assert [path.name for path in sorted(folder.glob("*.txt"))] == ["two.txt", "two_time.txt"]
    np.testing.assert_array_equal(load_ope(folder / "two.txt", 5), np.tile([20.5, 30.5, 40, 30], (5, 1)))
    scores = report("Still", "./clips", videos=["two"])
    assert [name for name in scores.trackers[0].videos] == ["two"] and scores.trackers[0].rank_by > 0.9
    assert "not scored" in str(report("Still", "./clips"))  # one is missing


def test_it_resumes(sets):
    class Counting(Still):
        calls = 0

        def track(self, frame):
            Counting.calls += 1
            return super().track(frame)

    data = load_dataset("TINY", "testing_dataset")
    run(Counting(), data, videos=["boxes"])
    first = Counting.calls
    run(Counting(), data)
    assert Counting.calls == first + 11  # the frames of the other sequence, after its start
    run(Counting(), data)
    assert Counting.calls == first + 11


def test_several_trackers_are_ranked(sets):
    class Lost(Still):
        def track(self, frame):
            return [150, 120, 5, 5]

    run(Still(), "./clips", results="out")
    run(Lost(), "./clips", results="out", name="Lost")
    for names in ("", ["Lost", "Still"]):
        assert [score.name for score in report(names, "./clips", results="out").trackers] == ["Still", "Lost"]
    with pytest.raises(FileNotFoundError, match="no tracker that begins with 'Nobody'"):
        report("Nobody", "./clips", results="out")


def test_a_batch_tracker(sets):
    folder = run(TrackerOfSlots(2, Still), "TINY", name="batch")
    run(Still(), "TINY", name="alone")
    for path in folder.rglob("*_001.txt"):
        assert path.read_bytes() == (folder.parent / "alone" / path.relative_to(folder)).read_bytes()


@pytest.mark.parametrize(
    ("tracker", "words"),
    [
        (Still, r"got the class Still; pass an object: Still\(\)"),
        (object(), "got object without init and track"),
        (type("NoTrack", (), {"init": lambda *_: None})(), "got NoTrack without track"),
        (type("Slots", (), {"slots": 2, "track": lambda *_: None})(), "got Slots without start"),
    ],
)
def test_what_is_no_tracker(sets, tracker, words):
    with pytest.raises(TypeError, match=words):
        run(tracker, "TINY")
    assert not os.path.exists("results")


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "got NoneType None"),
        ({"box": [1, 2, 3, 4]}, r"got dict \{'box'"),
        ([1, 2, 3], r"got list \[1, 2, 3\]"),
        (np.zeros((4, 2)), r"got an array of shape \(4, 2\)"),
        ("left", "got str 'left'"),
        (([1, 2, 3, 4], None), "got tuple"),
        ({"bbox": [1, 2, 3], "best_score": 1}, "region of 3 numbers"),
    ],
)
def test_a_wrong_return_value_is_named_with_its_frame(sets, returned, words):
    class Wrong(Still):
        def init(self, frame, box):
            super().init(frame, box)
            self.frame = 1

        def track(self, frame):
            self.frame += 1
            return returned if self.frame == 4 else super().track(frame)

    with pytest.raises(RuntimeError, match=f"1 of 1 sequences have no result: boxes: .*boxes, frame 4: .*{words}"):
        run(Wrong(), "TINY", videos=["boxes"])


def test_one_sequence_that_fails_does_not_stop_the_others(sets):
    (sets / "testing_dataset" / "TINY" / "slow" / "color" / "00000003.png").write_bytes(b"")
    with pytest.raises(RuntimeError, match="1 of 2 sequences have no result: slow: .*frame 3"):
        run(Still(), "TINY")
    assert (sets / "results" / "TINY" / "Still" / "baseline" / "boxes" / "boxes_001.txt").is_file()


def test_sets_that_are_not_there(sets):
    with pytest.raises(FileNotFoundError, match="no data set GONE"):
        run(Still(), "GONE")
    with pytest.raises(FileNotFoundError, match="root: looked for .*nowhere"):
        report("Still", "TINY", root="nowhere")
    with pytest.raises(ValueError, match="no experiment 'longterm'"):
        run(Still(), "TINY", experiment="longterm")


def test_outputs_are_not_copied():
    outputs = {"bbox": [1, 2, 3, 4], "polygon": None}
    assert as_outputs(outputs) is outputs


@pytest.mark.parametrize("language", ["README.md", "README.zh-CN.md"])
def test_the_example_of_the_readme(tmp_path, monkeypatch, language):
    """A tracker in 20 lines; both languages have the same code."""
    text = (ROOT / "pysot" / language).read_text(encoding="utf-8")
    code = next(part for part in text.split("```python")[1:] if "matchTemplate" in part).split("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "testing_dataset" / "VOT2018"
    moving_square(folder / "square", frames=8)
    (folder / "list.txt").write_text("square\n")
    values = {}
    exec(code, values)
    boxes = load_baseline(next((tmp_path / "results").rglob("square_001.txt"))).regions[1:, :4]
    np.testing.assert_allclose(boxes[:, :2], [[20 + 4 * i, 30 + 2 * i] for i in range(1, 8)], atol=1.5)
