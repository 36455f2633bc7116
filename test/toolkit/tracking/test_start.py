"""Regions that trackers start on: boxes, polygons and masks, with and without annotated masks."""

from dataclasses import replace

import numpy as np
import pytest
from toolkit_data import sequence_on_disk

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.protocol import Request
from pysot.toolkit.tracking.one_pass import run_one_pass
from pysot.toolkit.tracking.realtime import FrameClock, RealtimeTracker
from pysot.toolkit.tracking.start import start_region
from pysot.toolkit.tracking.supervised import run_supervised
from pysot.utils.bbox import init_box_from_region
from pysot.utils.masks import Mask

BOX = np.array([60.0, 50, 30, 20])
POLYGON = np.array([60.0, 50, 90, 55, 85, 80, 55, 75])
PIXELS = np.ones((20, 30), bool)
PIXELS[5:9, 10:20] = False  # a hole


class Starter:
    """Tracker that keeps the regions that it starts on; its box does not move, but is far away on frame `lose`."""

    def __init__(self, starts_on=None, lose=None):
        self.regions = []
        self.lose = lose
        if starts_on:
            self.starts_on = starts_on

    def init(self, image, region):
        self.regions.append(region)

    def track(self, image):
        shift = 90 if int(image[0, 0, 0]) == self.lose else 0
        return {"bbox": BOX + [shift, 0, 0, 0], "best_score": 1.0}


def in_frame(mask):
    pixels = np.zeros((150, 200), bool)
    pixels[mask.y : mask.y + mask.pixels.shape[0], mask.x : mask.x + mask.pixels.shape[1]] = mask.pixels
    return pixels


@pytest.fixture
def masked(tmp_path):
    """Return a sequence of 10 frames with masks, and a box on frame 3."""
    masks = {frame: Mask(60 + frame, 50, PIXELS) for frame in range(10) if frame != 3}
    sequence = sequence_on_disk(tmp_path, "masked", [BOX + [frame, 0, 0, 0] for frame in range(10)])
    return replace(sequence, masks=masks)


@pytest.mark.parametrize("run", [run_one_pass, run_supervised])
def test_a_tracker_starts_on_the_region_that_it_asks_for(masked, run):
    regions = {}
    for form in (None, "box", "polygon", "mask"):
        tracker = Starter(form)
        run(tracker, masked)
        (regions[form],) = tracker.regions
    np.testing.assert_array_equal(regions[None], regions["box"])
    assert regions["box"].shape == (4,)
    corners = regions["polygon"].reshape(4, 2)
    assert [*corners.min(axis=0), *corners.max(axis=0)] == pytest.approx([60, 50, 89, 69], abs=1e-3)
    assert regions["mask"].dtype == bool
    np.testing.assert_array_equal(regions["mask"], in_frame(Mask(60, 50, PIXELS)))


def test_after_a_loss_it_starts_on_the_mask_of_that_frame(masked):
    tracker = Starter("mask", lose=1)
    assert run_supervised(tracker, masked).codes.tolist()[:7] == [1, 2, 0, 0, 0, 0, 1]
    np.testing.assert_array_equal(tracker.regions[1], in_frame(Mask(66, 50, PIXELS)))


@pytest.mark.parametrize("truth", [BOX, POLYGON])
def test_without_masks_it_starts_on_the_annotated_region(tmp_path, truth):
    """Polygons are the annotated ones; of a box they are its corners, for supervised sets those of its pixels."""
    sequence = sequence_on_disk(tmp_path, "plain", [truth] * 3)
    for run, size in ((run_one_pass, [30, 20]), (run_supervised, [29, 19])):
        polygons, masks = Starter("polygon"), Starter("mask")
        run(polygons, sequence)
        run(masks, sequence)
        corners, pixels = polygons.regions[0].reshape(4, 2), masks.regions[0]
        if len(truth) == 8:
            np.testing.assert_array_equal(corners.ravel(), POLYGON)
            assert pixels[65, 70] and not pixels[52, 85] and abs(pixels.sum() - 775) < 60
        else:
            assert [*corners.min(axis=0), *np.ptp(corners, axis=0)] == [60, 50, *size]
            np.testing.assert_array_equal(pixels, in_frame(Mask(60, 50, np.ones((20, 30), bool))))


def test_a_mask_that_leaves_the_frame_is_cut_at_its_border():
    request = Request(0, BOX, Mask(-10, -5, np.ones((20, 30), bool)))
    pixels = start_region(Starter("mask"), np.zeros((150, 200, 3), np.uint8), request)
    assert pixels.shape == (150, 200) and pixels.sum() == 15 * 20 and pixels[:15, :20].all()


def test_mistakes_are_named(tmp_path, masked):
    dataset = Dataset("VOT2018", [masked], ("all",), VotSettings(2, 4, 3))
    progress = run_dataset(Starter("masks"), dataset, tmp_path / "out")
    assert (
        "the attribute starts_on of the tracker Starter is 'masks'; known: box, mask, polygon"
        in (progress.failed["masked"])
    )
    request = Request(4, BOX, Mask(0, 0, np.zeros((3, 3), bool)))
    with pytest.raises(ValueError, match="frame 5 has a mask without pixels"):
        start_region(Starter("mask"), np.zeros((9, 9, 3), np.uint8), request)


@pytest.mark.parametrize("form", ["box", "polygon", "mask"])
def test_realtime_forwards_the_region_and_repeats_it(monkeypatch, form):
    """A tracker that starts so slowly that it misses the next frame answers with the region it started on."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    inner, image = Starter(form), np.zeros((150, 200, 3), np.uint8)
    monkeypatch.setattr(inner, "init", lambda image, region: now.__setitem__(0, now[0] + 0.25))
    tracker = RealtimeTracker(inner, FrameClock(0.1, 0))
    assert tracker.starts_on == form
    region = start_region(tracker, image, Request(0, init_box_from_region(BOX), Mask(60, 50, PIXELS), BOX))
    tracker.init(image, region)
    outputs = tracker.track(image)
    assert np.asarray(outputs["bbox"]).shape == (4,)
    if form != "box":
        np.testing.assert_array_equal(outputs[form], region)
        assert outputs["bbox"] == pytest.approx(BOX if form == "mask" else [60, 50, 29, 19], abs=1e-3)
