"""Bars of long work: what a terminal shows, what a file gets, and where library functions show them."""

import contextlib
import io
import re
import time

import pytest
from toolkit_data import SeenBar, make_raw_set, make_sequence, write_frames, write_json_set

from object_sets import make_davis
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.report.html_report import write_report
from pysot.utils.progress import brief_bar, progress_bar
from report_sets import scores_of


class Terminal(io.StringIO):
    """Terminal that keeps what it is sent."""

    def isatty(self) -> bool:
        return True


def drawn(work, stream=Terminal) -> str:
    """Return what a function draws on stderr."""
    with contextlib.redirect_stderr(stream()) as shown:
        work()
    return shown.getvalue()


def test_a_bar_on_a_terminal_and_in_a_file():
    text = drawn(lambda: list(progress_bar("ab", description="letters")))
    assert "letters: 100%" in text and text.endswith("\n")
    assert not drawn(lambda: list(progress_bar("ab", description="letters")), io.StringIO)


def test_a_bar_inside_another_goes_when_it_is_done():
    text = drawn(lambda: [list(progress_bar("abc", description="inner")) for _ in progress_bar("ab", None, "outer")])
    *_, last = text.rstrip("\n").split("\r")
    assert last.startswith("outer: 100%")
    assert "inner: " in text and not re.search(r"inner: [^\r\x1b]*\n", text)


def test_brief_work_has_no_bar():
    assert not drawn(lambda: list(brief_bar("abc", description="quick")))
    assert "slow: " in drawn(lambda: [time.sleep(0.6) for _ in brief_bar("abc", description="slow")])


def folder_layout(root):
    for name in ("a", "b"):
        write_frames(root / "MINE" / name / "img", 3)
        (root / "MINE" / name / "groundtruth_rect.txt").write_text("10,20,30,40\n" * 3)


def native_layout(root):
    write_frames(root / "TEST" / "frames" / "a", 3)
    write_frames(root / "TEST" / "frames" / "b", 3)
    for name in ("a", "b"):
        (root / "TEST" / "anno").mkdir(exist_ok=True)
        (root / "TEST" / "anno" / f"{name}.txt").write_text("10,20,30,40\n")


LAYOUTS = {
    "MINE": folder_layout,
    "TrackingNet": native_layout,
    "TINY": lambda root: make_raw_set(root / "TINY"),
    "VOT2018": lambda root: write_json_set(root / "VOT2018.json", [make_sequence("a"), make_sequence("b")]),
    "DAVIS2017": lambda root: make_davis(root / "DAVIS"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_shows_its_sequences(tmp_path, name):
    LAYOUTS[name](tmp_path)
    bar = SeenBar()
    assert len(load_dataset(name, tmp_path, bar)) == 2
    assert bar.taken == [(f"reading {name}", 2)]


def test_scoring_shows_trackers_and_their_sequences(tmp_path):
    dataset, bar = scores_of(tmp_path).dataset, SeenBar()
    folders = [tmp_path / "0" / "good", tmp_path / "1" / "bad"]
    score_trackers(dataset, folders, bar=bar)
    assert bar.taken == [("good", 2), ("bad", 2), ("trackers", 2)]
    one = SeenBar()
    score_trackers(dataset, folders[:1], bar=one)
    assert one.taken == [("good", 2)]
    processes = SeenBar()
    score_trackers(dataset, folders, workers=2, bar=processes)
    assert processes.taken == [("trackers", 2)]


@pytest.mark.parametrize("name", ["report.html", "report"])
def test_a_report_shows_its_sequences(tmp_path, name):
    bar = SeenBar()
    write_report(tmp_path / name, scores_of(tmp_path / "data"), {}, bar)
    assert bar.taken == [("report", 2)]
