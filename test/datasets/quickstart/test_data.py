"""Quick-start data: refused arguments, files on disk, and ground truth that matches the rendered images."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from quickstart_scenes import PLAIN, TAG_NAMES, difference, draw_test_scene, without_target

for _name in ("skimage", "matplotlib"):  # they ship the photographs
    pytest.importorskip(_name)

from pysot.datasets.quickstart import data as quickstart_data  # noqa: E402
from pysot.datasets.quickstart import photos as quickstart_photos  # noqa: E402
from pysot.datasets.quickstart.data import QuickstartSettings, draw_recipe, generate  # noqa: E402
from pysot.datasets.quickstart.photos import SPLITS, load_photographs, photograph_path  # noqa: E402
from pysot.datasets.quickstart.render import compute_tags, render_frame  # noqa: E402
from pysot.datasets.quickstart.scene import SHAPES, draw_mask  # noqa: E402

TOOL = Path(__file__).resolve().parents[3] / "tools" / "make_quickstart_data.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Small test split on disk: all eight sequences, 6 to 15 frames each."""
    root = tmp_path_factory.mktemp("quickstart") / "test"
    generate(root, "test", frames=10)
    return root


def files_of(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


# --- refused arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(split="valid"), "split is 'valid'; known: train, test"),
        (dict(split="train", sequences=0), "sequences must be an integer of at least 1, got 0"),
        (dict(split="train", frames=3), "frames must be an integer of at least 4, got 3"),
        (dict(split="train", frames=8.0), "frames must be"),
        (dict(split="test", seed=-1), "seed must be an integer of at least 0"),
        (dict(split="test", sequences=True), "sequences must be"),
    ],
)
def test_bad_arguments_leave_nothing_behind(tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words):
        generate(tmp_path / "root", **arguments)
    assert not (tmp_path / "root").exists()


def test_a_root_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="cannot write the quick-start data to .*pass a folder that can be written"):
        generate(tmp_path / "file" / "root", "test", sequences=1, frames=4)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match="not empty"):
        generate(tmp_path, "test", sequences=1, frames=4)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("changed", [dict(seed=1), dict(sequences=2), dict(frames=5), dict(split="test")])
def test_other_settings_are_refused(tmp_path, changed):
    first = dict(split="train", seed=0, sequences=1, frames=4)
    generate(tmp_path / "root", **first)
    before = files_of(tmp_path / "root")
    with pytest.raises(ValueError, match="delete it or pass another folder"):
        generate(tmp_path / "root", **{**first, **changed})
    assert files_of(tmp_path / "root") == before


def test_damaged_settings_are_named(tmp_path):
    (tmp_path / "quickstart.json").write_text("{")
    with pytest.raises(ValueError, match="quickstart.json is damaged"):
        generate(tmp_path, "test", sequences=1, frames=4)


def test_missing_package_and_missing_photograph(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="pip install --upgrade scikit-image"):
        photograph_path("skimage/no_such_photograph.png")
    monkeypatch.setattr(quickstart_photos, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install (scikit-image|matplotlib)"):
        generate(tmp_path / "root", "train", sequences=1, frames=4)
    assert not (tmp_path / "root").exists()


def test_tool_says_errors_in_one_sentence(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    done = subprocess.run([sys.executable, TOOL, "--test", tmp_path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


# --- the photographs ------------------------------------------------------------------------------------------------


def test_splits_share_no_photograph():
    used = {name: {*split.objects, *split.backgrounds} for name, split in SPLITS.items()}
    assert not used["train"] & used["test"]
    stereo_pair = {"skimage/motorcycle_left.png", "skimage/motorcycle_right.png"}
    assert not stereo_pair & used["test"] or not stereo_pair & used["train"]
    for name, split in SPLITS.items():
        settings = QuickstartSettings(name, 3, 40, 8)
        for index in range(40):
            recipe = draw_recipe(np.random.default_rng([3, split.number, index]), settings, index)
            assert {recipe.target, recipe.background} <= used[name] and recipe.target != recipe.background


@pytest.mark.parametrize("split", SPLITS)
def test_photographs_come_from_the_wheels(split, capfd):
    for name, photo in load_photographs(split).items():
        assert "site-packages" in photograph_path(name).parts or "dist-packages" in photograph_path(name).parts
        assert photo.dtype == np.uint8 and photo.ndim == 3 and min(photo.shape[:2]) > 150 and photo.std() > 5
    assert capfd.readouterr().err == ""  # chelsea.png has a colour profile about which libpng warns


# --- files on disk --------------------------------------------------------------------------------------------------


def test_same_seed_same_files(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        generate(tmp_path / name, "train", seed=seed, sequences=3, frames=4)
    a, b, c = (files_of(tmp_path / name) for name in "abc")
    assert a == b
    shared = [name for name in a if name in c and name.endswith("00000001.jpg")]
    assert shared and all(a[name] != c[name] for name in shared)


def test_raw_vot_layout(made):
    names = (made / "list.txt").read_text().split()
    assert len(names) == len(set(names)) == 8
    assert sorted(names) == sorted(path.name for path in made.iterdir() if path.is_dir())
    sizes, lengths = set(), []
    for name in names:
        images = sorted((made / name / "color").iterdir())
        lengths.append(len(images))
        assert [image.name for image in images] == [f"{number + 1:08d}.jpg" for number in range(len(images))]
        sizes.add(cv2.imread(str(images[0])).shape)
        polygons = np.loadtxt(made / name / "groundtruth.txt", delimiter=",")
        assert polygons.shape == (len(images), 8) and np.isfinite(polygons).all()
        for tag in TAG_NAMES:
            flags = (made / name / f"{tag}.tag").read_text().split("\n")
            assert flags.pop() == "" and len(flags) == len(images) and set(flags) <= {"0", "1"}
    assert len(set(lengths)) >= 6 and len(sizes) >= 2


@pytest.mark.parametrize("index", [0, 2])  # without and with occlusion
def test_files_hold_the_scene(made, photos, index):
    name = (made / "list.txt").read_text().split()[index]
    scene = draw_test_scene(photos, index, frames=10)
    rows = (made / name / "groundtruth.txt").read_text().splitlines()
    assert rows == [",".join(f"{number:.4f}" for number in scene.target.polygon(t)) for t in range(len(scene))]
    drawn = [render_frame(scene, t) for t in range(len(scene))]
    stored = cv2.imread(str(made / name / "color" / f"{len(scene):08d}.jpg"))
    assert np.abs(stored.astype(int) - drawn[-1][0]).mean() < 6
    for tag, flags in compute_tags(scene, np.array([visible for _, visible in drawn])).items():
        assert np.loadtxt(made / name / f"{tag}.tag", dtype=int).tolist() == flags.astype(int).tolist()


def test_killed_run_is_resumed(tmp_path, monkeypatch):
    settings = dict(split="train", sequences=3, frames=4)
    generate(tmp_path / "complete", **settings)

    calls = []

    def killed(scene, t):
        calls.append(t)
        if len(calls) == 6:  # in the middle of the second sequence
            raise KeyboardInterrupt
        return render_frame(scene, t)

    root = tmp_path / "root"
    with monkeypatch.context() as patch:
        patch.setattr(quickstart_data, "render_frame", killed)
        with pytest.raises(KeyboardInterrupt):
            generate(root, **settings)
    complete = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert len(complete) == 1 and (complete[0] / "occlusion.tag").is_file()
    assert not (root / "list.txt").exists()
    written = (complete[0] / "groundtruth.txt").stat().st_mtime_ns

    seen = []
    folders = generate(root, **settings, progress=lambda numbers: (seen.append(n) or n for n in numbers))
    assert seen == [0, 1, 2] and [folder.name for folder in folders] == (root / "list.txt").read_text().split()
    assert files_of(root) == files_of(tmp_path / "complete")
    assert not list(root.glob(".*"))
    assert (complete[0] / "groundtruth.txt").stat().st_mtime_ns == written


# --- the benchmark --------------------------------------------------------------------------------------------------


def test_lengths_and_motion_of_the_benchmark(photos):
    lengths, turned, steps = [], [], []
    for index in range(8):
        scene = draw_test_scene(photos, index)
        polygons = np.array([scene.target.polygon(t) for t in range(len(scene))]).reshape(-1, 4, 2)
        centres = polygons.mean(axis=1)
        assert (centres > 0).all() and (centres < np.array(scene.size_wh) - 1).all()
        sides = np.linalg.norm(polygons - np.roll(polygons, 1, axis=1), axis=2)
        np.testing.assert_allclose(sides[:, :2], sides[:, 2:], atol=1e-6)
        edges = polygons[:, 1] - polygons[:, 0], polygons[:, 2] - polygons[:, 1]
        np.testing.assert_allclose((edges[0] * edges[1]).sum(axis=1), 0, atol=1e-6)
        side = np.sqrt(sides[:, 0] * sides[:, 1])
        assert 40 < side.min() and side.max() < 135 and 0.6 < side.min() / side[0] and side.max() / side[0] < 1.5
        turned.append(np.abs(np.rad2deg(np.arctan2(edges[0][:, 1], edges[0][:, 0]))).max())
        steps.append(np.linalg.norm(np.diff(centres, axis=0), axis=1) / side[1:])
        lengths.append(len(scene))
    assert len(set(lengths)) == 8 and 700 < sum(lengths) < 900 and min(lengths) >= 60 and max(lengths) <= 160
    assert max(turned) > 25 and np.median(turned) < 15
    assert 0.02 < np.median(np.concatenate(steps)) and np.concatenate(steps).max() < 0.12


@pytest.mark.parametrize("index", range(8))
def test_polygon_bounds_what_is_drawn(photos, index):
    scene = replace(draw_test_scene(photos, index, frames=30, **PLAIN), occluders=(), shutter=0.0)
    t = len(scene) - 1
    changed = difference(render_frame(scene, t)[0], render_frame(without_target(scene), t)[0])
    polygon = scene.target.polygon(t).reshape(4, 2)
    inside = cv2.fillPoly(np.zeros(changed.shape, np.uint8), [polygon.round().astype(np.int32)], 1).astype(bool)
    assert changed[inside].mean() > 0.6
    y, x = np.nonzero(changed)
    offsets = np.stack([x, y], axis=1) - polygon.mean(axis=0)
    for low, high in ((0, 1), (1, 2)):  # along the rectangle's width, along its height
        edge = polygon[high] - polygon[low]
        along = offsets @ edge / np.linalg.norm(edge)
        np.testing.assert_allclose([along.min(), along.max()], np.linalg.norm(edge) / 2 * np.array([-1, 1]), atol=5)


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_touch_their_rectangle(shape):
    mask = draw_mask(np.random.default_rng(1), shape, (60, 40))
    assert mask.shape == (40, 60) and mask.min() >= 0 and mask.max() <= 1
    filled = mask > 0.3
    assert filled.any(axis=0)[[1, -2]].all() and filled.any(axis=1)[[1, -2]].all()
    assert 0.4 < filled.mean() <= 1 and not filled[0, 0]
