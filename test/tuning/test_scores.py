"""Parts of a data set, the score of one sequence, and the score that ranks settings."""

import numpy as np
import pytest
from toolkit_data import box_sequence, make_sequence, save_baseline, trajectory

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.protocols import find_protocol
from pysot.tuning.scores import rank_score, sequence_score, split_dataset

SETTINGS = VotSettings(low=5, high=15, peak=10)


def make_set(count=10, frames=30, settings=SETTINGS):
    return Dataset("SET", [box_sequence(name=f"v{i}", frames=frames) for i in range(count)], ("all",), settings)


def names(dataset):
    return [sequence.name for sequence in dataset.sequences]


@pytest.mark.parametrize(
    ("tune_on", "hold_out", "sizes"),
    [(None, "0.3", (7, 3)), (None, "4", (6, 4)), ("2", "3", (2, 3)), ("0.5", "0.5", (5, 5)), (None, "0.01", (9, 1))],
)
def test_parts_by_number(tune_on, hold_out, sizes):
    dataset = make_set()
    split = split_dataset(dataset, tune_on, hold_out, seed=0)
    assert (len(split.tune), len(split.hold_out)) == sizes
    assert not {*names(split.tune)} & {*names(split.hold_out)}
    assert names(split.tune) == sorted(names(split.tune))
    again, other = (split_dataset(dataset, tune_on, hold_out, seed) for seed in (0, 3))
    assert names(again.tune) == names(split.tune) != names(other.tune)


def test_parts_by_name():
    split = split_dataset(make_set(), "v1,v2", "v7, v3", seed=0)
    assert (names(split.tune), names(split.hold_out)) == (["v1", "v2"], ["v3", "v7"])
    assert "v4" not in names(split_dataset(make_set(), None, "v4", seed=0).tune)
    assert {"v1", "v2"} == {*names(split_dataset(make_set(4), "v1,v2", "2", seed=0).tune)}


def test_nothing_is_kept_aside():
    split = split_dataset(make_set(), None, "0", seed=0)
    assert (len(split.tune), split.hold_out) == (10, None)


@pytest.mark.parametrize(
    ("count", "tune_on", "hold_out", "message"),
    [
        (1, None, "0.3", "has 1 sequences and 1 of them are kept aside .* none is left to tune on"),
        (10, None, "11", "--hold-out 11: expected at most 10 sequences of 10, 11 are asked for"),
        (10, "8", "3", "--tune-on 8: expected at most 7 sequences"),
        (10, "v1,v2", "v2,v3", "--tune-on and --hold-out both name v2"),
        (10, "v1", "no", "--hold-out: no sequence no; there are v0"),
        (10, None, "2.5", "a number of sequences, a share below 1 or names, got '2.5'"),
        (10, None, "-1", "a number of sequences"),
        (10, None, "nan", "a number of sequences"),
    ],
)
def test_parts_that_cannot_be_made(count, tune_on, hold_out, message):
    with pytest.raises(ValueError, match=message):
        split_dataset(make_set(count), tune_on, hold_out, seed=0)


def test_frames_after_a_loss_count_as_zero(tmp_path):
    dataset = make_set(1)
    protocol, sequence = find_protocol(dataset, None), dataset.sequences[0]
    save_baseline(tmp_path / "whole", "v0", trajectory())
    save_baseline(tmp_path / "lost", "v0", trajectory(lost=[10]))
    whole, lost = (sequence_score(dataset, sequence, tmp_path / name, protocol) for name in ("whole", "lost"))
    assert whole > 0.5
    assert lost == pytest.approx(whole * 10 / 30, rel=0.15)


def test_one_pass_sets_have_the_mean_overlap(tmp_path):
    truth = [np.array([20.0, 20, 20, 20])] * 4
    dataset = Dataset("SET", [make_sequence(name="v0", frames=4, truth=truth)], (), None)
    boxes = np.array([[20, 20, 20, 20], [20, 20, 20, 20], [120, 20, 20, 20], [20, 20, 20, 20.0]])
    (tmp_path / "v0.txt").write_text("".join(f"{','.join(map(str, box))}\n" for box in boxes))
    assert sequence_score(dataset, dataset.sequences[0], tmp_path, find_protocol(dataset, None)) == pytest.approx(0.75)


def test_rank_score_is_the_eao(tmp_path):
    dataset = make_set(2)
    for name in ("v0", "v1"):
        save_baseline(tmp_path / "a", name, trajectory())
    assert 0.5 < rank_score(dataset, tmp_path / "a", find_protocol(dataset, None)) <= 1


def test_results_that_are_missing(tmp_path):
    dataset = make_set(1)
    protocol = find_protocol(dataset, None)
    for score in (lambda: rank_score(dataset, tmp_path, protocol),
                  lambda: sequence_score(dataset, dataset.sequences[0], tmp_path, protocol)):  # fmt: skip
        with pytest.raises(ValueError, match="no result file"):
            score()


def test_sequences_that_are_too_short_for_an_eao(tmp_path):
    dataset = make_set(1, frames=3, settings=VotSettings(low=100, high=200, peak=150))
    save_baseline(tmp_path, "v0", trajectory(3))
    with pytest.raises(ValueError, match="has no score on 1 of its sequences"):
        rank_score(dataset, tmp_path, find_protocol(dataset, None))
