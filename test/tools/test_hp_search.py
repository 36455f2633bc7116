"""hp_search.py as a command: results that test.py has too, interrupts, several processes, and bad input."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from helpers import ROOT, experiment, moving_square, tiny_config
from pysot.core.config import load_config
from pysot.models.model_builder import build_model

TINY = ["BACKBONE.KWARGS.width_mult", "0.0625", "RPN.KWARGS.in_channels", "16", "RPN.KWARGS.out_channels", "16"]
GRID = ["--method", "grid", "--penalty-k", "0.05,0.35,0.2", "--lr", "0.2,0.6,0.3", "--window-influence", "0.3"]
# Signs of life of a process come each second, and after three seconds without one it has died.
IMPATIENT = (
    "import sys, runpy; sys.path[:0] = [{tools!r}, {root!r}]; from pysot.tuning import study; study.BEAT = 1; "
    "study.GRACE = 3; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Return a folder with a snapshot of a small network, and three sequences that are long enough for an EAO."""
    folder = tmp_path_factory.mktemp("search")
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(tiny_config()).state_dict()}, folder / "net.pth")
    for index in range(3):
        moving_square(folder / "sets" / "VOT2016" / f"square{index}", frames=112, seed=index)
    (folder / "sets" / "VOT2016" / "list.txt").write_text("square0\nsquare1\nsquare2\n")
    return folder


def command(tool, place, *arguments):
    start = [sys.executable, str(ROOT / "tools" / tool), "--cfg", experiment("quickstart"), "--device", "cpu"]
    data = ["--snapshot", str(place / "net.pth"), "-d", "VOT2016", "--datasetdir", str(place / "sets")]
    return [*start, *data, *map(str, arguments), "--opts", *TINY]


def run(tool, place, *arguments, opts=()):
    done = subprocess.run(
        [*command(tool, place, *arguments), *map(str, opts)], capture_output=True, text=True, cwd=place, timeout=500
    )
    return done.returncode, done.stdout, done.stderr


def results(folder: Path) -> dict[str, bytes]:
    """Return the contents of result files by their paths in a tracker's folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("baseline/*/*_001.txt"))}


def test_results_equal_those_of_the_test_tool(place, tmp_path):
    status, out, error = run("hp_search.py", place, *GRID, "--hold-out", 1, "--no-prune", "--results_dir", tmp_path)
    assert status == 0, error
    folders = sorted(path for path in (tmp_path / "VOT2016").iterdir() if not path.name.startswith("."))
    names = [f"net_r255_pk-{pk}_wi-0.300_lr-{lr}" for pk in ("0.050", "0.250") for lr in ("0.200", "0.500")]
    own = "net_r255_pk-0.160_wi-0.400_lr-0.300"
    assert [folder.name for folder in folders] == sorted([*names, own])
    whole = [folder for folder in folders if len(results(folder)) == 3]
    assert len(whole) == 2  # the best and the config's own are also tracked on the sequence that was kept aside
    for folder in folders:
        pk, wi, lr = (part.split("-")[1] for part in folder.name.split("_")[2:])
        opts = ["TRACK.PENALTY_K", pk, "TRACK.WINDOW_INFLUENCE", wi, "TRACK.LR", lr]
        reference = tmp_path / f"reference_{folder.name}"
        assert run("test.py", place, "--results_dir", reference, opts=opts)[0] == 0
        expected = results(reference / "VOT2016" / "net")
        assert results(folder).items() <= expected.items()
    assert "kept aside" in out
    assert "the config's" in out
    best = load_config(tmp_path / "VOT2016_net_best.yaml")
    assert f"_lr-{best.TRACK.LR:.3f}" in next(folder.name for folder in whole if folder.name != own)
    assert best.BACKBONE.KWARGS.width_mult == 0.0625
    page = (tmp_path / "VOT2016_net.html").read_text()
    assert page.count('class="plotly-graph-div"') == 3
    assert "Landscape" in page
    assert page.count('<th scope="col"><button type="button">setting</button></th>') == 2
    assert not (tmp_path / ".unfinished").exists()
    scored = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "eval.py"), "-p", str(tmp_path), "-d", "VOT2016",
         "--datasetdir", str(place / "sets"), "--partial"], capture_output=True, text=True)  # fmt: skip
    assert all(folder.name in scored.stdout for folder in folders)


def settings_done(folder: Path) -> int:
    return len([path for path in folder.glob("VOT2016/net_*") if results(path)])


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_search_goes_on(place, tmp_path, signum):
    arguments = [*GRID, "--hold-out", 0, "--settings", 2, "--results_dir", tmp_path, "--no-prune"]
    process = subprocess.Popen(
        command("hp_search.py", place, *arguments), cwd=place, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(tmp_path.glob(".unfinished/*/*/baseline/*/*_001.txt")), process)
    process.send_signal(signum)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signum, error
    assert "interrupted; finished settings are in" in error
    states = [trial.state.name for trial in stored(tmp_path).trials]
    assert states.count("RUNNING") == 0
    assert states.count("WAITING") == 2  # those of the round; the others have not been given out
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".unfinished/*/*/baseline/*/*_001.txt")}
    assert kept
    status, out, error = run("hp_search.py", place, *arguments)
    assert status == 0, error
    assert "too good for others" in out
    finished = [trial for trial in stored(tmp_path).trials if trial.state.name == "COMPLETE"]
    assert len(finished) == 4
    for path, modified in kept.items():
        number_and_name, *rest = path.relative_to(tmp_path / ".unfinished" / "VOT2016_net").parts
        moved = tmp_path.joinpath("VOT2016", number_and_name.partition("_")[2], *rest)
        assert moved.stat().st_mtime_ns == modified


def stored(folder: Path) -> optuna.Study:
    return optuna.load_study(storage=f"sqlite:///{folder}/VOT2016_net.db", study_name="net")


def test_two_processes_and_one_that_is_killed(place, tmp_path):
    """All settings are finished once; those of the killed process are tracked by another one."""
    start = IMPATIENT.format(tools=str(ROOT / "tools"), root=str(ROOT))
    arguments = [*GRID, "--hold-out", 0, "--settings", 1, "--results_dir", tmp_path, "--no-prune"]
    impatient = [sys.executable, "-c", start, *command("hp_search.py", place, *arguments)[1:]]
    killed = subprocess.Popen(impatient, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    wait_for(lambda: list(tmp_path.glob(".unfinished/*/*/baseline/*/*_001.txt")), killed)
    killed.kill()
    killed.communicate()
    others = [
        subprocess.Popen(impatient, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    texts = [process.communicate(timeout=300) for process in others]
    assert [process.returncode for process in others] == [0, 0], texts
    assert any("EAO tuned" in out for out, _ in texts)
    trials = stored(tmp_path).trials
    finished = [str(trial.params) for trial in trials if trial.state.name == "COMPLETE"]
    assert len(finished) == len({*finished}) == 4
    assert [trial.state.name for trial in trials].count("FAIL") == 1
    assert settings_done(tmp_path) == 5


def test_pruned_settings_leave_no_results(place, tmp_path):
    status, _, error = run(
        "hp_search.py", place, "--trials", 6, "--settings", 3, "--hold-out", 0, "--results_dir", tmp_path
    )
    assert status == 0, error
    trials = stored(tmp_path).trials
    assert len(trials) == 6
    finished = {trial.number for trial in trials if trial.state.name == "COMPLETE"}
    assert settings_done(tmp_path) == len(finished) + 1
    for trial in trials:
        assert all(np.isfinite(list(trial.intermediate_values.values())))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hold-out", 3], "none is left to tune on"),
        (["--method", "grid", "--lr", "0.5,0.1,0.1"], "TRACK.LR: expected LOW below HIGH"),
        (["--param", "TRACK.LR", "0.1,0.2", "--lr", "0.1,0.2"], "TRACK.LR has 2 ranges; give it one"),
        (["--param", "RATE", "0.1,0.2"], "TRACK.RATE is no key of the config"),
        (["--experiment", "realtime"], "counts the seconds of one tracker"),
        (["--window-influence", "0.5,1.5"], "TRACK.WINDOW_INFLUENCE: expected a number from 0 to 1"),
        (["--storage", "nothing"], "cannot be read or written"),
        (["--snapshot", "missing.pth"], "missing.pth"),
    ],
)
def test_mistakes(place, tmp_path, arguments, message):
    status, _, error = run("hp_search.py", place, "--results_dir", tmp_path / "results", *arguments)
    assert (status, "Traceback" in error) == (2, False), error
    assert message in error


def test_a_study_of_another_network(place, tmp_path):
    arguments = [*GRID, "--hold-out", 0, "--results_dir", tmp_path]
    assert run("hp_search.py", place, *arguments)[0] == 0
    status, _, error = run("hp_search.py", place, *arguments, opts=["TRACK.CONTEXT_AMOUNT", 0.4])
    assert status == 2
    assert "is of another network, config or device" in error


def test_without_optuna(place):
    """A sentence, not a traceback, says what to install."""
    blocked = "import sys, runpy; sys.modules['optuna'] = None; sys.argv = sys.argv[1:]; "
    blocked += f"sys.path.insert(0, {str(ROOT / 'tools')!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", blocked, *command("hp_search.py", place)[1:]], capture_output=True, text=True,
        env=os.environ, cwd=place)  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "optuna is not installed: pip install -r requirements.txt, or pip install '.[tune]'" in done.stderr
