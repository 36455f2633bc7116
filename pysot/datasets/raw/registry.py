"""The raw data sets that can be prepared, by name."""

import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pysot.datasets.raw.coco import available_splits, iter_coco
from pysot.datasets.raw.csv_json import find_csv, iter_coco_video, iter_csv, json_splits
from pysot.datasets.raw.cvat import cvat_splits, iter_cvat
from pysot.datasets.raw.imagenet import imagenet_splits, iter_det, iter_vid
from pysot.datasets.raw.sequences import LAYOUTS, iter_sequences
from pysot.datasets.raw.video import RawVideo
from pysot.datasets.raw.voc_yolo import iter_voc, iter_yolo, voc_splits, yolo_splits
from pysot.datasets.raw.youtube_bb import iter_youtube, youtube_splits


@dataclass(frozen=True)
class RawSet:
    """splits: root -> the splits that are there, or an error that says what is expected; iterate: root, split, counts -> videos; shape: what a root looks
    like; reach: FRAME_RANGE of the config.
    """

    splits: Callable[[Path], list[str]]
    iterate: Callable[..., Iterator[RawVideo]]
    shape: str
    reach: int = 100

    def videos(self, root: Path, split: str, counts: Counter, only: Collection[str] = (), excluded: Collection[str] = ()) -> Iterator[RawVideo]:
        """The videos of a split, all or those named in `only`, without those in `excluded`; a name is that of the video or the last part of it."""
        seen, images = set(), {}
        for video in self.iterate(root, split, counts):
            first = images.setdefault(video.name, video.frames[0].image)
            if first is not video.frames[0].image:
                raise ValueError(f"two videos are called {video.name}: that of {first} and that of {video.frames[0].image}; rename a folder or file of one")
            names = {video.name, video.name.rpartition("/")[2]}
            seen |= names
            if not names & set(excluded) and (not only or names & set(only)):
                yield video
        unknown = sorted({*only, *excluded} - seen)
        if unknown:
            counts[f"names that no {split} video has ({', '.join(unknown)})"] += len(unknown)


class SequenceSet(RawSet):
    """A set whose folders are sequences: names are known before the sequences are read, so a wrong one is an error."""

    def videos(self, root: Path, split: str, counts: Counter, only: Collection[str] = (), excluded: Collection[str] = ()) -> Iterator[RawVideo]:
        """As `iter_sequences`."""
        return self.iterate(root, counts, only, excluded)


def _sequences(layout: str) -> RawSet:
    return SequenceSet(lambda root: ["train"], functools.partial(iter_sequences, layout), LAYOUTS[layout].shape)


RAW_SETS = {
    "coco": RawSet(available_splits, iter_coco, "annotations/instances_train2017.json and train2017/*.jpg", 1),
    "det": RawSet(functools.partial(imagenet_splits, task="DET"), iter_det, "Annotations/DET/train/<...>/*.xml and Data/DET/train/<...>/*.JPEG", 1),
    "vid": RawSet(functools.partial(imagenet_splits, task="VID"), iter_vid, "Annotations/VID/train/<part>/<video>/*.xml and Data/VID/..."),
    "yt_bb": RawSet(youtube_splits, iter_youtube, "yt_bb_detection_train.csv and yt_bb_detection_train/<class>/*.jpg", 3),
    **{layout: _sequences(layout) for layout in LAYOUTS},
    "yolo": RawSet(yolo_splits, iter_yolo, "images/<...>.jpg and labels/<...>.txt, train/images and train/labels (Roboflow), or obj_train_data (CVAT)"),
    "voc": RawSet(voc_splits, iter_voc, "Annotations/*.xml and JPEGImages/*.jpg", 1),
    "coco_video": RawSet(json_splits, iter_coco_video, "a json with tracks, of CVAT (COCO), TAO or YouTube-VIS, and its images"),
    "cvat": RawSet(cvat_splits, iter_cvat, "annotations.xml (CVAT for video or images) and images/"),
    "csv": RawSet(lambda root: ["train"] if find_csv(root) else [], iter_csv, "one csv and a folder of images per video"),
}
