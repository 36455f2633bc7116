"""Table of protocols: the experiments of each set, and a protocol that a test registers."""

import json
import pickle
from dataclasses import dataclass, field, replace
from functools import partial

import cv2
import numpy as np
import pytest
from toolkit_data import ShakingTracker, box_sequence, moving_polygons, trajectory, write_frames

from pysot.toolkit.content.page_tables import page_table
from pysot.toolkit.content.plot import POINTS, Panel, Plot, Series
from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.experiments.runner import frames_to_track, run_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocol import NAN, Protocol, Report, Task, Timeline, TrackerScore
from pysot.toolkit.protocols import find_protocol, table
from pysot.toolkit.report.figures import write_figures
from pysot.toolkit.report.html_report import write_report
from pysot.toolkit.report.summary import full_text, rows_of
from pysot.toolkit.report.text_tables import label, number, per_video
from pysot.toolkit.results.files import load_run, save_vot
from pysot.toolkit.results.paths import vot_file
from pysot.toolkit.tracking.one_pass import one_pass_steps

SETTINGS = VotSettings(5, 20, 10)


def data_set(protocol: str, settings: VotSettings | None = None, **more) -> Dataset:
    return Dataset("SET", [box_sequence(8, name="a", **more)], (), settings, protocol)


@pytest.mark.parametrize(
    ("protocol", "settings", "known"),
    [
        (
            "supervised",
            SETTINGS,
            {None: "baseline", "baseline": "baseline", "realtime": "realtime", "unsupervised": "unsupervised"},
        ),
        ("multistart", SETTINGS, {None: "baseline", "realtime": "realtime", "unsupervised": "unsupervised"}),
        ("longterm", None, {None: "longterm", "longterm": "longterm"}),
        ("one pass", None, {None: ""}),
    ],
)
def test_experiments_of_a_set(protocol, settings, known):
    dataset = data_set(protocol, settings, anchors=((0, False),))
    assert {name: find_protocol(dataset, name).experiment for name in known} == known
    assert find_protocol(dataset).is_default
    with pytest.raises(ValueError, match=f"SET has no experiment 'other'; it has .*{known[None] or 'one pass only'}"):
        find_protocol(dataset, "other")


def test_sets_that_do_not_fit_their_protocol():
    message = "unknown protocol 'odd', expected one of supervised, multistart, longterm, one pass"
    with pytest.raises(ValueError, match=message):
        find_protocol(data_set("odd"))
    for name in ("supervised", "multistart"):
        with pytest.raises(ValueError, match=f"protocol '{name}' needs settings"):
            find_protocol(data_set(name))


@dataclass(frozen=True, kw_only=True)
class WidthScore(TrackerScore):
    """Mean width of the boxes."""

    width: float = NAN
    videos: dict[str, float] = field(default_factory=dict)

    @property
    def rank_by(self):
        return self.width

    @property
    def by_video(self):
        return {name: {"width": width} for name, width in self.videos.items()}

    def to_json(self):
        return {"width": self.width}


def tasks(dataset, sequence, tracker_dir):
    path = vot_file(tracker_dir, sequence.name, experiment="widths")
    return [Task(sequence, path, partial(one_pass_steps, with_start_code=True), save_vot, load_run)]


def load(dataset, sequence, tracker_dir, notes):
    notes.append("widths only")
    return load_run(vot_file(tracker_dir, sequence.name, experiment="widths"), len(sequence))


def score(dataset, results, mode, with_timelines):
    videos = {name: float(np.nanmean(run.regions[:, 2])) for name, run in results.items()}
    timelines = {}
    if with_timelines:
        timelines = {name: Timeline(np.full(len(run), 0.5), [3], run.regions) for name, run in results.items()}
    return WidthScore(width=float(np.mean(list(videos.values()))), videos=videos, timelines=timelines)


def text(scores, mode, spread, paint):
    return "\n".join(f"{label(score)}: {number(score.width, 2)} {score.notes}" for score in scores.trackers)


def tables(scores, mode):
    return {
        "": [["tracker", "width"], *([score.name, number(score.width, 2)] for score in scores.scored)],
        "videos": per_video(scores.scored, ("width",), (2,), lambda width: (width,)),
    }


def plots(scores, official):
    dots = [
        Series(score.name, place, np.array([place]), np.array([score.width]), way=POINTS)
        for place, score in enumerate(scores.scored)
    ]
    return [Plot("widths", (Panel("widths", "tracker", "width", tuple(dots), y_range=(None, None)),), (4, 3))]


def overview(scores):
    rows = [[score.name, score.width] for score in scores.scored]
    return [page_table("Ranking", ["tracker", "mean width"], rows)]


WIDTHS = Protocol(
    name="widths",
    dataset_protocols=("widths",),
    experiment="widths",
    tasks=tasks,
    load=load,
    score=score,
    score_class=WidthScore,
    report=Report(text, tables, {"videos": "Widths of videos"}, lambda score: {}, plots, overview),
    is_default=True,
)


def test_a_protocol_that_a_test_registers(tmp_path, monkeypatch):
    """It is run, scored, printed, drawn and reported, and only the table refers to it."""
    monkeypatch.setattr(table, "PROTOCOLS", (*table.PROTOCOLS, WIDTHS))
    truth = moving_polygons(10)
    dataset = Dataset("MINE", [box_sequence(10, name=name) for name in "ab"], (), None, "widths")
    for sequence in dataset.sequences:
        write_frames(tmp_path / sequence.name, 10)
        sequence.frame_paths[:] = [str(tmp_path / sequence.name / f"{index + 1:08d}.png") for index in range(10)]
    for name in ("m", "n"):
        assert run_dataset(ShakingTracker(truth), dataset, tmp_path / name).tracked == ["a", "b"]
    assert run_dataset(ShakingTracker(truth), dataset, tmp_path / "m").kept == ["a", "b"]
    assert frames_to_track(dataset, dataset.sequences[0], tmp_path) == 10
    vot_file(tmp_path / "n", "b", experiment="widths").unlink()

    scores = score_trackers(dataset, [tmp_path / "m", tmp_path / "n"], with_timelines=True)
    width = np.ptp(truth[0][0::2])
    assert scores.to_json() == {"m": {"width": pytest.approx(width, abs=1e-3)}} and json.dumps(scores.to_json())
    printed = full_text(scores, "pysot", True)
    assert printed.startswith(f"m: {width:.2f} ('widths only',)\nn [not scored]: -")
    assert "Widths of videos" in printed
    assert rows_of(scores, "pysot")["videos"][1] == ["a", f"{width:.2f}"]
    page = write_report(tmp_path / "out.html", scores, {}).read_text()
    assert "mean width" in page and "m loses it at frame 4" in page and "is not scored" in page
    written = write_figures(tmp_path / "figures", scores)
    assert [path.name for path in written] == ["MINE_widths.png", "MINE_timelines"]
    assert cv2.imread(str(written[0])) is not None
    assert sorted(path.name for path in written[1].iterdir()) == ["a.png", "b.png"]
    assert not score_trackers(dataset, [tmp_path / "n"], partial=True).trackers[0].problems


def test_reports_need_timelines(tmp_path):
    dataset = data_set("supervised", SETTINGS)
    dataset = replace(dataset, tags=("all",))
    save_vot(vot_file(tmp_path / "m", "a"), trajectory(8))
    scores = score_trackers(dataset, [tmp_path / "m"])
    for report in (
        lambda: write_report(tmp_path / "out.html", scores, {}),
        lambda: write_figures(tmp_path / "out", scores),
    ):
        with pytest.raises(ValueError, match="made without timelines; ask for them: score_trackers"):
            report()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]


@pytest.mark.parametrize(
    "protocol", table.PROTOCOLS, ids=lambda protocol: f"{protocol.name} of {protocol.dataset_protocols[0]}"
)
def test_protocols_can_be_sent_to_worker_processes(protocol):
    assert pickle.loads(pickle.dumps(protocol)).name == protocol.name
