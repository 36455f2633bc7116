from collections import Counter

import numpy as np
import pytest

from pysot.datasets.annotation import index_annotation
from pysot.datasets.sampler import ORDER_STREAM, EpochBatchSampler, draw_pair, epoch_order


def annotation(name, videos, tracks=2, frames=10):
    box = [0, 0, 10, 10]
    content = {
        f"v{v}": {f"{t:02d}": {f"{f:06d}": box for f in range(frames)} for t in range(tracks)} for v in range(videos)
    }
    return index_annotation(name, "root", content, source=name)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([3], [-1], 0), "VIDEOS_PER_EPOCH"),
        (([3], [-2], 5), "NUM_USE"),
        (([3, 0], [0, -1], 5), "no video"),
        (([], [], 5), "no video"),
    ],
)
def test_order_of_nothing(arguments, message):
    with pytest.raises(ValueError, match=message):
        epoch_order(0, 0, *arguments)


def test_order_has_the_shares_of_num_use():
    order = epoch_order(3, 1, video_counts=[4, 50, 9], num_use=[10, -1, 0], length=60)
    assert order.shape == (60, 2) and order.dtype == np.int32
    assert Counter(order[:, 0].tolist()) == {0: 10, 1: 50}
    repeats = Counter(order[order[:, 0] == 0, 1].tolist())
    assert set(repeats) == {0, 1, 2, 3} and set(repeats.values()) == {2, 3}  # 10 picks of 4 videos: as even as can be
    assert sorted(order[order[:, 0] == 1, 1]) == list(range(50))
    first_half = order[:30, 0]
    assert 0 < (first_half == 0).sum() < 10  # shuffled together, not one set after the other


def test_order_repeats_in_rounds_and_is_cut():
    order = epoch_order(0, 0, [5], [-1], length=13)
    assert len(order) == 13
    assert sorted(order[:5, 1]) == sorted(order[5:10, 1]) == list(range(5))
    assert not np.array_equal(order[:5], order[5:10])


def test_order_depends_on_seed_and_epoch_only():
    def draw(seed, epoch):
        return epoch_order(seed, epoch, [100], [-1], 100)[:, 1].tolist()

    assert draw(1, 2) == draw(1, 2)
    assert len({tuple(draw(*key)) for key in [(1, 2), (1, 3), (2, 2), (2, 1)]}) == 4
    # another subset each epoch when NUM_USE is below the number of videos
    assert set(epoch_order(0, 0, [100], [10], 10)[:, 1]) != set(epoch_order(0, 1, [100], [10], 10)[:, 1])


def test_order_and_items_use_other_random_numbers():
    order = np.random.default_rng([7, 3, *ORDER_STREAM]).random()
    # A seed of [7, 3] alone would equal [7, 3, 0].
    assert order not in {np.random.default_rng([7, 3, position]).random() for position in range(100)}


def test_positive_pairs_stay_in_reach():
    annotations, rng = [annotation("A", 1), annotation("B", 3, tracks=2, frames=9)], np.random.default_rng(0)
    seen = Counter()
    for _ in range(4000):
        pair = draw_pair(rng, annotations, [5, 2], pick=(1, 2), negative_share=0.0)
        assert not pair.negative and pair.template.object == pair.search.object
        assert (pair.template.dataset, pair.template.video) == (1, 2)
        first, end = annotations[1].box_range(pair.template.track)
        assert first <= pair.search.box < end
        seen[(pair.template.track, pair.template.box - first, pair.search.box - pair.template.box)] += 1
    tracks, frames, steps = (Counter() for _ in range(3))
    for (track, frame, step), count in seen.items():
        tracks[track] += count
        frames[frame] += count
        steps[step] += count
    assert set(tracks) == {4, 5} and min(tracks.values()) > 1800
    assert set(frames) == set(range(9)) and min(frames.values()) > 350  # uniform: 444 each
    assert set(steps) == {-2, -1, 0, 1, 2}


def test_reach_zero_gives_the_same_frame():
    pair = draw_pair(np.random.default_rng(0), [annotation("A", 1)], [0], (0, 0), 0.0)
    assert pair.template == pair.search


@pytest.mark.parametrize(
    "annotations",
    [
        [annotation("A", 1, tracks=2)],
        [annotation("A", 2, tracks=1)],
        [annotation("A", 1, tracks=1), annotation("B", 1, tracks=1)],
        [annotation("A", 5), annotation("B", 2)],
    ],
)
def test_negative_pairs_are_never_the_same_object(annotations):
    rng, others = np.random.default_rng(1), set()
    for _ in range(500):
        pair = draw_pair(rng, annotations, [100] * len(annotations), (0, 0), negative_share=1.0)
        assert pair.negative and pair.template.object != pair.search.object
        assert (pair.template.dataset, pair.template.video) == (0, 0)
        others.add(pair.search.object)
    objects = sum(data.track_count for data in annotations)
    template_varies = len(annotations[0].tracks) > 1 and annotations[0].track_range(0)[1] > 1
    assert len(others) == (objects if template_varies else objects - 1)


def test_negative_targets_choose_the_data_set_first():
    annotations, rng = [annotation("A", 50), annotation("B", 2)], np.random.default_rng(2)
    counts = Counter(draw_pair(rng, annotations, [1, 1], (0, 0), 1.0).search.dataset for _ in range(1000))
    assert 430 < counts[1] < 570


def test_share_of_negatives():
    annotations, rng = [annotation("A", 5)], np.random.default_rng(2)
    negatives = sum(draw_pair(rng, annotations, [1], (0, 0), 0.2).negative for _ in range(2000))
    assert 340 < negatives < 460


def test_negative_pair_of_one_object():
    with pytest.raises(ValueError, match="DATASET.NEG"):
        draw_pair(np.random.default_rng(0), [annotation("A", 1, tracks=1)], [1], (0, 0), 1.0)


@pytest.mark.parametrize("arguments", [(10, 0), (10, 2, 2, 2), (10, 2, -1, 1)])
def test_batch_sampler_arguments(arguments):
    with pytest.raises(ValueError, match="expected TRAIN.BATCH_SIZE"):
        EpochBatchSampler(*arguments)


def test_batch_sampler_without_a_full_batch():
    with pytest.raises(ValueError, match="VIDEOS_PER_EPOCH"):
        EpochBatchSampler(15, batch_size=4, rank=0, world_size=4)


def test_ranks_share_every_global_batch():
    ranks = [EpochBatchSampler(27, batch_size=2, rank=rank, world_size=4) for rank in range(4)]
    alone = EpochBatchSampler(27, batch_size=8)
    for sampler in [*ranks, alone]:
        sampler.set_epoch(5)
        assert len(sampler) == 3
    union = [sum(batches, []) for batches in zip(*ranks, strict=True)]
    assert union == list(alone) and union[1] == [(5, position) for position in range(8, 16)]


def test_start_step_skips_what_is_done():
    sampler = EpochBatchSampler(20, batch_size=4, rank=1, world_size=2)
    batches = list(sampler)
    sampler.set_epoch(0, start_step=1)
    assert list(sampler) == batches[1:] and len(sampler) == 2
    sampler.set_epoch(1)
    assert [position for _, position in sum(sampler, [])] == [position for _, position in sum(batches, [])]
    with pytest.raises(ValueError, match="start_step"):
        sampler.set_epoch(0, start_step=3)
