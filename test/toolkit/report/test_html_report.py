"""HTML report: its content, escaped names, no loading from elsewhere, and its behaviour in a real browser."""

import html.parser
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from toolkit_data import box_sequence, make_sequence, save_baseline, trajectory, write_frames

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.datasets.settings import EAO_TAGS
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.report import html_parts
from pysot.toolkit.report.html_report import write_report
from pysot.toolkit.results.files import save_ope

EVIL = "<script>document.title='got you'</script>\"'&"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Reader(html.parser.HTMLParser):
    """Parser that counts tags and collects attributes that could load something."""

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
            if name in ("src", "href", "data", "action") and not (
                value.startswith("#") or value.startswith("data:image/jpeg;base64,")
            ):
                self.loaded.append(value)
            if name == "id":
                self.ids.append(value)
            if name == "href":
                self.links.append(value[1:])
            assert not name.startswith("on"), name

    def handle_data(self, data):
        self.text.append(data)


def supervised(folder, names=("good", "bad"), sequences=("a", "b")):
    dataset = Dataset("SET", [box_sequence(40, name=name) for name in sequences], EAO_TAGS, VotSettings(5, 20, 10))
    folders = [folder / str(index) / name.replace("/", "_") for index, name in enumerate(names)]
    for index, tracker_dir in enumerate(folders):
        for sequence in dataset.sequences:
            save_baseline(tracker_dir, sequence.name, trajectory(40, lost=[12] * index))
    scores = score_trackers(dataset, folders, mode="both", with_timelines=True)
    return write_report(folder / "out.html", scores, {"mode": "both"}), dataset


def test_content(tmp_path):
    path, _ = supervised(tmp_path)
    page = path.read_text()
    read, text = Reader(page), " ".join(Reader(page).text)
    assert read.loaded == [] and sorted(read.ids) == sorted(set(read.links)) and len(read.ids) == 2
    assert read.tags.count("script") == 1 and read.tags.count("details") == 2 and read.tags.count("svg") == 4
    for words in (
        "Ranking",
        "Expected overlap",
        "Accuracy and robustness",
        "Tracker against tracker",
        "EAO vot",
        "Why they differ",
        "mode",
        "NumPy",
        "EAO by tag",
        "Accuracy by tag",
    ):
        assert words in text
    assert re.search(r'Losses by tag</h2>.*?bad</td><td data-value="2.0">2</td><td data-value="0.0">0</td>', page)
    assert "://" not in page and "default-src 'none'" in page
    assert len(page) < 60000


def test_names_cannot_inject_markup(tmp_path):
    folder = EVIL.replace("/", "_")
    path, _ = supervised(tmp_path, names=(EVIL, "x"))
    read = Reader(path.read_text())
    assert read.tags.count("script") == 1 and any(folder in text for text in read.text)
    dataset = Dataset(
        EVIL,
        [make_sequence(EVIL.replace("/", "_"), truth=[np.array([20.0, 20, 19, 19])] * 9, attributes=(EVIL,))],
        (),
        None,
    )
    save_ope(tmp_path / "m", EVIL.replace("/", "_"), np.array([[20.0, 20, 19, 19]] * 9))
    scores = score_trackers(dataset, [tmp_path / "m"], with_timelines=True)
    page = write_report(tmp_path / "ope.html", scores, {EVIL: EVIL}).read_text()
    assert Reader(page).tags.count("script") == 1 and Reader(page).loaded == []


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
    text = " ".join(Reader(write_report(tmp_path / "out.html", scores, {}).read_text()).text)
    assert (
        "Remarks" in text
        and "broken is not scored" in text
        and "broken" in text
        and "Success by attribute" in text
        and "SR 0.50" in text
    )
    (tmp_path / "m" / "a.txt").write_text("")
    (tmp_path / "n" / "a.txt").write_text("")
    with pytest.raises(ValueError, match="nothing to report"):
        write_report(tmp_path / "no.html", score_trackers(dataset, folders, with_timelines=True), {})
    assert not (tmp_path / "no.html").exists()


def test_pictures_around_a_loss(tmp_path):
    write_frames(tmp_path / "frames", 40)
    paths = [str(path) for path in sorted((tmp_path / "frames").iterdir())]
    sequence = box_sequence(40, name="a")
    object.__setattr__(sequence, "frame_paths", paths)
    dataset = Dataset("SET", [sequence], EAO_TAGS, VotSettings(5, 20, 10))
    save_baseline(tmp_path / "m", "a", trajectory(40, lost=[12]))
    scores = score_trackers(dataset, [tmp_path / "m"], with_timelines=True)
    page = write_report(tmp_path / "out.html", scores, {}).read_text()
    assert Reader(page).tags.count("img") == 4 and "m loses it at frame 13" in page and "frame 5" in page
    (tmp_path / "m" / "baseline" / "a" / "a_001.txt").write_text("1\n2\n" * 20)
    page = write_report(
        tmp_path / "out.html", score_trackers(dataset, [tmp_path / "m"], with_timelines=True), {}
    ).read_text()
    assert page.count("m loses it at frame") == 10 and "10 more losses of m have no pictures here" in page
    save_baseline(tmp_path / "m", "a", trajectory(40, lost=[12]))
    os.unlink(paths[12])
    assert Reader(write_report(tmp_path / "out.html", scores, {}).read_text()).tags.count("img") == 0


def test_a_tracker_that_never_settles_has_no_dot(tmp_path):
    """A tracker that is lost right after each start has losses but no accuracy."""
    dataset = Dataset("SET", [box_sequence(40, name="a")], EAO_TAGS, VotSettings(5, 20, 10))
    for name, lost in (("good", []), ("dead", [1, 7, 13, 19, 25, 31, 37])):
        save_baseline(tmp_path / name, "a", trajectory(40, lost=lost))
    folders = [tmp_path / "good", tmp_path / "dead"]
    page = write_report(tmp_path / "out.html", score_trackers(dataset, folders, with_timelines=True), {}).read_text()
    assert page.count("<circle") == 1 and 'cy="nan"' not in page


def test_parts():
    assert html_parts.anchor("s", "a b") != html_parts.anchor("s", "a-b") and re.fullmatch(
        r"s-[A-Za-z0-9-]+", html_parts.anchor("s", 'é"<>')
    )
    assert html_parts._path(np.arange(4.0), np.array([1, 2, np.nan, 3])) == "M0.0 1.0L1.0 2.0M3.0 3.0"
    assert html_parts.table(["x"], [[float("nan")]]).count("–") == 1


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_in_a_real_browser(tmp_path):
    """Headers sort by click and have keyboard focus, links open their part, and nothing is loaded."""
    path, dataset = supervised(tmp_path, names=("worse", EVIL), sequences=("b", "a", "c"))
    script = """<script>
    const out = {}, table = document.querySelectorAll('table')[0], heads = table.querySelectorAll('th button');
    const column = n => [...table.tBodies[0].rows].map(row => parseFloat(row.cells[n].textContent));
    heads[1].click(); out.down = column(1); heads[1].click(); out.up = column(1);
    heads[2].focus(); out.focused = document.activeElement === heads[2];
    out.tab = heads[2].tabIndex; out.kind = heads[2].type;
    out.sorted = heads[1].closest('th').getAttribute('aria-sort');
    const link = [...document.querySelectorAll('a')].find(a => a.textContent === 'c'); link.click();
    setTimeout(() => {
      out.open = document.querySelectorAll('details[open] summary').length; out.title = document.title;
      out.wide = document.documentElement.scrollWidth <= innerWidth;
      out.resources = performance.getEntriesByType('resource').length;
      const done = document.createElement('pre'); done.id = 'done'; done.textContent = JSON.stringify(out);
      document.body.append(done); }, 200);
    </script></body>"""
    path.write_text(path.read_text().replace("</body>", script))
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=390,800",
        "--virtual-time-budget=3000",
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = json.loads(html.unescape(re.search(r'<pre id="done">(.*?)</pre>', done.stdout, re.S)[1]))
    assert (
        found["down"] == sorted(found["down"], reverse=True)
        and found["up"] == sorted(found["up"])
        and found["down"] != found["up"]
    )
    assert found["focused"] and found["tab"] == 0 and found["kind"] == "button" and found["sorted"] == "ascending"
    assert found["open"] == 1 and found["title"].startswith("SET, ") and found["wide"] and found["resources"] == 0
