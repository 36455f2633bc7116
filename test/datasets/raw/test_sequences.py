"""Data sets of annotated sequences: OTB, VOT, DAVIS, GOT-10k, LaSOT."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from pysot.datasets.raw.masks import mask_bounds
from pysot.datasets.raw.registry import RAW_SETS

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def images(folder, count, first=1, digits=4, start=(10, 20), size=(30, 16)):
    """Write images of a bright square on noise that moves two pixels to the right per frame; return its boxes xywh."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, boxes = np.random.default_rng(0), []
    for number in range(count):
        x, y, w, h = start[0] + 2 * number, start[1], *size
        image = rng.integers(0, 80, (90, 120, 3), dtype=np.uint8)
        image[y : y + h, x : x + w] = 255
        cv2.imwrite(str(folder / f"{first + number:0{digits}d}.jpg"), image)
        boxes.append([x, y, w, h])
    return boxes


def lines(path, rows, separator=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))


def load(layout, root, **options):
    counts = Counter()
    return list(RAW_SETS[layout].videos(root, "train", counts, **options)), counts


def boxes_of(video, track="00"):
    return [frame.boxes[track] for frame in video.frames]


def corners(boxes):
    return [(x, y, x + w, y + h) for x, y, w, h in boxes]


@pytest.mark.parametrize("layout", ["otb", "vot", "davis", "got10k"])
def test_empty_root_says_what_is_expected(tmp_path, layout):
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match=f"no {layout} sequence in .*expected .*<sequence>"):
            load(layout, root)


def test_unknown_names(tmp_path):
    lines(tmp_path / "Deer" / "groundtruth_rect.txt", images(tmp_path / "Deer" / "img", 2))
    for options in ({"only": ["Dear"]}, {"excluded": ["Dear"]}):
        with pytest.raises(ValueError, match="no sequence Dear in .*there are Deer"):
            load("otb", tmp_path, **options)
    with pytest.raises(ValueError, match="none of the 0 chosen"):
        load("otb", tmp_path, excluded=["Deer"])


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is empty"),
        ("1,2,3,4\nno numbers\n", "line 2 needs numbers"),
        ("1,2,3,4\n\n1,2,3,4\n", "line 2 needs numbers"),
        ("1,2,3,4\n1,5;2,5;3,5;4,5\n", "line 2 needs decimal points and one kind of separator"),
    ],
)
@pytest.mark.parametrize(
    "layout, truth, folder",
    [
        ("otb", "groundtruth_rect.txt", "img"),
        ("vot", "groundtruth.txt", "color"),
        ("got10k", "groundtruth.txt", "."),
        ("lasot", "groundtruth.txt", "img"),
    ],
)
def test_ground_truth_that_cannot_be_read(tmp_path, layout, truth, folder, text, message, caplog):
    images(tmp_path / "a" / folder, 2)
    (tmp_path / "a" / truth).write_text(text)
    with pytest.raises(ValueError, match="none of the 1 chosen"):
        load(layout, tmp_path)
    assert f"{truth} {message}" in caplog.text


def test_masks_count_as_their_boxes(tmp_path):
    """Ground truth of VOT sets since 2020 is read as evaluation reads it; an empty mask gives no box."""
    images(tmp_path / "a" / "color", 3, digits=8)
    (tmp_path / "a" / "groundtruth.txt").write_text("m10,20,4,2,1,2,2,1,2\nm0,0,2,2,4\n1,2,3,4\n")
    (video,), counts = load("vot", tmp_path)
    assert boxes_of(video) == [(11, 20, 13, 22), (1, 2, 4, 6)] and counts == {"degenerate": 1}


def test_otb(tmp_path):
    boxes = images(tmp_path / "Deer" / "img", 4)
    lines(tmp_path / "Deer" / "groundtruth_rect.txt", boxes, "\t")
    (video,), counts = load("otb", tmp_path)
    assert video.name == "Deer" and boxes_of(video) == corners(boxes) and not +counts
    assert [frame.number for frame in video.frames] == [0, 1, 2, 3] and video.frames[2].image.name == "0003.jpg"


@pytest.mark.parametrize("first, count", [(300, 4), (297, 9)])
def test_otb_sequence_that_starts_late(tmp_path, first, count):
    images(tmp_path / "David" / "img", count, first=first)
    lines(tmp_path / "David" / "groundtruth_rect.txt", [[number, 1, 5, 5] for number in range(4)])
    (video,), _ = load("otb", tmp_path)
    assert [frame.image.name for frame in video.frames] == ["0300.jpg", "0301.jpg", "0302.jpg", "0303.jpg"]


def test_otb_with_two_targets(tmp_path):
    boxes = images(tmp_path / "Jogging" / "img", 3)
    lines(tmp_path / "Jogging" / "groundtruth_rect.1.txt", boxes)
    lines(tmp_path / "Jogging" / "groundtruth_rect.2.txt", [[1, 1, 5, 5], [0, 0, 0, 0], [2, 2, 5, 5]])
    (video,), counts = load("otb", tmp_path)
    assert boxes_of(video) == corners(boxes) and counts == {"degenerate": 1}
    assert [frame.boxes.get("01") for frame in video.frames] == [(1, 1, 6, 6), None, (2, 2, 7, 7)]


def test_sequence_with_other_counts_is_left_out(tmp_path, caplog):
    for name, count in (("good", 3), ("bad", 4)):
        images(tmp_path / name / "img", 3)
        lines(tmp_path / name / "groundtruth_rect.txt", [[1, 1, 5, 5]] * count)
    videos, counts = load("otb", tmp_path)
    assert [video.name for video in videos] == ["good"] and counts["unreadable sequences"] == 1
    assert "sequence bad is left out: 3 images, but 4 lines" in caplog.text
    with pytest.raises(ValueError, match="none of the 1 chosen otb sequences"):
        load("otb", tmp_path, only=["bad"])


@pytest.mark.parametrize("row", [[0, 0, 0, 5], [0, 0, -4, 5], ["nan"] * 4, ["inf", 0, 5, 5]])
def test_degenerate_boxes_are_counted(tmp_path, row):
    images(tmp_path / "Deer" / "img", 3)
    lines(tmp_path / "Deer" / "groundtruth_rect.txt", [[1, 1, 5, 5], row, [2, 2, 5, 5]])
    (video,), counts = load("otb", tmp_path)
    assert [frame.number for frame in video.frames] == [0, 2] and counts == {"degenerate": 1}


def test_only_and_except(tmp_path):
    for name in "abc":
        lines(tmp_path / name / "groundtruth_rect.txt", images(tmp_path / name / "img", 2))
    assert [video.name for video in load("otb", tmp_path, excluded=["b"])[0]] == ["a", "c"]
    assert [video.name for video in load("otb", tmp_path, only=["c", "b"], excluded=["b"])[0]] == ["c"]


def test_vot_polygons(tmp_path):
    images(tmp_path / "bag" / "color", 4, digits=8)
    diamond = [50, 20, 70, 40, 50, 60, 30, 40]  # area 800 in bounds of 1600
    lines(tmp_path / "bag" / "groundtruth.txt", [diamond, [10, 20, 30, 40], ["nan"] * 8, [1, 2, 5, 2, 5, 8, 1, 8]])
    images(tmp_path / "old", 2, digits=8)  # images beside the ground truth, as in VOT2013
    lines(tmp_path / "old" / "groundtruth.txt", [[1, 2, 3, 4]] * 2)
    (tmp_path / "list.txt").write_text("old\nbag\nnot-downloaded\n")
    (old, bag), counts = load("vot", tmp_path)
    assert (
        (old.name, bag.name) == ("old", "bag") and counts == {"degenerate": 1} and boxes_of(old) == [(1, 2, 4, 6)] * 2
    )
    half = (40 * np.sqrt(0.5) + 1) / 2
    np.testing.assert_allclose(boxes_of(bag)[0], [50 - half, 40 - half, 50 + half, 40 + half])
    assert boxes_of(bag)[1] == (10, 20, 40, 60) and [frame.number for frame in bag.frames] == [0, 1, 3]


def test_vot_lines_of_another_length(tmp_path, caplog):
    images(tmp_path / "bag" / "color", 1, digits=8)
    lines(tmp_path / "bag" / "groundtruth.txt", [[1, 2, 3]])
    with pytest.raises(ValueError, match="none of the 1"):
        load("vot", tmp_path)
    assert "4 numbers" in caplog.text


def test_got10k_with_absence(tmp_path):
    boxes = images(tmp_path / "GOT_1", 4, digits=8)
    lines(tmp_path / "GOT_1" / "groundtruth.txt", boxes)
    (video,), _ = load("got10k", tmp_path)
    assert boxes_of(video) == corners(boxes)
    (tmp_path / "GOT_1" / "absence.label").write_text("0\n1\n0\n0\n")
    (video,), counts = load("got10k", tmp_path)
    assert [frame.number for frame in video.frames] == [0, 2, 3] and counts == {"absent": 1}


def masks(folder, boxes):
    folder.mkdir(parents=True)
    for number, (x, y, w, h) in enumerate(boxes):
        mask = np.zeros((90, 120), np.uint8)
        mask[y : y + h, x : x + w] = 255
        cv2.imwrite(str(folder / f"{number:05d}.png"), mask)


def test_davis_masks(tmp_path, caplog):
    boxes = images(tmp_path / "JPEGImages" / "480p" / "dog", 5, first=0, digits=5)
    folder = tmp_path / "Annotations" / "480p" / "dog"
    masks(folder, [*boxes[:2], (0, 0, 0, 0), boxes[3]])
    (video,), counts = load("davis", tmp_path)
    assert boxes_of(video) == corners([boxes[0], boxes[1], boxes[3]])
    assert counts == {"degenerate": 1, "images without a mask": 1}
    (folder / "00000.png").write_bytes(b"")
    (video,), counts = load("davis", tmp_path)
    assert len(video.frames) == 2 and counts["unreadable masks"] == 1 and "00000.png" in caplog.text
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="none of the 1 chosen"):
        load("davis", tmp_path)
    assert "no image has a mask" in caplog.text


def test_mask_bounds():
    assert mask_bounds(np.zeros((4, 5), np.uint8)) is None
    mask = np.zeros((4, 5), np.uint8)
    mask[1, 2] = mask[2, 4] = 1
    assert mask_bounds(mask) == (2, 1, 5, 3)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize(
    "layout, frames",
    [
        ("otb", {"Crossing": 120, "David": 471, "Deer": 71, "Girl": 500, "Man": 134}),
        ("vot", {"bag": 196, "ball1": 105}),
        (
            "davis",
            {
                "blackswan": 50,
                "car-shadow": 40,
                "dog": 60,
                "drift-chicane": 52,
                "horsejump-high": 50,
                "libby": 49,
                "scooter-black": 43,
            },
        ),
    ],
)
def test_real_sequences(layout, frames):
    videos, counts = load(layout, SHARED / layout)
    assert {video.name: len(video.frames) for video in videos} == frames and not +counts
    if layout == "otb":
        assert videos[1].frames[0].image.name == "0300.jpg" and videos[1].frames[0].boxes == {"00": (129, 80, 193, 158)}


def test_list_with_a_missing_folder_and_a_byte_order_mark(tmp_path, caplog):
    for name in ("a", "b"):
        images(tmp_path / name / "color", 2, digits=8)
        lines(tmp_path / name / "groundtruth.txt", [(10, 20, 30, 16)] * 2)
    (tmp_path / "list.txt").write_text("\ufeffa\nb\ngone\n", encoding="utf-8")
    videos, _ = load("vot", tmp_path)
    assert [video.name for video in videos] == ["a", "b"] and "gone is left out" in caplog.text
