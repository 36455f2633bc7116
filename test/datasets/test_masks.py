"""Masks beside crops: geometry, resumed commands, training items, packs, checks, and files that cannot be used."""

import json
import re

import cv2
import numpy as np
import pytest
from toy_data import add_masks, assert_equal, files_below, load_items, make_config, make_crops, make_video

from pysot.datasets import crop, crop_files, mask_files
from pysot.datasets.augmentation import Augmentation
from pysot.datasets.check import check_annotations, check_boxes, check_crops
from pysot.datasets.crop import CropResult, crop511, crop_all, crop_mask, crop_roi, crop_video
from pysot.datasets.crop_files import MaskSizeError, decode_mask, read_origin, write_mask
from pysot.datasets.data_builder import build_dataset, build_train_loader
from pysot.datasets.fingerprint import fingerprint
from pysot.datasets.index import load_annotation
from pysot.datasets.pack import pack, verify
from pysot.datasets.raw.masks import LabelMask, RleMask
from pysot.datasets.raw.video import RawFrame, RawVideo
from pysot.datasets.storage import full_view, open_storage, shard_path
from pysot.utils.bbox import Corner


def no_progress(results, total):
    return results


def with_masks(video, folder):
    """Return the video with a mask of each track: the white square of the image, but for its first column."""
    frames = []
    for frame in video.frames:
        path = folder / f"{frame.number:05d}.png"
        x1, y1, x2, y2 = (int(value) for value in frame.boxes["00"])
        pixels = np.zeros((240, 320), np.uint8)
        pixels[y1:y2, x1 + 1 : x2] = 255
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels)
        frames.append(RawFrame(frame.image, frame.number, frame.boxes, {"00": LabelMask(path, 1)}))
    return RawVideo(video.name, tuple(frames))


@pytest.mark.parametrize(
    "data, error, message",
    [
        (b"", ValueError, "x.m.png is an empty file"),
        (b"no image", ValueError, "x.m.png cannot be decoded"),
        (cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes()[:-20], ValueError, "x.m.png is cut off"),
        (cv2.imencode(".png", np.zeros((4, 6), np.uint8))[1].tobytes(), MaskSizeError, "6 x 4 pixels, its crop 9 x 9"),
    ],
)
def test_masks_that_cannot_be_used(data, error, message):
    with pytest.raises(error, match=message):
        decode_mask(data, "x.m.png", 9, 9)


def test_a_mask_file_keeps_mask_and_origin(tmp_path):
    """It is an 8-bit grey PNG of 0 and 255, as SiamMask's own scripts write it; theirs record no origin."""
    mask = (np.arange(49).reshape(7, 7) % 3 == 0).astype(np.uint8)
    path = tmp_path / "clip" / "000001.00.m.png"
    write_mask(path, mask, "1 2 30 40 é")
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert raw.dtype == np.uint8 and raw.shape == (7, 7) and set(np.unique(raw)) == {0, 255}
    assert read_origin(path) == "1 2 30 40 é" and files_below(tmp_path) == ["clip/000001.00.m.png"]
    np.testing.assert_array_equal(decode_mask(path.read_bytes(), path, 7, 7), mask)
    cv2.imwrite(str(path), np.where(mask, np.uint8(128), np.uint8(127)))  # of a program that smooths the border
    assert read_origin(path) == ""
    np.testing.assert_array_equal(decode_mask(path.read_bytes(), path, 7, 7), mask)


@pytest.mark.parametrize("box", [(100, 80, 160, 110), (-20, 30, 40, 300), (5, 5, 12, 9), (0, 0, 320, 240)])
def test_the_mask_has_the_geometry_of_its_crop(box):
    """Each pixel is that of the image nearest to it, and 0 outside of the image."""
    mask = np.random.default_rng(0).integers(0, 2, (240, 320), np.uint8)
    mask = cv2.resize(cv2.resize(mask, (40, 30)), (320, 240), interpolation=cv2.INTER_NEAREST)
    cut = crop_mask(mask, box)
    roi = crop_roi(box)
    x = roi.x1 + np.arange(511) * (roi.x2 - roi.x1) / 510
    y = roi.y1 + np.arange(511) * (roi.y2 - roi.y1) / 510
    columns, rows = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = ((rows >= 0) & (rows < 240))[:, None] & ((columns >= 0) & (columns < 320))
    expected = np.where(inside, mask[rows.clip(0, 239)][:, columns.clip(0, 319)], 0)
    near_half = (abs(x % 1 - 0.5) < 0.01)[None] | (abs(y % 1 - 0.5) < 0.01)[:, None]  # either pixel is the nearest
    np.testing.assert_array_equal(cut[~near_half], expected[~near_half])
    assert cut.dtype == np.uint8 and near_half.mean() < 0.1
    crop = crop511(np.repeat(mask[..., None] * np.uint8(255), 3, axis=2), box, fill=(0, 0, 0))[..., 0]
    assert ((crop > 127) == cut).mean() > 0.9  # the crop is interpolated


@pytest.mark.parametrize("procs", [1, 2])
def test_masks_are_written_beside_the_crops(tmp_path, procs):
    videos = [
        with_masks(make_video(tmp_path, f"v{number}", frames=2), tmp_path / f"masks{number}") for number in (0, 1)
    ]
    out = tmp_path / "out"
    assert crop_all(videos, out, procs, with_masks=True) == CropResult(written=4, masks=4)
    assert files_below(out)[:4] == [f"v0/00000{n}.00.{kind}" for n in (0, 1) for kind in ("m.png", "x.jpg")]
    crop = cv2.imread(str(out / "v0/000001.00.x.jpg"), cv2.IMREAD_GRAYSCALE)
    mask = cv2.imread(str(out / "v0/000001.00.m.png"), cv2.IMREAD_GRAYSCALE) > 0
    bright = crop > 140
    assert (mask & ~bright).sum() < 0.02 * mask.sum() and 0.9 < mask.sum() / bright.sum() < 1
    assert crop_all(videos, out, procs, with_masks=True) == CropResult(present=4)


def test_masks_are_added_to_old_crops_which_stay(tmp_path, monkeypatch):
    """Without decoding an image, also to crops of earlier versions, and a mask that changed is made again."""
    plain = make_video(tmp_path, frames=3)
    video, out = with_masks(plain, tmp_path / "masks"), tmp_path / "out"
    crop_video(video, out)
    assert not list(out.rglob("*.m.png"))
    old = out / "clip/000000.00.x.jpg"
    old.write_bytes(cv2.imencode(".jpg", cv2.imread(str(old)))[1].tobytes())
    before = {path: path.read_bytes() for path in out.rglob("*.x.jpg")}
    monkeypatch.delattr(crop, "read_image")
    assert crop_video(video, out, with_masks=True) == CropResult(present=3, masks=3)
    assert all(path.read_bytes() == data for path, data in before.items())
    path = tmp_path / "masks/00001.png"
    cv2.imwrite(str(path), np.zeros((240, 320), np.uint8))
    assert crop_video(video, out, with_masks=True) == CropResult(present=3, masks=1, empty_masks=1)
    (out / "clip/000002.00.m.png").write_bytes((out / "clip/000002.00.m.png").read_bytes()[:-9])
    assert crop_video(video, out, with_masks=True) == CropResult(present=3, masks=1)
    path.unlink()
    assert crop_video(video, out, with_masks=True) == CropResult(present=3)  # crops do not need their sources


def test_a_mask_does_not_outlive_the_box_of_its_crop(tmp_path):
    """After a correction of the boxes without --with-masks, the old mask would not fit the new crop."""
    video, out = with_masks(make_video(tmp_path, frames=3), tmp_path / "masks"), tmp_path / "out"
    crop_video(video, out, with_masks=True)
    first, second, third = video.frames
    cv2.imwrite(str(out / "clip/000001.00.m.png"), np.zeros((511, 511), np.uint8))  # made by another program
    (out / "clip/000002.00.x.jpg").unlink()
    moved = [RawFrame(frame.image, frame.number, {"00": (1.0, 2.0, 30.0, 40.0)}) for frame in (first, second)]
    assert crop_video(RawVideo("clip", (*moved, third)), out) == CropResult(written=3)
    assert [path.name for path in sorted(out.rglob("*.m.png"))] == ["000001.00.m.png", "000002.00.m.png"]


def test_masks_that_do_not_fit_their_image_are_empty(tmp_path):
    video, out = with_masks(make_video(tmp_path, frames=4), tmp_path / "masks"), tmp_path / "out"
    (tmp_path / "masks/00000.png").unlink()
    (tmp_path / "masks/00001.png").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "masks/00002.png"), np.ones((24, 32), np.uint8))
    last = video.frames[3]
    frames = (*video.frames[:3], RawFrame(last.image, 3, last.boxes, {"00": RleMask(240, 320, b"")}))
    result = crop_video(RawVideo("clip", frames), out, with_masks=True)
    assert (result.written, result.masks, result.empty_masks) == (4, 4, 4)
    missing, empty, size = result.problems
    assert all(
        f"the mask of track 00 of {frame.image}" in text for frame, text in zip(frames, result.problems, strict=False)
    )
    assert "no image" in missing and "is an empty file" in empty and "32 x 24 pixels, the image has 320 x 240" in size


def test_a_full_disk_leaves_no_half_mask(tmp_path, monkeypatch):
    def full(part, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(crop_files.os, "replace", full)
    with pytest.raises(OSError, match="cannot write .*m.png: No space left.* finished crops are kept"):
        write_mask(tmp_path / "000000.00.m.png", np.zeros((3, 3), np.uint8))
    assert files_below(tmp_path) == []


def test_the_mask_moves_with_the_box_and_the_image():
    """A filled box stays the box, to half a pixel, through scale, shift and flip."""
    augmentation = Augmentation(shift=64, scale=0.18, blur=0, flip=0.5, color=0)
    rng, mask, flips = np.random.default_rng(0), np.zeros((511, 511), np.uint8), set()
    mask[230:280, 220:300] = 1
    view = full_view(np.repeat(mask[..., None] * np.uint8(255), 3, axis=2))
    for _ in range(200):
        image, box, _, geometry = augmentation(rng, view, Corner(219.5, 229.5, 299.5, 279.5), 255)
        moved = geometry.mask(mask)
        assert moved.shape == (255, 255) and moved.dtype == np.uint8 and moved.flags["C_CONTIGUOUS"]
        columns, rows = np.flatnonzero(moved.any(axis=0)), np.flatnonzero(moved.any(axis=1))
        bounds = np.array([columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5])
        assert abs(bounds - np.clip(box, -0.5, 254.5)).max() <= 0.51
        assert ((image[..., 0] > 127) != moved).mean() < 0.005
        flips.add(geometry.flip)
    assert flips == {False, True}


@pytest.fixture
def toy(tmp_path):
    make_crops(tmp_path)
    add_masks(tmp_path)
    return tmp_path


def config(toy, **changes):
    return make_config(toy, **{"MASK__MASK": True, "DATASET__TOY__MASKS": True, **changes})


def test_items_have_the_mask_of_the_search_crop(toy):
    dataset = build_dataset(config(toy, DATASET__SEARCH__FLIP=0.5, DATASET__SEARCH__BLUR=0.0), seed=1)
    plain = build_dataset(make_config(toy, DATASET__SEARCH__FLIP=0.5, DATASET__SEARCH__BLUR=0.0), seed=1)
    assert set(dataset.forms) - set(plain.forms) == {"search_mask", "has_mask", "cell_keys"}
    shares = []
    for position in range(24):
        item, expected = dataset[0, position], plain[0, position]
        assert {name: (value.shape, value.dtype) for name, value in item.items()} == dataset.forms
        assert all((item[name] == value).all() for name, value in expected.items())  # masks change nothing else
        negative = not (item["label_cls"] == 1).any()
        assert bool(item["has_mask"]) != negative and item["search_mask"].any() != negative
        if item["has_mask"]:
            bright = item["search"].max(axis=0) > 95
            shares.append((item["search_mask"] & bright).sum() / (item["search_mask"] | bright).sum())
    assert min(shares) > 0.95 and 12 < len(shares) < 24


def test_blur_does_not_touch_the_mask(toy):
    sharp, blurred = (
        build_dataset(config(toy, DATASET__SEARCH__BLUR=blur, DATASET__NEG=0.0), seed=1)[0, 3] for blur in (0.0, 1.0)
    )
    assert (sharp["search"] != blurred["search"]).any()
    np.testing.assert_array_equal(sharp["search_mask"], blurred["search_mask"])
    assert set(np.unique(blurred["search_mask"])) == {0, 1}


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_have_masks(toy, workers):
    loader = build_train_loader(config(toy, TRAIN__NUM_WORKERS=workers), seed=1)
    items = load_items(loader, 0)
    dataset = build_dataset(config(toy), seed=1)
    assert_equal(items, [dataset[0, position] for position in range(24)])
    assert str(items[0]["search_mask"].dtype) == "torch.uint8" and str(items[0]["has_mask"].dtype) == "torch.bool"


def test_objects_without_a_mask_train_box_and_score(toy):
    for path in (toy / "crop511/v0").glob("*.m.png"):
        write_mask(path, np.zeros((511, 511), np.uint8))
    dataset = build_dataset(config(toy, DATASET__NEG=0.0), seed=1)
    for position in range(24):
        item = dataset[0, position]
        assert bool(item["has_mask"]) == ("/v0/" not in dataset.describe(0, position))
        assert item["search_mask"].any() == item["has_mask"] and (item["label_cls"] == 1).any()


def test_a_data_set_without_masks_beside_one_with_masks(tmp_path):
    for name in ("a", "b"):
        make_crops(tmp_path / name)
    add_masks(tmp_path / "b")
    cfg = config(tmp_path / "b", DATASET__NEG=0.0)
    cfg.DATASET.OTHER = make_config(tmp_path / "a").DATASET.TOY
    cfg.DATASET.NAMES = ["OTHER", "TOY"]
    dataset = build_dataset(cfg, seed=1)
    for position in range(24):
        assert bool(dataset[0, position]["has_mask"]) == (str(tmp_path / "b") in dataset.describe(0, position))


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.unlink(), "no image .*m.png"),
        (lambda path: path.write_bytes(b""), "m.png is an empty file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-15]), "m.png is cut off"),
        (lambda path: cv2.imwrite(str(path), np.zeros((255, 255), np.uint8)), "255 x 255 pixels, its crop 511 x 511"),
    ],
)
def test_pairs_whose_mask_is_bad_are_replaced(toy, damage, message):
    """As for unreadable crops: they are counted, and named with the reason."""
    dataset = build_dataset(config(toy), seed=1)
    for path in (toy / "crop511/v0").glob("*.m.png"):
        damage(path)
    items = [dataset[0, position] for position in range(24)]
    assert all(item["search_mask"].any() == item["has_mask"] for item in items)
    count, *named = dataset.pop_notes()
    assert dataset.unreadable > 0 and f"{dataset.unreadable} crops could not be read" in count
    assert all(re.search(message, text) and "v0" in text for text in named) and named
    again = build_dataset(config(toy, MASK__MASK=False), seed=1)
    assert [again[0, position] for position in range(24)] and again.unreadable == 0


def test_missing_masks_are_an_error_at_the_start(toy):
    for name in ("v1/000002", "v3/000000"):
        (toy / "crop511" / f"{name}.00.m.png").unlink()
    with pytest.raises(ValueError) as caught:
        build_dataset(config(toy), seed=1)
    message = str(caught.value)
    assert "TOY: DATASET.TOY.MASKS is true, but 2 of 20 crops have no mask" in message
    assert f"the first: {toy / 'crop511/v1/000002.00.m.png'}" in message and "--with-masks" in message
    build_dataset(make_config(toy, DATASET__TOY__MASKS=True), seed=1)  # MASK.MASK is false: nobody reads masks
    for name in ("v1/000002", "v3/000000"):
        (toy / "crop511" / f"{name}.00.x.jpg").unlink()  # a crop that is missing itself is not the masks' fault
    build_dataset(config(toy), seed=1)


def test_folders_are_listed_once(toy, monkeypatch):
    build_dataset(config(toy), seed=1)
    monkeypatch.setattr(mask_files, "missing_masks", lambda annotation: (1, "listed"))
    build_dataset(config(toy), seed=1)
    content = json.loads((toy / "train.json").read_text())
    del content["v3"]
    (toy / "train.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="listed"):
        build_dataset(config(toy), seed=1)


def test_a_set_with_masks_is_needed(toy):
    with pytest.raises(ValueError, match=r"MASKS is false for all of DATASET.NAMES \(TOY\).*--with-masks"):
        build_dataset(config(toy, DATASET__TOY__MASKS=False), seed=1)


def packed(toy, masks=True, annotation=None):
    annotation = annotation or load_annotation("TOY", toy / "crop511", toy / "train.json")
    return pack(annotation, toy / "pack", 160, 1, toy / "train.json", no_progress, masks)


def test_items_of_a_pack_are_those_of_the_files(toy):
    assert packed(toy) == (20, [])
    annotation = load_annotation("TOY", toy / "pack", toy / "train.json")
    assert verify(annotation, no_progress) == []
    assert files_below(toy / "pack")[0] == "crops-00000.tar" and "masks.npy" in files_below(toy / "pack")
    for masks in (True, False):
        loose = build_dataset(config(toy, MASK__MASK=masks), seed=1)
        other = build_dataset(config(toy, MASK__MASK=masks, DATASET__TOY__ROOT=str(toy / "pack")), seed=1)
        assert_equal([loose[0, n] for n in range(24)], [other[0, n] for n in range(24)])


def test_a_pack_without_masks_is_refused_where_masks_are_needed(toy):
    packed(toy, masks=False)
    root = {"DATASET__TOY__ROOT": str(toy / "pack")}
    with pytest.raises(ValueError, match="MASKS is true, but .*pack was packed without masks.*--with-masks"):
        build_dataset(config(toy, **root), seed=1)
    build_dataset(make_config(toy, **root), seed=1)
    with pytest.raises(ValueError, match="holds a pack with(out)? masks, expected one with"):
        packed(toy)


def test_bad_masks_are_not_packed(toy):
    (toy / "crop511/v0/000001.00.m.png").unlink()
    with pytest.raises(ValueError, match="1 of 20 crops have no mask, the first: .*000001.00.m.png.*--with-masks"):
        packed(toy)
    write_mask(toy / "crop511/v0/000001.00.m.png", np.zeros((9, 9), np.uint8))
    count, (problem,) = packed(toy)
    assert count == 19 and "9 x 9 pixels, its crop 511 x 511" in problem


def test_a_damaged_mask_of_a_pack_is_found(toy):
    packed(toy)
    path = shard_path(toy / "pack", 0)
    data = path.read_bytes()
    mask = (toy / "crop511/v2/000003.00.m.png").read_bytes()
    place = data.index(mask) if data.count(mask) == 1 else data.rindex(mask)
    path.write_bytes(data[: place + 60] + bytes([data[place + 60] ^ 1]) + data[place + 61 :])
    (problem,) = verify(load_annotation("TOY", toy / "pack", toy / "train.json"), no_progress)
    assert ".m.png is damaged" in problem


def test_the_check_counts_masks_and_draws_outlines(toy):
    def check(**options):
        annotation = load_annotation("TOY", toy / "crop511", toy / "train.json")
        report = check_boxes(annotation)
        return report, check_crops(annotation, report, None, no_progress, **options)

    report, sheet = check(with_masks=True)
    assert report.counts["masks"] == 20 and not report.suspicious and not report.bad
    outline = (abs(sheet.astype(int) - (255, 0, 255)) < 90).all(axis=2)
    assert outline.sum() > 1000 and not (abs(check()[1].astype(int) - (255, 0, 255)) < 90).all(axis=2).any()
    folder = toy / "crop511/v0"
    (folder / "000000.00.m.png").unlink()
    (folder / "000001.00.m.png").write_bytes(b"")
    write_mask(folder / "000002.00.m.png", np.zeros((9, 9), np.uint8))
    write_mask(folder / "000003.00.m.png", np.zeros((511, 511), np.uint8))
    report, _ = check(with_masks=True)
    kinds = ("masks are missing", "masks cannot be read", "masks have another size than their crop")
    assert all(report.counts[kind] == 1 for kind in (*kinds, "masks have no pixel")) and report.counts["masks"] == 17
    assert [any(f"1 {kind}, the first: " in text for text in report.suspicious) for kind in kinds] == [True] * 3
    assert len(report.suspicious) == 3 and not report.bad  # the crops are good


def test_the_start_of_a_training_run_reads_some_masks(toy):
    annotation = load_annotation("TOY", toy / "crop511", toy / "train.json")
    storage = open_storage(annotation)
    assert check_annotations([annotation], [storage], masks=[True]) == []
    first = fingerprint(annotation, storage, True)
    assert first != fingerprint(annotation, storage) == fingerprint(annotation, storage, False)
    (toy / "crop511/v0/000000.00.m.png").write_bytes(b"")
    (sentence,) = check_annotations([annotation], [storage], masks=[True])
    assert "TOY: of 20 drawn at random, 1 masks cannot be read" in sentence
    assert check_annotations([annotation], [storage], masks=[False]) == []
    assert fingerprint(annotation, storage, True) != first
    for path in toy.rglob("*.m.png"):
        path.unlink()
    with pytest.raises(ValueError, match="20 masks are missing.*or set DATASET.TOY.MASKS to false"):
        check_annotations([annotation], [storage], masks=[True])
