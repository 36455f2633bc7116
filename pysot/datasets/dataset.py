"""Training items: a template crop, a search crop, and the labels of the search crop.

An item is a function of (seed, epoch, position) and of the files on disk. `sampler` defines the position.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from pysot.datasets.anchor_target import AnchorTarget
from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.augmentation import Augmentation, AugmentedCrop, Geometry, centred_box
from pysot.datasets.collate import Forms
from pysot.datasets.crop_files import decode_mask
from pysot.datasets.point_target import PointTarget
from pysot.datasets.sampler import Pair, Target, draw_pair, epoch_order, require_two_objects
from pysot.datasets.storage import CropView, JpegView, open_storage
from pysot.utils.bbox import Corner
from pysot.utils.signals import die_with_parent

MAX_DRAWS = 20  # draws per item before the data set counts as broken
MAX_NAMED_CROPS = 20  # unreadable crops named per epoch; the others are only counted


class UnreadableCropError(Exception):
    """Failure to read or decode the crop of a target; its cause says why."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.target = target


class TrackingPairDataset(Dataset):
    """Pairs of crops from several annotated data sets, indexed with (epoch, position), 0 <= position < length.

    A crop that is missing or damaged is counted in `unreadable`, named in `notes`, and replaced by another draw.
    """

    def __init__(
        self,
        annotations: Sequence[TrackAnnotation],
        frame_ranges: Sequence[int],
        num_use: Sequence[int],
        *,
        length: int,
        seed: int,
        template_size: int,
        search_size: int,
        template_augmentation: Augmentation,
        search_augmentation: Augmentation,
        make_labels: AnchorTarget | PointTarget,
        negative_share: float = 0.0,
        gray_share: float = 0.0,
        masks: Sequence[bool] | None = None,
    ) -> None:
        """Open the crops of `annotations`.

        `masks` says which of them have a mask for each crop; None makes items without masks. Raises ValueError for
        values that do not fit together.
        """
        if not 0 <= negative_share <= 1 or not 0 <= gray_share <= 1:
            raise ValueError(f"DATASET.NEG and DATASET.GRAY must be in [0, 1], got {negative_share} and {gray_share}")
        if any(frame_range < 0 for frame_range in frame_ranges):
            raise ValueError(f"FRAME_RANGE must be 0 or more, got {list(frame_ranges)}")
        if negative_share > 0:
            require_two_objects(annotations)
        self.annotations = list(annotations)
        self.frame_ranges = list(frame_ranges)
        self.num_use = list(num_use)
        self.storages = [open_storage(annotation) for annotation in self.annotations]
        self.length = length
        self.seed = seed
        self.template_size = template_size
        self.search_size = search_size
        self.template_augmentation = template_augmentation
        self.search_augmentation = search_augmentation
        self.template_required_side = template_augmentation.required_side(template_size)
        self.make_labels = make_labels
        self.negative_share = negative_share
        self.gray_share = gray_share
        self.masks = None if masks is None else list(masks)
        self._order: np.ndarray | None = None
        self._order_epoch: int | None = None
        self._unreadable = torch.zeros(1, dtype=torch.int64).share_memory_()
        # Targets of unreadable crops, in shared memory; rows of -1 are free.
        self._unreadable_targets = torch.full((MAX_NAMED_CROPS, 4), -1, dtype=torch.int64).share_memory_()
        self._noted_count = 0
        self.order(0)

    def __len__(self) -> int:
        return self.length

    @property
    def unreadable(self) -> int:
        """Number of crops that could not be read so far, in all workers."""
        return int(self._unreadable)

    def pop_notes(self) -> list[str]:
        """Return the number of unreadable crops since the last call, in all workers, and some paths with reasons."""
        count = self.unreadable - self._noted_count
        self._noted_count = self.unreadable
        targets = {Target(*row): None for row in self._unreadable_targets.tolist() if row[0] >= 0}
        self._unreadable_targets.fill_(-1)
        if count == 0:
            return []
        summary = f"{count} crops could not be read and were replaced by other draws"
        return [summary, *map(self._unreadable_reason, targets)]

    def _unreadable_reason(self, target: Target) -> str:
        """Read a crop again, and its mask if the data set has masks, and return the error message."""
        try:
            pixels = self.read(target)[0].pixels
            if self.masks is not None and self.masks[target.dataset]:
                self._read_mask(target, pixels.shape[1], pixels.shape[0])
        except (OSError, ValueError) as error:
            return str(error)
        return f"{self.name(target)} is readable now"

    def describe(self, epoch: int, position: int) -> str:
        """Return the names of the template and the search crop of an item."""
        rng = np.random.default_rng([self.seed, epoch, position])
        pair = draw_pair(rng, self.annotations, self.frame_ranges, self.order(epoch)[position], self.negative_share)
        return " with ".join(self.name(target) for target in (pair.template, pair.search))

    def order(self, epoch: int) -> np.ndarray:
        """Return the picks of an epoch, (length, 2): data set and video."""
        if epoch != self._order_epoch or self._order is None:
            counts = [annotation.video_count for annotation in self.annotations]
            self._order = None  # free the old order first: two of them cost too much memory in each worker
            self._order = epoch_order(self.seed, epoch, counts, self.num_use, self.length)
            self._order_epoch = epoch
        return self._order

    @property
    def forms(self) -> Forms:
        """Shape and type of each array of an item."""
        labels = self.make_labels.forms
        uint8, float32 = np.dtype(np.uint8), np.dtype(np.float32)
        mask_shape = (self.search_size, self.search_size)
        mask_forms = {
            "search_mask": (mask_shape, uint8),
            "has_mask": ((), np.dtype(np.bool_)),
            "cell_keys": (labels["label_cls"][0][-2:], float32),
        }
        return {
            "template": ((3, self.template_size, self.template_size), uint8),
            "search": ((3, self.search_size, self.search_size), uint8),
            "template_light": ((3,), float32),
            "search_light": ((3,), float32),
            **labels,
            "bbox": ((4,), float32),
            **({} if self.masks is None else mask_forms),
        }

    def __getitem__(self, index: tuple[int, int]) -> dict[str, np.ndarray]:
        """Return the training item of (epoch, position), with the arrays of `forms`.

        template and search are channels first in BGR order; template_light and search_light are to be subtracted from
        their channels; the labels are those of `AnchorTarget` or `PointTarget`; bbox is the target xyxy in the search
        crop.

        For SiamMask, search_mask is the mask in the search crop, 0 or 1, and has_mask says whether there is one: not
        for a negative pair, a data set without masks, or an object without a mask. cell_keys are random numbers from 0
        to 1, by which cells are drawn.
        """
        epoch, position = index
        rng = np.random.default_rng([self.seed, epoch, position])
        order = self.order(epoch)
        pick = order[position]
        problem: BaseException | None = None
        for _ in range(MAX_DRAWS):
            pair = draw_pair(rng, self.annotations, self.frame_ranges, pick, self.negative_share)
            state = rng.bit_generator.state
            try:
                return self._build_item(rng, pair)
            except UnreadableCropError as error:
                rng.bit_generator.state = state  # the next draw does not depend on when the problem was found
                self._record_unreadable(error.target)
                problem = error.__cause__
                pick = order[rng.integers(self.length)]
        raise ValueError(
            f"no readable pair of crops in {MAX_DRAWS} draws, {self.unreadable} unreadable crops so far. The last one: "
            f"{problem}. Run the cropping script of the data set again: it adds the missing crops"
        )

    def read(self, target: Target, required_side: int | None = None) -> tuple[CropView | JpegView, Corner]:
        """Read the crop of a box and return it with the box in the complete crop.

        With `required_side`, reading the centred square of that many pixels is enough. Raises OSError or ValueError if
        the crop cannot be read; a damaged one may be noticed only when its pixels are.
        """
        view = self.storages[target.dataset].read(target.video, target.track, target.box, required_side)
        box = self.annotations[target.dataset].boxes[target.box].tolist()
        return view, centred_box((view.height, view.width), box, self.template_size)

    def name(self, target: Target) -> str:
        """Return the name of a box's crop, for messages."""
        return self.storages[target.dataset].name(target.video, target.track, target.box)

    def _build_item(self, rng: np.random.Generator, pair: Pair) -> dict[str, np.ndarray]:
        """Read and augment both crops, and label the search crop. Raises UnreadableCropError."""
        gray = rng.random() < self.gray_share
        template, _ = self._cut(
            rng, pair.template, self.template_augmentation, self.template_size, gray, self.template_required_side
        )
        search, crop_size = self._cut(rng, pair.search, self.search_augmentation, self.search_size, gray)
        labels = self.make_labels(rng, search.box, pair.negative)
        return {
            "template": _channels_first(template.image),
            "search": _channels_first(search.image),
            "template_light": template.light,
            "search_light": search.light,
            **dict(zip(self.make_labels.forms, labels, strict=True)),
            "bbox": np.array(search.box, np.float32),
            **self._mask_item(rng, pair, search.geometry, crop_size),
        }

    def _cut(
        self,
        rng: np.random.Generator,
        target: Target,
        augmentation: Augmentation,
        size: int,
        gray: bool,
        required_side: int | None = None,
    ) -> tuple[AugmentedCrop, tuple[int, int]]:
        """Return what `augmentation` makes of the crop of a target, and width and height of the complete crop."""
        try:
            view, box = self.read(target, required_side)
            return augmentation(rng, view, box, size, gray), (view.width, view.height)
        except (OSError, ValueError) as error:
            raise UnreadableCropError(target) from error

    def _mask_item(
        self, rng: np.random.Generator, pair: Pair, geometry: Geometry, crop_size: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        """Return the mask in the search crop, whether there is one, and keys; nothing for items without masks.

        Raises UnreadableCropError if the mask file is missing, damaged, or not of `crop_size`, which is width, height.
        """
        if self.masks is None:
            return {}
        keys = rng.random(self.forms["cell_keys"][0], np.float32)
        if not pair.negative and self.masks[pair.search.dataset]:
            try:
                mask = self._read_mask(pair.search, *crop_size)
            except (OSError, ValueError) as error:
                raise UnreadableCropError(pair.search) from error
            if mask.any():
                return {"search_mask": geometry.mask(mask), "has_mask": np.array(True), "cell_keys": keys}
        empty = np.zeros((self.search_size, self.search_size), np.uint8)
        return {"search_mask": empty, "has_mask": np.array(False), "cell_keys": keys}

    def _read_mask(self, target: Target, width: int, height: int) -> np.ndarray:
        """Read the mask of a crop of width x height pixels. Raises OSError or ValueError if it cannot be used."""
        data, name = self.storages[target.dataset].read_mask(target.video, target.track, target.box)
        return decode_mask(data, name, width, height)

    def _record_unreadable(self, target: Target) -> None:
        """Count an unreadable crop, and keep its target if a row is free."""
        self._unreadable += 1
        row = torch.tensor([target.dataset, target.video, target.track, target.box])
        free = (self._unreadable_targets[:, 0] < 0).nonzero()
        if len(free) and not (self._unreadable_targets == row).all(dim=1).any():
            self._unreadable_targets[free[0, 0]] = row


def _channels_first(image: np.ndarray) -> np.ndarray:
    """Convert (H, W, 3) to (3, H, W)."""
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, list(planes))
    return planes


def init_worker(worker_id: int) -> None:
    """Prepare a loader process: it uses one thread, since the processes run in parallel, and ends with its parent."""
    cv2.setNumThreads(0)
    die_with_parent()
