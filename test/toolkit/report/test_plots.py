"""Figures: valid files, their values and names, hostile names, nothing to plot, one tracker and forty."""

import html
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pytest
from toolkit_data import SeenBar, box_sequence, make_sequence, save_baseline, trajectory

from helpers import ROOT
from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.datasets.settings import EAO_TAGS
from pysot.toolkit.evaluation.eao import average
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.report.draw_files import draw, draw_figure
from pysot.toolkit.report.figures import write_figures
from pysot.toolkit.report.score_plots import (
    MAX_LEGEND,
    expected_overlap_plot,
    one_pass_plots,
    rank_plot,
    tags_plot,
    timeline_plot,
)
from pysot.toolkit.report.styles import COLOURS, LONGEST, style_of
from pysot.toolkit.report.summary import tag_values
from pysot.toolkit.results.files import save_ope

pytest.importorskip("matplotlib")
HOSTILE = ("$x_{", "_a", "<b>", "a--b&", r"\frac{", r"$\frac{$", "", "x" * 300, "%d {0}", "two\nlines")
SETTINGS = VotSettings(5, 20, 10)


def texts(path: Path) -> str:
    """Return all text of an SVG. Letters are outlines there; the text is in comments."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    return "\n".join(
        node.text or "" for node in ElementTree.parse(path, parser).iter() if node.tag is ElementTree.Comment
    )


def draw_all(names, folder: Path, suffix: str = "svg") -> list[Path]:
    """Draw the three figures that need no scores, with trackers of these names."""
    rng = np.random.default_rng(0)
    overlaps = {name: rng.uniform(0, 1, 30) for name in names}
    tags = {name: {tag: rng.uniform(0.1, 1) for tag in (*HOSTILE[:4], "e")} for name in names}
    places = {name: place for place, name in enumerate(names)}
    losses = {name: [3, place % 30] for name, place in places.items()}
    plots = {
        "curve": expected_overlap_plot({name: np.linspace(1, 0, 30) for name in names}, SETTINGS, HOSTILE[0]),
        "tags": tags_plot(tags, HOSTILE[0]),
        "time": timeline_plot(HOSTILE[0], overlaps, losses, places),
    }
    return [draw(plot, folder / f"{name}.{suffix}") for name, plot in plots.items()]


@pytest.mark.parametrize(
    "names", [HOSTILE, ("one",), tuple(f"tracker {index}" for index in range(40))], ids=["hostile", "one", "forty"]
)
def test_every_tracker_is_named(tmp_path, names):
    for path in draw_all(names, tmp_path):
        text = html.unescape(texts(path))
        for name in names:
            assert all(line[: LONGEST // 2].replace("--", "- -") in text for line in name.splitlines()), (path, name)


@pytest.mark.filterwarnings("error")
def test_missing_letters_of_the_font_raise_no_warnings(tmp_path):
    assert len(draw_all(("跟踪器",), tmp_path, "png")) == 3


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_formats(tmp_path, suffix):
    for path in draw_all(("one", "two"), tmp_path / "new", suffix):
        data = path.read_bytes()
        if suffix == "png":
            assert min(cv2.imread(str(path)).shape[:2]) > 250
        elif suffix == "pdf":
            assert data.startswith(b"%PDF") and data.rstrip().endswith(b"%%EOF")
        else:
            assert ElementTree.fromstring(data).tag.endswith("svg")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        f"{name}.{suffix}" for name in ("curve", "tags", "time")
    ]


def test_nothing_to_plot():
    with pytest.raises(ValueError, match="nothing to plot"):
        expected_overlap_plot({}, SETTINGS)
    with pytest.raises(ValueError, match="nothing to plot: no tracker was given"):
        timeline_plot("s", {}, {}, {})
    for values in ({}, {"t": {}}, {"t": {"a": 1, "b": 1}}, {"t": {"a": 1, "b": 1, "c": np.nan}}):
        with pytest.raises(ValueError, match="3 or more tags with values, got"):
            tags_plot(values)


def test_the_legend_of_the_curve_is_eao_and_gaps_do_not_matter(tmp_path):
    curve = np.linspace(1, 0, 30)
    curve[7] = np.nan
    text = texts(draw(expected_overlap_plot({"t": curve, "short": np.ones(3)}, SETTINGS), tmp_path / "a.svg"))
    assert f"t [{average(curve, SETTINGS):.3f}]" in text and "short [nan]" in text and "EAO: 5 to 20" in text


def test_labels_of_a_radar(tmp_path):
    values = {
        "m": {"fast_motion": 0.25, "b": 0.5, "c": 0.0, "none": np.nan},
        "n": {"fast_motion": 0.75, "b": np.nan, "c": 0.0, "only_n": 0.125},
    }
    text = texts(draw(tags_plot(values), tmp_path / "a.svg"))
    for label in ("fast motion", "(0.250–0.750)", "(0.500)", "(0.000)", "only n", "(0.125)"):
        assert label in text, label
    assert "none" not in text


@pytest.mark.parametrize("tags", [5, 14])
def test_labels_of_a_radar_do_not_overlap(tags):
    values = {f"t{index}": {f"{tag} Out-of-Plane Rotation": 0.5 for tag in range(tags)} for index in range(8)}
    figure = draw_figure(tags_plot(values, "a title"))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in (*axes.texts, axes.title, *figure.legends)]
    assert len(boxes) == tags + 2 and not any(a.overlaps(b) for index, a in enumerate(boxes) for b in boxes[:index])


def test_labels_of_a_radar_are_not_cut_at_the_rim(tmp_path):
    plot = tags_plot({"t": {f"{tag} Out-of-Plane Rotation of objects": 0.5 for tag in range(6)}})
    image = cv2.imread(str(draw(plot, tmp_path / "a.png")))
    assert (
        all((edge == 255).all() for edge in (image[0], image[-1], image[:, 0], image[:, -1]))
        and not (image == 255).all()
    )


def test_a_timeline_has_a_row_per_loser():
    overlap = np.array([1, 0.5, np.nan, 0.25])
    places = {"a": 0, "b": 1}
    drawn = [
        draw_figure(timeline_plot("s", {"a": overlap, "b": overlap}, {"a": [], "b": [2]}, places)),
        draw_figure(timeline_plot("s", {"a": overlap}, {"a": []}, places)),
    ]
    upper, lower = drawn[0].axes
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["a [0 losses]", "b [1 loss]"]
    assert upper.lines[0].get_xdata().tolist() == [1, 2, 3, 4] and [
        line.get_xdata().tolist() for line in lower.lines
    ] == [[3]]
    assert lower.lines[0].get_marker() == upper.lines[1].get_marker() and lower.lines[0].get_color() == COLOURS[1]
    assert len(drawn[1].axes) == 1


def test_styles_tell_forty_trackers_apart():
    styles = [style_of(place) for place in range(40)]
    assert len({(style.colour, style.dashes) for style in styles}) == 40
    assert len({(style.colour, style.marker) for style in styles}) == 40


def supervised(folder: Path, names=("good", "bad"), sequences=("a", "b"), repetitions=1):
    dataset = Dataset(
        "SET",
        [box_sequence(40, name=name, tags={"occlusion": [1, 1], "size_change": [1]}) for name in sequences],
        EAO_TAGS,
        SETTINGS,
    )
    for index, name in enumerate(names):
        for sequence in dataset.sequences:
            for repetition in range(1, repetitions + 1):
                is_first = index == 0 and repetition == 1
                run = trajectory(40, lost=[] if is_first else [12])
                save_baseline(folder / name, sequence.name, run, repetition)
    folders = [folder / name for name in names]
    return dataset, folders, score_trackers(dataset, folders, with_timelines=True)


def test_all_figures_of_a_supervised_set(tmp_path):
    dataset, folders, scores = supervised(tmp_path, sequences=("a.b", "c d"))
    bar = SeenBar()
    written = write_figures(tmp_path / "out", scores, "svg", bar)
    assert [path.name for path in written] == [
        "SET_scores.svg",
        "SET_expected_overlap.svg",
        "SET_attributes.svg",
        "SET_timelines",
    ]
    assert sorted(path.name for path in written[-1].iterdir()) == ["a.b.svg", "c d.svg"] and bar.taken == [
        ("figures", 5)
    ]
    assert f"bad [{scores.trackers[1].eao['all']:.3f}]" in texts(written[1]) and "occlusion" in texts(written[2])
    assert "bad [1 loss]" in texts(written[-1] / "a.b.svg")
    assert not {path.name for path in tmp_path.iterdir()} - {"out", "good", "bad"}


def test_all_figures_of_a_one_pass_set(tmp_path):
    def draw(attributes):
        dataset = Dataset(
            "OTB100",
            [make_sequence(name, truth=[np.array([20.0, 20, 19, 19])] * 30, attributes=attributes) for name in "ab"],
            (),
            None,
        )
        for name in ("m", "n"):
            for sequence in "ab":
                save_ope(
                    tmp_path / name,
                    sequence,
                    np.array([[20.0, 20, 19, 19]] * 20 + [[120.0 if name == "n" else 21, 20, 19, 19]] * 10),
                )
        (tmp_path / "broken").mkdir(exist_ok=True)
        (tmp_path / "broken" / "a.txt").write_text("1,2,3\n")
        folders = [tmp_path / name for name in ("m", "n", "broken")]
        return write_figures(tmp_path / "out", score_trackers(dataset, folders, with_timelines=True), "svg")

    assert [path.name for path in draw(("Blur", "Scale"))] == ["OTB100_scores.svg", "OTB100_timelines"]
    written = draw(("Blur", "Scale", "Fast"))
    assert [path.name for path in written] == ["OTB100_scores.svg", "OTB100_attributes.svg", "OTB100_timelines"]
    text = texts(written[-1] / "b.svg")
    assert "n [1 loss]" in text and "m [0 losses]" in text and "broken" not in text


def test_the_curve_averages_to_eao_over_all_repetitions(tmp_path):
    dataset, folders, scores = supervised(tmp_path, names=("good",), repetitions=3)
    curve = scores.trackers[0].curve
    assert (
        average(curve, dataset.settings) == pytest.approx(scores.trackers[0].eao["all"])
        and scores.trackers[0].eao["all"] < 1
    )
    assert set(tag_values(scores)["good"]) == set(EAO_TAGS)


def test_timelines_are_of_the_first_existing_repetition(tmp_path):
    dataset, folders, _ = supervised(tmp_path, names=("good",), repetitions=2)
    (folders[0] / "baseline" / "a" / "a_001.txt").unlink()
    timeline = score_trackers(dataset, folders, with_timelines=True).timelines("a")["good"]
    assert timeline.losses == [12] and np.isnan(timeline.overlap[13]) and timeline.overlap[1] == 1


def test_forty_trackers_in_the_figures_of_scores(tmp_path):
    dataset, folders, scores = supervised(tmp_path, names=[f"tracker {index}" for index in range(40)], sequences=("a",))
    assert texts(draw(rank_plot(scores), tmp_path / "a.svg")).count("tracker ") == 40
    one_pass = Dataset("OTB100", [make_sequence("a", truth=[np.array([20.0, 20, 19, 19])] * 9)], (), None)
    for folder in folders:
        save_ope(tmp_path / "ope" / folder.name, "a", np.array([[20.0, 20, 19, 19]] * 9))
    curves = score_trackers(one_pass, [tmp_path / "ope" / folder.name for folder in folders])
    assert texts(draw(one_pass_plots(curves, False)[0], tmp_path / "b.svg")).count("tracker ") == 3 * MAX_LEGEND


def test_neither_pyplot_nor_a_display_is_touched(tmp_path):
    code = (
        "import sys, numpy as np\nfrom pysot.toolkit.report.draw_files import draw\n"
        "from pysot.toolkit.report.score_plots import timeline_plot\n"
        f"draw(timeline_plot('s', {{'a': np.ones(3)}}, {{'a': []}}, {{'a': 0}}), {str(tmp_path / 'a.png')!r})\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env={"PATH": "", "HOME": str(tmp_path)}
    )
    assert done.returncode == 0 and done.stdout.strip() == "False", done.stderr


def test_official_scores_are_drawn_where_they_are_asked_for(tmp_path):
    """Rank, axis and curve are in the official arithmetic."""
    dataset = Dataset("SET", [box_sequence(40, name=name) for name in "ab"], EAO_TAGS, VotSettings(5, 20, 10))
    for sequence in dataset.sequences:
        save_baseline(tmp_path / "m", sequence.name, trajectory(40, lost=[12]))
    scores = score_trackers(dataset, [tmp_path / "m"], mode="vot", with_timelines=True)
    official, pysot = scores.trackers[0].official.eao, scores.trackers[0].eao["all"]
    written = write_figures(tmp_path / "out", scores, "svg", official=True)
    assert f"{official:.3f}" != f"{pysot:.3f}" and "losses per video" in texts(written[0])
    assert all(f"m [{official:.3f}]" in texts(path) and f"m [{pysot:.3f}]" not in texts(path) for path in written[:2])
