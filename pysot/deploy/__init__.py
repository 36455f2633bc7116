"""Exported trackers: written by tools/export.py, run without torch.

from pysot.deploy import Tracker
tracker = Tracker("exported")
tracker.init(frame, (x, y, w, h))
tracker.track(frame)["bbox"]
"""

from pysot.deploy.engines import engine_names as engine_names
from pysot.deploy.tracker import Tracker as Tracker
from pysot.deploy.tracker import load_batch_tracker as load_batch_tracker

__all__ = ["Tracker", "engine_names", "load_batch_tracker"]
