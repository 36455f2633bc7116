"""The command tools/test.py with a small untrained network."""

import cv2
import numpy as np
import pytest
import torch
from toolkit_data import make_raw_set, write_frames

from helpers import tiny_mask_config
from object_sets import HEIGHT, WIDTH, make_davis
from pysot.models.model_builder import build_model
from pysot.toolkit.results.files import load_run
from pysot.utils.frames import open_frames
from pysot.utils.masks import Mask
from track_helpers import run_tool, save_snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return save_snapshot(tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--dataset", "GONE"), "no data set GONE"),
        (("--dataset", "TINY", "--video", "nobody"), "no video nobody; it has slow, boxes"),
        (("--dataset", "TINY", "--snapshot", "gone.pth"), "gone.pth"),
        (("--dataset", "TINY", "--device", "sofa"), "sofa"),
        (("--dataset", "TINY", "--batch", "0"), "expected a whole number, 1 or more, got '0'"),
        (("--dataset", "TINY", "--batch", "2", "--experiment", "realtime"), "leave out --batch"),
        (("--dataset", "./clips", "--binary"), "the protocol 'one pass' have no binary form, only those of VOT sets"),
    ],
)
def test_mistakes_are_sentences(tmp_path, args, sentence):
    make_raw_set(tmp_path / "sets" / "TINY")
    write_frames(tmp_path / "clips" / "one" / "img", 3)
    (tmp_path / "clips" / "one" / "groundtruth_rect.txt").write_text("20,30,40,30\n" * 3)
    done = run_tool("test.py", "--datasetdir", "sets", *args, cwd=tmp_path)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr


def test_a_set_is_tracked_kept_drawn_and_scored(tmp_path, snapshot):
    make_raw_set(tmp_path / "testing_dataset" / "TINY")
    done = run_tool("test.py", "--dataset", "TINY", "--snapshot", snapshot, "--vis", "--video", "boxes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results" / "TINY" / "checkpoint_e1"
    result = folder / "baseline" / "boxes" / "boxes_001.txt"
    assert (
        len(result.read_text().splitlines()) == 8 and len(list(open_frames(folder / "vis" / "boxes.mp4").frames)) == 8
    )
    assert (
        "| checkpoint_e1 |" in done.stdout
        and "Lost Number" in done.stdout
        and not (folder / "baseline" / "slow").exists()
    )
    stamp = result.stat().st_mtime_ns
    done = run_tool("test.py", "--dataset", "TINY", "--snapshot", snapshot, cwd=tmp_path)
    assert done.returncode == 0 and "boxes has a result already" in done.stderr and result.stat().st_mtime_ns == stamp
    assert (folder / "baseline" / "slow" / "slow_001.txt").exists()


def test_masks_are_tracked_and_drawn(tmp_path):
    """VOT results of SiamMask are polygons; a result without masks is drawn without outlines, which is said."""
    config = tiny_mask_config("refine")
    (tmp_path / "config.yaml").write_text(config.dump())
    torch.manual_seed(0)
    torch.save(build_model(config).state_dict(), tmp_path / "mask.pth")
    make_raw_set(tmp_path / "testing_dataset" / "TINY")
    args = ("--config", "config.yaml", "--dataset", "TINY", "--snapshot", "mask.pth", "--video", "boxes")
    done = run_tool("test.py", *args, "--batch", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = tmp_path / "results" / "TINY" / "mask" / "baseline" / "boxes" / "boxes_001.txt"
    counts = {len(line.split(",")) for line in result.read_text().splitlines()}
    assert counts <= {1, 8} and 8 in counts and not result.with_name("boxes_001_mask.value").exists()
    done = run_tool("test.py", *args, "--vis", cwd=tmp_path)
    assert done.returncode == 0 and "has no masks to draw: it was tracked without --vis" in done.stderr
    result.unlink()
    done = run_tool("test.py", *args, "--vis", cwd=tmp_path)
    assert done.returncode == 0 and "has no masks" not in done.stderr, done.stderr
    assert len(result.with_name("boxes_001_mask.value").read_text().splitlines()) == 8
    assert len(list(open_frames(tmp_path / "results" / "TINY" / "mask" / "vis" / "boxes.mp4").frames)) == 8


def test_masks_are_the_results_where_the_ground_truth_has_masks(tmp_path):
    """As binary files too; both are drawn and scored, without files of masks beside them."""
    config = tiny_mask_config("refine", "TRACK.MASK_THERSHOLD", 0.01)
    (tmp_path / "config.yaml").write_text(config.dump())
    torch.manual_seed(0)
    torch.save(build_model(config).state_dict(), tmp_path / "mask.pth")
    root = make_raw_set(tmp_path / "testing_dataset" / "VOT2020")
    (root / "list.txt").write_text("boxes\n")
    masks = [Mask(30 + index, 40, np.ones((20, 25), bool)).text() for index in range(8)]
    (root / "boxes" / "groundtruth.txt").write_text("\n".join(masks))
    (root / "boxes" / "anchor.value").write_text("1\n0\n0\n0\n0\n0\n0\n-1\n")
    for form, options in ((".txt", ()), (".bin", ("--binary",))):
        args = ("--config", "config.yaml", "--dataset", "VOT2020", "--snapshot", "mask.pth", "--vis", *options)
        done = run_tool("test.py", *args, "--results_dir", form[1:], cwd=tmp_path)
        assert done.returncode == 0 and "has no masks" not in done.stderr and "EAO" in done.stdout, done.stderr
        folder = tmp_path / form[1:] / "VOT2020" / "mask"
        names = {path.name for path in (folder / "baseline" / "boxes").iterdir() if path.suffix != ".value"}
        assert names == {f"boxes_00000000{form}", f"boxes_00000007{form}"}
        assert len(load_run(folder / "baseline" / "boxes" / f"boxes_00000000{form}", 8).masks) == 7
        assert len(list(open_frames(folder / "vis" / "boxes.mp4").frames)) == 8
        assert not list(folder.rglob("*_mask.value"))


def test_masks_of_objects_are_tracked_drawn_and_scored(tmp_path):
    """Of four sequences, one has masks in colours and one a damaged frame: both are named, the others are scored."""
    root = make_davis(tmp_path / "DAVIS", videos=["alpha", "beta", "colour", "damaged"], frames=4)
    cv2.imwrite(str(root / "Annotations" / "480p" / "colour" / "00000.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (root / "JPEGImages" / "480p" / "damaged" / "00002.jpg").write_bytes(b"")
    (tmp_path / "config.yaml").write_text(tiny_mask_config("refine", "TRACK.MASK_THERSHOLD", 0.01).dump())
    args = ("--config", "config.yaml", "--dataset", "DAVIS2017", "--datasetdir", ".")
    done = run_tool("test.py", *args, "--vis", cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "J&F" in done.stdout, done.stderr
    assert "sequence colour is left out: mask DAVIS/Annotations/480p/colour/00000.png is a colour image" in done.stdout
    assert "1 of 3 videos failed" in done.stderr and "damaged/00002.jpg is an empty file" in done.stderr
    folder = tmp_path / "results" / "DAVIS2017" / "untrained"
    assert sorted(path.name for path in folder.iterdir()) == ["alpha", "beta", "network.json", "vis"]
    assert sorted(path.name for path in (folder / "alpha").iterdir()) == [f"{index:05d}.png" for index in range(4)]
    assert len(list(open_frames(folder / "vis" / "beta.mp4").frames)) == 4


def test_results_of_other_settings_are_not_mixed(tmp_path):
    root = make_raw_set(tmp_path / "TINY")
    args = ("--dataset", "TINY", "--datasetdir", root, "--video", "boxes")
    assert run_tool("test.py", *args, cwd=tmp_path).returncode == 0
    done = run_tool("test.py", *args, "--opts", "TRACK.LR", "0.1", cwd=tmp_path)
    assert done.returncode == 2 and "another network or of other settings" in done.stderr and "|" not in done.stdout


def test_untrained_network_and_a_damaged_frame(tmp_path):
    root = make_raw_set(tmp_path / "TINY")
    (root / "slow" / "color" / "00000002.png").write_bytes(b"")
    done = run_tool("test.py", "--dataset", "TINY", "--datasetdir", root, "--results_dir", "out", cwd=tmp_path)
    assert (
        done.returncode == 2
        and "1 of 2 videos failed" in done.stderr
        and "sequence slow, frame 2" in done.stderr
        and "untrained" in done.stderr
    )
    assert "untrained" in done.stdout and (tmp_path / "out" / "TINY" / "untrained" / "baseline" / "boxes").is_dir()


def test_workers_give_the_same_results(tmp_path, snapshot):
    """One process and two write the same results, also for unsupervised, whose results lie beside those of baseline."""
    make_raw_set(tmp_path / "testing_dataset" / "TINY")
    args = ("--dataset", "TINY", "--snapshot", snapshot)
    for workers in (1, 2):
        for experiment in ("baseline", "unsupervised"):
            done = run_tool(
                "test.py",
                *args,
                "--results_dir",
                f"r{workers}",
                "--workers",
                workers,
                "--experiment",
                experiment,
                cwd=tmp_path,
            )
            assert done.returncode == 0 and "Video: slow" in done.stderr, done.stderr
    files = sorted(path.relative_to(tmp_path / "r1") for path in (tmp_path / "r1").rglob("*_001.txt"))
    assert len(files) == 4 and all(
        (tmp_path / "r1" / file).read_bytes() == (tmp_path / "r2" / file).read_bytes() for file in files
    )
    done = run_tool("test.py", *args, "--experiment", "longterm", cwd=tmp_path)
    assert done.returncode == 2 and "no experiment 'longterm'" in done.stderr


def test_a_batch_gives_the_same_boxes(tmp_path, snapshot):
    """To 1e-3 pixels; with a damaged frame only its video fails, and the same command continues."""
    root = make_raw_set(tmp_path / "testing_dataset" / "TINY")
    frame = root / "slow" / "color" / "00000002.png"
    args = ("--dataset", "TINY", "--snapshot", snapshot, "--experiment", "unsupervised", "--workers", 1)
    assert run_tool("test.py", *args, "--results_dir", "alone", cwd=tmp_path).returncode == 0
    content = frame.read_bytes()
    frame.write_bytes(b"")
    done = run_tool("test.py", *args, "--batch", 2, cwd=tmp_path)
    assert done.returncode == 2 and "1 of 2 videos failed" in done.stderr and "sequence slow, frame 2" in done.stderr
    frame.write_bytes(content)
    done = run_tool("test.py", *args, "--batch", 2, cwd=tmp_path)
    assert done.returncode == 0 and "boxes has a result already" in done.stderr, done.stderr
    for name in ("slow", "boxes"):
        file = f"TINY/checkpoint_e1/unsupervised/{name}/{name}_001.txt"
        alone, batch = (
            np.array([line.split(",") for line in (tmp_path / folder / file).read_text().split()[1:]], float)
            for folder in ("alone", "results")
        )
        np.testing.assert_allclose(batch, alone, atol=1e-3)
    assert (tmp_path / "results" / file).with_name("boxes_001_batch.value").is_file()
