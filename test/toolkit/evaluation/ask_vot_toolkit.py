"""Print vot-toolkit's scores of the cases in a JSON file, as a line of JSON.

test_official.py and test_vot_toolkit.py execute it in an environment with vot-toolkit.
"""

import json
import sys

import numpy as np
from vot.analysis.accuracy import gather_overlaps
from vot.analysis.longterm import compute_tpr_curves, determine_thresholds
from vot.analysis.multistart import compute_eao_partial
from vot.analysis.supervised import compute_accuracy, compute_eao_curve, count_failures, locate_failures_inits
from vot.region import Special, calculate_overlaps
from vot.region.io import parse_region, read_trajectory, write_trajectory
from vot.region.shapes import Mask, Polygon, Rectangle


def region(entry):
    if isinstance(entry, str):
        return parse_region(entry)
    if np.isscalar(entry):
        return Special(int(entry))
    return Rectangle(*entry) if len(entry) == 4 else Polygon(list(zip(entry[::2], entry[1::2], strict=True)))


def regions(content):
    """Return the regions of a file, or of a list of entries."""
    return read_trajectory(content) if isinstance(content, str) else [region(entry) for entry in content]


def plain(shape):
    """Return a region as a code, as its numbers, or a mask as its text."""
    if isinstance(shape, Special):
        return shape.code
    if isinstance(shape, Rectangle):
        return [shape.x, shape.y, shape.width, shape.height]
    return str(shape) if isinstance(shape, Mask) else [float(value) for point in shape.points() for value in point]


class Video:
    def __init__(self, case):
        self.truth = regions(case["truth"])
        self.size = tuple(case["size"])

    def groundtruth(self):
        return self.truth

    def __len__(self):
        return len(self.truth)


def supervised(content):
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
        fragments += (
            [values[start:end] for start, end in zip(started, [*lost, len(values)], strict=False)] if lost else [values]
        )
        success += [False] * len(lost) + [True] * (len(started) - len(lost)) if lost else [True]
    curve = compute_eao_curve(fragments, [1] * len(fragments), success)
    eao = float(np.mean(curve[content["low"] : content["high"] + 1]))
    return {
        "accuracy": accuracy / weight,
        "robustness": failures / weight,
        "eao": eao,
        "overlaps": [float(value) for value in overlaps],
    }


def longterm(content):
    thresholds = determine_thresholds([score for case in content["cases"] for score in case["scores"]], 100)
    curves = [
        compute_tpr_curves([region(entry) for entry in case["result"]], case["scores"], Video(case), thresholds)
        for case in content["cases"]
    ]
    precision, recall = (np.mean([curve[index] for curve in curves], axis=0) for index in (0, 1))
    f1 = 2 * precision * recall / (precision + recall)
    best = int(np.nanargmax(f1))
    return {"f1": float(f1[best]), "precision": float(precision[best]), "recall": float(recall[best])}


def unsupervised(content):
    means, lengths = [], []
    for case in content["cases"]:
        video = Video(case)
        overlaps, _ = gather_overlaps(
            regions(case["result"]), video.groundtruth(), content["burn_in"], bounds=video.size
        )
        means.append(np.mean(overlaps))
        lengths.append(len(video))
    return {"accuracy": float(np.average(means, weights=lengths))}


def multistart(content):
    """Score runs from anchors: each case is one of a sequence, which has `number` and the length `frames`."""
    scores, all_overlaps, total, weight = {}, [], np.zeros(content["high"]), np.zeros(content["high"])
    for case in content["cases"]:
        video = Video(case)
        overlaps = calculate_overlaps(regions(case["result"]), video.groundtruth(), video.size)
        all_overlaps.append([float(overlap) for overlap in overlaps])
        grace, progress = 10, len(video)
        for frame, overlap in enumerate(overlaps):
            grace = grace - 1 if overlap <= 0.1 and not video.truth[frame].is_empty() else 10
            if grace == 0:
                progress = frame + 1 - 10
                break
        record = scores.setdefault(case["number"], [0.0, 0, 0, case["frames"]])
        record[0] += sum(overlaps[:progress])
        record[1] += progress
        record[2] += len(video)
        failed = progress < len(overlaps)
        overlaps[progress:] = [0.0] * (len(overlaps) - progress)
        curve, active = compute_eao_partial([overlaps], [not failed], content["high"])
        total, weight = total + np.array(curve) * np.array(active), weight + np.array(active)
    curve = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    records = list(scores.values())
    accuracy = np.average(
        [covered / robust for covered, robust, _, _ in records], weights=[robust for _, robust, _, _ in records]
    )
    robustness = np.average(
        [robust / frames for _, robust, frames, _ in records], weights=[length for _, _, _, length in records]
    )
    return {
        "eao": float(np.mean(curve[content["low"] : content["high"] + 1])),
        "accuracy": float(accuracy),
        "robustness": float(robustness),
        "overlaps": all_overlaps,
    }


def files(content):
    """Write the entries of each file, if there are any, and return those that are read from it."""
    for path, entries in content["written"].items():
        write_trajectory(path, [region(entry) for entry in entries])
    return {path: [plain(shape) for shape in regions(path)] for path in content["read"]}


def realtime(content):
    """Return the number of the output that a tracker with times `seconds` shows at each frame after its start."""
    import vot.tracker
    from vot.tracker import RealtimeTrackerRuntime, TrackerRuntime

    class Timed(getattr(vot.tracker, "OnlineTrackerRuntime", TrackerRuntime)):  # 0.8 and later, 0.7
        multiobject = False

        def __init__(self, seconds):
            self._tracker = None
            self.seconds = seconds
            self.frame = 0

        def initialize(self, frame, new=None, properties=None):
            return 0, self.seconds[0]

        def update(self, frame, new=None, properties=None):
            return self.frame, self.seconds[self.frame]

        def stop(self):
            pass

        restart = stop

    shown = []
    for seconds in content["cases"]:
        inner = Timed(seconds)
        runtime = RealtimeTrackerRuntime(inner, grace=3, interval=1 / 20)
        shown.append([runtime.initialize(None)[0]])
        for frame in range(1, len(seconds)):
            inner.frame = frame
            shown[-1].append(runtime.update(None)[0])
    return {"shown": shown}


def main(path):
    with open(path) as stream:
        content = json.load(stream)
    experiments = {
        "supervised": supervised,
        "longterm": longterm,
        "unsupervised": unsupervised,
        "multistart": multistart,
        "realtime": realtime,
        "files": files,
    }
    print(json.dumps(experiments[content["experiment"]](content)))


main(sys.argv[1])
