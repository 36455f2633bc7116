"""Training items: a template crop, a search crop, and the labels of the search crop.

An item is a function of (seed, epoch, position) and of the files on disk; see `sampler` for what a position is.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from pysot.datasets.anchor_target import AnchorTarget
from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.augmentation import Augmentation, centred_box
from pysot.datasets.sampler import Target, draw_pair, epoch_order, require_two_objects
from pysot.datasets.storage import Picture, open_storage
from pysot.utils.bbox import Corner
from pysot.utils.signals import die_with_parent

TRIES = 20  # draws per item before the data set counts as broken
TOLD = 20  # unreadable crops named per epoch; the rest is counted


class TrackingPairDataset(Dataset):
    """Pairs of crops from several annotated data sets; index it with (epoch, position), 0 <= position < length.

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
        anchor_target: AnchorTarget,
        negative_share: float = 0.0,
        gray_share: float = 0.0,
    ):
        if not 0 <= negative_share <= 1 or not 0 <= gray_share <= 1:
            raise ValueError(f"DATASET.NEG and DATASET.GRAY must be in [0, 1], got {negative_share} and {gray_share}")
        if any(reach < 0 for reach in frame_ranges):
            raise ValueError(f"FRAME_RANGE must be 0 or more, got {list(frame_ranges)}")
        if negative_share > 0:
            require_two_objects(annotations)
        self.annotations, self.frame_ranges, self.num_use = list(annotations), list(frame_ranges), list(num_use)
        self.storages = [open_storage(annotation) for annotation in self.annotations]
        self.length, self.seed = length, seed
        self.template_size, self.search_size = template_size, search_size
        self.template_augmentation, self.search_augmentation = template_augmentation, search_augmentation
        self.anchor_target, self.template_needs = anchor_target, template_augmentation.needs(template_size)
        self.negative_share, self.gray_share = negative_share, gray_share
        self._order_epoch, self._order = None, None
        self._unreadable = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._where = torch.full(
            (TOLD, 4), -1, dtype=torch.int64
        ).share_memory_()  # the targets of crops that could not be read
        self._noted = 0
        self.order(0)

    def __len__(self) -> int:
        return self.length

    @property
    def unreadable(self) -> int:
        """How many crops could not be read so far, in all workers."""
        return int(self._unreadable)

    def notes(self) -> list[str]:
        """What could not be read since the last call, in all workers: a count, and paths with reasons."""
        count, self._noted = self.unreadable - self._noted, self.unreadable
        crops = {Target(*row): None for row in self._where.tolist() if row[0] >= 0}
        self._where.fill_(-1)
        return (
            [f"{count} crops could not be read and were replaced by other draws", *map(self._reason, crops)]
            if count
            else []
        )

    def _reason(self, target: Target) -> str:
        try:
            self.read(target)
        except (OSError, ValueError) as error:
            return str(error)
        return f"{self.name(target)} can be read now"

    def describe(self, epoch: int, position: int) -> str:
        """The crops of an item: template and search."""
        rng = np.random.default_rng([self.seed, epoch, position])
        pair = draw_pair(rng, self.annotations, self.frame_ranges, self.order(epoch)[position], self.negative_share)
        return " with ".join(self.name(target) for target in (pair.template, pair.search))

    def order(self, epoch: int) -> np.ndarray:
        """The picks of an epoch, (length, 2): data set and video."""
        if epoch != self._order_epoch:
            counts, self._order = (
                [annotation.video_count for annotation in self.annotations],
                None,
            )  # two at a time are too many in each worker
            self._order, self._order_epoch = epoch_order(self.seed, epoch, counts, self.num_use, self.length), epoch
        return self._order

    def __getitem__(self, index: tuple[int, int]) -> dict[str, np.ndarray]:
        """Keys: template (3, z, z), search (3, x, x) uint8 BGR; template_light, search_light (3,) float32, to be subtracted from their channels; label_cls
        (A, S, S) int64; label_loc (4, A, S, S), label_loc_weight (A, S, S) float32; bbox (4,) float32, the target xyxy in the search crop.
        """
        epoch, position = index
        rng = np.random.default_rng([self.seed, epoch, position])
        order, problem = self.order(epoch), None
        pick = order[position]
        for _ in range(TRIES):
            pair = draw_pair(rng, self.annotations, self.frame_ranges, pick, self.negative_share)
            target = pair.template
            try:
                template, target = self.read(target, self.template_needs), pair.search
                search = self.read(target)
            except (OSError, ValueError) as error:
                self._report(target)
                problem = error
                pick = order[rng.integers(self.length)]
                continue
            return self._item(rng, template, search, pair.negative)
        raise ValueError(
            f"no readable pair of crops in {TRIES} draws, {self.unreadable} unreadable so far. The last one: {problem}. Run the "
            "cropping script of the data set again: it adds what is missing"
        )

    def read(self, target: Target, needed: int | None = None) -> tuple[Picture, Corner]:
        """The crop of a box, or at least the `needed` pixels in the middle of it, and the box in the whole crop. Raises OSError or ValueError if it cannot be
        read.
        """
        picture = self.storages[target.dataset].read(target.video, target.track, target.box, needed)
        box = self.annotations[target.dataset].boxes[target.box].tolist()
        return picture, centred_box((picture.height, picture.width), box, self.template_size)

    def name(self, target: Target) -> str:
        """The crop of a box, for messages."""
        return self.storages[target.dataset].name(target.video, target.track, target.box)

    def _item(self, rng, template, search, negative: bool) -> dict[str, np.ndarray]:
        gray = rng.random() < self.gray_share
        template_crop, _, template_light = self.template_augmentation(rng, *template, self.template_size, gray)
        search_crop, box, search_light = self.search_augmentation(rng, *search, self.search_size, gray)
        label_cls, label_loc, label_loc_weight = self.anchor_target(rng, box, negative)
        return {
            "template": _planes(template_crop),
            "search": _planes(search_crop),
            "template_light": template_light,
            "search_light": search_light,
            "label_cls": label_cls,
            "label_loc": label_loc,
            "label_loc_weight": label_loc_weight,
            "bbox": np.array(box, np.float32),
        }

    def _report(self, target: Target) -> None:
        self._unreadable += 1
        row = torch.tensor([target.dataset, target.video, target.track, target.box])
        free = (self._where[:, 0] < 0).nonzero()
        if len(free) and not (self._where == row).all(dim=1).any():
            self._where[free[0, 0]] = row


def _planes(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) as (3, H, W)."""
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, list(planes))
    return planes


def init_worker(worker_id: int) -> None:
    """One thread per loader process: the processes are the parallelism. It ends with the training process."""
    cv2.setNumThreads(0)
    die_with_parent()
