"""Data sets with the interface of the original's `Dataset`: videos by name or by their place in alphabetical order."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from pysot.toolkit.datasets.load import load_dataset
from pysot.toolkit.datasets.sequence import Dataset as AnnotatedDataset
from pysot.toolkit.datasets.sequence import Sequence as AnnotatedSequence
from pysot.toolkit.datasets.settings import VOT_TAGS
from toolkit.datasets.video import Video, VOTLTVideo, VOTVideo


class Dataset:
    """`videos` {name: Video}. `set_tracker` says where the results of which trackers are."""

    def __init__(self, name: str, dataset_root: str) -> None:
        self.name, self.dataset_root = name, dataset_root
        self.videos: dict[str, Video] = {}
        self.tracker_path = ""
        self.tracker_names: Sequence[str] = ()

    def __getitem__(self, idx: str | int) -> Video:
        return self.videos[idx if isinstance(idx, str) else sorted(self.videos)[idx]]

    def __len__(self) -> int:
        return len(self.videos)

    def __iter__(self) -> Iterator[Video]:
        return (self.videos[name] for name in sorted(self.videos))

    def set_tracker(self, path: str, tracker_names: Sequence[str]) -> None:
        """Take the folder of results, `path`/<tracker>, and the names of the trackers to evaluate."""
        self.tracker_path, self.tracker_names = path, tracker_names


class StoredDataset(Dataset):
    """Data set that is read from its json or its folders; see testing_dataset/README.md.

    Every layout of `pysot.toolkit` is read, not only the json of the original; `loaded` is the set if that is done.
    Raises the errors of `load_dataset`, and ValueError for a multi-start set and masks of objects.
    """

    def __init__(
        self, name: str, dataset_root: str, load_img: bool = False, loaded: AnnotatedDataset | None = None
    ) -> None:
        super().__init__(name, dataset_root)
        loaded = loaded or load_dataset(name, dataset_root)
        if loaded.protocol in ("multistart", "objects"):
            raise ValueError(
                f"{name} is a set of the protocol '{loaded.protocol}', which the original does not have: score it with "
                "tools/eval.py, or pysot.report"
            )
        for sequence in loaded.sequences:
            video = self._video(sequence, load_img)
            if sequence.width and sequence.height:
                video.size = sequence.width, sequence.height
            self.videos[sequence.name] = video
        self.attr = {"ALL": list(self.videos), **loaded.by_attribute()}
        self.tags = list(loaded.tags)

    def _arguments(self, sequence: AnnotatedSequence) -> dict[str, Any]:
        truth = [region.tolist() for region in sequence.ground_truth]
        frames = [os.path.abspath(path) for path in sequence.frame_paths]
        folder = os.path.relpath(os.path.dirname(frames[0]), self.dataset_root)
        return {
            "name": sequence.name,
            "root": self.dataset_root,
            "video_dir": folder,
            "init_rect": truth[0],
            "img_names": frames,
            "gt_rect": truth,
        }

    def _video(self, sequence: AnnotatedSequence, load_img: bool) -> Video:
        video = Video(**self._arguments(sequence), attr=list(sequence.attributes), load_img=load_img)
        if sequence.present is not None:
            video.absent = sequence.present.astype(int)
        return video


class VOTDataset(StoredDataset):
    """VOT2016 to VOT2019, and sets like them."""

    def _video(self, sequence: AnnotatedSequence, load_img: bool) -> Video:
        tags = {tag: sequence.tags[tag].astype(int).tolist() if tag in sequence.tags else [] for tag in VOT_TAGS}
        return VOTVideo(**self._arguments(sequence), **tags, load_img=load_img)


class VOTLTDataset(StoredDataset):
    """VOT2018-LT, VOT2019-LT, and sets like them."""

    def _video(self, sequence: AnnotatedSequence, load_img: bool) -> Video:
        return VOTLTVideo(**self._arguments(sequence), load_img=load_img)
