import numpy as np
import pytest
from toolkit_data import box_sequence, eao_of, trajectory

from pysot.toolkit.datasets.sequence import VotSettings
from pysot.toolkit.evaluation.accuracy_robustness import measure
from pysot.toolkit.evaluation.eao import average, expected_overlap, fragments_of

SETTINGS = VotSettings(5, 20, 10)


def run_of(frames=30, lost=(), tags=None, box=(20, 20, 19, 19), name="clip"):
    return measure([box_sequence(frames, tags=tags, name=name)], [trajectory(frames, lost, box)])[0]


def test_one_frame_and_too_short_have_no_eao():
    for frames in (1, 4):
        assert np.isnan(eao_of([run_of(frames)], ("all",), SETTINGS)["all"])


def test_tag_that_no_frame_has_is_nan():
    eao = eao_of([run_of(tags={"occlusion": [1]})], ("all", "occlusion", "size_change", "empty"), SETTINGS)
    assert eao["all"] == eao["occlusion"] == 1 and np.isnan(eao["size_change"]) and np.isnan(eao["empty"])


def test_perfect_and_dead_tracker():
    assert eao_of([run_of()], ("all",), SETTINGS)["all"] == 1
    assert eao_of([run_of(lost=[1, 7, 13, 19, 25])], ("all",), SETTINGS)["all"] == 0


def test_curve_of_one_loss_by_hand():
    """30 frames, overlap 1/2, lost at 12, restarted at 17.

    The fragments have 18 frames, followed by zeros, and 13 frames that just end.
    """
    run = run_of(lost=[12], box=(20, 20, 19, 9))
    first = np.array([0.5] * 11 + [0] * 18)
    second = np.array([0.5] * 12)
    curve = expected_overlap([run], ("all",), SETTINGS)[0]
    assert curve[0] == 1 and len(curve) == 30
    for length in range(1, 30):
        means = [first[:length].mean()] + ([second[:length].mean()] if length <= 12 else [])
        assert curve[length] == pytest.approx(np.mean(means)), length


def test_fragments():
    def shape(**kwargs):
        return [(len(part.overlap), part.lost) for part in fragments_of(run_of(**kwargs), ("all",), 5, 1)]

    assert shape() == [(30, False)]
    assert shape(lost=[12]) == [(18, True), (13, False)]
    assert shape(lost=[12, 20]) == [(18, True), (9, True), (5, False)]
    assert shape(lost=[25]) == [(30, True)]  # the restart would be at frame 30, just after the end
    assert shape(lost=[26]) == [(30, False)]


def test_weights_are_the_share_of_frames_with_the_tag():
    flags = np.zeros(30)
    flags[:9] = 1
    parts = list(
        fragments_of(run_of(lost=[12], tags={"occlusion": flags}), ("all", "occlusion", "size_change"), 5, 0.5)
    )
    np.testing.assert_allclose([part.weights for part in parts], [[0.5, 0.25, 0], [0.5, 0, 0]])


def test_empty_tag():
    """The tag `empty` counts the annotated tags without any frame, over the length of the fragment."""
    tags = {"occlusion": [0] * 30, "size_change": [0], "camera_motion": [0, 1], "illum_change": []}
    names = ("all", "occlusion", "size_change", "camera_motion", "illum_change", "empty")
    parts = list(fragments_of(run_of(tags=tags), names, 5, 1))
    assert parts[0].weights[-1] == pytest.approx(2 / 30)


def test_average_slice():
    assert average(np.arange(30.0), SETTINGS) == np.arange(4, 20).mean()
    curve = np.arange(30.0)
    curve[6] = np.nan
    assert average(curve, SETTINGS) == pytest.approx(np.delete(np.arange(4, 20), 2).mean())


def test_better_overlap_never_lowers_eao():
    values = [eao_of([run_of(lost=[15], box=(20, 20, 19, h))], ("all",), SETTINGS)["all"] for h in (4, 9, 14, 19)]
    assert values == sorted(values) and values[0] < values[-1]


def test_repetitions_share_the_weight_of_their_sequence():
    half, full = run_of(name="a", box=(20, 20, 19, 9)), run_of(name="b")
    once = eao_of([half, full], ("all",), SETTINGS)["all"]
    assert eao_of([half, half, half, full], ("all",), SETTINGS)["all"] == pytest.approx(once) == 0.75


def test_blocks_of_fragments_add_up(monkeypatch):
    runs = [run_of(lost=[3 + index % 20], name=str(index)) for index in range(30)]
    complete = expected_overlap(runs, ("all",), SETTINGS)
    monkeypatch.setattr("pysot.toolkit.evaluation.eao._FRAGMENTS_AT_ONCE", 7)
    np.testing.assert_allclose(expected_overlap(runs, ("all",), SETTINGS), complete)
