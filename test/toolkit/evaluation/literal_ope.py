"""Scores of the toolkits of one-pass sets, frame by frame in plain Python.

It is written for the tests from the toolkits' own definitions and shares no code with pysot.toolkit. Boxes are lists of
x, y, width, height; NaN where there is none.
"""

import math


def overlap(a, b):
    """Return the shared area over the area of both; NaN where that is not defined."""
    width, height = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]), min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if any(math.isnan(number) for number in (*a, *b)):
        return math.nan
    shared = max(0, width) * max(0, height)
    union = a[2] * a[3] + b[2] * b[3] - shared
    return min(1, shared / union) if union else math.nan


def centre(box):
    return box[0] + (box[2] - 1) / 2, box[1] + (box[3] - 1) / 2


def distance(a, b, by=(1, 1)):
    return math.hypot((a[0] - b[0]) / by[0], (a[1] - b[1]) / by[1])


def curves(overlaps, distances, norm_distances, frames):
    """Return success, precision at 20 pixels and normalised precision at 0.2 of one video."""
    success = [sum(value > 0.05 * step for value in overlaps) / frames for step in range(21)]
    return {
        "auc": sum(success) / 21,
        "precision20": sum(value <= 20 for value in distances) / frames,
        "norm_precision20": sum(value <= 0.2 for value in norm_distances) / frames,
    }


def pysot(truth, boxes, absent):
    """Score a video as the original's ope_benchmark and statistics.

    Absent frames are no hits but count; the value of a box without size, or without positive centre, is -1.
    """
    values = [], [], []
    for true, box, gone in zip(truth, boxes, absent, strict=True):
        if gone:
            continue
        middle = centre(true)
        has_size = true[2] > 0 and true[3] > 0
        values[0].append(overlap(true, box) if has_size else -1)
        values[1].append(distance(middle, centre(box)) if middle[0] > 0 and middle[1] > 0 else -1)
        by = true[2] + 1e-16, true[3] + 1e-16
        norm = middle[0] / by[0] > 0 and middle[1] / by[1] > 0
        values[2].append(distance(middle, centre(box), by) if norm else -1)
    return curves(*values, len(truth))


def otb(truth, boxes, absent):
    """Score a video as calcSeqErrRobust of OTB, UAV123 and LaSOT.

    Boxes without size are replaced, the first box is the truth, and truth with a number that is not positive gives -1.
    """
    boxes = [list(box) for box in boxes]
    for index in range(1, len(boxes)):
        invalid = any(math.isnan(number) for number in boxes[index]) or boxes[index][2] <= 0 or boxes[index][3] <= 0
        if invalid and not any(math.isnan(number) for number in truth[index]):
            boxes[index] = boxes[index - 1]
    boxes[0] = truth[0]
    values = [], [], []
    for true, box, gone in zip(truth, boxes, absent, strict=True):
        if gone:
            continue
        usable = sum(number > 0 for number in true) == 4
        values[0].append(overlap(true, box) if usable else -1)
        values[1].append(distance(centre(true), centre(box)) if usable else -1)
        values[2].append(distance(centre(true), centre(box), true[2:]) if usable else -1)
    return curves(*values, len(truth))


def trackingnet(truth, boxes):
    """Score a video as metrics.py of the devkit: integer pixels, first box is the truth, 21 thresholds, trapezoids."""
    truth = [[round(number) if number == number else number for number in box] for box in truth]
    boxes = [list(map(round, box)) for box in boxes]
    boxes[0] = truth[0]
    overlaps = [overlap(true, box) for true, box in zip(truth, boxes, strict=True)]
    middles = [
        (
            (true[0] + (true[2] + 1) / 2, true[1] + (true[3] + 1) / 2),
            (box[0] + (box[2] + 1) / 2, box[1] + (box[3] + 1) / 2),
        )
        for true, box in zip(truth, boxes, strict=True)
    ]
    distances = [distance(*pair) for pair in middles]
    norm = [
        distance(*pair, true[2:]) if true[2] and true[3] else math.inf
        for pair, true in zip(middles, truth, strict=True)
    ]

    def area(hit):
        shares = [sum(map(hit(step), range(len(truth)))) / len(truth) for step in range(21)]
        return sum((low + high) / 2 / 20 for low, high in zip(shares, shares[1:], strict=False))

    return {
        "auc": area(lambda step: lambda frame: overlaps[frame] > step / 20),
        "precision_auc": area(lambda step: lambda frame: distances[frame] <= 2.5 * step),
        "norm_precision_auc": area(lambda step: lambda frame: norm[frame] <= 0.025 * step),
    }


def got10k(truth, runs, cover, size):
    """Return the overlaps that the got10k toolkit averages.

    They are of all repetitions, without the first frame, where cover is positive, of boxes clipped to the image.
    """

    def cut(box):
        x, y = min(max(box[0], 0), size[0]), min(max(box[1], 0), size[1])
        return x, y, min(max(box[2], 0), size[0] - x), min(max(box[3], 0), size[1] - y)

    return [
        overlap(cut(true), cut(box))
        for boxes in runs
        for index, (true, box, seen) in enumerate(zip(truth, boxes, cover, strict=True))
        if index and seen > 0
    ]
