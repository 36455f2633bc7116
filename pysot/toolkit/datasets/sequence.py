"""Annotated sequences and data sets.

A region is 4 numbers xywh or 8 numbers (four corners); a frame without ground truth has NaN.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from pysot.toolkit.datasets.label_files import LabelFiles
from pysot.toolkit.datasets.names import normalised_name, possible_names
from pysot.toolkit.region.raster import corners_of, region_table
from pysot.utils.masks import Mask
from pysot.utils.names import check_video_name, missing_images
from pysot.utils.parts import share


@dataclass(frozen=True)
class Sequence:
    """One annotated sequence; frames are counted from 0.

    `frame_paths` and `ground_truth` have one entry per frame. `width` and `height` are in pixels, None where no score
    needs them. `tags` has one bool array (N,) per annotated tag; a shorter one is filled with False, an empty one is
    removed. `attributes` describe the entire sequence. `present` (N,) is False in frames that LaSOT does not count,
    `visible` (N,) in frames that the average overlap of GOT-10k does not count; None means that all frames count.
    `anchors` are (frame, backwards) of the runs of multi-start sets. `masks` holds the ground truth of frames that are
    annotated with a mask, by frame; its bounding box is in `ground_truth`, NaN for a mask without pixels. `labels` are
    the label images of a sequence whose objects are annotated with masks; its `ground_truth` is NaN.
    `similar_names` lists the other sequences of the set whose names differ in spelling only.

    Raises ValueError that names the sequence if the parts do not fit together.
    """

    name: str
    frame_paths: list[str]
    ground_truth: list[np.ndarray]
    width: int | None
    height: int | None
    tags: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    present: np.ndarray | None = None
    anchors: tuple[tuple[int, bool], ...] = ()
    masks: dict[int, Mask] = field(default_factory=dict)
    visible: np.ndarray | None = None
    labels: LabelFiles | None = None
    similar_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_video_name(self.name)
        regions = self._regions()
        if not regions or len(regions) != len(self.frame_paths):
            raise ValueError(self._count_error(len(regions)))
        if self.width is not None and (self.height is None or not (self.width > 0 and self.height > 0)):
            raise ValueError(f"sequence {self.name} needs a positive frame size, got {self.width} x {self.height}")
        for flags in (self.present, self.visible):
            if flags is not None and len(flags) != len(regions):
                raise ValueError(
                    f"sequence {self.name} has {len(flags)} flags of a present or visible target for {len(regions)} "
                    "frames; it needs one per frame"
                )
        tags = {name: self._flags(name, values) for name, values in self.tags.items() if len(values)}
        object.__setattr__(self, "ground_truth", regions)
        object.__setattr__(self, "tags", tags)

    def _regions(self) -> list[np.ndarray]:
        same_length = len({len(region) for region in self.ground_truth}) == 1
        if same_length:
            regions = list(np.asarray(self.ground_truth, np.float64))
        else:
            regions = [np.asarray(region, np.float64) for region in self.ground_truth]
        invalid = next((frame for frame, region in enumerate(regions) if region.shape not in ((4,), (8,))), None)
        if invalid is not None:
            raise ValueError(
                f"sequence {self.name}: the ground truth of frame {invalid + 1} needs 4 or 8 numbers, "
                f"got {list(self.ground_truth[invalid])}"
            )
        return regions

    def _count_error(self, regions: int) -> str:
        missing = missing_images(self.frame_paths)
        names = f"{', no '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
        hint = f", and there is no {names}" if missing else ""
        return (
            f"sequence {self.name} has {len(self.frame_paths)} frames and ground truth for {regions}; "
            f"needs 1 or more of both{hint}"
        )

    def _flags(self, name: str, values: np.ndarray) -> np.ndarray:
        if len(values) > len(self):
            raise ValueError(f"sequence {self.name}: tag {name} has {len(values)} entries for {len(self)} frames")
        flags = np.zeros(len(self), bool)
        flags[: len(values)] = np.asarray(values, np.float64) != 0
        return flags

    def __len__(self) -> int:
        return len(self.frame_paths)

    def run_from(self, frame: int, backwards: bool) -> "Sequence":
        """Return the frames that a run from `frame` sees: to the end, or with `backwards` to the beginning."""
        order = range(frame, -1, -1) if backwards else range(frame, len(self))
        masks = {position: self.masks[index] for position, index in enumerate(order) if index in self.masks}
        return Sequence(
            self.name,
            [self.frame_paths[index] for index in order],
            [self.ground_truth[index] for index in order],
            self.width,
            self.height,
            masks=masks,
        )

    @cached_property
    def corners(self) -> np.ndarray:
        """Ground truth as (N, 4, 2) float32 corners."""
        return corners_of(region_table(self.ground_truth))


@dataclass(frozen=True)
class VotSettings:
    """Settings of the supervised protocol.

    EAO averages the expected overlap over the sequence lengths low..high; `peak` is the mode of these lengths.
    """

    low: int
    high: int
    peak: int
    skipping: int = 5
    burn_in: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.peak <= self.high or self.skipping < 1 or self.burn_in < 0:
            raise ValueError(f"VOT settings need 0 < low <= peak <= high, skipping > 0, burn_in >= 0, got {self}")


@dataclass(frozen=True)
class Dataset:
    """Sequences with unique names, in the order of their list.

    `tags` are the tags that EAO is split by, `settings` those of the protocol, None if it needs none. `protocol` says
    how the set is tracked: `supervised` (VOT until 2019: restarts after losses), `multistart` (VOT since 2020: runs
    from each anchor), `longterm` (one run, with a confidence for each frame), `objects` (DAVIS, YouTube-VOS: masks of
    several objects) or `one pass` (one run); by default supervised if there are settings, else one pass. `remarks` are
    sentences on its files that readers of the scores need to know. The records in `toolkit.protocols` implement these
    protocols.
    """

    name: str
    sequences: list[Sequence]
    tags: tuple[str, ...]
    settings: VotSettings | None
    protocol: str = ""
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [sequence.name for sequence in self.sequences]
        if not names:
            raise ValueError(f"data set {self.name} has no sequence")
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise ValueError(f"data set {self.name} names a sequence twice: {', '.join(twice)}")
        object.__setattr__(self, "protocol", self.protocol or ("supervised" if self.settings else "one pass"))
        self._set_similar_names(names)

    def _set_similar_names(self, names: list[str]) -> None:
        """Set the similar names of all sequences; a part of a set keeps those of the complete set."""
        by_normalised: dict[str, list[str]] = {}
        for name in names:
            by_normalised.setdefault(normalised_name(name), []).append(name)
        for index, sequence in enumerate(self.sequences):
            candidates = [
                name for normalised in possible_names(sequence.name) for name in by_normalised.get(normalised, ())
            ]
            others = [name for name in candidates if name != sequence.name]
            if others:
                self.sequences[index] = replace(
                    sequence, similar_names=tuple(dict.fromkeys([*sequence.similar_names, *others]))
                )

    @property
    def one_pass(self) -> bool:
        """Return whether trackers run once and are scored by success and precision."""
        return self.protocol == "one pass"

    @property
    def hidden_truth(self) -> bool:
        """Return whether only the first frames have ground truth.

        Such a set (the test part of GOT-10k, TrackingNet, the validation part of YouTube-VOS) is scored by its server.
        """
        if self.protocol == "objects":
            return all(sequence.labels is not None and sequence.labels.is_hidden for sequence in self.sequences)
        return self.one_pass and all(
            len(sequence) > 1 and not np.isfinite([region[0] for region in sequence.ground_truth[1:]]).any()
            for sequence in self.sequences
        )

    def by_attribute(self) -> dict[str, list[str]]:
        """Return {attribute: names of the sequences that have it}, attributes in alphabetical order."""
        attributes = sorted({attribute for sequence in self.sequences for attribute in sequence.attributes})
        return {
            attribute: [sequence.name for sequence in self.sequences if attribute in sequence.attributes]
            for attribute in attributes
        }

    def __len__(self) -> int:
        return len(self.sequences)

    def only(self, names: Collection[str]) -> "Dataset":
        """Return the data set with the named sequences only. Raises ValueError for an unknown name."""
        known = {sequence.name: sequence for sequence in self.sequences}
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(f"{self.name} has no video {', '.join(missing)}; it has {', '.join(known)}")
        return replace(self, sequences=[known[name] for name in names])

    def longest_first(self) -> list[Sequence]:
        """Return the sequences in the order in which several processes take them."""
        return sorted(self.sequences, key=lambda sequence: (-len(sequence), sequence.name))

    def part(self, number: int, count: int) -> "Dataset | None":
        """Return the `number`-th (from 1) of `count` parts with about the same number of frames, None if it is empty.

        See `pysot.utils.parts.share`.
        """
        if count == 1:
            return self
        sequences = share(self.sequences, number, count, lambda sequence: (len(sequence), sequence.name))
        return replace(self, sequences=sequences) if sequences else None
