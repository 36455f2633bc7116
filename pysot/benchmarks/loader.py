"""Benchmark of training items on one core, against only decoding the two crops of a pair."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.loader_receive import receiving_times
from pysot.datasets.collate import Collate
from pysot.datasets.data_builder import build_dataset
from pysot.datasets.dataset import TrackingPairDataset, init_worker
from pysot.datasets.sampler import Pair, draw_pair
from pysot.datasets.storage import CropView, JpegView, full_view, is_pack
from pysot.utils.bbox import Corner
from pysot.utils.jpeg import find_segments

Crops = Sequence[tuple[CropView | JpegView, Corner]]  # of a pair, with the boxes in them


def loader_times(dataset: TrackingPairDataset, batch: int, batches: int, repeats: int) -> dict[str, list[float]]:
    """Return seconds per pair on one core, by part, for each of `repeats` rounds. A round measures all parts in turn.

    Parts: `pair` (complete batches), `decode two` (the baseline: decode both 511 x 511 JPEGs from memory), and what a
    pair consists of: read, decode (what the pair needs of its crops), cut, blur, labels, collate.
    """
    init_worker(0)
    positions = range(batch * batches)
    pairs = [_draw_pair(dataset, position) for position in positions]
    jpegs = [data for pair in pairs for data in _read_jpegs(dataset, pair)]
    items = [dataset[0, position] for position in positions[:batch]]
    collate = Collate(dataset.forms, batch)
    parts: dict[str, Callable[[], object]] = {
        "pair": lambda: [
            collate([dataset[0, position] for position in positions[first : first + batch]])
            for first in range(0, len(positions), batch)
        ],
        "decode two": lambda: [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in jpegs],
        **_item_parts(dataset, pairs),
        "collate": lambda: [collate(items) for _ in range(batches)],
    }
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(repeats + 1):
        for name, work in parts.items():
            began = time.perf_counter()
            work()
            if turn > 0:  # the first round is a warm-up
                spent[name].append((time.perf_counter() - began) / len(pairs))
    decoded = _differences(spent.pop("read, decode and cut with blur"), spent["cut with blur"])
    spent["decode"] = _differences(decoded, spent["read"])
    spent["blur"] = _differences(spent.pop("cut with blur"), spent["cut"])
    return spent


def _differences(seconds: list[float], baseline: list[float]) -> list[float]:
    """Return the differences by round, at least 0."""
    return [max(0.0, value - base) for value, base in zip(seconds, baseline, strict=True)]


def _draw_pair(dataset: TrackingPairDataset, position: int) -> Pair:
    rng = np.random.default_rng([dataset.seed, 0, position])
    return draw_pair(rng, dataset.annotations, dataset.frame_ranges, dataset.order(0)[position], dataset.negative_share)


def _read_jpegs(dataset: TrackingPairDataset, pair: Pair) -> list[bytes]:
    return [
        dataset.storages[target.dataset].read_bytes(target.video, target.track, target.box)
        for target in (pair.template, pair.search)
    ]


def _read_crops(dataset: TrackingPairDataset, pair: Pair) -> Crops:
    return [dataset.read(pair.template, dataset.template_required_side), dataset.read(pair.search)]


def _item_parts(dataset: TrackingPairDataset, pairs: list[Pair]) -> dict[str, Callable[[], object]]:
    """Return the parts of making an item, each as a function that does it for all pairs."""
    template_required_side = dataset.template_required_side
    crops = [_read_crops(dataset, pair) for pair in pairs]
    decoded = [[(full_view(view.pixels), box) for view, box in crop] for crop in crops]
    cuts = [(dataset.template_augmentation, dataset.template_size), (dataset.search_augmentation, dataset.search_size)]

    def read() -> None:
        for pair in pairs:
            for target, needed in ((pair.template, template_required_side), (pair.search, None)):
                dataset.storages[target.dataset].read_bytes(target.video, target.track, target.box, needed)

    def cut(crops: Iterable[Crops], blur: bool) -> None:
        rng = np.random.default_rng(0)  # the same regions in all ways
        for crop in crops:
            for (augmentation, size), (view, box) in zip(cuts, crop, strict=True):
                (augmentation if blur else replace(augmentation, blur=0.0))(rng, view, box, size)

    def make_labels() -> None:
        rng = np.random.default_rng(0)
        for pair, (_, (_, box)) in zip(pairs, crops, strict=True):
            dataset.make_labels(rng, type(box)(*(value - 128 for value in box)), pair.negative)

    return {
        "read": read,
        "read, decode and cut with blur": lambda: cut((_read_crops(dataset, pair) for pair in pairs), True),
        "cut": lambda: cut(decoded, False),
        "cut with blur": lambda: cut(decoded, True),
        "labels": make_labels,
    }


def ratio_to_decoding(times: dict[str, list[float]]) -> float:
    """Return the median over the rounds of the speed of complete pairs over the speed of decoding two crops."""
    return statistics.median(two / pair for two, pair in zip(times["decode two"], times["pair"], strict=True))


def loader(job: Job) -> Result:
    """Measure training items on one core; the ratio compares with only decoding the two crops of a pair.

    The processor time of receiving a batch of a loader process is compared with that of separate tensors.
    """
    dataset = build_dataset(job.case.cfg, seed=0, data_path=job.data_path)
    batch = job.case.batch_size
    times = loader_times(dataset, batch, job.steps, job.repeats)
    packed = any(is_pack(annotation.root) for annotation in dataset.annotations)
    speeds = [1 / seconds for seconds in times["pair"]]
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    parts = {name: seconds for name, seconds in medians.items() if name not in ("pair", "decode two")}
    receiving = receiving_times([dataset[0, position] for position in range(batch)], dataset.forms, 4 * job.repeats)
    received = {name: statistics.median(seconds) for name, seconds in receiving.items()}
    rows = [
        Row("pairs on a core", statistics.median(speeds), "pairs/s", ratio_to_decoding(times), 1.6 if packed else 1.0),
        Row("pairs on a core, spread", statistics.pstdev(speeds), "pairs/s"),
        Row("decoding two crops", 1 / medians["decode two"], "pairs/s"),
        *(Row(name, 1000 * seconds, "ms") for name, seconds in parts.items()),
        Row(
            "receiving a batch, processor time",
            1000 * received["packed"],
            "ms",
            received["separate"] / received["packed"],
            1.5,
        ),
    ]
    slowest = max(parts, key=parts.__getitem__)
    conclusion = f"most of the time ({parts[slowest] / medians['pair']:.0%}) goes into: {slowest}"
    if all(find_segments(data) is None for data in _read_jpegs(dataset, _draw_pair(dataset, 0))):
        conclusion += "; these crops have no restart markers, so they are decoded completely"
    return rows, conclusion
