"""Data sets of the original `toolkit.datasets`."""

import sys
from typing import Any

from pysot.toolkit.datasets.load import load_dataset
from toolkit.datasets.dataset import Dataset, StoredDataset, VOTDataset, VOTLTDataset
from toolkit.datasets.video import Video, VOTLTVideo, VOTVideo

OTBDataset = UAVDataset = LaSOTDataset = NFSDataset = TrackingNetDataset = GOT10kDataset = StoredDataset
OTBVideo = UAVVideo = LaSOTVideo = NFSVideo = TrackingNetVideo = GOT10kVideo = Video
_BY_PROTOCOL = {"supervised": VOTDataset, "longterm": VOTLTDataset}
_KINDS = ("vot", "otb", "uav", "lasot", "nfs", "trackingnet", "got10k")

__all__ = [
    "Dataset",
    "DatasetFactory",
    "GOT10kDataset",
    "GOT10kVideo",
    "LaSOTDataset",
    "LaSOTVideo",
    "NFSDataset",
    "NFSVideo",
    "OTBDataset",
    "OTBVideo",
    "TrackingNetDataset",
    "TrackingNetVideo",
    "UAVDataset",
    "UAVVideo",
    "VOTDataset",
    "VOTLTDataset",
    "VOTLTVideo",
    "VOTVideo",
    "Video",
]

# The original has a module for each kind: `from toolkit.datasets.otb import OTBDataset`.
sys.modules |= {f"{__name__}.{kind}": sys.modules[__name__] for kind in _KINDS}


class DatasetFactory:
    """Make a data set by its name."""

    @staticmethod
    def create_dataset(**kwargs: Any) -> Dataset:
        """Return the data set `name` below the folder `dataset_root`; `load_img` reads all frames at once.

        Its protocol decides on the class. Raises ValueError without a name or folder, and the errors of the data set.
        """
        if "name" not in kwargs or "dataset_root" not in kwargs:
            raise ValueError(
                "create_dataset needs the name of a data set and its folder: name='VOT2018', "
                "dataset_root='testing_dataset'"
            )
        loaded = load_dataset(kwargs["name"], kwargs["dataset_root"])
        return _BY_PROTOCOL.get(loaded.protocol, StoredDataset)(**kwargs, loaded=loaded)
