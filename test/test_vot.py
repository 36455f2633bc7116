"""`pysot.vot`: videos of several targets as vot-toolkit sends them, without the toolkit."""

import cv2
import numpy as np
import pytest
import torch

from helpers import moving_square, tiny_config, tiny_mask_config
from pysot.core.stored_config import config_text
from pysot.models.model_builder import build_model
from pysot.tracker.target_mask import TargetMask
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker
from pysot.utils.bbox import init_box_from_region
from pysot.utils.image import read_image
from pysot.utils.masks import Mask
from pysot.vot import Tracker, VideoTracker, load_video_tracker, start_box

BOX = np.array([40.0, 30, 20, 10])
POLYGON = np.array([40.0, 30, 60, 30, 60, 40, 40, 40])
MASK = Mask(40, 30, np.ones((10, 20), bool))


class FakeBatch:
    """Batch tracker whose targets move one pixel to the right in each frame; those in `broken` slots fail."""

    made: list["FakeBatch"] = []

    def __init__(self, slots, masks=False, broken=()):
        self.slots, self.has_masks, self.broken = slots, masks, broken
        self.boxes = np.full((slots, 4), np.nan)
        self.failures, self.masks, self.stopped = {}, {}, []
        FakeBatch.made.append(self)

    def start(self, slots, frames, boxes):
        self.boxes[list(slots)] = boxes

    def track(self, frames):
        assert all(frame is frames[0] for frame in frames)
        self.boxes[:, 0] += 1
        self.failures = {slot: ValueError("NaN") for slot in self.broken}
        if self.has_masks:
            ones = np.ones((20, 20), np.float32)
            self.masks = {s: TargetMask(ones, b, (100, 80), 0.5, b) for s, b in enumerate(self.boxes)}
        return self.boxes.copy(), np.full(self.slots, 0.25)

    def stop(self, slots):
        self.stopped = list(slots)


@pytest.fixture
def frame(tmp_path):
    FakeBatch.made = []
    cv2.imwrite(str(tmp_path / "00000001.png"), np.zeros((80, 100, 3), np.uint8))
    return tmp_path / "00000001.png"


@pytest.mark.parametrize("region", [[1.0, 2, 3], [1.0, 2, 3, 4, 5], [1.0, 2], []])
def test_regions_that_are_none(region):
    with pytest.raises(ValueError, match="expected a box of 4 numbers or a polygon of 3 corners or more"):
        start_box(np.array(region))


def test_an_empty_mask_starts_nothing():
    with pytest.raises(ValueError, match="no pixel"):
        start_box(Mask(0, 0, np.zeros((0, 0), bool)))


def test_start_boxes_are_those_of_the_runner():
    for region in (BOX, POLYGON):
        assert np.array_equal(start_box(region), init_box_from_region(region))
    assert np.array_equal(start_box(MASK), init_box_from_region(BOX))
    triangle = np.array([40.0, 30, 60, 30, 40, 40])
    assert np.array_equal(start_box(triangle), init_box_from_region(BOX))


def test_an_unknown_form():
    with pytest.raises(ValueError, match="expected auto or box, got 'polygon'"):
        VideoTracker(FakeBatch, "polygon")


def test_a_frame_before_the_first(frame):
    with pytest.raises(RuntimeError, match="start a video first"):
        VideoTracker(FakeBatch).track(frame)


def test_a_missing_frame(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.jpg"):
        VideoTracker(FakeBatch).start(tmp_path / "gone.jpg", [BOX])


def test_a_target_that_fails_is_named(frame):
    tracker = VideoTracker(lambda slots: FakeBatch(slots, broken=[1]))
    tracker.start(frame, [BOX, BOX])
    with pytest.raises(RuntimeError, match="target 2 of 2 cannot be tracked: NaN"):
        tracker.track(frame)


def test_targets_keep_their_order(frame):
    """Also those that start later, and more than a batch has slots."""
    tracker = VideoTracker(FakeBatch)
    given = tracker.start(frame, [BOX + [10 * i, 0, 0, 0] for i in range(10)])
    assert [target.region[0] for target in given] == [40 + 10 * i for i in range(10)]
    assert [batch.slots for batch in FakeBatch.made] == [8, 2]
    found = tracker.track(frame, [BOX + [500, 0, 0, 0]])
    assert found[10].region[0] == 540 and found[10].confidence == 1
    found = tracker.track(frame)
    first = start_box(BOX)[0]
    assert [round(target.region[0] - first) for target in found] == [*(2 + 10 * i for i in range(10)), 501]
    assert {target.confidence for target in found} == {0.25}


def test_the_next_video_uses_the_trackers_again(frame):
    tracker = VideoTracker(FakeBatch)
    for _ in range(3):
        tracker.start(frame, [BOX, BOX])
        assert len(tracker.track(frame)) == 2
    assert len(FakeBatch.made) == 1 and FakeBatch.made[0].stopped == [0, 1]


@pytest.mark.parametrize(
    ("form", "start", "kind"),
    [("auto", BOX, 8), ("auto", POLYGON, 8), ("auto", MASK, Mask), ("box", BOX, 4), ("box", MASK, 4)],
)
def test_what_a_tracker_of_masks_answers(frame, form, start, kind):
    tracker = VideoTracker(lambda slots: FakeBatch(slots, masks=True), form)
    tracker.start(frame, [start])
    region = tracker.track(frame)[0].region
    assert isinstance(region, Mask) if kind is Mask else region.shape == (kind,)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    boxes = np.array(moving_square(folder / "clip", frames=5), float)
    return sorted((folder / "clip" / "color").iterdir()), boxes


def save(path, cfg):
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    torch.save({"state_dict": model.state_dict(), "config": config_text(cfg)}, path)
    return model


def test_results_are_those_of_the_tracker(tmp_path, video):
    """Of one target to the last bit, of several to rounding; a new video starts afresh."""
    frames, boxes = video
    cfg = tiny_config()
    expected_tracker = build_tracker(save(tmp_path / "model.pth", cfg), cfg)
    tracker = load_video_tracker(tmp_path / "model.pth", device="cpu")
    expected_tracker.init(read_image(frames[0]), init_box_from_region(boxes[0]))
    expected = [expected_tracker.track(read_image(path)) for path in frames[1:]]
    for _ in range(2):
        tracker.start(frames[0], [boxes[0]])
        for path, outputs in zip(frames[1:], expected, strict=True):
            found = tracker.track(path)[0]
            assert found.region.tolist() == outputs["bbox"] and found.confidence == outputs["best_score"]
    tracker.start(frames[0], [boxes[0] + 3, boxes[0], boxes[0] - 2])
    for path, outputs in zip(frames[1:], expected, strict=True):
        assert tracker.track(path)[1].region == pytest.approx(outputs["bbox"], abs=0.05)


def test_options_of_the_config(tmp_path, video):
    cfg = tiny_config()
    save(tmp_path / "model.pth", cfg)
    with pytest.raises(ValueError, match="TRACK.LRR"):
        load_video_tracker(tmp_path / "model.pth", device="cpu", opts=["TRACK.LRR", "0.1"])
    slow = load_video_tracker(tmp_path / "model.pth", device="cpu", opts=["TRACK.LR", "0.0"])
    slow.start(video[0][0], [video[1][0]])
    assert slow.track(video[0][1])[0].region[2:] == pytest.approx(start_box(video[1][0])[2:])


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    path = tmp_path_factory.mktemp("python") / "model.pth"
    save(path, tiny_config())
    return str(path)


class TestPythonProtocol:
    """The methods that vot-toolkit calls, with values as it sends them."""

    def test_one_target(self, snapshot, video):
        frames, boxes = map(list, video)
        tracker = Tracker(snapshot, device="cpu")
        start = tuple(np.float32(boxes[0]))
        assert tracker.init(str(frames[0]), (start, {}), {}) == (tuple(map(float, boxes[0])), {"confidence": 1.0})
        region, properties = tracker.update(str(frames[1]), [], {})
        assert isinstance(region, tuple) and len(region) == 4 and 0 <= properties["confidence"] <= 1
        assert not tracker.multiobject

    def test_several_targets(self, snapshot, video):
        frames, boxes = map(list, video)
        tracker = Tracker(snapshot, device="cpu", multiobject="yes")
        assert tracker.multiobject
        polygon = [(float(x), float(y)) for x, y in POLYGON.reshape(-1, 2)]
        answers = tracker.init({"color": str(frames[0]), "depth": "gone"}, [(tuple(boxes[0]), {}), (polygon, {})], {})
        assert [len(region) for region, _ in answers] == [4, 4]
        pixels = np.zeros((60, 90), np.uint8)
        pixels[20:30, 30:60] = 1
        assert len(tracker.update(str(frames[1]), [(pixels, {})], {})) == 3
        assert len(tracker.update(str(frames[2]), [], {})) == 3

    def test_numbers_are_those_of_the_file(self, snapshot, video):
        """The toolkit keeps them in float32, and a start that differs in the last digits ends elsewhere."""
        written = (334.02, 128.36, 60.7, 25.1113)
        tracker = Tracker(snapshot, device="cpu")
        assert tracker.init(str(video[0][0]), (tuple(np.float32(written)), {}), {})[0] == written

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"snapshot": "gone.pth"}, "FileNotFoundError: .*gone.pth"),
            ({"multiobject": "perhaps"}, "ValueError: arg_multiobject is 'perhaps'; known: no, yes"),
            ({"device": "cuda:7"}, "cuda"),
            ({"opts": "TRACK.LRR 1"}, "ValueError: .*TRACK.LRR"),
        ],
    )
    def test_errors_reach_the_toolkit(self, snapshot, arguments, words):
        """It only reports a RuntimeError and few others, and waits in vain after any other."""
        with pytest.raises(RuntimeError, match=words):
            Tracker(**{"snapshot": snapshot, "device": "cpu", **arguments})

    def test_errors_of_frames_reach_the_toolkit(self, snapshot, video):
        tracker = Tracker(snapshot, device="cpu")
        with pytest.raises(RuntimeError, match="FileNotFoundError: no image gone.jpg"):
            tracker.init("gone.jpg", (tuple(BOX), {}), {})

    def test_boxes_around_masks(self, snapshot, video):
        """The toolkit passes the corner pixels of a mask."""
        tracker = Tracker(snapshot, device="cpu", masks="yes")
        corners = [(30.0, 20.0), (59.0, 20.0), (59.0, 39.0), (30.0, 39.0)]
        region, _ = tracker.init(str(video[0][0]), (corners, {}), {})
        assert region == (30, 20, 30, 20)

    def test_masks_become_boxes(self, tmp_path, video):
        save(tmp_path / "mask.pth", tiny_mask_config("refine"))
        tracker = Tracker(str(tmp_path / "mask.pth"), device="cpu")
        tracker.init(str(video[0][0]), (tuple(video[1][0]), {}), {})
        assert len(tracker.update(str(video[0][1]), [], {})[0]) == 4


def test_a_tracker_of_masks(tmp_path, video):
    frames, boxes = video
    cfg = tiny_mask_config("refine")
    batch = build_batch_tracker(save(tmp_path / "mask.pth", cfg), cfg, 1)
    batch.start([0], [read_image(frames[0])], [init_box_from_region(boxes[0])])
    batch.track([read_image(frames[1])])
    tracker = load_video_tracker(tmp_path / "mask.pth", device="cpu")
    tracker.start(frames[0], [boxes[0]])
    assert np.array_equal(tracker.track(frames[1])[0].region, batch.masks[0].polygon())
