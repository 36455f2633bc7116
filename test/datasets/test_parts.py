"""Preparation of a data set in parts: the merge equals one run byte for byte, and refuses what does not."""

import json
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from helpers import ROOT
from pysot.utils.files import lock_for_writing
from pysot.utils.parts import command_of, command_template, share

TOOL = ROOT / "tools" / "prepare_data.py"
FRAMES = {"Deer": 3, "Man": 5, "Car1": 2, "Dog": 4, "Box": 1}


def prepare(*arguments, cwd, tool=TOOL):
    return subprocess.run(
        [sys.executable, str(tool), *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd
    )


def otb(*more, cwd, root="raw", out="out"):
    return prepare("otb", root, "--out", out, "--procs", 1, *more, cwd=cwd)


def content(folder):
    """Return the bytes of all files of a prepared set, without the records of its parts."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".parts" not in path.parent.name)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def raw(tmp_path):
    rng = np.random.default_rng(0)
    for name, frames in FRAMES.items():
        (tmp_path / "raw" / name / "img").mkdir(parents=True)
        for number in range(1, frames + 1):
            image = rng.integers(0, 255, (60, 80, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "raw" / name / "img" / f"{number:04d}.jpg"), image)
        boxes = "".join(f"{10 + number}.37,10,20,20\n" for number in range(frames))
        (tmp_path / "raw" / name / "groundtruth_rect.txt").write_text(boxes)
    (tmp_path / "raw/Box/img/0001.jpg").write_bytes(b"")  # a part may have this video alone
    return tmp_path


def make_parts(raw, count, out="out", skip=()):
    for number in range(1, count + 1):
        if number not in skip:
            done = otb("--part", f"{number}/{count}", cwd=raw, out=out)
            assert done.returncode == 0, done.stderr


def refuses(raw, *sentences, **options):
    """Check that the merge is refused with these sentences, and writes nothing."""
    done = otb("--merge", cwd=raw, **options)
    assert done.returncode == 2 and done.stderr.startswith("error: "), done.stdout
    for sentence in sentences:
        assert sentence in done.stderr, done.stderr
    assert not (raw / "out/train.json").exists() and not (raw / "out/dataset.yaml").exists()


def test_shares_are_complete_and_of_about_the_same_size():
    items = [(f"v{number}", size) for number, size in enumerate([9, 1, 5, 5, 30, 2, 8, 1])]
    parts = [share(items, number, 3, lambda item: (item[1], item[0])) for number in (1, 2, 3)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert parts[0] == [("v4", 30), ("v2", 5), ("v1", 1)]
    assert share(reversed(items), 1, 3, lambda item: (item[1], item[0])) == parts[0]


def test_command_of_another_part():
    template = command_template(["tools/x.py", "my 1/2", "--part", "1/2", "--part=1/2", "1/20"], 1, 2)
    assert command_of(template, 2, 2) == "python tools/x.py 'my 1/2' --part 2/2 --part=2/2 1/20"


@pytest.mark.parametrize("count", [2, 3, 7])
def test_parts_and_merge_equal_one_run(raw, count):
    """Seven parts of five videos: two are empty, and one has no image that can be read."""
    assert otb(cwd=raw, out="whole").returncode == 0
    make_parts(raw, count)
    assert not (raw / "out/train.json").exists()
    done = otb("--merge", cwd=raw)
    assert done.returncode == 0, done.stderr
    assert f"4 sequences, joined from {count} parts; in train.json: 14 boxes, 1 no crop" in done.stdout
    assert "DATASET.NAMES [OUT]" in done.stdout and "in no json" not in done.stdout
    expected = content(raw / "whole")
    assert content(raw / "out") == expected and len(expected) == 16
    again = otb("--merge", cwd=raw)
    assert again.returncode == 0 and content(raw / "out") == expected


def test_parts_of_several_machines_are_copied_together(raw):
    otb(cwd=raw, out="whole")
    for number in (1, 2):
        shutil.copytree(raw / "raw", raw / f"machine{number}" / "raw")
        assert otb("--part", f"{number}/2", cwd=raw / f"machine{number}").returncode == 0
        shutil.copytree(raw / f"machine{number}/out", raw / "out", dirs_exist_ok=True)
    shutil.rmtree(raw / "raw")  # the merge does not read it
    assert otb("--merge", cwd=raw).returncode == 0 and content(raw / "out") == content(raw / "whole")


def test_dry_run_of_a_part(raw):
    done = otb("--part", "1/2", "--dry-run", cwd=raw)
    assert "part 1 of 2 of train: 3 of 5 videos, 9 boxes, 0 crops exist" in done.stdout, done.stderr
    assert not (raw / "out").exists()
    assert "leave it out" in otb("--merge", "--dry-run", cwd=raw).stderr
    assert "not allowed with" in otb("--merge", "--part", "1/2", cwd=raw).stderr
    assert "expected I/N" in otb("--part", "3/2", cwd=raw).stderr


def test_missing_parts_are_named(raw):
    refuses(raw, "no finished part in out/crop511.parts; prepare the parts first, with --part I/N")
    make_parts(raw, 4, skip=(2, 3))
    command = f"python {TOOL} otb raw --out out --procs 1 --part"
    sentence = "part {} of 4 of train is missing or unfinished, 1 of 5 videos; run: {} {}/4"
    refuses(raw, *(sentence.format(number, command, number) for number in (2, 3)), "copy its crop511.parts")
    otb("--part", "2/4", cwd=raw)
    otb("--part", "3/4", cwd=raw)
    assert otb("--merge", cwd=raw).returncode == 0


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_a_killed_part_is_unfinished_and_continues(raw):
    for number in range(100):
        shutil.copytree(raw / "raw/Man", raw / f"raw/Man{number}")
    otb(cwd=raw, out="whole")
    make_parts(raw, 2)
    shutil.rmtree(raw / "out/crop511")  # the second start makes them again, and is killed
    command = [sys.executable, str(TOOL), "otb", "raw", "--out", "out", "--procs", "1", "--part", "2/2"]
    process = subprocess.Popen(command, cwd=raw, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(raw.glob("out/crop511/*/*.x.jpg"))) > 20)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    refuses(raw, "part 2 of 2 of train is missing or unfinished")
    done = otb("--part", "2/2", cwd=raw)
    assert done.returncode == 0 and ", 0 already present" not in done.stdout
    refuses(raw, "crops or masks of part 1 of 2 of train are not in out/crop511", "--part 1/2")
    otb("--part", "1/2", cwd=raw)
    assert otb("--merge", cwd=raw).returncode == 0
    assert content(raw / "out") == content(raw / "whole")


def test_parts_at_the_same_time_in_one_folder(raw):
    otb(cwd=raw, out="whole")
    commands = [
        [sys.executable, str(TOOL), "otb", "raw", "--out", "out", "--part", f"{number}/3"] for number in (1, 2, 3)
    ]
    for process in [subprocess.Popen(command, cwd=raw, stdout=subprocess.DEVNULL) for command in commands]:
        assert process.wait(120) == 0
    assert otb("--merge", cwd=raw).returncode == 0 and content(raw / "out") == content(raw / "whole")


def test_one_part_twice_at_the_same_time_is_refused(raw):
    with lock_for_writing(raw / "out/crop511.parts/.train.1-of-2.lock", "process 7 on node3"):
        done = otb("--part", "1/2", cwd=raw)
    assert done.returncode == 2 and "part 1 of 2 of train is being made by process 7 on node3; wait" in done.stderr


def test_another_number_of_parts_is_refused(raw):
    make_parts(raw, 2, skip=(2,))
    done = otb("--part", "1/3", cwd=raw)
    assert done.returncode == 2 and "has parts of 2. Split it as before" in done.stderr
    record = raw / "out/crop511.parts/train.1-of-2.json"
    shutil.copy(record, record.with_name("train.1-of-3.json"))
    refuses(raw, "has parts of train of 2 and of 3; remove the files of the division that is not wanted")


def edit(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (lambda record: record["versions"].update(OpenCV="4.0"), ("been made by other versions", "OpenCV 4.0")),
        (lambda record: record["settings"].update(size=255), ("other settings: part 1 has size 511, part 2 has size",)),
        (lambda record: record["settings"].update(layout="vot"), ("other settings", "layout vot")),
        (lambda record: record["all_videos"].update(videos=6), ("other lists of videos", "videos 6", "--part 2/2")),
        (lambda record: record["read"].update(absent=3), ("other counts of the raw data", "absent 3")),
        (lambda record: record["splits"].append("val"), ("other splits",)),
        (
            lambda record: record.update(part=[1, 2]),
            ("must be the record of part 2 of 2, but it is a copy of that of",),
        ),
        (lambda record: record.update(form=0), ("not a record of form 1 (its form: 0); prepare that part again",)),
        (lambda record: record["videos"].append(0), ("1 videos twice and 0 in no part",)),
        (lambda record: record["videos"].pop(), ("0 videos twice and 1 in no part",)),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(raw, change, sentences):
    make_parts(raw, 2)
    edit(raw / "out/crop511.parts/train.2-of-2.json", change)
    refuses(raw, *sentences)


def test_parts_of_different_raw_data_are_refused(raw):
    make_parts(raw, 2, skip=(2,))
    (raw / "raw/Dog/groundtruth_rect.txt").write_text("10,10,20,20\n" * 4)
    otb("--part", "2/2", cwd=raw)
    refuses(raw, "other lists of videos (from raw data that differ, or that lie in folders of other names)", "sha256")


def test_a_record_that_was_copied_in_part_and_lost_crops(raw):
    make_parts(raw, 2)
    record = raw / "out/crop511.parts/train.2-of-2.json"
    text = record.read_text()
    record.write_text(text[:-40])
    refuses(raw, "train.2-of-2.json is cut off")
    record.write_text(text)
    crop = raw / "out/crop511/Man/000001.00.x.jpg"
    data = crop.read_bytes()
    crop.write_bytes(data[:-10])
    refuses(raw, "1 crops or masks of part 1 of 2 of train are not in out/crop511, the first: out/crop511/Man/000001")
    crop.write_bytes(data)
    assert otb("--merge", cwd=raw).returncode == 0


def test_options_of_the_merge_must_be_those_of_the_parts(raw):
    make_parts(raw, 2)
    refuses_options = otb("--merge", "--with-z", cwd=raw)
    assert "were made with exemplars False, this command has exemplars True; use the same options" in (
        refuses_options.stderr
    )
    assert (
        "made with layout otb, this command has layout vot"
        in prepare("vot", "raw", "--out", "out", "--merge", cwd=raw).stderr
    )


def test_one_run_replaces_parts(raw):
    make_parts(raw, 2)
    otb(cwd=raw)
    assert "no finished part" in otb("--merge", cwd=raw).stderr


@pytest.fixture
def coco(tmp_path):
    """Return a folder with training_dataset/coco of a repository whose images are of two splits."""
    root = tmp_path / "raw"
    for split, count in (("train2017", 5), ("val2017", 2)):
        (root / split).mkdir(parents=True)
        images = [
            {"id": number, "file_name": f"{number}.jpg", "height": 60, "width": 80} for number in reversed(range(count))
        ]
        for number in range(count):
            image = np.random.default_rng(number).integers(0, 255, (60, 80, 3), np.uint8)
            cv2.imwrite(str(root / split / f"{number}.jpg"), image)
        boxes = [{"image_id": number, "bbox": [10, 5 + number, 30, 20.5], "id": number} for number in range(count)]
        (root / "annotations").mkdir(exist_ok=True)
        (root / f"annotations/instances_{split}.json").write_text(json.dumps({"images": images, "annotations": boxes}))
    return tmp_path


def test_par_crop_and_gen_json_in_parts(coco):
    def command(name, *arguments, out):
        script = ROOT / "training_dataset/coco" / name
        return prepare(*arguments, "--root", "raw", "--out", out, cwd=coco, tool=script)

    assert command("par_crop.py", 511, 1, out="whole").returncode == 0
    assert command("gen_json.py", out="whole").returncode == 0
    for number in (1, 3):
        done = command("par_crop.py", 511, 1, "--part", f"{number}/3", out="out")
        assert done.returncode == 0 and f"part {number} of 3 of train2017: " in done.stdout, done.stderr
    done = command("gen_json.py", out="out")
    assert done.returncode == 2 and not (coco / "out/train2017.json").exists()
    assert "part 2 of 3 of val2017 is missing or unfinished, 1 of 2 videos" in done.stderr
    assert "coco/par_crop.py 511 1 --part 2/3 --root raw --out out" in done.stderr
    command("par_crop.py", 511, 1, "--part", "2/3", out="out")
    done = command("gen_json.py", out="out")
    assert "train2017.json: 5 images, 5 boxes; joined from 3 parts" in done.stdout, done.stderr
    assert content(coco / "out") == content(coco / "whole")
    # without parts, one run of both commands needs none
    assert command("par_crop.py", 511, 1, out="out").returncode == 0
    assert "joined" not in command("gen_json.py", out="out").stdout
    assert content(coco / "out") == content(coco / "whole")


def test_masks_in_parts(tmp_path):
    for name in ("dog", "cat", "cow"):
        for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
            path = tmp_path / "raw" / folder / "480p" / name / f"00000.{suffix}"
            path.parent.mkdir(parents=True)
            pixels = np.zeros((60, 80), np.uint8)
            pixels[20:40, 30:50] = 255
            cv2.imwrite(str(path), pixels)

    def davis(*more, out):
        return prepare("davis", "raw", "--out", out, "--with-masks", "--procs", 1, *more, cwd=tmp_path)

    davis(out="whole")
    for part in ("1/2", "2/2"):
        davis("--part", part, out="out")
    mask = tmp_path / "out/crop511/cow/000000.00.m.png"
    data = mask.read_bytes()
    mask.unlink()
    assert "1 crops or masks of part" in davis("--merge", out="out").stderr
    mask.write_bytes(data)
    assert davis("--merge", out="out").returncode == 0
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert b"MASKS: true" in (tmp_path / "out/dataset.yaml").read_bytes()
