"""Training items: a template crop, a search crop, and the labels of the search crop.

An item is a function of (seed, epoch, position) and of the files on disk; see `sampler` for what a position is.
"""

import logging
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from pysot.datasets.anchor_target import AnchorTarget
from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.augmentation import Augmentation, centred_box
from pysot.datasets.sampler import Target, draw_pair, epoch_order, require_two_objects
from pysot.utils.bbox import Corner
from pysot.utils.image import read_image

logger = logging.getLogger(__name__)
TRIES = 20           # draws per item before the data set counts as broken
WARNINGS = 20        # unreadable crops named per process; the rest is counted


class TrackingPairDataset(Dataset):
    """Pairs of crops from several annotated data sets; index it with (epoch, position), 0 <= position < length.

    A crop that is missing or damaged is named in the log, counted in `unreadable`, and replaced by another draw.
    """

    def __init__(self, annotations: Sequence[TrackAnnotation], frame_ranges: Sequence[int], num_use: Sequence[int], *, length: int, seed: int,
                 template_size: int, search_size: int, template_augmentation: Augmentation, search_augmentation: Augmentation,
                 anchor_target: AnchorTarget, negative_share: float = 0.0, gray_share: float = 0.0):
        if not 0 <= negative_share <= 1 or not 0 <= gray_share <= 1:
            raise ValueError(f"DATASET.NEG and DATASET.GRAY must be in [0, 1], got {negative_share} and {gray_share}")
        if any(reach < 0 for reach in frame_ranges):
            raise ValueError(f"FRAME_RANGE must be 0 or more, got {list(frame_ranges)}")
        if negative_share > 0:
            require_two_objects(annotations)
        self.annotations, self.frame_ranges, self.num_use = list(annotations), list(frame_ranges), list(num_use)
        self.length, self.seed = length, seed
        self.template_size, self.search_size = template_size, search_size
        self.template_augmentation, self.search_augmentation = template_augmentation, search_augmentation
        self.anchor_target = anchor_target
        self.negative_share, self.gray_share = negative_share, gray_share
        self._order_epoch, self._order = None, None
        self._unreadable = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._warned: set[str] = set()
        self.order(0)

    def __len__(self) -> int:
        return self.length

    @property
    def unreadable(self) -> int:
        """How many crops could not be read so far, in all workers."""
        return int(self._unreadable)

    def order(self, epoch: int) -> np.ndarray:
        """The picks of an epoch, (length, 2): data set and video."""
        if epoch != self._order_epoch:
            counts = [annotation.video_count for annotation in self.annotations]
            self._order, self._order_epoch = epoch_order(self.seed, epoch, counts, self.num_use, self.length), epoch
        return self._order

    def __getitem__(self, index: tuple[int, int]) -> dict[str, np.ndarray]:
        """Keys: template (3, z, z), search (3, x, x) float32 0..255 BGR; label_cls (A, S, S) int64; label_loc (4, A, S, S), label_loc_weight
        (A, S, S) float32; bbox (4,) float32, the target xyxy in the search crop.
        """
        epoch, position = index
        rng = np.random.default_rng([self.seed, epoch, position])
        order, problem = self.order(epoch), None
        pick = order[position]
        for _ in range(TRIES):
            pair = draw_pair(rng, self.annotations, self.frame_ranges, pick, self.negative_share)
            try:
                template, search = self._read(pair.template), self._read(pair.search)
            except (OSError, ValueError) as error:
                self._report(error)
                problem = error
                pick = order[rng.integers(self.length)]
                continue
            return self._item(rng, template, search, pair.negative)
        raise ValueError(f"no readable pair of crops in {TRIES} draws, {self.unreadable} unreadable so far. The last one: {problem}. Run the "
                         "cropping script of the data set again: it adds what is missing")

    def _read(self, target: Target) -> tuple[np.ndarray, Corner]:
        annotation = self.annotations[target.dataset]
        image = read_image(annotation.crop_path(target.video, target.track, target.box))
        return image, centred_box(image.shape, annotation.boxes[target.box], self.template_size)

    def _item(self, rng, template, search, negative: bool) -> dict[str, np.ndarray]:
        gray = rng.random() < self.gray_share
        template_crop, _ = self.template_augmentation(rng, *template, self.template_size, gray)
        search_crop, box = self.search_augmentation(rng, *search, self.search_size, gray)
        label_cls, label_loc, label_loc_weight = self.anchor_target(rng, box, negative)
        return {
            "template": np.ascontiguousarray(template_crop.transpose(2, 0, 1)),
            "search": np.ascontiguousarray(search_crop.transpose(2, 0, 1)),
            "label_cls": label_cls,
            "label_loc": label_loc,
            "label_loc_weight": label_loc_weight,
            "bbox": np.array(box, np.float32),
        }

    def _report(self, error: Exception) -> None:
        self._unreadable += 1
        text = str(error)
        if text in self._warned or len(self._warned) > WARNINGS:
            return
        self._warned.add(text)
        if len(self._warned) > WARNINGS:
            logger.warning("more than %d unreadable crops: from here on they are only counted", WARNINGS)
        else:
            logger.warning("%s; another pair is drawn instead", text)


def init_worker(worker_id: int) -> None:
    """One thread per loader process: the processes are the parallelism."""
    cv2.setNumThreads(0)
