"""Comparison of an exported tracker with the tracker of torch: outputs on crops, boxes in a sequence, scores on a set.

Both trackers come as `Network`s (`pysot.tracker.network`). Where graphs are fp32, differences above RELATIVE of the
largest value of an output, or PIXELS of a box, are errors of the export; in other precisions they are only reported.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pysot.deploy.package import Package
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.datasets.sequence import Sequence as Video
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocol import Scores
from pysot.toolkit.results.trajectory import Trajectory
from pysot.tracker import frame_maths as maths
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.network import Network
from pysot.tracker.one_target import MaskTracker, OneTargetTracker
from pysot.utils.bbox import IoU, init_box_from_region
from pysot.utils.image import crop_square, mean_colour, read_image
from pysot.utils.progress import Bar

RELATIVE, PIXELS = 1e-3, 0.05
_CROPS = 8  # search crops of the comparison of outputs


@dataclass(frozen=True)
class OutputDifference:
    """Differences of an output of a graph over all crops: the largest, the mean, and the largest relative one.

    The latter is a share of the largest absolute value of torch's output.
    """

    graph: str
    output: str
    largest: float
    mean: float
    relative: float


@dataclass(frozen=True)
class BoxDifference:
    """Differences of the boxes of both trackers in a sequence, without restarts.

    frames    number of frames that were tracked
    largest   difference of a coordinate, in pixels
    first     the first frame with a difference above PIXELS, if any
    overlap   mean overlap of both boxes
    """

    sequence: str
    frames: int
    largest: float
    first: int | None
    overlap: float


def track_both(
    networks: Sequence[Network], package: Package, video: Video, frames: int, bar: Bar
) -> tuple[BoxDifference, np.ndarray]:
    """Track the first frames of a video with both networks; return the differences, and torch's boxes (N, 4) xywh."""
    trackers = [BatchTracker(network, package.settings, long_term=package.long_term) for network in networks]
    paths = video.frame_paths[:frames]
    boxes: list[list[np.ndarray]] = [[], []]
    for index, path in enumerate(bar(paths, description="boxes")):
        frame = read_image(path)
        for tracker, own in zip(trackers, boxes, strict=True):
            if index == 0:
                start = init_box_from_region(video.ground_truth[0])
                tracker.start([0], [frame], [start])
                own.append(np.asarray(start, np.float64))
                continue
            found, _ = tracker.track([frame])
            if tracker.failures:
                raise tracker.failures[0]
            own.append(found[0])
    reference, exported = map(np.array, boxes)
    differences = np.abs(reference - exported).max(axis=1)
    above = np.flatnonzero(differences > PIXELS)
    overlaps = IoU(_corners(reference), _corners(exported))
    first = int(above[0]) if len(above) else None
    return BoxDifference(video.name, len(paths), float(differences.max()), first, float(overlaps.mean())), reference


def _corners(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).T


def compare_outputs(
    networks: Sequence[Network], package: Package, video: Video, boxes: np.ndarray
) -> list[OutputDifference]:
    """Compare all outputs of both networks on a template and search crops of a video around its `boxes` (N, 4) xywh."""
    s, (torch_network, exported) = package.settings, networks
    frame = read_image(video.frame_paths[0])
    colour = mean_colour(frame)
    template = _crop(frame, boxes[:1], maths.context_sides, (s.context_amount,), s.exemplar_size, colour)
    state, other = torch_network.template(template), exported.template(template)
    kernels = [np.asarray(part) for part in state]
    kernels = kernels[: len(other)]  # without that of masks, if only boxes are tracked
    rows = [("template", f"kernel_{i}", a, np.asarray(b)) for i, (a, b) in enumerate(zip(kernels, other, strict=True))]
    chosen = np.unique(np.linspace(1, len(boxes) - 1, _CROPS).astype(int))
    sides = {"track": s.instance_size, **({"track_lost": s.lost_instance_size} if package.long_term else {})}
    for graph, side in sides.items():
        for index in chosen if graph == "track" else chosen[:1]:
            image = read_image(video.frame_paths[index])
            crop = _crop(image, boxes[index - 1 : index], maths.search_sides, (s, side), side, colour)
            outputs = [torch_network.track(state, crop), exported.track(kernels, crop)]
            rows += [
                (graph, name, np.asarray(getattr(outputs[0], name)), np.asarray(getattr(outputs[1], name)))
                for name in ("cls", "loc")
            ]
            if package.masks and graph == "track":
                cells = np.full((1, 2), s.score_size(side) // 2)
                masks = [n.refine(o.features, cells) for n, o in zip(networks, outputs, strict=True)]
                rows.append(("refine", "mask", np.asarray(masks[0]), np.asarray(masks[1])))
    return _summary(rows)


def _crop(
    frame: np.ndarray, box: np.ndarray, sides: Callable[..., Any], values: tuple, out_side: int, colour: np.ndarray
) -> np.ndarray:
    """Return the crop (1, out_side, out_side, 3) around a box (1, 4), as trackers cut it."""
    centers, sizes = maths.start_targets(box)
    return crop_square(frame, centers[0], round(sides(sizes, *values)[0]), out_side, colour)[None]


def _summary(rows: Sequence[tuple[str, str, np.ndarray, np.ndarray]]) -> list[OutputDifference]:
    differences = []
    for graph, output in dict.fromkeys((graph, output) for graph, output, *_ in rows):
        pairs = [(a, b) for g, o, a, b in rows if (g, o) == (graph, output)]
        reference, exported = (np.concatenate([pair[side] for pair in pairs]).astype(np.float64) for side in (0, 1))
        absolute = np.abs(reference - exported)
        relative = absolute.max() / max(float(np.abs(reference).max()), np.finfo(np.float32).tiny)
        differences.append(OutputDifference(graph, output, absolute.max(), float(absolute.mean()), float(relative)))
    return differences


def score_both(
    networks: Sequence[Network], package: Package, names: Sequence[str], dataset: Dataset, folder: Path, bar: Bar
) -> tuple[Scores, list[float]]:
    """Track a data set with both networks, write results below `folder`; return the scores, and frames per second.

    Raises RuntimeError if a sequence fails.
    """
    speeds, kind = [], MaskTracker if package.masks else OneTargetTracker
    with bar(None, total=len(networks) * sum(map(len, dataset.sequences)), description=dataset.name) as shown:
        for network, name in zip(networks, names, strict=True):
            trajectories: list[Trajectory] = []

            def keep(_: Video, state: str, trajectory: Trajectory | None, kept: list = trajectories) -> None:
                kept += [] if trajectory is None else [trajectory]

            tracker = kind(BatchTracker(network, package.settings, long_term=package.long_term))
            progress = run_dataset(tracker, dataset, folder / name, lambda *_: shown.update(), keep)
            if progress.failed:
                raise RuntimeError(f"{name} failed on {dataset.name}: {'; '.join(progress.failed.values())}")
            seconds = sum(float(each.seconds.sum()) for each in trajectories if each.seconds is not None)
            speeds.append(sum(map(len, trajectories)) / seconds)
    return score_trackers(dataset, [folder / name for name in names]), speeds


def problems(outputs: Sequence[OutputDifference], boxes: BoxDifference) -> list[str]:
    """Return sentences on the differences that an export in fp32 must not have."""
    found = [
        f"{row.graph}.{row.output} differs by {row.relative:.2g} of its largest value, at most {RELATIVE:g} is allowed"
        for row in outputs
        if not row.relative <= RELATIVE
    ]
    if not boxes.largest <= PIXELS:
        found.append(
            f"boxes of {boxes.sequence} differ by {boxes.largest:.3g} pixels (from frame {boxes.first}), at most "
            f"{PIXELS:g} are allowed"
        )
    return found
