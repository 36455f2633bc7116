"""Frames that threads decode ahead: errors of the frame that is asked for only, few in memory, no thread remains."""

import threading
import time

import pytest
from toolkit_data import ShakingTracker, moving_polygons, sequence_on_disk

from pysot.toolkit.tracking import frames
from pysot.toolkit.tracking.frames import FrameDecoder, FrameReader
from pysot.toolkit.tracking.supervised import run_supervised


@pytest.fixture
def clip(tmp_path):
    return sequence_on_disk(tmp_path, "clip", moving_polygons(20))


def decoding_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("frames")]


def damage(sequence, index):
    with open(sequence.frame_paths[index], "wb"):
        pass


def test_a_damaged_frame_is_an_error_when_it_is_asked_for(clip):
    damage(clip, 2)
    with FrameDecoder() as decoder:
        reader = FrameReader(decoder, clip)
        assert [int(reader.read(index)[0, 0, 0]) for index in (0, 1)] == [0, 1]
        with pytest.raises(ValueError, match="sequence clip, frame 3: .* is an empty file"):
            reader.read(2)
        assert [int(reader.read(index)[0, 0, 0]) for index in (3, 19, 0)] == [3, 19, 0]


def test_a_damaged_frame_that_a_loss_skips_does_no_harm(clip):
    damage(clip, 6)
    trajectory = run_supervised(ShakingTracker(clip.ground_truth, lose=[4]), clip)
    assert trajectory.failures.tolist() == [4] and trajectory.codes[[6, 9]].tolist() == [0, 1]


@pytest.mark.parametrize(("ahead", "decoded"), [(True, {0, 1, 2}), (False, {0})])
def test_few_frames_are_decoded_ahead(clip, monkeypatch, ahead, decoded):
    seen = set()
    monkeypatch.setattr(frames, "read_image", lambda path: seen.add(clip.frame_paths.index(path)))
    with FrameDecoder(ahead) as decoder:
        reader = FrameReader(decoder, clip)
        reader.read(0)
        time.sleep(0.1)
        assert seen == decoded == set(reader.pending)
        reader.read(10)
        assert min(reader.pending) == 10
        reader.close()
        assert not reader.pending


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_threads_end_with_the_run(clip, error):
    class Broken(ShakingTracker):
        def track(self, image):
            assert decoding_threads()
            raise error

    with pytest.raises(error):
        run_supervised(Broken(clip.ground_truth), clip)
    assert not decoding_threads()


def test_a_tracker_that_stops_an_iteration_does_not_end_the_run(clip):
    class Exhausted(ShakingTracker):
        def track(self, image):
            return next(iter(()))

    with pytest.raises(StopIteration):
        run_supervised(Exhausted(clip.ground_truth), clip)
