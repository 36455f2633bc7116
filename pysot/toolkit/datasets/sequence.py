"""An annotated sequence, and a data set of them.

A region is 4 numbers xywh or 8 numbers (four corners); a frame without ground truth has NaN.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from pysot.toolkit.datasets.names import plain_name, spellings
from pysot.toolkit.region.raster import corners_of, region_table
from pysot.utils.masks import Mask
from pysot.utils.names import check_video_name, missing_images


@dataclass(frozen=True)
class Sequence:
    """One video. `frame_paths` and `ground_truth` have one entry per frame; width and height are pixels, None where nothing needs them. `attributes` are
    those of the whole video. `present` (N,) is False in frames that LaSOT leaves out of the count of hits, `visible` (N,) in those that GOT-10k's average
    overlap leaves out; None rules out none. `anchors` are the frames, from 0, at which runs of sets of many starts begin, with whether they go backwards.
    `masks` has the ground truth of frames, from 0, that is painted; its box is in `ground_truth`. `alike` are the other sequences of the set whose names
    differ in spelling only.

    `tags` has one bool array per tag that was annotated for the sequence; a shorter one is filled with False, an empty one left out.
    Raises ValueError that names the sequence when the parts do not fit together.
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
    alike: tuple[str, ...] = ()

    def __post_init__(self):
        check_video_name(self.name)
        regions = self._regions()
        if not regions or len(regions) != len(self.frame_paths):
            missing = missing_images(self.frame_paths)
            raise ValueError(
                f"sequence {self.name} has {len(self.frame_paths)} frames and ground truth for {len(regions)}; needs 1 or more of both"
                + f", and there is no {', no '.join(missing[:3])}{' ...' * (len(missing) > 3)}" * bool(missing)
            )
        if self.width is not None and not (self.width > 0 and self.height > 0):
            raise ValueError(f"sequence {self.name} needs a positive frame size, got {self.width} x {self.height}")
        for flags in (self.present, self.visible):
            if flags is not None and len(flags) != len(regions):
                raise ValueError(
                    f"sequence {self.name} says for {len(flags)} of {len(regions)} frames whether the target is there"
                )
        object.__setattr__(self, "ground_truth", regions)
        object.__setattr__(
            self, "tags", {name: self._flags(name, values) for name, values in self.tags.items() if len(values)}
        )

    def _regions(self):
        alike = len({len(region) for region in self.ground_truth}) == 1
        regions = (
            list(np.asarray(self.ground_truth, np.float64))
            if alike
            else [np.asarray(region, np.float64) for region in self.ground_truth]
        )
        bad = next((frame for frame, region in enumerate(regions) if region.shape not in ((4,), (8,))), None)
        if bad is not None:
            raise ValueError(
                f"sequence {self.name}: the ground truth of frame {bad + 1} needs 4 or 8 numbers, got {list(self.ground_truth[bad])}"
            )
        return regions

    def _flags(self, name, values):
        if len(values) > len(self):
            raise ValueError(f"sequence {self.name}: tag {name} has {len(values)} entries for {len(self)} frames")
        flags = np.zeros(len(self), bool)
        flags[: len(values)] = np.asarray(values, np.float64) != 0
        return flags

    def __len__(self) -> int:
        return len(self.frame_paths)

    def run_from(self, frame: int, backwards: bool) -> "Sequence":
        """The sequence as a run from `frame` sees it: to the end, or `backwards` to the beginning."""
        order = range(frame, -1, -1) if backwards else range(frame, len(self))
        masks = {place: self.masks[index] for place, index in enumerate(order) if index in self.masks}
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
    """Numbers of the supervised protocol: EAO averages the expected overlap over sequence lengths low..high (peak is their mode)."""

    low: int
    high: int
    peak: int
    skipping: int = 5
    burn_in: int = 10

    def __post_init__(self):
        if not 0 < self.low <= self.peak <= self.high or self.skipping < 1 or self.burn_in < 0:
            raise ValueError(f"VOT settings need 0 < low <= peak <= high, skipping > 0, burn_in >= 0, got {self}")


@dataclass(frozen=True)
class Dataset:
    """Sequences with unique names, in the order of their list; tags that EAO is split by; settings of the protocol, None where it has none.

    `protocol` is how trackers run through it, one of the `sets` of the records in `toolkit.protocols`: `supervised` (VOT until 2019: restarts after losses),
    `multistart` (VOT since 2020: runs from each anchor), `longterm` (once, with a confidence for each frame) or `one pass` (once); by default supervised where
    there are settings, else one pass. `remarks` are sentences on its files that the reader of scores has to know.
    """

    name: str
    sequences: list[Sequence]
    tags: tuple[str, ...]
    settings: VotSettings | None
    protocol: str = ""
    remarks: tuple[str, ...] = ()

    def __post_init__(self):
        names = [sequence.name for sequence in self.sequences]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if not names or twice:
            raise ValueError(
                f"data set {self.name} "
                + (f"names a sequence twice: {', '.join(twice)}" if twice else "has no sequence")
            )
        object.__setattr__(self, "protocol", self.protocol or ("supervised" if self.settings else "one pass"))
        self._note_names_alike(names)

    def _note_names_alike(self, names: list[str]) -> None:
        """Set `alike` of the sequences; a part of the set keeps what the whole one had."""
        by_plain: dict[str, list[str]] = {}
        for name in names:
            by_plain.setdefault(plain_name(name), []).append(name)
        for index, sequence in enumerate(self.sequences):
            others = [
                name for plain in spellings(sequence.name) for name in by_plain.get(plain, ()) if name != sequence.name
            ]
            if others:
                self.sequences[index] = replace(sequence, alike=tuple(dict.fromkeys([*sequence.alike, *others])))

    @property
    def one_pass(self) -> bool:
        """Whether trackers run through it once and are scored by success and precision."""
        return self.protocol == "one pass"

    @property
    def hidden_truth(self) -> bool:
        """Whether ground truth is known in first frames only: such a set, the test part of GOT-10k or TrackingNet, is scored by a server."""
        return self.one_pass and all(
            len(sequence) > 1 and not np.isfinite([region[0] for region in sequence.ground_truth[1:]]).any()
            for sequence in self.sequences
        )

    def by_attribute(self) -> dict[str, list[str]]:
        """{attribute: the names of the sequences that have it}, attributes in alphabetical order."""
        attributes = sorted({attribute for sequence in self.sequences for attribute in sequence.attributes})
        return {
            attribute: [sequence.name for sequence in self.sequences if attribute in sequence.attributes]
            for attribute in attributes
        }

    def __len__(self) -> int:
        return len(self.sequences)

    def only(self, names) -> "Dataset":
        """The same data set with the named sequences only. Raises ValueError for a name it does not have."""
        known = {sequence.name: sequence for sequence in self.sequences}
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(f"{self.name} has no video {', '.join(missing)}; it has {', '.join(known)}")
        return replace(self, sequences=[known[name] for name in names])

    def longest_first(self) -> list[Sequence]:
        """Its sequences in the order in which several processes take them."""
        return sorted(self.sequences, key=lambda sequence: (-len(sequence), sequence.name))

    def part(self, number: int, count: int) -> "Dataset | None":
        """The `number`-th of `count` parts of about equally many frames, longest sequences first; None for one that stays empty."""
        if count == 1:
            return self
        chosen = self.longest_first()[number - 1 :: count]
        return replace(self, sequences=chosen) if chosen else None
