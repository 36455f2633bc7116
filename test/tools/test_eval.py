"""The command tools/eval.py: scores, files that it writes, and error messages."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "test" / "parity" / "vot_small"


def run_eval(*args, cwd, blocked=("torch",)):
    """Run tools/eval.py in a process in which the blocked packages cannot be imported."""
    stub = Path(cwd) / "blocked"
    for name in blocked:
        (stub / name).mkdir(parents=True, exist_ok=True)
        (stub / name / "__init__.py").write_text(f"raise ImportError('{name} is blocked in this test')\n")
    env = {**os.environ, "PYTHONPATH": str(stub)}
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "eval.py"), *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
    )


@pytest.fixture
def small(tmp_path):
    """Return a writable folder with vot_small's results in the layout results/VOT2016/<tracker>."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "VOT2016").symlink_to(SMALL / "results")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((), "the following arguments are required"),
        (("-p", "nowhere", "-d", "VOT2016", "--datasetdir", SMALL), "no results folder nowhere"),
        (("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "-t", "x"), "no tracker that begins with 'x'"),
        (("-p", "results/VOT2016", "-d", "VOT2017", "--datasetdir", SMALL), "no data set VOT2017"),
        (("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "-t", "zzz"), "no tracker that begins with 'zzz'"),
        (("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "-n", "0"), "at least one worker"),
        (
            ("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "--json", "a.md", "--table", "new/../a.md"),
            "two outputs have the same name",
        ),
    ],
)
def test_mistakes_are_sentences(small, args, sentence):
    done = run_eval(*args, cwd=small)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr


def test_a_data_set_by_path(small):
    """The path is that of a folder of sequences or of a json; the results are found by the set's name."""
    for video in "ab":
        folder = small / "sets" / "mine" / video
        (folder / "img").mkdir(parents=True)
        (folder / "groundtruth.txt").write_text("1,2,30,40\n" * 3)
        for index in (1, 2, 3):
            (folder / "img" / f"{index}.jpg").touch()
        (small / "results" / "mine" / "model").mkdir(parents=True, exist_ok=True)
        (small / "results" / "mine" / "model" / f"{video}.txt").write_text("1,2,30,40\n" * 3)
    for path in ("sets/mine", "./sets/mine/", small / "sets" / "mine"):
        done = run_eval("-p", "results", "-d", path, "--json", "out.json", cwd=small)
        assert done.returncode == 0, done.stderr
        assert json.loads((small / "out.json").read_text())["model"]["ao"] == 1
    done = run_eval("-p", "results", "-d", SMALL / "VOT2016.json", cwd=small)
    assert done.returncode == 0 and "tracker_a" in done.stdout


def test_table_and_json_without_torch(small):
    done = run_eval(
        "-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "-s", "-n", "2", "--json", "new/out.json", cwd=small
    )
    assert done.returncode == 0, done.stderr
    assert "| Tracker Name | Accuracy | Robustness | Lost Number |  EAO  |" in done.stdout
    assert (
        done.stdout.index("tracker_a") < done.stdout.index("tracker_b") < done.stdout.index("tracker_c")
        and "seq11" in done.stdout
    )
    scores = json.loads((small / "new" / "out.json").read_text())
    expected = json.loads((ROOT / "test" / "parity" / "vot_small.expected.json").read_text())["VOT2016"]
    assert scores.keys() == expected.keys()
    for name, score in scores.items():
        assert score.keys() == {"accuracy", "robustness", "lost", "eao", "videos", "tags"} and math.isnan(
            score["eao"]["empty"]
        )
        assert score["eao"]["all"] == pytest.approx(expected[name]["eao"]["all"], abs=1e-6)
        accuracy, lost = expected[name]["per_video"]["seq03"]
        assert score["videos"]["seq03"] == {"accuracy": pytest.approx(accuracy), "lost": lost}


def test_prefix_and_a_tracker_that_cannot_be_scored(small):
    (small / "results" / "VOT2016").unlink()
    for name in ("tracker_a", "tracker_b"):
        (small / "results" / "VOT2016" / name / "baseline").mkdir(parents=True)
    (small / "results" / "VOT2016" / "tracker_a" / "baseline").rmdir()
    (small / "results" / "VOT2016" / "tracker_a" / "baseline").symlink_to(SMALL / "results" / "tracker_a" / "baseline")
    done = run_eval("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, cwd=small)
    assert (
        done.returncode == 0
        and "tracker_b [not scored]" in done.stdout
        and "seq00_001.txt" in done.stdout
        and "and 7 more" in done.stdout
    )
    done = run_eval("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "-t", "tracker_b", cwd=small)
    assert done.returncode == 2 and "no tracker could be scored" in done.stderr and "tracker_a" not in done.stdout


@pytest.mark.parametrize(
    ("more", "suffix", "start"), [((), "png", b"\x89PNG"), (("--vis_format", "pdf"), "pdf", b"%PDF")]
)
def test_plots_are_saved_beside_the_results(small, more, suffix, start):
    pytest.importorskip("matplotlib")
    (small / "results" / "VOT2016").unlink()
    (small / "results" / "VOT2016" / "tracker_a").mkdir(parents=True)
    (small / "results" / "VOT2016" / "tracker_a" / "baseline").symlink_to(SMALL / "results" / "tracker_a" / "baseline")
    done = run_eval("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "--vis", *more, cwd=small)
    assert done.returncode == 0, done.stderr
    for plot in ("scores", "expected_overlap", "attributes"):
        path = small / "results" / "VOT2016" / f"VOT2016_{plot}.{suffix}"
        assert path.read_bytes().startswith(start) and path.name in done.stderr
    timelines = sorted((small / "results" / "VOT2016" / "VOT2016_timelines").iterdir())
    assert [path.name for path in timelines] == [f"seq{index:02d}.{suffix}" for index in range(12)] and timelines[
        0
    ].read_bytes().startswith(start)
    assert "VOT2016_timelines" in done.stderr
    # Plots are not mistaken for trackers.
    again = run_eval("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, cwd=small)
    assert again.returncode == 0 and again.stdout == done.stdout


def test_an_unknown_format_is_a_sentence(small):
    done = run_eval("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "--vis", "--vis_format", "bmp", cwd=small)
    assert done.returncode == 2 and "invalid choice: 'bmp'" in done.stderr


def test_plot_without_matplotlib_says_what_to_install(small):
    done = run_eval(
        "-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "--vis", cwd=small, blocked=("torch", "matplotlib")
    )
    assert done.returncode == 2 and "pip install matplotlib" in done.stderr and "tracker_a" in done.stdout


def test_nothing_scored_keeps_the_json_that_was_there(small):
    (small / "out.json").write_text("kept")
    (small / "lone" / "VOT2016" / "t" / "baseline" / "seq00").mkdir(parents=True)
    done = run_eval("-p", "lone", "-d", "VOT2016", "--datasetdir", SMALL, "--json", "out.json", cwd=small)
    assert (
        done.returncode == 2
        and "no tracker could be scored" in done.stderr
        and (small / "out.json").read_text() == "kept"
    )


def test_an_unwritable_json_is_noticed_first(small):
    (small / "file").write_text("")
    done = run_eval("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "--json", "file/out.json", cwd=small)
    assert done.returncode == 2 and "cannot write" in done.stderr and "|" not in done.stdout


@pytest.mark.parametrize(
    ("suffix", "line"), [("csv", "tracker_a,0."), ("tex", r"tracker\_a & 0."), ("md", "| tracker_a | 0.")]
)
def test_tables_as_files(small, suffix, line):
    done = run_eval(
        "-p",
        "results",
        "-d",
        "VOT2016",
        "--datasetdir",
        SMALL,
        "--table",
        f"new/out.{suffix}",
        "--mode",
        "both",
        cwd=small,
    )
    text = (small / "new" / f"out.{suffix}").read_text()
    assert done.returncode == 0 and line in text and "EAO vot" in text and text.count("tracker") == 3
    done = run_eval("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "--table", "out.doc", cwd=small)
    assert done.returncode == 2 and "a table is a .csv, .tex or .md file, got out.doc" in done.stderr


def test_a_report_of_the_command(small):
    done = run_eval("-p", "results", "-d", "VOT2016", "--datasetdir", SMALL, "--report", "new/out.html", cwd=small)
    assert done.returncode == 0 and (small / "new" / "out.html").read_text().count("<details") == 12
