"""tools/vot_workspace.py, and trackers in the real vot-toolkit: the results of tools/test.py, the scores of eval.py."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from helpers import ROOT, tiny_config, tiny_mask_config
from pysot.load import load_tracker
from pysot.toolkit.datasets.load import load_dataset
from pysot.toolkit.datasets.sequence import VotSettings
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.results.files import load_baseline, load_run
from pysot.utils.bbox import init_box_from_region
from pysot.utils.image import read_image
from pysot.utils.masks import region_lines
from vot_helpers import (
    FRAMES,
    OBJECTS,
    ONLY_UNSUPERVISED,
    PYTHON,
    SHARED_PACKAGES,
    STACK,
    TRAX,
    analyse,
    make_set,
    make_workspace,
    needs_python_protocol,
    needs_trax,
    run,
    save_tracker,
    vot,
)

SETTINGS = VotSettings(low=5, high=20, peak=10)


def track(folder, snapshot, dataset, experiment=None):
    """Track a set with tools/test.py; return the folder of the results."""
    words = ["--experiment", experiment] if experiment else []
    tool = [sys.executable, ROOT / "tools" / "test.py", "--snapshot", snapshot, "--dataset", dataset]
    run(*tool, "--results_dir", folder / "results", "--device", "cpu", "--workers", "1", *words, cwd=folder)
    return folder / "results" / dataset.name / snapshot.stem


def assert_same(ours, theirs, load=load_run):
    """Compare the results of two folders; the toolkit writes float32."""
    paths = sorted(path for path in theirs.rglob("*") if path.suffix in (".bin", ".txt"))
    assert paths
    for path in paths:
        expected = ours / path.parent.name / f"{path.stem}.txt"
        frames = len(expected.read_text().splitlines())
        a, b = load(expected, frames), load(path, frames)
        assert np.array_equal(a.codes, b.codes), path.name
        assert np.array_equal(np.isnan(a.regions), np.isnan(b.regions))
        assert np.nan_to_num(abs(a.regions - b.regions)).max() < 1e-4, path.name
        assert sorted(a.masks) == sorted(b.masks)
        assert all(a.masks[frame].text() == b.masks[frame].tight().text() for frame in a.masks), path.name
    return len(paths)


def test_arguments_that_do_not_fit(tmp_path):
    tool = [sys.executable, ROOT / "tools" / "vot_workspace.py", tmp_path / "w", "--snapshot", "gone.pth"]
    for words in ([], ["--stack", "vots2023", "--add"]):
        done = run(*tool, *words, check=False)
        assert done.returncode == 2 and "expected --stack NAME for a new workspace, or --add" in done.stderr
    done = run(*tool, "--add", check=False)
    assert done.returncode == 2 and "is no workspace" in done.stderr
    done = run(*tool, "--stack", "vots2023", "--protocol", "python", "--form", "auto", check=False)
    assert done.returncode == 2 and "which has boxes only; leave out --form" in done.stderr


def test_the_server_without_a_client(tmp_path):
    pytest.importorskip("trax")
    snapshot = save_tracker(tmp_path / "tiny.pth", tiny_config())
    done = run(sys.executable, ROOT / "tools" / "vot_server.py", "--snapshot", tmp_path / "gone.pth", check=False)
    assert done.returncode == 2 and "gone.pth" in done.stderr
    words = ["--snapshot", snapshot, "--device", "cpu", "--form", "round"]
    done = run(sys.executable, ROOT / "tools" / "vot_server.py", *words, check=False)
    assert done.returncode == 2 and "expected auto or box, got 'round'" in done.stderr


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A workspace in which all experiments were run over TraX, its set with anchors, and the tracker."""
    folder = tmp_path_factory.mktemp("trax")
    dataset = make_set(folder / "sets" / "STARTS", anchors=True)
    config = tiny_config("TRACK.WINDOW_INFLUENCE", 0.9, "TRACK.LR", 0.05)
    snapshot = save_tracker(folder / "tiny.pth", config, scale=0)
    made = make_workspace(folder / "w", snapshot, STACK, TRAX, "--dataset", dataset)
    assert "tracker tiny over trax, which started in" in made.stdout
    vot(TRAX, "evaluate", folder / "w", "tiny")
    return folder, dataset, snapshot


@needs_trax
def test_results_are_those_of_test_py(evaluated):
    folder, dataset, snapshot = evaluated
    plain = make_set(folder / "sets" / "PLAIN")
    results = folder / "w" / "results" / "tiny"
    ours = track(folder, snapshot, plain, "baseline")
    assert assert_same(ours / "baseline", results / "supervised", load_baseline) == 2
    losses = [len(load_baseline(path).failures) for path in (ours / "baseline").rglob("*_001.txt")]
    assert all(1 <= count <= 3 for count in losses), "the videos should have frames that are tracked, and losses"
    track(folder, snapshot, plain, "unsupervised")
    assert assert_same(ours / "unsupervised", results / "unsupervised") == 2
    assert assert_same(track(folder, snapshot, dataset) / "baseline", results / "starts") == 6


@needs_trax
def test_scores_are_those_of_eval_py(evaluated):
    """Both of the toolkit's result files, ours in the arithmetic of the official toolkit."""
    folder, dataset, _ = evaluated
    theirs = analyse(TRAX, folder / "w", "tiny")
    vot(TRAX, "report", folder / "w", "tiny")
    assert list((folder / "w" / "reports").rglob("*.html"))
    plain = make_set(folder / "sets" / "SCORED")
    ours = {}
    for name, set_folder in (("supervised", plain), ("unsupervised", plain), ("starts", dataset)):
        experiment = "unsupervised" if name == "unsupervised" else "baseline"
        tracker = folder / f"scored_{name}" / "tiny"
        tracker.mkdir(parents=True)
        (tracker / experiment).symlink_to(folder / "w" / "results" / "tiny" / name)
        loaded = replace(load_dataset(set_folder.name, set_folder.parent), settings=SETTINGS)
        (score,) = score_trackers(loaded, [tracker], experiment=experiment, mode="official").scored
        ours[name] = score.to_json().get("vot", score.to_json())
    (accuracy, lost, *_), (eao,) = theirs["supervised"]
    supervised = [ours["supervised"][name] for name in ("accuracy", "robustness", "eao")]
    assert supervised == pytest.approx([accuracy, lost, eao], abs=1e-6)
    (eao,), (accuracy, robustness, *_) = theirs["starts"]
    starts = [ours["starts"][name] for name in ("eao", "accuracy", "robustness")]
    assert starts == pytest.approx([eao, accuracy, robustness], abs=1e-6)
    assert ours["unsupervised"]["accuracy"] == pytest.approx(theirs["unsupervised"][0][0], abs=1e-6)


@needs_trax
def test_masks_over_trax(tmp_path):
    """A tracker of masks that starts on masks answers with masks, as it does in tools/test.py."""
    dataset = make_set(tmp_path / "sets" / "VOT2020", anchors=True, masks=True)
    snapshot = save_tracker(tmp_path / "mask.pth", tiny_mask_config("refine"))
    stack = "experiments:\n  starts: {type: multistart}\n"
    make_workspace(tmp_path / "w", snapshot, stack, TRAX, "--dataset", dataset)
    vot(TRAX, "evaluate", tmp_path / "w", "mask")
    ours = track(tmp_path, snapshot, dataset) / "baseline"
    assert assert_same(ours, tmp_path / "w" / "results" / "mask" / "starts") == 6
    runs = [load_run(path, None) for path in ours.rglob("*_00000000.txt")]
    assert any(run.masks for run in runs), "no mask was found, so that none was compared"


def objects_alone(folder, snapshot, objects):
    """Return the boxes of each object of the first video, tracked without the others."""
    tracker = load_tracker(snapshot, device="cpu")
    paths = sorted((folder / "first" / "color").iterdir())
    boxes = []
    for number in range(1, objects + 1):
        regions, _ = region_lines(folder / "first" / f"groundtruth_{number}.txt")
        tracker.init(read_image(paths[0]), init_box_from_region(regions[0]))
        boxes.append([tracker.track(read_image(path))["bbox"] for path in paths[1:]])
    return boxes


def assert_objects(workspace, snapshot, dataset, name):
    expected = objects_alone(dataset, snapshot, 3)
    for number, boxes in enumerate(expected, 1):
        result = load_run(workspace / "results" / name / "objects" / "first" / f"first_{number}_001.bin", FRAMES)
        found = result.regions[1:, :4]
        assert len(result) == FRAMES and not np.allclose(found, found[0])
        # In a batch the rounding differs, and a tracker feeds it back.
        assert np.abs(found[:8] - np.array(boxes)[:8]).max() < 0.05


@needs_trax
def test_several_objects_over_trax(tmp_path):
    dataset = make_set(tmp_path / "OBJECTS", objects=3)
    snapshot = save_tracker(tmp_path / "tiny.pth", tiny_config())
    make_workspace(tmp_path / "w", snapshot, OBJECTS, TRAX, "--dataset", dataset)
    vot(TRAX, "evaluate", tmp_path / "w", "tiny")
    assert_objects(tmp_path / "w", snapshot, dataset, "tiny")


@needs_python_protocol
@pytest.mark.parametrize("masks", [False, True])
def test_several_objects_over_the_python_protocol(tmp_path, masks):
    """The toolkit fails on masks and is asked for the boxes around them: the tracker starts on the same boxes."""
    dataset = make_set(tmp_path / "OBJECTS", masks=masks, objects=3)
    snapshot = save_tracker(tmp_path / "tiny.pth", tiny_config())
    words = ["--dataset", dataset, "--protocol", "python"]
    make_workspace(tmp_path / "w", snapshot, OBJECTS, PYTHON, *words, env=SHARED_PACKAGES)
    vot(PYTHON, "evaluate", tmp_path / "w", "tiny", env=SHARED_PACKAGES)
    assert_objects(tmp_path / "w", snapshot, dataset, "tiny")


@needs_python_protocol
def test_the_python_protocol(tmp_path):
    """The results of tools/test.py; the toolkit's own failures are known before anything is tracked."""
    dataset = make_set(tmp_path / "sets" / "PLAIN")
    snapshot = save_tracker(tmp_path / "tiny.pth", tiny_config())
    words = ["--dataset", dataset, "--protocol", "python"]
    made = make_workspace(tmp_path / "w", snapshot, STACK, PYTHON, *words, env=SHARED_PACKAGES)
    for experiment in ("supervised", "starts"):
        assert f"the experiment {experiment}: vot-toolkit 0.8.0 to 0.9.0 fails on" in made.stdout
    vot(PYTHON, "evaluate", tmp_path / "w", "tiny", env=SHARED_PACKAGES)
    ours = track(tmp_path, snapshot, dataset, "unsupervised") / "unsupervised"
    assert assert_same(ours, tmp_path / "w" / "results" / "tiny" / "unsupervised") == 2


@needs_python_protocol
def test_the_python_protocol_in_an_environment_without_the_package(tmp_path):
    snapshot = save_tracker(tmp_path / "tiny.pth", tiny_config())
    words = ["--protocol", "python"]
    done = make_workspace(tmp_path / "w", snapshot, ONLY_UNSUPERVISED, PYTHON, *words, check=False)
    assert done.returncode == 2 and "[vot]'" in done.stderr and not (tmp_path / "w").exists()


@needs_trax
@pytest.mark.parametrize(
    ("stack", "words"),
    [
        ("experiments: {}\n", "the stack has no experiments"),
        ("experiments:\n  a: {type: referral}\n", "can run no experiment of"),
    ],
)
def test_stacks_that_cannot_be_run(tmp_path, stack, words):
    done = make_workspace(tmp_path / "w", save_tracker(tmp_path / "a.pth", tiny_config()), stack, TRAX, check=False)
    assert done.returncode == 2 and words in done.stderr and not (tmp_path / "w").exists()


@needs_trax
def test_an_unknown_stack(tmp_path):
    tool = [sys.executable, ROOT / "tools" / "vot_workspace.py", tmp_path / "w", "--snapshot", "a", "--toolkit", TRAX]
    done = run(*tool, "--stack", "vot2022/longtrem", check=False)
    assert done.returncode == 2 and "did you mean vot2022/longterm" in done.stderr and not (tmp_path / "w").exists()


@needs_trax
def test_a_tracker_that_cannot_track(tmp_path):
    """The reason is that of the tracker, before anything is evaluated."""
    snapshot = save_tracker(tmp_path / "nan.pth", tiny_config(), scale=float("nan"))
    done = make_workspace(tmp_path / "w", snapshot, ONLY_UNSUPERVISED, TRAX, check=False)
    assert done.returncode == 2 and "NaN" in done.stderr and not (tmp_path / "w").exists()


@needs_trax
def test_a_tracker_that_crashes_in_the_middle(tmp_path):
    """The toolkit names the frame that is damaged, and a second evaluation continues."""
    dataset = make_set(tmp_path / "SET")
    snapshot = save_tracker(tmp_path / "tiny.pth", tiny_config())
    make_workspace(tmp_path / "w", snapshot, ONLY_UNSUPERVISED, TRAX, "--dataset", dataset)
    frame = dataset / "second" / "color" / "00000020.png"
    content = frame.read_bytes()
    frame.write_bytes(content[:100])
    vot(TRAX, "evaluate", tmp_path / "w", "tiny", check=False)
    logs = "".join(path.read_text() for path in (tmp_path / "w" / "logs").iterdir())
    assert "00000020.png" in logs and "cut off" in logs
    results = tmp_path / "w" / "results" / "tiny" / "unsupervised"
    assert (results / "first" / "first_001.bin").exists() and not (results / "second" / "second_001.bin").exists()
    frame.write_bytes(content)
    vot(TRAX, "evaluate", tmp_path / "w", "tiny")
    assert (results / "second" / "second_001.bin").exists()


@needs_trax
def test_a_tracker_that_hangs(tmp_path):
    """The toolkit ends it after --timeout seconds, and no process is left."""
    dataset = make_set(tmp_path / "SET")
    lines = ["format=default", "channels.color=color/%08d.png", f"length={FRAMES}"]
    (dataset / "first" / "sequence").write_text("\n".join(lines) + "\n")
    snapshot = save_tracker(tmp_path / "tiny.pth", tiny_config())
    make_workspace(tmp_path / "w", snapshot, ONLY_UNSUPERVISED, TRAX, "--dataset", dataset, "--timeout", "8")
    frame = dataset / "first" / "color" / "00000020.png"
    frame.unlink()
    os.mkfifo(frame)  # nobody writes into it: who reads it waits for ever
    done = vot(TRAX, "evaluate", tmp_path / "w", "tiny", check=False)
    assert "did not reply in 8 seconds" in done.stdout + done.stderr
    assert not run("pgrep", "-f", f"vot_server.py --snapshot {snapshot}", check=False).stdout


@needs_trax
def test_a_second_tracker(tmp_path):
    snapshot = save_tracker(tmp_path / "tiny.pth", tiny_config())
    make_workspace(tmp_path / "w", snapshot, ONLY_UNSUPERVISED, TRAX)
    tool = [sys.executable, ROOT / "tools" / "vot_workspace.py", tmp_path / "w", "--snapshot", snapshot, "--add"]
    done = run(*tool, "--toolkit", TRAX, "--device", "cpu", check=False)
    assert done.returncode == 2 and "has a tracker tiny already; choose another --name" in done.stderr
    run(*tool, "--toolkit", TRAX, "--device", "cpu", "--name", "fast", "--opts", "TRACK.LR", "0.9")
    text = (tmp_path / "w" / "trackers.ini").read_text()
    assert "[tiny]" in text and "[fast]" in text and "--opts TRACK.LR 0.9" in text
