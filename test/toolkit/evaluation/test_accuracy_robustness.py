import numpy as np
import pytest
from toolkit_data import box_sequence, make_sequence, trajectory

from pysot.toolkit.evaluation.accuracy_robustness import (
    accuracy_robustness_lost,
    measure,
    overlap_after_burn_in,
    video_score,
)


def test_nothing_to_measure():
    assert measure([], []) == []


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="clip has 30 frames, the trajectory 29"):
        measure([box_sequence()], [trajectory(29)])


def test_one_frame_has_no_accuracy():
    score = video_score(measure([box_sequence(1)], [trajectory(1)]), 10)
    assert np.isnan(score.accuracy) and score.lost == 0
    accuracy, robustness, lost = accuracy_robustness_lost([score])
    assert np.isnan(accuracy) and (robustness, lost) == (0, 0)


def test_burn_in_leaves_out_ten_frames_from_every_start():
    run = measure([box_sequence()], [trajectory(lost=[12])])[0]
    counted = np.flatnonzero(~np.isnan(overlap_after_burn_in(run, 10)))
    assert counted.tolist() == [10, 11, 27, 28, 29]
    assert np.flatnonzero(~np.isnan(run.overlap)).tolist() == [*range(1, 12), *range(18, 30)]


def test_perfect_and_dead_tracker():
    perfect = video_score(measure([box_sequence()], [trajectory()]), 10)
    assert (perfect.accuracy, perfect.lost) == (1, 0)
    dead = video_score(measure([box_sequence()], [trajectory(lost=[1, 7, 13, 19, 25])]), 10)
    assert np.isnan(dead.accuracy) and dead.lost == 5


def test_robustness_is_losses_per_hundred_frames():
    scores = [video_score(measure([box_sequence()], [trajectory(lost=lost)]), 10) for lost in ([], [12, 20])]
    accuracy, robustness, lost = accuracy_robustness_lost(scores)
    assert (accuracy, lost) == (1, 2) and robustness == pytest.approx(100 * 2 / 60)


def test_repetitions_are_averaged():
    sequence = box_sequence()
    runs = measure([sequence] * 2, [trajectory(), trajectory(lost=[12], box=(20, 20, 19, 9))])
    score = video_score(runs, 10)
    assert score.lost == 0.5
    assert score.overlap[11] == 0.75 and score.overlap[15] == 1.0 and np.isnan(score.overlap[5])
    assert score.accuracy == pytest.approx((5 * 0.75 + 15) / 20)


def test_eao_leaves_out_the_last_column():
    """An image 30 wide: for accuracy the box covers columns 20..30, for EAO 20..29; the truth stays within 20..25."""
    sequence = make_sequence(truth=[np.array([20.0, 20, 5, 9])] * 2, width=30, height=100)
    run = measure([sequence], [trajectory(2, box=(20, 20, 15, 9))])[0]
    assert run.overlap[1] == pytest.approx(6 / 11) and run.overlap_eao[1] == pytest.approx(6 / 10)


def test_frames_without_truth_do_not_count():
    truth = [np.array([20.0, 20, 19, 19])] * 30
    truth[15] = np.full(4, np.nan)
    run = measure([make_sequence(truth=truth)], [trajectory()])[0]
    assert np.isnan(run.overlap[15]) and video_score([run], 10).accuracy == 1
