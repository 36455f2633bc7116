"""Run by test_official.py in an environment with vot-toolkit: its scores of the cases in a json file, as a line of json."""

import json
import sys

import numpy as np
from vot.analysis.supervised import compute_accuracy, compute_eao_curve, count_failures, locate_failures_inits
from vot.region import Special, calculate_overlaps
from vot.region.shapes import Polygon, Rectangle


def region(entry):
    if np.isscalar(entry):
        return Special(int(entry))
    return Rectangle(*entry) if len(entry) == 4 else Polygon(list(zip(entry[::2], entry[1::2], strict=True)))


class Video:
    def __init__(self, case):
        self.truth, self.size = [region(entry) for entry in case["truth"]], tuple(case["size"])

    def groundtruth(self):
        return self.truth

    def __len__(self):
        return len(self.truth)


def main(path):
    with open(path) as stream:
        content = json.load(stream)
    accuracy = failures = weight = 0.0
    fragments, success, overlaps = [], [], []
    for case in content["cases"]:
        video, result = Video(case), [region(entry) for entry in case["result"]]
        accuracy += compute_accuracy(result, video)[0] * len(video)
        failures += count_failures(result)[0] * len(video)
        weight += len(video)
        values = calculate_overlaps(result, video.groundtruth(), video.size)
        overlaps += values
        lost, started = locate_failures_inits(result)
        fragments += [values[start:end] for start, end in zip(started, [*lost, len(values)], strict=False)] if lost else [values]
        success += [False] * len(lost) + [True] * (len(started) - len(lost)) if lost else [True]
    curve = compute_eao_curve(fragments, [1] * len(fragments), success)
    eao = float(np.mean(curve[content["low"]:content["high"] + 1]))
    print(json.dumps({"accuracy": accuracy / weight, "robustness": failures / weight, "eao": eao, "overlaps": [float(value) for value in overlaps]}))


main(sys.argv[1])
