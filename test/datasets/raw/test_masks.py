"""Masks in raw data: COCO's codes, palette images of DAVIS 2017 and YouTube-VOS, and those that cannot be read."""

import json
import logging
import sys
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from pysot.datasets.crop import crop_all
from pysot.datasets.raw.coco import MAX_NAMED_MASKS, iter_coco
from pysot.datasets.raw.masks import LabelMask, MaskReader, RleMask, encode_segmentation, read_label_image
from pysot.datasets.raw.registry import RAW_SETS

SIZE = (60, 80)  # height, width


def ellipse():
    mask = np.zeros(SIZE, np.uint8)
    cv2.ellipse(mask, (40, 30), (25, 12), 20, 0, 360, 1, -1)
    return mask


def runs_of(mask):
    """Return the lengths of runs of 0 and 1, column by column, as COCO counts them."""
    flat = np.concatenate([[0], mask.ravel(order="F"), [2]])
    changes = np.flatnonzero(np.diff(flat))
    return np.diff(np.concatenate([[0], changes])).tolist()


def text_code(mask):
    return coco_masks.encode(np.asfortranarray(mask))["counts"].decode()


GOOD_CODE = text_code(ellipse())


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        3,
        "text",
        [],
        [[]],
        [3],
        [[1, 2, 30, 2]],
        [[1, 2, 30, 2, 30]],
        [[1, 2, 30, 2, 30, "a"]],
        [[1, 2, 30, 2, 30, None]],
        [[1, 2, 30, 2, 30, float("nan")]],
        [[1, 2, 30, 2, 30, float("inf")]],
        [[1, 2, 30, 2, 30, 1e9]],
        [[1, 2, 30, 2, 30, 10**400]],
        [[1, 2, 30, 2, 30, 40], [1, 2]],
        {},
        {"size": list(SIZE)},
        {"counts": GOOD_CODE},
        {"size": [60], "counts": GOOD_CODE},
        {"size": [60.5, 80], "counts": GOOD_CODE},
        {"size": [0, 80], "counts": []},
        {"size": [80, 61], "counts": GOOD_CODE},
        {"size": list(SIZE), "counts": ""},
        {"size": list(SIZE), "counts": GOOD_CODE[:-3]},
        {"size": list(SIZE), "counts": GOOD_CODE + "99"},
        {"size": list(SIZE), "counts": GOOD_CODE + "P"},
        {"size": list(SIZE), "counts": "garbage!"},
        {"size": list(SIZE), "counts": "é" * 9},
        {"size": list(SIZE), "counts": []},
        {"size": list(SIZE), "counts": [5, 10]},
        {"size": list(SIZE), "counts": [-5, 4805]},
        {"size": list(SIZE), "counts": [1.5, 4798.5]},
        {"size": list(SIZE), "counts": ["a"]},
        {"size": list(SIZE), "counts": 3},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": [80, 60], "counts": GOOD_CODE},
    ],
)
def test_codes_that_do_not_decode(segmentation):
    """pycocotools itself returns pixels of other memory for some of these, and an empty mask for others."""
    with pytest.raises(ValueError, match="polygon|run-length"):
        encode_segmentation(segmentation, *SIZE)


@pytest.mark.parametrize(
    "mask",
    [
        ellipse(),
        np.zeros(SIZE, np.uint8),
        np.ones(SIZE, np.uint8),
        np.random.default_rng(0).integers(0, 2, SIZE, np.uint8),
    ],
    ids=["ellipse", "nothing", "everything", "noise"],
)
def test_run_lengths_with_and_without_compression(mask):
    for counts in (runs_of(mask), text_code(mask)):
        encoded = encode_segmentation({"size": list(SIZE), "counts": counts}, *SIZE)
        np.testing.assert_array_equal(MaskReader().read(encoded), mask)


def test_polygons():
    """The parts of an object are united; outside of the image there is nothing."""
    square, corner = [10, 5, 30, 5, 30, 25, 10, 25], [70.5, 50, 95, 50, 95, 70, 70.5, 70]
    mask = MaskReader().read(encode_segmentation([square, corner], *SIZE))
    expected = np.zeros(SIZE, np.uint8)
    expected[5:25, 10:30] = 1
    expected[50:, 71:] = 1
    assert mask.dtype == np.uint8 and (mask != expected).sum() < 60
    assert mask[6:24, 11:29].all() and mask[51:, 72:].all() and not mask[30:48].any()
    assert not MaskReader().read(RleMask(*SIZE, b"")).any()


def write_labels(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels.astype(np.uint8), mode="P")
    image.putpalette([value for number in range(256) for value in (number * 37 % 256, number * 91 % 256, 7)])
    image.save(path)


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*SIZE, 3), 90, np.uint8))


def labels(**boxes):
    """Return an image of the numbers of objects, given as o1=(x1, y1, x2, y2)."""
    result = np.zeros(SIZE, np.uint8)
    for name, (x1, y1, x2, y2) in boxes.items():
        result[y1:y2, x1:x2] = int(name[1:])
    return result


def test_label_images(tmp_path):
    path = tmp_path / "m.png"
    for content, message in ((b"", "empty file"), (b"x" * 99, "cannot be decoded")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"m.png.*{message}"):
            read_label_image(path)
    write_labels(path, labels(o1=(10, 5, 20, 9), o7=(30, 5, 40, 9)))
    image = read_label_image(path)
    assert image.has_palette and image.boxes() == {1: (10, 5, 20, 9), 7: (30, 5, 40, 9)}
    assert MaskReader().read(LabelMask(path, 7)).sum() == 40 and not MaskReader().read(LabelMask(path, 3)).any()
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="m.png.*cannot be decoded"):
        read_label_image(path)
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[5, 6], colours[7, 9] = (0, 0, 3), (200, 0, 0)
    cv2.imwrite(str(path), colours)
    image = read_label_image(path)
    assert not image.has_palette and image.boxes() == {1: (6, 5, 10, 8)}


def davis(root, *masks, name="dogs"):
    for number, mask in enumerate(masks):
        write_image(root / f"JPEGImages/480p/{name}/{number:05d}.jpg")
        if mask is not None:
            write_labels(root / f"Annotations/480p/{name}/{number:05d}.png", mask)


def videos_of(name, root, **options):
    counts = Counter()
    split = RAW_SETS[name].splits(root)[-1]
    return list(RAW_SETS[name].videos(root, split, counts, **options)), +counts


def test_davis_2017_has_a_track_per_object(tmp_path):
    davis(
        tmp_path,
        labels(o1=(10, 5, 20, 9), o2=(30, 5, 40, 9)),
        labels(),
        labels(o2=(31, 5, 41, 9)),
        None,
    )
    (video,), counts = videos_of("davis", tmp_path, with_masks=True)
    assert [(frame.number, frame.boxes) for frame in video.frames] == [
        (0, {"01": (10, 5, 20, 9), "02": (30, 5, 40, 9)}),
        (2, {"02": (31, 5, 41, 9)}),
    ]
    assert counts == {"degenerate": 1, "images without a mask": 1}
    result = crop_all([video], tmp_path / "out", with_masks=True)
    assert (result.written, result.masks, result.empty_masks) == (3, 3, 0)
    first, second = (cv2.imread(str(tmp_path / f"out/dogs/000000.{track}.m.png"), 0) for track in ("01", "02"))
    middle = np.s_[250:260, 250:260]
    assert (first[middle] > 0).all() and (second[middle] > 0).all() and not (first[:, :100] > 0).any()


def test_davis_2016_has_one_track(tmp_path):
    davis(tmp_path, None)
    folder = tmp_path / "Annotations/480p/dogs"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "00000.png"), 255 * (labels(o1=(10, 5, 20, 9), o2=(30, 5, 40, 9)) > 0).astype(np.uint8))
    (video,), counts = videos_of("davis", tmp_path)
    assert video.frames[0].boxes == {"00": (10, 5, 40, 9)} and counts == {}
    assert MaskReader().read(video.frames[0].masks["00"]).sum() == 80


def vos(root, masks, objects):
    """Write a video of YouTube-VOS whose annotated frames are every fifth, and its meta.json."""
    for number in range(5 * len(masks)):
        write_image(root / f"JPEGImages/v/{number:05d}.jpg")
    for number, mask in enumerate(masks):
        write_labels(root / f"Annotations/v/{5 * number:05d}.png", mask)
    (root / "meta.json").write_text(json.dumps({"videos": {"v": {"objects": objects}}}))


OBJECTS = {"1": {"category": "dog", "frames": ["00000", "00005"]}, "2": {"category": "cat", "frames": ["00005"]}}


@pytest.mark.parametrize("folder", ["", "train"])
def test_youtube_vos(tmp_path, folder):
    vos(tmp_path / folder, [labels(o1=(10, 5, 20, 9)), labels(o1=(11, 5, 21, 9), o2=(30, 5, 40, 9)), labels()], OBJECTS)
    (video,), counts = videos_of("youtube_vos", tmp_path, with_masks=True)
    assert video.name == "v" and counts == {}
    assert [(frame.number, frame.image.name, frame.boxes) for frame in video.frames] == [
        (0, "00000.jpg", {"01": (10, 5, 20, 9)}),
        (5, "00005.jpg", {"01": (11, 5, 21, 9), "02": (30, 5, 40, 9)}),
    ]
    result = crop_all([video], tmp_path / "out", with_masks=True)
    assert (result.written, result.masks, result.empty_masks) == (3, 3, 0)


def test_objects_that_the_meta_file_does_not_have(tmp_path, caplog):
    vos(tmp_path, [labels(o1=(10, 5, 20, 9), o3=(30, 5, 40, 9))] * 3, {"1": {"category": "dog"}})
    (video,), counts = videos_of("youtube_vos", tmp_path)
    assert [list(frame.boxes) for frame in video.frames] == [["01"]] * 3
    assert counts == {"boxes of objects that meta.json does not have": 3}
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "00000.png has object 3, but meta.json has only 1" in record.getMessage()


def test_frames_that_are_missing(tmp_path, caplog):
    objects = {"1": {"category": "dog", "frames": ["00000", "00005", "00010", "00015"]}}
    vos(tmp_path, [labels(o1=(10, 5, 20, 9))] * 3, objects)
    (tmp_path / "JPEGImages/v/00005.jpg").unlink()
    (tmp_path / "Annotations/v/00010.png").write_bytes(b"")
    (video,), counts = videos_of("youtube_vos", tmp_path)
    assert [frame.number for frame in video.frames] == [0]
    assert counts == {"frames that meta.json names, without an image or an annotation": 2, "unreadable masks": 1}
    assert "2 of 4 frames that meta.json names have no image or no annotation, the first: 00005" in caplog.text
    assert "00010.png is an empty file" in caplog.text


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "no file .*meta.json"),
        ("", "meta.json is empty"),
        ("[]", 'meta.json must have "videos"'),
        ('{"videos": []}', 'meta.json must have "videos"'),
        ('{"videos": {"v": 3}}', 'meta.json must have "videos"'),
        ('{"videos": {}}', "none of the 1 chosen"),
        ('{"videos": {"v": {"objects": 3}}}', "none of the 1 chosen"),
        ('{"videos": {"v": {"objects": {"1": {"frames": 3}}}}}', "none of the 1 chosen"),
        ('{"videos": {"v": {"objects": {}}}}', "none of the 1 chosen .*objects that meta.json does not have"),
    ],
)
def test_bad_meta_files(tmp_path, content, message):
    vos(tmp_path, [labels(o1=(10, 5, 20, 9))], OBJECTS)
    (tmp_path / "meta.json").unlink()
    if content is not None:
        (tmp_path / "meta.json").write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        videos_of("youtube_vos", tmp_path)


def coco(root, *annotations, **image):
    """Write one image of COCO with annotations, which get an id, an image and a box."""
    write_image(root / "train2017/1.jpg")
    (root / "annotations").mkdir(exist_ok=True)
    rows = [{"id": 7 + n, "image_id": 1, "bbox": [15, 18, 50, 25], **row} for n, row in enumerate(annotations)]
    content = {"images": [{"id": 1, "file_name": "1.jpg", **image}], "annotations": rows}
    (root / "annotations/instances_train2017.json").write_text(json.dumps(content))


@pytest.mark.parametrize("image", [{"height": 60, "width": 80}, {}, {"height": None, "width": "80"}])
def test_coco_masks(tmp_path, image):
    """As for the crops, crowds are left out. Without a size in the json, that of the image counts."""
    square = [15, 18, 65, 18, 65, 43, 15, 43]
    code = {"size": list(SIZE), "counts": GOOD_CODE}
    coco(
        tmp_path,
        {"segmentation": [square]},
        {"segmentation": code, "iscrowd": 1},
        {"segmentation": code},
        {"segmentation": {"size": list(SIZE), "counts": runs_of(ellipse())}},
        {},
        **image,
    )
    (video,), counts = videos_of("coco", tmp_path, with_masks=True)
    masks = video.frames[0].masks
    assert list(masks) == ["00", "02", "03", "04"] and counts == {"crowd": 1, "boxes without a mask": 1}
    for track in ("02", "03"):
        np.testing.assert_array_equal(MaskReader().read(masks[track]), ellipse())
    result = crop_all([video], tmp_path / "out", with_masks=True)
    assert (result.written, result.masks, result.empty_masks) == (4, 4, 1)
    (video,), counts = videos_of("coco", tmp_path)
    assert video.frames[0].masks is None and counts == {"crowd": 1}


def test_coco_masks_that_do_not_decode_are_named_and_empty(tmp_path, caplog):
    coco(
        tmp_path,
        {"segmentation": [[1, 2]]},
        {"segmentation": {"size": list(SIZE), "counts": "abc"}},
        width=80,
        height=60,
    )
    (video,), counts = videos_of("coco", tmp_path, with_masks=True)
    assert counts == {"segmentations that do not decode": 2}
    assert "the mask of annotation 7 of 1.jpg is empty: a polygon needs" in caplog.text
    assert "annotation 8 of 1.jpg" in caplog.text
    assert [MaskReader().read(mask).sum() for mask in video.frames[0].masks.values()] == [0, 0]
    caplog.clear()
    coco(tmp_path, *[{"segmentation": [[1, 2]]}] * (MAX_NAMED_MASKS + 9), width=80, height=60)
    _, counts = videos_of("coco", tmp_path, with_masks=True)
    assert counts["segmentations that do not decode"] == MAX_NAMED_MASKS + 9 and len(caplog.records) == MAX_NAMED_MASKS


def test_coco_masks_of_another_size_than_the_image(tmp_path, caplog):
    """The size of a code must be that of its image in the json; the latter may be wrong too."""
    coco(tmp_path, {"segmentation": {"size": [30, 40], "counts": [1200]}}, width=80, height=60)
    videos, counts = videos_of("coco", tmp_path, with_masks=True)
    assert counts == {"segmentations that do not decode": 1}
    assert 'needs the "size" of its image, [60, 80] pixels, got [30, 40]' in caplog.text
    assert crop_all(videos, tmp_path / "out", with_masks=True).empty_masks == 1
    coco(tmp_path, {"segmentation": {"size": [30, 40], "counts": [1200]}}, width=40, height=30)
    videos, _ = videos_of("coco", tmp_path, with_masks=True)
    result = crop_all(videos, tmp_path / "out", with_masks=True)
    assert result.empty_masks == 1 and "it has 40 x 30 pixels, the image has 80 x 60" in caplog.text


def test_an_image_without_objects_or_that_is_missing(tmp_path):
    coco(tmp_path, {"segmentation": [[15, 18, 65, 18, 65, 43]]})
    (tmp_path / "train2017/1.jpg").unlink()
    videos = list(iter_coco(tmp_path, "train2017", Counter(), with_masks=True))
    with pytest.raises(ValueError, match="no crop could be made.*no image .*1.jpg"):
        crop_all(videos, tmp_path / "out", with_masks=True)
    coco(tmp_path)
    assert videos_of("coco", tmp_path, with_masks=True) == ([], {})


def test_without_pycocotools(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    coco(tmp_path, {"segmentation": [[15, 18, 65, 18, 65, 43]]})
    with pytest.raises(ModuleNotFoundError, match="pip install pycocotools"):
        videos_of("coco", tmp_path, with_masks=True)
    assert len(videos_of("coco", tmp_path)[0]) == 1
