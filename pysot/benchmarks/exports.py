"""Exports that benchmarks and device checks write. Their packages are imported when the first is written."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from yacs.config import CfgNode

from pysot.deploy.package import Package, read_package
from pysot.models.siamrpn import SiamRPN

if TYPE_CHECKING:
    from pysot.deploy.export_int8 import Quantised

_PACKAGES = ("onnx", "onnxslim", "onnxruntime")


def missing_packages() -> str:
    """Return which packages of exports are not installed here, in a sentence; "" if none."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    return f"exports need the packages {', '.join(missing)}: pip install {' '.join(missing)}" if missing else ""


def write_export(
    model: SiamRPN, cfg: CfgNode, folder: Path, bar: Any, snapshot: str | None = None, **options: Any
) -> tuple[Package, "Quantised | None"]:
    """Write an unverified export of a network to a new folder; return it, and what was quantised for int8.

    `snapshot` is the file of its weights, None for weights without a file. `options` are those of `ExportOptions`.
    Raises ImportError if packages are missing, otherwise as `write_package`.
    """
    if missing := missing_packages():
        raise ImportError(missing)
    from pysot.deploy.export_builder import write_package
    from pysot.deploy.export_graphs import ExportOptions

    folder.mkdir(parents=True)
    path = Path(snapshot) if snapshot else folder / "synthetic.pth"
    if not snapshot:
        torch.save(model.state_dict(), path)
    quantised = write_package(model, cfg, path, folder, ExportOptions(**options), bar)
    return read_package(folder), quantised
