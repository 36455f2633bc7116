"""Score a tracker's one-pass results on a data set: results.load_ope -> ope -> one score."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.gather import gather, repetition_notes
from pysot.toolkit.evaluation.ope import Curves, mean_curves, measure_video
from pysot.toolkit.evaluation.ope_official import GOT10K, OfficialOpe, Tracked, gather_official, rule_of
from pysot.toolkit.results.files import find_ope_runs, load_ope, load_ope_seconds
from pysot.utils.bbox import get_axis_aligned_bbox

SPARE_LINES = ("lasot", "lasot_ext")  # sets whose toolkit cuts results that are longer than their video


@dataclass(frozen=True)
class OpeScore:
    """Scores of one tracker: curves over all videos, of each video, and of the videos with each attribute. With `problems` it is not scored: `all` is None.
    `official` are the scores of the set's own toolkit, where they were asked for. `notes` and `covers` as TrackerScore.
    """

    name: str
    all: Curves | None
    videos: dict[str, Curves] = field(default_factory=dict)
    attributes: dict[str, Curves] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    covers: str = ""
    official: OfficialOpe | None = None


@dataclass(frozen=True)
class OpeScores:
    """All trackers on one data set, the best success first, those that could not be scored last. `remarks` are the data set's, for below a table, and
    `difference` tells why the numbers of its own toolkit are others.
    """

    dataset: str
    trackers: list[OpeScore]
    remarks: tuple[str, ...] = ()
    difference: str = ""

    def __post_init__(self):
        object.__setattr__(self, "trackers", sorted(self.trackers, key=lambda score: (score.all is None, -score.all.auc if score.all else 0, score.name)))

    def to_json(self) -> dict:
        """{tracker: {auc, precision20, norm_precision20, norm_precision_auc, ao, sr50, sr75, attributes: {name: auc}, videos: {name: {auc, precision20,
        norm_precision20, ao}}}} of the trackers that could be scored, and official: {the numbers of the set's own toolkit, attributes, videos} where these
        were asked for.
        """
        return {
            score.name: {
                **{what: getattr(score.all, what) for what in ("auc", "precision20", "norm_precision20", "norm_precision_auc", "ao", "sr50", "sr75")},
                "attributes": {name: curves.auc for name, curves in score.attributes.items()},
                "videos": {name: {what: getattr(curves, what) for what in ("auc", "precision20", "norm_precision20", "ao")}
                           for name, curves in score.videos.items()},
                **({"official": _as_json(score.official)} if score.official else {}),
            }
            for score in self.trackers if score.all is not None
        }


def _as_json(official: OfficialOpe) -> dict:
    """As plain values; None for a number that does not exist, such as frames a second without times."""
    parts = asdict(official)
    parts |= {"numbers": _known(official.numbers), "videos": {name: _known(numbers) for name, numbers in official.videos.items()}}
    return {**parts.pop("numbers"), **parts}


def _known(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: None if value != value else value for name, value in numbers.items()}


def evaluate_one_pass_tracker(dataset: Dataset, tracker_dir: str | os.PathLike, partial: bool = False, mode: str = "pysot") -> OpeScore:
    """Score one tracker's folder, unless `mode` is "pysot" also as the set's own toolkit; results that are missing or damaged end in `problems`, not in an
    exception; with `partial` their videos are left out.
    """
    name, notes, rule = Path(os.path.abspath(tracker_dir)).name, [], rule_of(dataset)
    repetitions, timed = [], 0

    def load(sequence: Sequence) -> tuple[Curves, dict[str, np.ndarray]]:
        nonlocal timed
        tracked = load_tracked(dataset, sequence, tracker_dir, notes)
        repetitions.append(len(tracked.runs))
        timed += len(tracked.seconds) > 0
        curves = measure_video(tracked.truth, tracked.boxes, sequence.present, tracked.counted)
        return curves, rule.measure(tracked) if mode != "pysot" else {}

    found = gather(dataset, load, partial)
    if found.problems:
        return OpeScore(name, None, problems=found.problems)
    notes += repetition_notes(repetitions, "AO and SR weigh them by these")
    if mode != "pysot" and rule is GOT10K and timed < len(found.results):
        notes.append(f"frames a second are of {timed} of {len(found.results)} videos, the others have no times")
    videos, sequences = {video: curves for video, (curves, _) in found.results.items()}, found.dataset.sequences
    attributes = {attribute: [sequence.name for sequence in sequences if attribute in sequence.attributes]
                  for attribute in sorted({attribute for sequence in sequences for attribute in sequence.attributes})}
    by_attribute = {attribute: mean_curves([videos[video] for video in having]) for attribute, having in attributes.items()}
    official = gather_official({video: values for video, (_, values) in found.results.items()}, attributes) if mode != "pysot" else None
    return OpeScore(name, mean_curves(list(videos.values())), videos, by_attribute, (), (*notes, *found.notes), found.covers, official)


def load_tracked(dataset: Dataset, sequence: Sequence, tracker_dir: str | os.PathLike, notes: list[str]) -> Tracked:
    """What a tracker did on a sequence, in all repetitions; remarks on its files are added to `notes`. Raises ResultError."""
    files = find_ope_runs(tracker_dir, sequence.name, sequence.alike)
    spare = dataset.name.lower() in SPARE_LINES
    runs = [load_ope(path, len(sequence), notes, spare) for path in files]
    return Tracked(sequence, upright(sequence.ground_truth), runs, load_ope_seconds(files[0]))


def upright(regions: list[np.ndarray]) -> np.ndarray:
    """Ground truth as boxes (N, 4) xywh; a polygon becomes the box of its centre and area, as trackers start on it."""
    if all(len(region) == 4 for region in regions):
        return np.stack(regions)
    boxes = np.full((len(regions), 4), np.nan)
    for box, region in zip(boxes, regions, strict=True):
        if np.isfinite(region).all():
            x, y, w, h = get_axis_aligned_bbox(region)
            box[:] = x - (w - 1) / 2, y - (h - 1) / 2, w, h
    return boxes
