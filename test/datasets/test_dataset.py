import hashlib
import pickle
import signal

import cv2
import numpy as np
import pytest
import torch
from toy_data import FRAMES, VIDEOS, assert_equal, load_items, make_config, make_crops

from pysot.datasets import storage as storage_module
from pysot.datasets.data_builder import build_dataset, build_train_loader
from pysot.datasets.dataset import MAX_DRAWS, MAX_NAMED_CROPS, init_worker
from pysot.datasets.sampler import epoch_order
from pysot.utils.jpeg import WITH_RESTARTS


@pytest.fixture
def toy(tmp_path):
    make_crops(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"DATASET__NAMES": []}, "NAMES is empty"),
        ({"DATASET__NAMES": ["TYO"]}, "'TYO'.*known: TOY.*prepare_data.py --name tyo"),
        ({"DATASET__NAMES": ["SEARCH"]}, "'SEARCH'.*known: TOY"),
        ({"DATASET__VIDEOS_PER_EPOCH": 3}, "VIDEOS_PER_EPOCH"),
        ({"DATASET__NEG": 1.5}, "DATASET.NEG"),
        ({"DATASET__TOY__FRAME_RANGE": -1}, "FRAME_RANGE"),
        ({"DATASET__TOY__NUM_USE": 0}, "NUM_USE"),
        ({"DATASET__SEARCH__BLUR": 2.0}, "DATASET.SEARCH.*BLUR"),
        ({"TRAIN__THR_LOW": 0.9}, "THR_LOW"),
    ],
)
def test_config_errors(toy, changes, message):
    with pytest.raises(ValueError, match=message):
        build_train_loader(make_config(toy, **changes), seed=0)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="DATASET.TOY.ANNO.*train.json"):
        build_train_loader(make_config(tmp_path), seed=0)


def test_batch_layout(toy):
    loader = build_train_loader(make_config(toy), seed=0)
    assert len(loader) == 6
    batch = next(iter(loader))
    layout = {key: (tuple(value.shape), value.dtype) for key, value in batch.items()}
    assert layout == {
        "template": ((4, 3, 127, 127), torch.uint8),
        "search": ((4, 3, 255, 255), torch.uint8),
        "template_light": ((4, 3), torch.float32),
        "search_light": ((4, 3), torch.float32),
        "label_cls": ((4, 5, 25, 25), torch.int64),
        "label_loc": ((4, 4, 5, 25, 25), torch.float32),
        "label_loc_weight": ((4, 5, 25, 25), torch.float32),
        "bbox": ((4, 4), torch.float32),
    }
    assert all(value.flags.c_contiguous for value in loader.dataset[0, 0].values())


def test_items_of_points(toy):
    """They are those of anchors but for their labels, on any number of loader processes."""
    points = {"BAN__BAN": True, "POINT__STRIDE": 16, "TRAIN__OUTPUT_SIZE": 15}
    loaders = [build_train_loader(make_config(toy, TRAIN__NUM_WORKERS=n, **points), seed=3) for n in (0, 1)]
    items, others = (load_items(loader, epoch=1) for loader in loaders)
    assert_equal(items, others)
    layout = {key: (tuple(value.shape), value.dtype) for key, value in items[0].items()}
    assert layout["label_cls"] == ((15, 15), torch.int64) and layout["label_loc"] == ((4, 15, 15), torch.float32)
    assert "label_loc_weight" not in layout
    labels = torch.stack([item["label_cls"] for item in items])
    is_negative = ~(labels == 1).flatten(1).any(1)
    assert 0 < is_negative.sum() < len(items)
    for item in items:
        row, column = torch.meshgrid(*[127 + 16.0 * (torch.arange(15) - 7)] * 2, indexing="ij")
        x1, y1, x2, y2 = item["bbox"]
        chosen = item["label_cls"] == 1
        expected = torch.stack([column - x1, row - y1, x2 - column, y2 - row])
        torch.testing.assert_close(item["label_loc"][:, chosen], expected[:, chosen], rtol=1e-5, atol=1e-3)
    by_anchors = load_items(build_train_loader(make_config(toy), seed=3), epoch=1)
    for item, other in zip(items, by_anchors, strict=True):
        assert all(torch.equal(item[key], other[key]) for key in ("template", "search", "bbox"))


def test_box_is_around_the_target(toy):
    """`bbox` is the bright box of the crop, and labels of positive pairs agree with it."""
    dataset = build_dataset(
        make_config(toy, DATASET__NEG=0.0, DATASET__SEARCH__COLOR=0.0, DATASET__SEARCH__BLUR=0.0), seed=3
    )
    shapes = set()
    for position in range(24):
        item = dataset[0, position]
        bright = item["search"].mean(axis=0) > 95
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        np.testing.assert_allclose(item["bbox"], [columns[0], rows[0], columns[-1], rows[-1]], atol=2)
        shapes.add(round(float((item["bbox"][2] - item["bbox"][0]) / (item["bbox"][3] - item["bbox"][1])), 1))
        if (item["label_cls"] == 1).any():
            _, row, column = np.argwhere(item["label_cls"] == 1).mean(axis=0)
            centre = [(item["bbox"][0] + item["bbox"][2]) / 2, (item["bbox"][1] + item["bbox"][3]) / 2]
            np.testing.assert_allclose([31 + 8 * column, 31 + 8 * row], centre, atol=10)
    assert len(shapes) > 5


def test_items_do_not_depend_on_workers_or_ranks(toy):
    alone = build_train_loader(make_config(toy, TRAIN__BATCH_SIZE=8), seed=5)
    workers = build_train_loader(make_config(toy, TRAIN__BATCH_SIZE=8, TRAIN__NUM_WORKERS=2), seed=5)
    ranks = [
        build_train_loader(make_config(toy, TRAIN__BATCH_SIZE=4), seed=5, rank=rank, world_size=2) for rank in range(2)
    ]
    assert workers.persistent_workers and not alone.persistent_workers
    epochs = []
    for epoch in range(2):
        epochs.append(load_items(alone, epoch))
        assert_equal(epochs[-1], load_items(workers, epoch))
        halves = [load_items(loader, epoch) for loader in ranks]
        assert_equal(
            epochs[-1], [item for step in range(3) for half in halves for item in half[4 * step : 4 * step + 4]]
        )
    assert not any(torch.equal(a["search"], b["search"]) for a, b in zip(*epochs, strict=True))


def test_item_does_not_depend_on_earlier_ones(toy):
    dataset = build_dataset(make_config(toy), seed=1)
    forward = [dataset[1, position] for position in range(6)]
    dataset[0, 3]
    assert_equal(forward[::-1], [dataset[1, position] for position in reversed(range(6))])
    np.testing.assert_array_equal(dataset.order(0), epoch_order(1, 0, [VIDEOS], [-1], 24))
    np.testing.assert_array_equal(dataset.order(1), epoch_order(1, 1, [VIDEOS], [-1], 24))
    other = build_dataset(make_config(toy), seed=2)
    assert not np.array_equal(other[1, 0]["search"], forward[0]["search"])


def test_shares_of_negative_and_gray_pairs(toy):
    dataset = build_dataset(
        make_config(
            toy,
            DATASET__VIDEOS_PER_EPOCH=300,
            DATASET__NEG=0.3,
            DATASET__GRAY=0.4,
            DATASET__SEARCH__COLOR=0.0,
            DATASET__TEMPLATE__COLOR=0.0,
        ),
        seed=0,
    )
    items = [dataset[0, position] for position in range(300)]
    negative = np.mean([not item["label_loc_weight"].any() for item in items])
    gray = [np.ptp(item["search"], axis=0).max() < 1e-3 for item in items]
    assert gray == [np.ptp(item["template"], axis=0).max() < 1e-3 for item in items]  # decided once per pair
    assert 0.2 < negative < 0.4 and 0.3 < np.mean(gray) < 0.5


def digest(dataset, count=24):
    total = hashlib.sha256()
    for position in range(count):
        for name, array in dataset[1, position].items():
            total.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return total.hexdigest()


@pytest.mark.skipif(cv2.__version__ != "5.0.0", reason="other versions of OpenCV may round otherwise")
@pytest.mark.parametrize("options", [(), WITH_RESTARTS])
def test_items_are_those_of_earlier_versions(tmp_path, options):
    """The digest is that of the items before regions of crops could be decoded."""
    make_crops(tmp_path, options=options)
    assert digest(build_dataset(make_config(tmp_path), seed=5)) == (
        "602c58cc31bd1203f96c77d138ee75af8991e9efbf57f229c73457b7299d846b"
    )


@pytest.mark.parametrize("damaged", [False, True])
def test_items_do_not_depend_on_how_crops_are_decoded(tmp_path, monkeypatch, damaged):
    make_crops(tmp_path, options=WITH_RESTARTS)
    for path in crop_files(tmp_path)[: 2 * FRAMES : 2] if damaged else []:
        data = bytearray(path.read_bytes())
        place = data.find(b"\xff\xc4") + 5  # a Huffman table without codes: noticed when pixels are decoded
        data[place : place + 20] = bytes(20)
        path.write_bytes(data)
    regions = build_dataset(make_config(tmp_path), seed=5)
    items = [regions[0, position] for position in range(24)]
    notes, cuts = regions.pop_notes(), []
    monkeypatch.setattr(storage_module, "find_segments", lambda data: cuts.append(data))
    complete = build_dataset(make_config(tmp_path), seed=5)
    assert_equal(items, [complete[0, position] for position in range(24)])
    assert regions.unreadable == complete.unreadable and (regions.unreadable > 0) == damaged and cuts
    assert notes == complete.pop_notes() and ("cannot be decoded" in "".join(notes)) == damaged


def crop_files(folder):
    return sorted((folder / "crop511").rglob("*.jpg"))


@pytest.mark.parametrize("damage", ["missing", "empty", "cut off", "no image"])
def test_bad_crops_are_replaced(toy, damage):
    for path in crop_files(toy)[:FRAMES]:  # all of the first video
        data = path.read_bytes()
        damaged = {"empty": b"", "cut off": data[: len(data) // 2], "no image": b"x" * 500, "missing": b""}
        path.write_bytes(damaged[damage])
        if damage == "missing":
            path.unlink()
    loader = build_train_loader(make_config(toy, DATASET__NEG=0.0), seed=0)
    items = load_items(loader, 0)
    assert len(items) == 24
    dataset = loader.dataset
    assert dataset.unreadable >= 6
    count, *named = dataset.pop_notes()
    assert count == f"{dataset.unreadable} crops could not be read and were replaced by other draws"
    assert 1 <= len(named) <= FRAMES and len(set(named)) == len(named) and "v0/00000" in named[0]
    assert dataset.pop_notes() == []
    with_workers = build_train_loader(make_config(toy, DATASET__NEG=0.0, TRAIN__NUM_WORKERS=2), seed=0)
    assert_equal(items, load_items(with_workers, 0))


def test_unreadable_crops_are_counted_across_workers(toy):
    for path in crop_files(toy)[:FRAMES]:
        path.unlink()
    counts = []
    for workers in (0, 2):
        loader = build_train_loader(make_config(toy, DATASET__NEG=0.0, TRAIN__NUM_WORKERS=workers), seed=0)
        load_items(loader, 0)
        counts.append(loader.dataset.unreadable)
        assert str(toy / "crop511" / "v0") in "".join(loader.dataset.pop_notes())
    assert counts[0] == counts[1] > 0


def test_notes_end_after_a_while(tmp_path):
    make_crops(tmp_path, videos=3, frames=MAX_NAMED_CROPS)
    for path in crop_files(tmp_path)[MAX_NAMED_CROPS:]:
        path.unlink()
    dataset = build_dataset(make_config(tmp_path, DATASET__NEG=0.0, DATASET__VIDEOS_PER_EPOCH=200), seed=0)
    for position in range(200):
        dataset[0, position]
    assert dataset.unreadable > 2 * MAX_NAMED_CROPS and len(set(dataset.pop_notes())) == MAX_NAMED_CROPS + 1


def test_an_item_is_described_by_its_crops(toy):
    dataset = build_dataset(make_config(toy), seed=0)
    template, search = dataset.describe(0, 3).split(" with ")
    assert all(path.endswith(".x.jpg") and path.startswith(str(toy)) for path in (template, search))
    assert dataset.describe(0, 3) == build_dataset(make_config(toy), seed=0).describe(0, 3)


def test_nothing_readable_is_an_error(toy):
    for path in crop_files(toy):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"no readable pair of crops in {MAX_DRAWS} draws.*empty file.*cropping"):
        build_dataset(make_config(toy), seed=0)[0, 0]


def test_grey_and_cmyk_crops(toy):
    image_module = pytest.importorskip("PIL.Image")
    for number, path in enumerate(crop_files(toy)):
        image_module.open(path).convert("L" if number % 2 else "CMYK").save(path)
    loader = build_train_loader(make_config(toy), seed=0)
    assert len(load_items(loader, 0)) == 24 and loader.dataset.unreadable == 0


def test_video_of_one_frame(tmp_path):
    make_crops(tmp_path, videos=1, frames=1)
    dataset = build_dataset(make_config(tmp_path, DATASET__NEG=0.0), seed=0)
    assert dataset[0, 0]["label_loc_weight"].any()
    with pytest.raises(ValueError, match="DATASET.NEG"):
        build_dataset(make_config(tmp_path, DATASET__NEG=1.0), seed=0)


def test_dataset_can_be_sent_to_another_process(toy):
    dataset = build_dataset(make_config(toy), seed=4)
    assert_equal([dataset[0, 2]], [pickle.loads(pickle.dumps(dataset))[0, 2]])


def test_workers_use_one_thread():
    """In the main process, as in a benchmark, signal handlers stay: Ctrl-C and SIGTERM still end it."""
    before, handlers = cv2.getNumThreads(), [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)]
    try:
        init_worker(0)
        assert cv2.getNumThreads() <= 1
        assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)] == handlers
    finally:
        cv2.setNumThreads(before)
