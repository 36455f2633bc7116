"""Data sets by name: `load_dataset(name, root)`."""

from pysot.toolkit.datasets.load import load_dataset, missing_frames

__all__ = ["load_dataset", "missing_frames"]
