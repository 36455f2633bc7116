"""Benchmark of J and F: its rows, and values that differ from those of the plain way."""

import cv2
import numpy as np
import pytest

from pysot.benchmarks import mask_scoring


def test_rows(monkeypatch):
    monkeypatch.setattr(mask_scoring, "FRAMES", 5)
    threads = cv2.getNumThreads()
    files, arrays = mask_scoring.mask_rows(repeats=1)
    assert 0 < arrays.value < files.value < 1000 and files.target == 20 and arrays.ratio > 1
    assert cv2.getNumThreads() == threads


def test_masks_are_like_those_of_davis():
    for truth, result in mask_scoring.make_masks(3):
        assert truth.shape == (480, 854) and (truth != result).any()
        assert all(0.05 < (truth == number).mean() < 0.09 for number in (1, 2))


def test_other_values_are_an_error(monkeypatch):
    monkeypatch.setattr(mask_scoring, "measure_masks", lambda truth, result, numbers: (np.ones(2), np.ones(2)))
    with pytest.raises(RuntimeError, match="J and F differ"):
        mask_scoring.mask_rows(repeats=1)
