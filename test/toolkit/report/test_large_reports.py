"""Reports about very few and very many trackers and sequences."""

import logging
import re

from toolkit_data import save_baseline, trajectory

from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.report import html_report
from pysot.toolkit.report.html_report import write_report
from report_sets import scores_of


def test_one_tracker_on_one_sequence(tmp_path):
    scores = scores_of(tmp_path / "data", ("alone",), ("only",))
    page = write_report(tmp_path / "report.html", scores, {}).read_text()
    assert "SET: 1 tracker, 1 sequence<" in page and "Tracker against tracker" not in page
    write_report(tmp_path / "report", scores, {})
    assert [path.name for path in (tmp_path / "report" / "sequences").iterdir()] == ["1-only.html"]


def test_200_trackers(tmp_path):
    names = [f"t{number:03d}" for number in range(200)]
    dataset = scores_of(tmp_path, ("first",), ("a",), with_frames=True).dataset
    for name in names:
        save_baseline(tmp_path / name, "a", trajectory(40, lost=[8, 20, 32]))
    scores = score_trackers(dataset, [tmp_path / name for name in names], with_timelines=True)
    write_report(tmp_path / "report", scores, {})
    page = (tmp_path / "report" / "sequences" / "1-a.html").read_text()
    assert (
        page.count(" loses it at frame ") == 2 * 60 and page.count("2 more losses of t000 have no pictures here") == 1
    )
    assert "The losses of the other 140 trackers have no pictures here." in page
    assert len([*(tmp_path / "report" / "pictures").iterdir()]) == 60 * 4
    index = (tmp_path / "report" / "index.html").read_text()
    assert all(name in index for name in names) and len(index) < 5e6


def test_1000_sequences(tmp_path):
    names = [f"s{number:04d}" for number in range(1000)]
    scores = scores_of(tmp_path / "data", ("one", "two"), names)
    write_report(tmp_path / "report", scores, {})
    pages = {path.name for path in (tmp_path / "report" / "sequences").iterdir()}
    index = (tmp_path / "report" / "index.html").read_text()
    links = re.findall(r'href="sequences/([^"]+)"', index)
    assert len(links) == 1000 and {*links} == pages and len(index) < 5e6


def test_frames_of_one_file_are_few_if_sequences_are_many(tmp_path, monkeypatch, caplog):
    scores = scores_of(tmp_path / "data", with_frames=True)
    monkeypatch.setattr(html_report, "_MOST_FRAMES", 6)
    with caplog.at_level(logging.WARNING):
        page = write_report(tmp_path / "report.html", scores, {}).read_text()
    assert [len(part.split(",")) for part in re.findall(r'"numbers":\[([\d,]+)\]', page)] == [3, 3]
    assert not caplog.text
    monkeypatch.setattr(html_report, "_HEAVY", 1_000_000)
    with caplog.at_level(logging.WARNING):
        write_report(tmp_path / "report.html", scores, {})
    assert re.search(r"report\.html has \d MB.*--report \S+/report/, has light pages", caplog.text)
