"""Trackers of exports against the trackers of torch, and the fingerprint of their results."""

import dataclasses

import numpy as np
import pytest

from export_helpers import BOX, frames, small_export
from pysot.deploy import Tracker, load_batch_tracker
from pysot.deploy.tracker import load_network, results_fingerprint
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker

LONG_TERM = ("TRACK.TYPE", "SiamRPNLTTracker", "TRACK.LOST_INSTANCE_SIZE", 351)
ENGINE = "onnxruntime:cpu"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a function that returns the folder, network of torch and config of an export, written at its first use."""
    folder, known = tmp_path_factory.mktemp("exports"), {}

    def get(stage="", *opts, **options):
        key = repr((stage, opts, options))
        if key not in known:
            known[key] = (folder / str(len(known)), *small_export(folder / str(len(known)), stage, *opts, **options))
        return known[key]

    return get


def assert_same(expected, found):
    assert set(found) == set(expected)
    np.testing.assert_allclose(found["bbox"], expected["bbox"], atol=0.05)
    assert found["best_score"] == pytest.approx(expected["best_score"], abs=1e-3)


@pytest.mark.parametrize("stage", ["", "refine", "point", "nano"])
def test_boxes_are_those_of_torch(exported, stage):
    folder, model, config = exported(stage)
    tracker, reference = Tracker(folder, ENGINE), build_tracker(model, config)
    images = frames()
    tracker.init(images[0], BOX)
    reference.init(images[0], BOX)
    for image in images[1:]:
        assert_same(reference.track(image), tracker.track(image))
        np.testing.assert_allclose(tracker.center_pos, reference.center_pos, atol=0.05)
        np.testing.assert_allclose(tracker.size, reference.size, atol=0.05)


def test_masks_are_those_of_torch(exported):
    folder, model, config = exported("refine")
    tracker, reference = Tracker(folder, ENGINE), build_tracker(model, config)
    images = frames(4)
    tracker.init(images[0], BOX)
    reference.init(images[0], BOX)
    for image in images[1:]:
        expected, found = reference.track(image), tracker.track(image)
        np.testing.assert_allclose(found["polygon"], expected["polygon"], atol=0.1)
        assert "mask" not in set(found) and found["mask"].shape == image.shape[:2]
        np.testing.assert_allclose(found["mask"], expected["mask"], atol=1e-3)
    assert "mask" in set(tracker.track(images[1], with_mask=True))


def test_a_tracker_without_masks_has_none(exported):
    tracker = Tracker(exported()[0], ENGINE)
    images = frames(2)
    tracker.init(images[0], BOX)
    assert set(tracker.track(images[1])) == {"bbox", "best_score"}


@pytest.mark.parametrize("low, high", [(2.0, 3.0), (0.0, 0.0)])
def test_long_term(exported, low, high):
    """The target is lost from the first frame on, or never."""
    opts = (*LONG_TERM, "TRACK.CONFIDENCE_LOW", low, "TRACK.CONFIDENCE_HIGH", high)
    folder, model, config = exported("", *opts)
    tracker, reference = Tracker(folder, ENGINE), build_tracker(model, config)
    images = frames()
    tracker.init(images[0], BOX)
    reference.init(images[0], BOX)
    for image in images[1:]:
        assert_same(reference.track(image), tracker.track(image))
        assert tracker.batch.lost.tolist() == [reference.longterm_state] == [low > 0]


@pytest.mark.parametrize(("stage", "batch"), [("", 1), ("", 2), ("", None), ("refine", 2)])
def test_batches(exported, stage, batch):
    folder, model, config = exported(stage, batch=batch)
    tracker, reference = load_batch_tracker(folder, 3, ENGINE), build_batch_tracker(model, config, 3)
    images = frames(4)
    boxes = [BOX, [150, 60, 50, 30], [20.5, 120.25, 33, 61]]
    for each in (tracker, reference):
        each.start([0, 1, 2], [images[0]] * 3, boxes)
    for image in images[1:]:
        (expected, confidences), (found, own) = reference.track([image] * 3), tracker.track([image] * 3)
        np.testing.assert_allclose(found, expected, atol=0.05)
        np.testing.assert_allclose(own, confidences, atol=1e-3)
        assert set(tracker.masks or {}) == set(reference.masks or {})
    tracker.stop([1])
    reference.stop([1])
    rest = [images[0], None, images[0]]
    np.testing.assert_allclose(tracker.track(rest)[0], reference.track(rest)[0], atol=0.05)


@pytest.mark.parametrize(
    "box",
    [
        [1, 2, 3],
        [10, 10, 0, 5],
        [10, 10, -4, 5],
        [np.nan, 1, 2, 3],
        [1, 2, np.inf, 3],
        "box",
        None,
    ],
)
def test_boxes_that_are_refused(exported, box):
    folder, model, config = exported()
    assert_same_error(lambda tracker: tracker.init(frames(1)[0], box), Tracker(folder, ENGINE), model, config)


@pytest.mark.parametrize(
    "frame",
    [
        None,
        "frame.jpg",
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((20, 20, 2), np.uint8),
        np.zeros((20, 20, 3), np.float32),
        np.zeros(20, np.uint8),
        [[1, 2], [3, 4]],
    ],
    ids=["none", "path", "empty", "channels", "float", "one axis", "list"],
)
@pytest.mark.parametrize("method", ["init", "track"])
def test_frames_that_are_refused(exported, frame, method):
    folder, model, config = exported()

    def use(tracker):
        if method == "init":
            return tracker.init(frame, BOX)
        tracker.init(frames(1)[0], BOX)
        return tracker.track(frame)

    assert_same_error(use, Tracker(folder, ENGINE), model, config)


def test_track_before_init(exported):
    folder, model, config = exported()
    tracker = Tracker(folder, ENGINE)
    assert (tracker.center_pos, tracker.size) == (None, None)
    assert_same_error(lambda tracker: tracker.track(frames(1)[0]), tracker, model, config)


def assert_same_error(use, tracker, model, config):
    """Check that both trackers raise the same ValueError or RuntimeError."""
    with pytest.raises((ValueError, RuntimeError)) as expected:
        use(build_tracker(model, config))
    with pytest.raises(expected.type) as found:
        use(tracker)
    assert str(found.value) == str(expected.value)


def test_grey_frames(exported):
    folder, model, config = exported()
    tracker, reference = Tracker(folder, ENGINE), build_tracker(model, config)
    images = [image[..., 0] for image in frames(4)]
    tracker.init(images[0], BOX)
    reference.init(images[0], BOX)
    for image in images[1:]:
        assert_same(reference.track(image), tracker.track(image))


def test_trackers_share_a_network(exported):
    network = load_network(exported()[0], ENGINE, 1)
    images, found = frames(4), []
    for _ in range(2):
        tracker = Tracker(network)
        tracker.init(images[0], BOX)
        found.append([tracker.track(image)["bbox"] for image in images[1:]])
        assert tracker.batch.network is network
    assert found[0] == found[1]


def test_what_results_depend_on(exported):
    """Engine, weights and settings; not whether masks are written as well."""
    folder, *_ = exported()
    network = load_network(folder, ENGINE)
    same = [load_network(folder, ENGINE, 1), load_network(folder, ENGINE, mask_output=True)]
    assert same[1].package.settings.mask_output and not network.package.settings.mask_output
    assert {results_fingerprint(each) for each in same} == {results_fingerprint(network)}
    digest, engine, precision = results_fingerprint(network).split(" ")
    assert len(digest) == 64 and (engine, precision) == (ENGINE, "fp32")

    tuned = load_network(folder, ENGINE)
    tuned.package = dataclasses.replace(
        tuned.package, settings=dataclasses.replace(tuned.package.settings, window_influence=0.5)
    )
    others = [tuned, load_network(exported("", "RPN.KWARGS.out_channels", 8)[0], ENGINE)]
    digests = {results_fingerprint(each).split(" ")[0] for each in (network, *others)}
    assert len(digests) == 3


def test_another_engine_gives_other_results(exported):
    pytest.importorskip("openvino")
    texts = [results_fingerprint(load_network(exported()[0], engine)) for engine in (ENGINE, "openvino:fp32")]
    assert texts[0].split(" ")[0] == texts[1].split(" ")[0] and texts[0] != texts[1]
