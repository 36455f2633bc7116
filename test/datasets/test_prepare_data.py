import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from helpers import TINY, experiment, moving_square
from pysot.datasets.dataset_yaml import find_description, write_description

TOOL = Path(__file__).resolve().parents[2] / "tools" / "prepare_data.py"
SHARED = TOOL.parents[2] / "shared" / "data"


def prepare(*arguments, cwd):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd
    )


@pytest.fixture
def otb(tmp_path):
    for name in ("Deer", "Man"):
        (tmp_path / "raw" / name / "img").mkdir(parents=True)
        for number in range(1, 4):
            cv2.imwrite(
                str(tmp_path / "raw" / name / "img" / f"{number:04d}.jpg"), np.full((60, 80, 3), 20 * number, np.uint8)
            )
        (tmp_path / "raw" / name / "groundtruth_rect.txt").write_text("10,10,20,20\n12,10,20,20\n14,10,20,20\n")
    return tmp_path


def test_crops_json_and_description(otb):
    (otb / "raw/Man/img/0002.jpg").write_bytes(b"")
    done = prepare("otb", "raw", "--name", "my set", "--procs", 1, cwd=otb)
    assert done.returncode == 0 and "left out: image raw/Man/img/0002.jpg is an empty file" in done.stderr
    assert (
        "2 sequences, 5 crops written, 0 already present, 1 images or boxes left out; in train.json: 5 boxes, 1 no crop"
        in done.stdout
    )
    assert "To train on it: DATASET.NAMES [MY_SET]" in done.stdout
    out = otb / "training_dataset" / "my set"
    content = json.loads((out / "train.json").read_text())
    assert list(content["Man"]["00"]) == ["000000", "000002"] and content["Deer"]["00"]["000001"] == [12, 10, 32, 30]
    assert len(list((out / "crop511").rglob("*.x.jpg"))) == 5 and not list(out.rglob("*.z.jpg"))
    assert yaml.safe_load((out / "dataset.yaml").read_text()) == {
        "ROOT": "crop511",
        "ANNO": "train.json",
        "FRAME_RANGE": 100,
        "NUM_USE": 5,
    }
    again = prepare("otb", "raw", "--name", "my set", "--procs", 1, cwd=otb)
    assert "2 sequences, 0 crops written, 5 already present" in again.stdout


def test_a_pack_that_is_no_longer_named_is_told(otb):
    prepare("otb", "raw", "--name", "x", "--procs", 1, cwd=otb)
    done = subprocess.run(
        [sys.executable, TOOL.with_name("pack_data.py"), "training_dataset/x/train.json", "--use"],
        cwd=otb,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    done = prepare("otb", "raw", "--name", "x", "--procs", 1, cwd=otb)
    assert (
        f"dataset.yaml named {otb / 'training_dataset/x/train.pack'}, which does not have the crops of this call"
        in done.stdout
    )
    assert yaml.safe_load((otb / "training_dataset/x/dataset.yaml").read_text())["ROOT"] == "crop511"
    for damaged in (False, True):  # a damaged description is written again
        if damaged:
            (otb / "training_dataset/x/dataset.yaml").write_text("ROOT: [")
        done = prepare("otb", "raw", "--name", "x", "--procs", 1, cwd=otb)
        assert done.returncode == 0 and "dataset.yaml named" not in done.stdout, done.stderr
    assert yaml.safe_load((otb / "training_dataset/x/dataset.yaml").read_text())["ROOT"] == "crop511"


def test_dry_run_counts_and_writes_nothing(otb):
    done = prepare("otb", "raw", "--name", "x", "--dry-run", cwd=otb)
    assert (
        done.returncode == 0 and "train: 2 videos, 6 boxes, 0 crops exist; the others need about 0 MiB, " in done.stdout
    )
    assert not (otb / "training_dataset").exists()


def test_exemplars_on_request(otb):
    prepare("otb", "raw", "--out", "x", "--procs", 1, cwd=otb)
    done = prepare("otb", "raw", "--out", "x", "--procs", 1, "--with-z", cwd=otb)
    assert "6 crops written" in done.stdout
    assert cv2.imread(str(otb / "x/crop511/Man/000001.00.z.jpg")).shape == (127, 127, 3)
    assert (
        "0 crops written, 6 already present"
        in prepare("otb", "raw", "--out", "x", "--procs", 1, "--with-z", cwd=otb).stdout
    )


def test_chosen_sequences(otb):
    prepare("otb", "raw", "--out", "a", "--except", "Deer", "--procs", 1, cwd=otb)
    assert list(json.loads((otb / "a/train.json").read_text())) == ["Man"]
    done = prepare("otb", "raw", "--out", "b", "--only", "Deer", "--procs", 1, cwd=otb)
    assert (
        "in no json" not in done.stdout
        and "in no json: Deer" in prepare("otb", "raw", "--out", "b", "--only", "Man", "--procs", 1, cwd=otb).stdout
    )
    prepare("otb", "raw", "--out", "b", "--only", "Deer", "--procs", 1, cwd=otb)
    assert list(json.loads((otb / "b/train.json").read_text())) == ["Deer"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("otb", "nowhere", "--out", "x"), "no otb sequence in"),
        (("vot", "raw", "--out", "x"), "no vot sequence in"),
        (("otb", "raw", "--out", "x", "--except", "Dear"), "no sequence Dear in raw; there are Deer, Man"),
        (("otb", "raw", "--out", "raw/Deer/groundtruth_rect.txt"), "[Errno 20] cannot write"),
    ],
)
def test_errors_are_one_sentence(otb, arguments, message):
    done = prepare(*arguments, "--procs", 1, cwd=otb)
    assert done.returncode == 2 and done.stderr.strip().startswith(f"error: {message}") and done.stderr.count("\n") == 1
    assert not (otb / "x").exists()


def test_from_a_folder_of_videos_to_a_training_run(tmp_path):
    """Run the walk-through of training_dataset/README.md."""
    lines = ["video,frame,track,x,y,w,h"]
    (tmp_path / "videos").mkdir()
    for name in ("boat 1", "boat 2"):
        truth = moving_square(tmp_path / "made" / name)
        writer = cv2.VideoWriter(
            str(tmp_path / "videos" / f"{name}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120)
        )
        for image in sorted((tmp_path / "made" / name).rglob("*.jpg")):
            writer.write(cv2.imread(str(image)))
        writer.release()
        lines += [f"{name},{frame},0,{','.join(map(str, box))}" for frame, box in enumerate(truth)]

    def tool(name, *arguments):
        done = subprocess.run(
            [sys.executable, TOOL.with_name(name), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "boat 1: 6 frames" in tool("extract_frames.py", "videos", "--out", "boats") and "already extracted" in tool(
        "extract_frames.py", "videos", "--out", "boats"
    )
    (tmp_path / "boats" / "boxes.csv").write_text("\n".join(lines))
    assert "2 sequences, 12 crops written" in tool("prepare_data.py", "csv", "boats", "--name", "boats")
    out = tool(
        "train.py",
        "--cfg",
        experiment("quickstart"),
        "--device",
        "cpu",
        "--max_step",
        "2",
        "--is_performance",
        "--opts",
        *TINY,
        "DATASET.NAMES",
        "[BOATS]",
        "TRAIN.BATCH_SIZE",
        "2",
        "TRAIN.NUM_WORKERS",
        "0",
    )
    assert "Final Train Loss" in out


def extract_frames(cwd, *arguments):
    return subprocess.run(
        [sys.executable, TOOL.with_name("extract_frames.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
    )


def video(path, frames=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120))
    for number in range(frames):
        writer.write(np.full((120, 160, 3), 60 * number, np.uint8))
    writer.release()


def test_all_videos_of_a_folder_are_extracted(tmp_path):
    """Videos in subfolders, with any suffix, and after a damaged one are extracted.

    The damaged one is reported at the end. Other files are named.
    """
    for name in ("b.avi", "day/b.avi"):
        video(tmp_path / "videos" / name)
    for ending in (".wmv", ".mts", ".MOV"):
        (tmp_path / "videos" / f"c_{ending[1:]}{ending}").write_bytes((tmp_path / "videos/b.avi").read_bytes())
    images = [Image.fromarray(np.full((8, 8, 3), 80 * number, np.uint8)) for number in range(3)]
    images[0].save(tmp_path / "videos/d.gif", save_all=True, append_images=images[1:])
    (tmp_path / "videos/a.mp4").write_bytes(b"no video")
    (tmp_path / "videos/notes.txt").write_text("x")
    done = extract_frames(tmp_path, "videos", "--out", "out")
    assert done.returncode == 2 and "1 of 7 videos could not be read: videos/a.mp4 is not a video" in done.stderr
    assert "skipped 1 files that are not videos: notes.txt" in done.stdout
    frames = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("000002.jpg"))
    assert frames == [f"{name}/000002.jpg" for name in ("b", "c_MOV", "c_mts", "c_wmv", "d", "day/b")]
    video(tmp_path / "videos/b.mkv.avi")
    (tmp_path / "videos/b.mkv.avi").rename(tmp_path / "videos/b.mkv")
    done = extract_frames(tmp_path, "videos", "--out", "out")
    assert done.returncode == 2 and "b.avi and" in done.stderr and "b.mkv have the same name" in done.stderr


def test_frames_beside_folders_of_other_videos(tmp_path):
    """Videos and folders of the same name share a folder of frames, whichever came first.

    An interrupted move is resumed.
    """
    video(tmp_path / "videos/day/a.avi")
    extract_frames(tmp_path, "videos", "--out", "out")
    video(tmp_path / "videos/day.avi")
    out = tmp_path / "out/day"
    for times in ("3 frames", "already extracted"):
        assert f"day: {times}" in extract_frames(tmp_path, "videos", "--out", "out").stdout
        assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg")) == [
            f"{n}00000{k}.jpg" for n in ("", "a/") for k in range(3)
        ]
    (out / "000001.jpg").rename(tmp_path / "000001.jpg")
    (tmp_path / "out/.day.part").mkdir()
    assert (
        "day: 3 frames" in extract_frames(tmp_path, "videos", "--out", "out").stdout and (out / "000001.jpg").exists()
    )
    assert not (tmp_path / "out/.day.part").exists()
    for frame in out.glob("*.jpg"):
        frame.rename(frame.with_suffix(".png"))  # frames in another format count too
    assert "day: already extracted" in extract_frames(tmp_path, "videos", "--out", "out").stdout


@pytest.mark.parametrize("content", ["ROOT: [", "ROOT: crop511", "3", "ROOT: 1\nANNO: a\nFRAME_RANGE: 1\nNUM_USE: 1"])
def test_a_bad_description_is_named(tmp_path, content):
    write_description(tmp_path / "training_dataset" / "my set", "train", 3, -1)
    description = find_description("MY_SET", tmp_path)
    assert description == {
        "ROOT": str(tmp_path / "training_dataset/my set/crop511"),
        "ANNO": str(tmp_path / "training_dataset/my set/train.json"),
        "FRAME_RANGE": 3,
        "NUM_USE": -1,
        "MASKS": False,
    }
    assert find_description("SET", tmp_path) is None
    (tmp_path / "training_dataset/my set/dataset.yaml").write_text(content)
    with pytest.raises(ValueError, match="dataset.yaml .*prepare the data set again"):
        find_description("MY_SET", tmp_path)


def test_masks_of_a_set_without_masks(otb):
    done = prepare("otb", "raw", "--name", "x", "--with-masks", cwd=otb)
    assert done.returncode == 2 and not (otb / "training_dataset").exists()
    assert "--with-masks: otb has no masks, only coco, davis, youtube_vos have; leave the option out" in done.stderr


def test_masks_are_prepared_described_and_packed(tmp_path):
    for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        for number in range(3):
            path = tmp_path / "raw" / folder / "480p" / "dog" / f"{number:05d}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.zeros((60, 80), np.uint8)
            pixels[20:40, 30 + number : 50 + number] = 255
            cv2.imwrite(str(path), pixels)
    plain = prepare("davis", "raw", "--name", "dogs", cwd=tmp_path)
    assert plain.returncode == 0 and "masks" not in plain.stdout
    out = tmp_path / "training_dataset/dogs"
    assert "MASKS" not in yaml.safe_load((out / "dataset.yaml").read_text())
    done = prepare("davis", "raw", "--name", "dogs", "--with-masks", cwd=tmp_path)
    counts = "0 crops written, 3 already present, 3 masks written (0 of them empty), 0 images, boxes or masks left out"
    assert counts in done.stdout, done.stderr
    assert len(list((out / "crop511").rglob("*.m.png"))) == 3 == len(list((out / "crop511").rglob("*.x.jpg")))
    description = find_description("DOGS", tmp_path)
    assert description["MASKS"] is True
    command = [sys.executable, TOOL.with_name("pack_data.py"), "training_dataset/dogs/train.json", "--use"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2 and "is true: add --with-masks" in refused.stderr
    packed = subprocess.run([*command, "--with-masks"], cwd=tmp_path, capture_output=True, text=True)
    assert packed.returncode == 0 and (out / "train.pack/masks.npy").is_file(), packed.stderr
    description = find_description("DOGS", tmp_path)
    assert description["MASKS"] is True and description["ROOT"].endswith("train.pack")
    again = prepare("davis", "raw", "--name", "dogs", cwd=tmp_path)
    assert "dataset.yaml had MASKS: true, but this call made no masks" in again.stdout, again.stderr
    assert find_description("DOGS", tmp_path)["MASKS"] is False


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data")
def test_real_davis(tmp_path):
    done = prepare("davis", SHARED / "davis", "--out", tmp_path / "davis", "--only", "dog,blackswan", cwd=tmp_path)
    assert "2 sequences, 110 crops written" in done.stdout
