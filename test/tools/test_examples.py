"""The scripts of tools/examples in their small form: own data, another tracker, two checkpoints, cards, export."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from helpers import TINY, copy_of_repository, moving_square, tiny_benchmark

SHORT = [*TINY, "TRAIN.EPOCH", "2", "TRAIN.BATCH_SIZE", "8", "DATASET.VIDEOS_PER_EPOCH", "16", "TRAIN.NUM_WORKERS", "0"]
START = "20,30,40,40"


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    return copy_of_repository(tmp_path_factory.mktemp("examples"))


def example(copy: Path, name: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run an example of the copy, from another folder."""
    script = copy / "tools" / "examples" / name
    program = sys.executable if name.endswith(".py") else "bash"
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [program, str(script), *map(str, arguments)],
        cwd=copy.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )


def cvat_export(folder: Path) -> tuple[Path, Path]:
    """Write an export of "CVAT for video 1.1" of a moving square; return it and its folder of images."""
    boxes = moving_square(folder / "raw", frames=12)
    images = folder / "export" / "images"
    images.mkdir(parents=True)
    tracks = ["", ""]
    for frame, (x, y, w, h) in enumerate(boxes):
        (folder / "raw" / "color" / f"{frame + 1:08d}.jpg").rename(images / f"frame_{frame:06d}.jpg")
        for track, left in enumerate((x, 110 - x / 4)):
            tracks[track] += (
                f'<box frame="{frame}" outside="0" occluded="0" keyframe="1" xtl="{left}" ytl="{y}" '
                f'xbr="{left + w}" ybr="{y + h}"/>'
            )
    (folder / "export" / "annotations.xml").write_text(
        "<annotations><version>1.1</version><meta><task><name>boats</name><size>12</size><mode>interpolation</mode>"
        "</task></meta>"
        + "".join(f'<track id="{track}" label="boat">{boxes}</track>' for track, boxes in enumerate(tracks))
        + "</annotations>"
    )
    return folder / "export", images


@pytest.fixture(scope="module")
def trained(copy, tmp_path_factory) -> Path:
    """The checkpoint that the example of own data leaves."""
    export, images = cvat_export(tmp_path_factory.mktemp("cvat"))
    done = example(copy, "own_data.sh", export, "boats", images, START, *SHORT)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "results" / "examples" / "boats"


def test_own_data_from_cvat_to_a_tracker(trained):
    boxes = json.loads((trained / "demo" / "boxes.json").read_text())
    assert len(boxes) == 12 and boxes[0]["bbox"] == [20, 30, 40, 40]
    assert cv2.VideoCapture(str(trained / "demo" / "annotated.mp4")).read()[0]
    assert list((trained / "data").glob("BOATS*.jpg")) and (trained / "snapshot" / "checkpoint_e2.pth").exists()


def test_a_tracker_of_another_repository(copy, tmp_path):
    tiny_benchmark(tmp_path, frames=115, videos=2)
    done = example(copy, "other_tracker.py", "VOT2016", tmp_path / "testing_dataset", "square0")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| +MIL +\| +0\.\d+ ", done.stdout), done.stdout
    assert (copy.parent / "results" / "VOT2016" / "MIL" / "baseline" / "square0" / "square0_001.txt").exists()
    assert "VOT2018" in example(copy, "other_tracker.py").stderr


def test_two_checkpoints_compared(copy, trained, tmp_path):
    tiny_benchmark(tmp_path, frames=115, videos=2)
    first = trained / "snapshot" / "checkpoint_e1.pth"
    second = tmp_path / "other.pth"
    second.write_bytes(first.read_bytes())
    done = example(copy, "compare_checkpoints.sh", first, second, "VOT2016", tmp_path / "testing_dataset")
    assert done.returncode == 0, done.stdout + done.stderr
    scores = json.loads((copy / "results" / "examples" / "compare" / "VOT2016.json").read_text())
    assert {"checkpoint_e1", "other"} <= {*scores}
    assert (copy / "results" / "examples" / "compare" / "VOT2016.html").stat().st_size > 10**5
    same = example(copy, "compare_checkpoints.sh", first, first, "VOT2016", tmp_path / "testing_dataset")
    assert same.returncode == 2 and "rename one" in same.stderr


def test_eight_cards(copy, tmp_path):
    tiny_benchmark(tmp_path)
    options = " ".join([*TINY, "DATASET.VIDEOS_PER_EPOCH 8 BACKBONE.TRAIN_EPOCH 1 TRAIN.PRINT_FREQ 2"])
    done = example(
        copy,
        "train_8_cards.sh",
        tmp_path,
        "--config=" + str(copy / "experiments" / "quickstart" / "config.yaml"),
        *("--device=cpu", "--rank_size=2", "--batch_size=2", "--workers=0", "--max_steps=2", f"--opts={options}"),
        f"--output_path={tmp_path / 'out'}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Final Performance images/sec" in done.stdout and "Final Train Accuracy" in done.stdout
    assert "train_eval_8p.sh" in done.stdout


def test_deploy(copy, trained, tmp_path):
    pytest.importorskip("onnxslim")
    moving_square(tmp_path / "clip", frames=12)
    done = example(
        copy, "deploy.sh", trained / "snapshot" / "checkpoint_e1.pth", tmp_path / "clip" / "color", START, "--batch", 2
    )
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = copy / "results" / "examples" / "deploy"
    assert {"track.onnx", "tracker.json", "report.json"} <= {path.name for path in (deployed / "exported").iterdir()}
    assert len(json.loads((deployed / "demo" / "boxes.json").read_text())) == 12


@pytest.mark.parametrize("name", ["own_data.sh", "compare_checkpoints.sh", "train_8_cards.sh", "deploy.sh"])
def test_without_arguments_they_say_what_they_need(copy, name):
    done = example(copy, name)
    assert done.returncode == 2 and f"bash tools/examples/{name} " in done.stderr
    asked = example(copy, name, "--help")
    assert asked.returncode == 0 and asked.stdout == done.stderr
    wrong = example(copy, name, "no.file", "name", "no.video", START)
    assert wrong.returncode == 2 and re.match(r"error: [A-Za-z.]+: there is no 'no.file'\n$", wrong.stderr)


@pytest.mark.parametrize("name", ["own_data.sh", "deploy.sh"])
def test_a_box_that_is_none_is_told_before_any_work(copy, name):
    here = copy / "README.md"
    words = [here, "name", here, "hello"] if name == "own_data.sh" else [here, here, "hello"]
    done = example(copy, name, *words)
    assert done.returncode == 2 and done.stderr == "error: the box is X,Y,W,H in pixels, got 'hello'\n"


def test_mistakes_with_another_tracker_are_sentences(copy):
    done = example(copy, "other_tracker.py", "VOT2018", "nowhere")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
