"""Ranges of a search, its grid, the numbers that are drawn, and names of results."""

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from helpers import tiny_config
from pysot.tuning.search_builder import build_space, setting_config
from pysot.tuning.space import read_parameter, result_name


def test_the_default_grid_is_that_of_the_original():
    space = build_space(tiny_config(), {})
    grid = space.grid()
    assert len(grid) == 504
    assert grid[0] == {"TRACK.PENALTY_K": 0.05, "TRACK.WINDOW_INFLUENCE": 0.1, "TRACK.LR": 0.35}
    assert grid[-1] == {"TRACK.PENALTY_K": 0.45, "TRACK.WINDOW_INFLUENCE": 0.75, "TRACK.LR": 0.5}
    assert space.values(grid[1]) == {"PENALTY_K": 0.05, "WINDOW_INFLUENCE": 0.1, "LR": 0.4}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.05,0.45,0.15", [0.05, 0.2, 0.35]),
        ("0.1,0.4,0.1", [0.1, 0.2, 0.3, 0.4]),
        ("0.2", [0.2]),
        ("0,1,1", [0]),
    ],
)
def test_grid_of_a_range(text, values):
    assert read_parameter("LR", text, 0.3).grid() == values


def test_whole_numbers():
    parameter = read_parameter("INSTANCE_SIZE", "255,288,16", 255)
    assert parameter.grid() == [255, 271, 287]
    assert parameter.distribution() == IntDistribution(255, 287, step=16)
    assert read_parameter("INSTANCE_SIZE", "255,288", 255).distribution() == IntDistribution(255, 288)


def test_drawn_numbers_have_three_digits():
    assert read_parameter("LR", "0.1,0.9,0.2", 0.3).distribution() == FloatDistribution(0.1, 0.9, step=0.001)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("LR", "a,b", "expected a range LOW,HIGH or LOW,HIGH,STEP"),
        ("LR", "0.1,0.2,0.1,0.1", "expected a range"),
        ("LR", "", "expected a range"),
        ("LR", "0.5,0.1,0.1", "expected LOW below HIGH, got 0.5 and 0.1"),
        ("LR", "0.5,0.5,0.1", "expected LOW below HIGH"),
        ("LR", "0.1,nan", "expected finite numbers"),
        ("LR", "0.1,0.2,0", "a STEP of 0.001 or more, got 0"),
        ("LR", "0.1234,0.2", "numbers of 3 digits"),
        ("LR", "0.1236,0.2", "numbers of 3 digits"),
        ("INSTANCE_SIZE", "255.5,287,8", "expected whole numbers"),
        ("TYPE", "1,2,1", "expected a key with a number, its value is 'SiamRPNTracker'"),
        ("COMPILE", "0,1,1", "expected a key with a number"),
    ],
)
def test_invalid_ranges(key, text, message):
    with pytest.raises(ValueError, match=message):
        read_parameter(key, text, tiny_config().TRACK[key])


def test_a_grid_needs_steps():
    space = build_space(tiny_config(), {"LR": "0.1,0.5"})
    with pytest.raises(ValueError, match=r"TRACK.LR: a grid needs the range LOW,HIGH,STEP"):
        space.grid()


def test_a_grid_that_is_too_large():
    with pytest.raises(ValueError, match="the grid has 126000 settings"):
        build_space(tiny_config(), {"LR": "0.001,1.001,0.001"}).grid()


def test_unknown_key():
    with pytest.raises(ValueError, match="TRACK.RATE is no key of the config; TRACK has"):
        build_space(tiny_config(), {"RATE": "0,1"})


def test_a_range_that_the_config_refuses():
    with pytest.raises(ValueError, match=r"WINDOW_INFLUENCE: expected a number from 0 to 1; got 1.01"):
        build_space(tiny_config(), {"WINDOW_INFLUENCE": "0.5,1.01"})


def test_values_that_the_config_refuses():
    with pytest.raises(ValueError, match="WINDOW_INFLUENCE: expected a number from 0 to 1"):
        setting_config(tiny_config(), {"WINDOW_INFLUENCE": 1.5})


def test_names_of_results():
    track = {"INSTANCE_SIZE": 255, "PENALTY_K": 0.05, "WINDOW_INFLUENCE": 0.1, "LR": 0.4, "CONTEXT_AMOUNT": 0.45}
    assert result_name("model", track) == "model_r255_pk-0.050_wi-0.100_lr-0.400"
    assert result_name("model", track, ["CONTEXT_AMOUNT"]).endswith("_lr-0.400_context_amount-0.450")
