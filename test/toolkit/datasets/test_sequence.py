import numpy as np
import pytest
from toolkit_data import make_sequence, moving_polygons

from pysot.toolkit.datasets.sequence import Dataset, Sequence, VotSettings

SETTINGS = VotSettings(1, 10, 5)


def test_a_sequence_without_frames_is_refused():
    with pytest.raises(ValueError, match="clip has 0 frames"):
        Sequence("clip", [], [], 10, 10)


def test_frames_and_truth_must_be_as_many():
    with pytest.raises(ValueError, match="clip has 1 frames and ground truth for 2"):
        Sequence("clip", ["a.jpg"], moving_polygons(2), 10, 10)


@pytest.mark.parametrize(
    "names, message",
    [
        ("01 02 04 05 07", "there is no 03.jpg, no 06.jpg$"),
        ("a b c", "of both$"),
        ("1 11 21 31", "of both$"),
        ("8 9 11", "no 10.jpg$"),
        ("1 2 3", "of both$"),
        ("1 2 7 8 9 10", "no 3.jpg, no 4.jpg, no 5.jpg ...$"),
    ],
)
def test_missing_images_are_named(names, message):
    """Gaps in numbered names are reported, but not for every tenth frame or for names without numbers."""
    with pytest.raises(ValueError, match=message):
        Sequence("clip", [f"x/{name}.jpg" for name in names.split()], moving_polygons(12), 10, 10)


def test_truth_of_five_numbers_is_named_with_its_frame():
    with pytest.raises(ValueError, match="clip.*frame 2 needs 4 or 8"):
        Sequence("clip", ["a", "b"], [np.zeros(4), np.zeros(5)], 10, 10)


def test_frame_size_must_be_positive():
    with pytest.raises(ValueError, match="0 x 5"):
        make_sequence(width=0, height=5)


def test_short_tag_is_filled_empty_tag_left_out_long_tag_refused():
    sequence = make_sequence(frames=4, tags={"occlusion": [0, 1], "size_change": []})
    assert {name: flags.tolist() for name, flags in sequence.tags.items()} == {"occlusion": [False, True, False, False]}
    with pytest.raises(ValueError, match="clip: tag occlusion has 5 entries for 4"):
        make_sequence(frames=4, tags={"occlusion": [1] * 5})


def test_boxes_and_polygons_mix():
    sequence = make_sequence(truth=[np.array([1.0, 2, 3, 4]), np.arange(8.0)])
    assert sequence.corners[0].ravel().tolist() == [1, 2, 4, 2, 4, 6, 1, 6]
    assert sequence.corners[1].ravel().tolist() == list(range(8))


@pytest.mark.parametrize("numbers", [(0, 5, 3), (5, 10, 4), (5, 8, 10)])
def test_settings_must_be_in_order(numbers):
    with pytest.raises(ValueError, match="low <= peak <= high"):
        VotSettings(*numbers)


def test_a_set_needs_sequences_of_different_names():
    with pytest.raises(ValueError, match="no sequence"):
        Dataset("SET", [], (), SETTINGS)
    with pytest.raises(ValueError, match="twice: clip"):
        Dataset("SET", [make_sequence(), make_sequence()], (), SETTINGS)


def test_only_names_what_there_is():
    dataset = Dataset("SET", [make_sequence("a"), make_sequence("b")], ("all",), SETTINGS)
    assert [sequence.name for sequence in dataset.only(["b"]).sequences] == ["b"]
    with pytest.raises(ValueError, match="no video c; it has a, b"):
        dataset.only(["c"])


def test_parts_share_the_frames_and_leave_none_out():
    lengths = {"a": 5, "b": 9, "c": 2, "d": 7}
    dataset = Dataset("SET", [make_sequence(name, frames=n) for name, n in lengths.items()], (), SETTINGS)
    assert dataset.part(1, 1) is dataset
    names = [[sequence.name for sequence in dataset.part(i, 3).sequences] for i in (1, 2, 3)]
    assert names == [["b", "c"], ["d"], ["a"]] and dataset.part(5, 5) is None
