"""Data sets of the original `toolkit.datasets`."""

import sys
from typing import Any

from pysot.toolkit.datasets.settings import is_long_term, is_one_pass
from toolkit.datasets.dataset import Dataset, StoredDataset, VOTDataset, VOTLTDataset
from toolkit.datasets.video import Video

OTBDataset = UAVDataset = LaSOTDataset = NFSDataset = TrackingNetDataset = GOT10kDataset = StoredDataset
_KINDS = ("vot", "otb", "uav", "lasot", "nfs", "trackingnet", "got10k")

__all__ = [
    "Dataset",
    "DatasetFactory",
    "GOT10kDataset",
    "LaSOTDataset",
    "NFSDataset",
    "OTBDataset",
    "TrackingNetDataset",
    "UAVDataset",
    "VOTDataset",
    "VOTLTDataset",
    "Video",
]

# The original has a module for each kind: `from toolkit.datasets.otb import OTBDataset`.
sys.modules |= {f"{__name__}.{kind}": sys.modules[__name__] for kind in _KINDS}


class DatasetFactory:
    """Make a data set by its name."""

    @staticmethod
    def create_dataset(**kwargs: Any) -> Dataset:
        """Return the data set `name` below the folder `dataset_root`; `load_img` reads all frames at once.

        Raises ValueError without a name, and the errors of the data set.
        """
        if "name" not in kwargs:
            raise ValueError("create_dataset needs the name of a data set: name='VOT2018'")
        name = kwargs["name"]
        if is_long_term(name):
            return VOTLTDataset(**kwargs)
        return (StoredDataset if is_one_pass(name) or not name.upper().startswith("VOT") else VOTDataset)(**kwargs)
