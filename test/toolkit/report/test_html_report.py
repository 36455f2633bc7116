"""HTML report: its content, escaped names, no loading from elsewhere; in one file and in a folder."""

import html.parser
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from toolkit_data import box_sequence, make_sequence, save_baseline, trajectory, write_frames

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.datasets.settings import EAO_TAGS
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.report import html_report
from pysot.toolkit.report.draw_page import page_figures
from pysot.toolkit.report.html_report import check_report, write_report
from pysot.toolkit.report.score_plots import plots_of
from pysot.toolkit.results.files import save_ope
from report_sets import EVIL, scores_of


class Reader(html.parser.HTMLParser):
    """Parser that counts tags and collects what could be loaded, ids and links."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.loaded = []
        self.ids = []
        self.links = []
        self.text = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "data", "action") and not value.startswith(("#", "data:image/jpeg;base64,")):
                self.loaded.append(value)
            if name == "id":
                self.ids.append(value)
            if name == "href" and value.startswith("#"):
                self.links.append(value[1:])
            assert not name.startswith("on"), name

    def handle_data(self, data):
        self.text.append(data)


def own_part(page):
    """Return a page without the script of Plotly."""
    return re.sub(r"<script>/\*.*?plotly.js v.*?</script>", "<script></script>", page, count=1, flags=re.S)


def supervised(folder, names=("good", "bad"), sequences=("a", "b")):
    return write_report(folder / "out.html", scores_of(folder, names, sequences), {"mode": "both"})


def test_content(tmp_path):
    path = supervised(tmp_path)
    page = own_part(path.read_text())
    read, text = Reader(page), " ".join(Reader(page).text)
    assert read.loaded == [] and sorted(read.ids) == sorted(set(read.links)) and len(read.ids) == 2
    # four plots, and the overlap on two sequences
    assert read.tags.count("details") == 2 and page.count('type="application/json"') == 4 + 2
    for words in (
        "Ranking",
        "SET: expected overlap",
        "SET: accuracy, robustness",
        "Tracker against tracker",
        "EAO vot",
        "Why they differ",
        "mode",
        "NumPy",
        "EAO by tag",
        "Accuracy by tag",
    ):
        assert words in text, words
    losses = page.partition("<h2>Losses by tag</h2>")[2]
    assert re.search(r'</svg>bad</th><td data-value="2.0">2</td><td data-value="0.0">0</td>', losses)
    assert '<td data-value="1.0">1</td>' in page.partition("<h2>Sequences</h2>")[2]  # losses are counted
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "") and "default-src &#39;none&#39;" in page
    assert len(page) < 60000


def test_names_cannot_inject_markup(tmp_path):
    folder = EVIL.replace("/", "_")
    path = supervised(tmp_path / "evil", names=(EVIL, "x"))
    page = own_part(path.read_text())
    harmless = own_part(supervised(tmp_path / "good", names=("y", "x")).read_text())
    assert Reader(page).tags == Reader(harmless).tags and any(folder in text for text in Reader(page).text)
    sequence = make_sequence(folder, truth=[np.array([20.0, 20, 19, 19])] * 9, attributes=(EVIL,))
    save_ope(tmp_path / "m", folder, np.array([[20.0, 20, 19, 19]] * 9))
    scores = score_trackers(Dataset(EVIL, [sequence], (), None), [tmp_path / "m"], with_timelines=True)
    page = own_part(write_report(tmp_path / "ope.html", scores, {EVIL: EVIL}).read_text())
    assert Reader(page).loaded == []
    assert {*re.findall("</?script[^>]*", page)} == {"<script", '<script type="application/json"', "</script"}


def test_one_pass_and_trackers_that_are_not_scored(tmp_path):
    dataset = Dataset(
        "OTB100",
        [make_sequence(name, truth=[np.array([20.0, 20, 19, 19])] * 30, attributes=("Blur",)) for name in "ab"],
        (),
        None,
    )
    for name in ("m", "n", "broken"):
        for sequence in "ab":
            save_ope(
                tmp_path / name,
                sequence,
                np.array([[20.0, 20, 19, 19]] * 20 + [[120.0 if name == "n" else 21, 20, 19, 19]] * 10),
            )
    (tmp_path / "broken" / "a.txt").write_text("1,2,3\n")
    folders = [tmp_path / name for name in ("m", "n", "broken")]
    scores = score_trackers(dataset, folders, with_timelines=True)
    text = " ".join(Reader(own_part(write_report(tmp_path / "out.html", scores, {}).read_text())).text)
    for words in ("Remarks", "broken is not scored", "Success by attribute", "SR 0.50"):
        assert words in text, words
    (tmp_path / "m" / "a.txt").write_text("")
    (tmp_path / "n" / "a.txt").write_text("")
    with pytest.raises(ValueError, match="nothing to report"):
        write_report(tmp_path / "no.html", score_trackers(dataset, folders, with_timelines=True), {})
    assert not (tmp_path / "no.html").exists()


def lost_once(folder, lost=(12,)):
    """Return a set with frames on the disk, the paths of the frames, and a tracker that loses the target."""
    write_frames(folder / "frames", 40)
    paths = [str(path) for path in sorted((folder / "frames").iterdir())]
    sequence = box_sequence(40, name="a")
    object.__setattr__(sequence, "frame_paths", paths)
    save_baseline(folder / "m", "a", trajectory(40, lost=[*lost]))
    return Dataset("SET", [sequence], EAO_TAGS, VotSettings(5, 20, 10)), paths


def page_of(folder, dataset):
    scores = score_trackers(dataset, [folder / "m"], with_timelines=True)
    return own_part(write_report(folder / "out.html", scores, {}).read_text())


def test_pictures_around_a_loss(tmp_path):
    dataset, paths = lost_once(tmp_path)
    page = page_of(tmp_path, dataset)
    assert page.count("<figcaption>") == 4 and "m loses it at frame 13" in page and "frame 5" in page
    (tmp_path / "m" / "baseline" / "a" / "a_001.txt").write_text("1\n2\n" * 20)
    page = page_of(tmp_path, dataset)
    assert page.count("m loses it at frame") == 2 * 10 and "10 more losses of m have no pictures here" in page
    save_baseline(tmp_path / "m", "a", trajectory(40, lost=[12]))
    os.unlink(paths[12])
    page = page_of(tmp_path, dataset)
    assert page.count("<figcaption>") == 0 and f"No pictures: no image {paths[12]}" in page


def players(page):
    """Return the values of all players of a page."""
    return [json.loads(text) for text in re.findall(r'"application/json">({"numbers".*?)</script>', page)]


def test_a_player_has_the_frames_and_all_outlines(tmp_path):
    dataset, paths = lost_once(tmp_path)
    os.unlink(paths[7])
    (player,) = players(page_of(tmp_path, dataset))
    assert player["numbers"] == list(range(1, 41)) and player["frames"][7] == ""
    assert all(frame.startswith("data:image/jpeg;base64,") for frame in player["frames"][:7])
    truth, tracker = player["outlines"]
    assert (truth["place"], tracker["place"]) == (-1, 0) and len(truth["outlines"]) == 40
    assert truth["outlines"][3] == tracker["outlines"][3] and len(truth["outlines"][3][0]) == 8
    assert tracker["outlines"][12] == []


def test_a_folder_has_a_page_for_each_sequence(tmp_path):
    dataset, paths = lost_once(tmp_path)
    scores = score_trackers(dataset, [tmp_path / "m"], with_timelines=True)
    os.unlink(paths[-1])
    folder = write_report(tmp_path / "new" / "report", scores, {})
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    pictures = [f"pictures/1-a-{number}.jpg" for number in range(1, 5)]
    assert names == ["index.html", *pictures, "plotly.min.js", "report.js", "sequences/1-a.html", "style.css"]
    index, page = ((folder / name).read_text() for name in ("index.html", "sequences/1-a.html"))
    for text, name in ((index, folder / "index.html"), (page, folder / "sequences" / "1-a.html")):
        for link in Reader(text).loaded:
            assert (name.parent / link).is_file(), link
    assert "sequences/1-a.html" in Reader(index).loaded and "../index.html" in Reader(page).loaded
    (player,) = players(page)
    assert [(folder / "sequences" / frame).resolve() for frame in player["frames"][:-1]] == list(map(Path, paths[:-1]))
    assert player["frames"][-1] == ""


def test_a_folder_replaces_a_report_but_nothing_else(tmp_path, monkeypatch):
    dataset, _ = lost_once(tmp_path)
    scores = score_trackers(dataset, [tmp_path / "m"], with_timelines=True)
    folder = write_report(tmp_path / "report", scores, {"round": "first"})
    monkeypatch.setattr(html_report, "publish_folder", lambda part, folder: raise_full())
    with pytest.raises(OSError, match="No space"):
        write_report(folder, scores, {"round": "second"})
    assert "first" in (folder / "index.html").read_text()
    monkeypatch.undo()
    write_report(folder, scores, {"round": "second"})
    assert "second" in (folder / "index.html").read_text() and (folder / "sequences" / "1-a.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "m", "report"]
    (folder / "notes.txt").write_text("kept")
    (tmp_path / "album" / "pictures").mkdir(parents=True)
    for other in (tmp_path / "frames", tmp_path / "album", folder, tmp_path / "m" / "baseline" / "a" / "a_001.txt"):
        with pytest.raises(FileExistsError, match="expected a new folder or that of a report, got other files in"):
            check_report(other)


@pytest.mark.parametrize("out", ["out.html", "out"])
def test_a_disk_that_fills_while_pages_are_written(tmp_path, monkeypatch, out):
    """The report that was there stays, and nothing half-written is left."""
    dataset, _ = lost_once(tmp_path)
    scores = score_trackers(dataset, [tmp_path / "m"], with_timelines=True)
    write_report(tmp_path / out, scores, {"round": "first"})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(html_report, "sequence_part", lambda *given: raise_full())
    with pytest.raises(OSError, match="No space"):
        write_report(tmp_path / out, scores, {"round": "second"})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def raise_full():
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "names",
    [("a b", "a-b", "A-b"), ('é"<>', "跟踪", "x" * 200), ("con", "..", "s-1")],
    ids=["spelling", "signs", "words"],
)
def test_sequences_have_ids_of_their_own(names):
    keys = html_report._keys(list(names))
    assert len({key.lower() for key in keys.values()}) == 3
    assert all(re.fullmatch(r"\d+[a-z0-9-]{0,41}", key) for key in keys.values()), keys


def test_a_tracker_that_never_settles_has_no_dot(tmp_path):
    """A tracker that is lost right after each start has losses but no accuracy."""
    dataset = Dataset("SET", [box_sequence(40, name="a")], EAO_TAGS, VotSettings(5, 20, 10))
    for name, lost in (("good", []), ("dead", [1, 7, 13, 19, 25, 31, 37])):
        save_baseline(tmp_path / name, "a", trajectory(40, lost=lost))
    scores = score_trackers(dataset, [tmp_path / "good", tmp_path / "dead"], with_timelines=True)
    (dots, *_), *_ = (page_figures(plot) for plot in plots_of(scores, False))
    assert {trace["name"]: trace["y"] for trace in dots["data"]} == {"good": [1.0], "dead": [None]}


@pytest.mark.parametrize("name", ["report.html", "report"])
def test_scores_that_are_not_numbers_and_missing_attributes(tmp_path, name):
    """Too short for EAO, no tag in one sequence, and none that both have."""
    plain, tagged = box_sequence(40, name="a"), box_sequence(40, name="b", tags={"occlusion": [1]})
    dataset = Dataset("SET", [plain, tagged], EAO_TAGS, VotSettings(50, 60, 55))
    for sequence in dataset.sequences:
        save_baseline(tmp_path / "m", sequence.name, trajectory(40, lost=[12]))
    scores = score_trackers(dataset, [tmp_path / "m"], with_timelines=True)
    assert np.isnan(scores.scored[0].rank_by)
    path = write_report(tmp_path / name, scores, {})
    page = own_part((path / "index.html" if path.is_dir() else path).read_text())
    assert '<td data-value="nan">–</td><td data-value="1.0">1.000</td>' in re.sub(r"\s*\n\s*", "", page)
    assert "m has no EAO: the tracked videos are shorter than the lengths that SET averages over." in page
    assert not re.search(r"\bNaN\b|>nan<", page)
