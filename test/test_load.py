"""`pysot.load_tracker`: what its first argument may be, in which order, and errors that say what to do."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import pysot
from helpers import ROOT, moving_square, synthetic_image, tiny_config, tiny_mask_config
from pysot.core.stored_config import config_text
from pysot.load import find_source, load_network, read_config
from pysot.models.model_builder import build_model
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.tracker_builder import build_tracker
from pysot.utils.files import REPO_ROOT
from pysot.utils.model_load import OtherNetwork
from pysot.utils.published_weights import PUBLISHED

FRAME = synthetic_image("frame", 240, 320)
BOX = [120, 80, 60, 50]
CFG = tiny_config()


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(3)
    return build_model(CFG).state_dict()


@pytest.fixture
def checkpoint(tmp_path, state, monkeypatch):
    """A checkpoint as training writes it, in the current folder."""
    monkeypatch.chdir(tmp_path)
    torch.save({"epoch": 1, "state_dict": state, "optimizer": {}, "config": config_text(CFG)}, "trained.pth")
    return tmp_path / "trained.pth"


def boxes_of(tracker) -> list:
    tracker.init(FRAME, BOX)
    return [tracker.track(frame)["bbox"] for frame in (np.roll(FRAME, 3, 1), np.roll(FRAME, 5, 0))]


def expected_boxes(state) -> list:
    model = build_model(CFG)
    model.load_state_dict(state)
    return boxes_of(build_tracker(model, CFG))


def test_the_package_imports_it_when_it_is_used():
    code = (
        "import sys, pysot\n"
        "assert not {'torch', 'numpy', 'cv2'} & set(sys.modules)\n"
        "from pysot import load_tracker, report, run\n"
        "assert load_tracker.__module__ == 'pysot.load' and 'load_tracker' in pysot.__all__\n"
        "try: pysot.load_trackers\n"
        "except AttributeError as error: assert 'it has load_tracker' in str(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_one_line_is_enough(checkpoint, state):
    """From a checkpoint that knows its config; its boxes are those of the long way. Random numbers stay as they are."""
    torch.manual_seed(7)
    before = torch.get_rng_state()
    tracker = pysot.load_tracker("trained.pth", device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert boxes_of(tracker) == expected_boxes(state)


@pytest.mark.parametrize("language", ["README.md", "README.zh-CN.md"])
def test_the_example_of_the_readme(checkpoint, language):
    """Track a frame, run a data set, print its scores: the first example of both languages."""
    code = (ROOT / language).read_text(encoding="utf-8").split("```python")[1].split("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    (checkpoint.parent / "quickstart").mkdir()
    checkpoint.rename("quickstart/trained.pth")
    moving_square(checkpoint.parent / "testing_dataset" / "VOT-QUICKSTART" / "coins_001", frames=8)
    (checkpoint.parent / "testing_dataset" / "VOT-QUICKSTART" / "list.txt").write_text("coins_001\n")
    values = {}
    exec(code, values)
    assert (checkpoint.parent / "results/VOT-QUICKSTART/mine/baseline/coins_001/coins_001_001.txt").is_file()


def test_several_targets(checkpoint, state):
    tracker = pysot.load_tracker(checkpoint, device="cpu", targets=3)
    assert isinstance(tracker, BatchTracker) and tracker.slots == 3
    tracker.start([1], [FRAME], [BOX])
    boxes, _ = tracker.track([None, np.roll(FRAME, 3, 1), None])
    np.testing.assert_allclose(boxes[1], expected_boxes(state)[0], atol=1e-3)
    with pytest.raises(ValueError, match="targets: expected a whole number, 1 or more, got 0"):
        pysot.load_tracker(checkpoint, targets=0)


def test_precision_and_device(checkpoint):
    tracker = pysot.load_tracker(checkpoint, device="cpu", precision="bf16")
    assert np.isfinite(boxes_of(tracker)).all()
    with pytest.raises(ValueError, match="TRACK.PRECISION: expected one of bf16, fp16, fp32; got 'half'"):
        pysot.load_tracker(checkpoint, device="cpu", precision="half")
    with pytest.raises(ValueError, match="sofa"):
        pysot.load_tracker(checkpoint, device="sofa")


def test_the_precision_of_a_config_counts_unless_another_is_given(checkpoint, monkeypatch):
    seen = []
    monkeypatch.setattr("pysot.load.build_tracker", lambda model, cfg: seen.append(cfg.TRACK.PRECISION))
    (checkpoint.parent / "config.yaml").write_text(tiny_config("TRACK.PRECISION", "bf16").dump())
    for given in (None, "fp32"):
        pysot.load_tracker("config.yaml", "trained.pth", device="cpu", precision=given)
    assert seen == ["bf16", "fp32"]


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_which_snapshot_of_a_folder(tmp_path, monkeypatch):
    """The last epoch, else model.pth, else latest.pth; in the folder, else in its folder snapshot."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    order = [run / "snapshot" / "latest.pth", run / "snapshot" / "checkpoint_e9.pth", run / "latest.pth"]
    order += [run / "model.pth", run / "checkpoint_e2.pth", run / "checkpoint_e10.pth"]
    for path in order:
        touch(path)
        assert find_source("run") == (None, path)
    touch(run / "config.yaml")
    assert find_source("run") == find_source(run / "config.yaml") == (run / "config.yaml", order[-1])


def test_where_a_given_snapshot_is_looked_for(tmp_path, monkeypatch):
    """In the folder of the config, else in the current one."""
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "a" / "config.yaml", tmp_path / "mine.pth")
    assert find_source("a", "mine.pth") == (tmp_path / "a" / "config.yaml", tmp_path / "mine.pth")
    touch(tmp_path / "a" / "mine.pth")
    assert find_source("a/config.yaml", "mine.pth").snapshot == tmp_path / "a" / "mine.pth"
    with pytest.raises(FileNotFoundError, match=r"snapshot: looked for .*gone.pth.*It may also be in .*a$"):
        find_source("a", "gone.pth")
    with pytest.raises(ValueError, match=r"before the snapshot other.pth, got the file .*mine.pth; leave one out"):
        find_source("mine.pth", "other.pth")


def test_folders_of_the_repository_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "n.pth")
    config = REPO_ROOT / "experiments" / "nanotrackv3" / "config.yaml"
    assert find_source("experiments/nanotrackv3", "n.pth") == (config, tmp_path / "n.pth")


def test_a_folder_without_snapshots(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "nanotrackv3" / "config.yaml", tmp_path / "own" / "config.yaml")
    with pytest.raises(FileNotFoundError, match=r"no snapshot in .*own, expected checkpoint_e<n>.pth.*; name one$"):
        find_source("own")
    with pytest.raises(FileNotFoundError, match=r"python tools/get_weights.py nanotrackv3$"):
        find_source("nanotrackv3")


def test_names_of_published_weights(tmp_path, monkeypatch):
    """A path of that name comes first; weights that are missing are not downloaded."""
    monkeypatch.chdir(tmp_path)
    config = REPO_ROOT / "experiments" / "nanotrackv3" / "config.yaml"
    if not (REPO_ROOT / "pretrained_models" / "nanotrackv3.pth").exists():
        with pytest.raises(FileNotFoundError, match="Fetch it: python tools/get_weights.py nanotrackv3"):
            find_source("nanotrackv3")
    file = tmp_path / "pretrained_models" / PUBLISHED["nanotrackv3"].file
    touch(file, tmp_path / "tuned.pth")
    assert find_source("nanotrackv3") == (config, file)
    assert find_source("nanotrackv3", "tuned.pth") == (config, tmp_path / "tuned.pth")
    touch(tmp_path / "nanotrackv3" / "model.pth")
    assert find_source("nanotrackv3") == (None, tmp_path / "nanotrackv3" / "model.pth")


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("nanotrack", ValueError, "expected a folder, .* got 'nanotrack': .*did you mean nanotrackv3"),
        ("resnet50", ValueError, "expected the name of a published tracker, got 'resnet50', weights of a backbone"),
        ("gone.pth", FileNotFoundError, "expected a folder, a config or a checkpoint, found nothing at gone.pth"),
        ("experiments/nanotrackv4", FileNotFoundError, "nothing at experiments/nanotrackv4; did you mean experiments"),
        ("./experiments/nanotrackv3/config.yml", FileNotFoundError, "did you mean .*/config.yaml"),
    ],
)
def test_sources_that_are_none(source, error, words, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(error, match=words):
        pysot.load_tracker(source)


def test_a_checkpoint_without_config(checkpoint, state):
    torch.save({"state_dict": state}, "old.pth")
    with pytest.raises(ValueError, match=r"old.pth does not know its config.*siamrpn_r50.*load_tracker\(config, snap"):
        pysot.load_tracker("old.pth")
    (checkpoint.parent / "config.yaml").write_text(CFG.dump())
    assert boxes_of(pysot.load_tracker("config.yaml", "old.pth", device="cpu")) == expected_boxes(state)
    torch.save({name: value for name, value in state.items() if name.startswith("backbone.")}, "backbone.pth")
    with pytest.raises(ValueError, match="backbone.pth: expected the weights of a tracker, got those of a backbone"):
        pysot.load_tracker("config.yaml", "backbone.pth")


def test_a_given_config_comes_before_the_stored_one(checkpoint, state):
    (checkpoint.parent / "config.yaml").write_text(tiny_config("TRACK.LR", 0.05).dump())
    tracker = pysot.load_tracker("config.yaml", checkpoint, device="cpu")
    assert tracker.settings.lr == 0.05 and boxes_of(tracker) != expected_boxes(state)
    (checkpoint.parent / "mask.yaml").write_text(tiny_mask_config("refine").dump())
    with pytest.raises(OtherNetwork, match="SiamRPN checkpoint without mask_head.* It knows the config .* leave out"):
        pysot.load_tracker("mask.yaml", checkpoint, device="cpu")


def test_weights_that_do_not_fit_have_no_such_hint_without_a_stored_config(state):
    with pytest.raises(OtherNetwork, match="SiamMask network") as caught:
        load_network(tiny_mask_config("refine"), {"state_dict": state}, "old.pth")
    assert "It knows" not in str(caught.value)


def test_the_config_of_several_snapshots(checkpoint, state):
    def save(name, *opts):
        torch.save({"state_dict": state, "config": config_text(tiny_config(*opts))}, name)
        return checkpoint.parent / name

    first, same, other = save("a.pth"), save("b.pth"), save("c.pth", "TRACK.LR", 0.1)
    assert read_config(None, [first, same], ["TRACK.LR", "0.3"]).TRACK.LR == 0.3
    with pytest.raises(ValueError, match=r"c.pth has another config than .*a.pth; use one command for each, or --conf"):
        read_config(None, [first, same, other])
    (checkpoint.parent / "config.yaml").write_text(CFG.dump())
    assert read_config(checkpoint.parent / "config.yaml", [first, other]).TRACK.LR == CFG.TRACK.LR
    with pytest.raises(ValueError, match="expected --config or --snapshot, got neither"):
        read_config(None, [])
