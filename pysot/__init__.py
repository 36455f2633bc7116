"""SiamRPN++ for Ascend NPU, CUDA and CPU: training, tracking and evaluation.

`load_tracker` returns a tracker in one line, `run` and `report` track and score a data set with any tracker. They are
imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysot.load import load_tracker as load_tracker
    from pysot.toolkit.experiments.own_tracker import report as report
    from pysot.toolkit.experiments.own_tracker import run as run

__version__ = "1.0.0"
__all__ = ["load_tracker", "report", "run"]
_MODULES = {
    "load_tracker": "pysot.load",
    "report": "pysot.toolkit.experiments.own_tracker",
    "run": "pysot.toolkit.experiments.own_tracker",
}


def __getattr__(name: str) -> Any:
    """Import and return a public function."""
    if name not in _MODULES:
        raise AttributeError(f"module 'pysot' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_MODULES[name]), name)
