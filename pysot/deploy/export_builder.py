"""Export the tracker of a config and a checkpoint, and verify the export."""

import dataclasses
import importlib.metadata
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch
from yacs.config import CfgNode

import pysot
from pysot.datasets.data_builder import build_dataset
from pysot.datasets.quickstart.data import generate
from pysot.deploy import verification
from pysot.deploy.engine_network import EngineNetwork
from pysot.deploy.engines import choose_engine
from pysot.deploy.export_graphs import ExportOptions, write_graphs
from pysot.deploy.export_int8 import Pair, Quantised, quantise
from pysot.deploy.package import FILE, REPORT, Package, package_content, read_package
from pysot.models.siamrpn import SiamRPN
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.protocol import Scores
from pysot.tracker.network import Network
from pysot.tracker.torch_network import TorchNetwork
from pysot.tracker.tracker_builder import TRACKERS, track_settings
from pysot.utils.device import one_thread
from pysot.utils.files import check_folder, file_hash, publish_folder, write_json
from pysot.utils.progress import Bar

_SEQUENCE_FRAMES = 40  # of the generated sequence
_PAIRS = 36  # of crops, for int8
_MOST_FRAMES = 100  # whose boxes are compared
_PACKAGES = ("torch", "onnx", "onnxruntime", "onnxslim", "numpy")


@dataclass(frozen=True)
class Verification:
    """Result of the verification of an export; without a data set there are no scores."""

    outputs: Sequence[verification.OutputDifference]
    boxes: verification.BoxDifference
    problems: Sequence[str]
    scores: Scores | None = None
    speeds: Sequence[float] = field(default_factory=list)
    quantised: Quantised | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the content of report.json."""
        scored = {} if self.scores is None else {score.name: score.to_json() for score in self.scores.trackers}
        return {
            "outputs": [dataclasses.asdict(row) for row in self.outputs],
            "boxes": dataclasses.asdict(self.boxes),
            "scores": scored,
            "frames_per_second": dict(zip(scored, self.speeds, strict=True)) if scored else {},
            "quantised": None if self.quantised is None else dataclasses.asdict(self.quantised),
            "problems": list(self.problems),
        }


def export_tracker(
    model: SiamRPN,
    cfg: CfgNode,
    snapshot: Path,
    output: Path,
    options: ExportOptions,
    dataset: Dataset | None,
    bar: Bar,
    data_path: str | None = None,
) -> Verification:
    """Write the export of a network with the weights of `snapshot` to a folder, and verify it; return the differences.

    The folder appears when it is complete and verified; one that is there is replaced. `dataset` is tracked by both
    trackers; without it the boxes of a generated sequence are compared. `data_path` is the folder where the training
    sets, on which int8 is calibrated, are searched first. `bar` shows the progress.

    Raises ValueError as `ExportOptions.check` and for a folder that holds something else, OSError if it cannot be
    written, and RuntimeError if fp32 differs by more than `verification` allows.
    """
    options.check()
    _check_output(output)
    part = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        quantised = write_package(model, cfg, snapshot, part, options, bar, data_path)
        result = dataclasses.replace(verify(model, read_package(part), dataset, bar), quantised=quantised)
        write_json(part / REPORT, result.to_json(), indent=1)
        if result.problems:
            raise VerificationError(result)
        part.chmod(0o755)
        _replace(part, output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return result


def write_package(
    model: SiamRPN,
    cfg: CfgNode,
    snapshot: Path,
    folder: Path,
    options: ExportOptions,
    bar: Bar,
    data_path: str | None = None,
) -> Quantised | None:
    """Write graphs and tracker.json to a folder, unverified; return what was quantised for int8."""
    pairs = calibration_pairs(cfg, data_path, bar) if options.precision == "int8" else []
    kind, settings = TRACKERS[cfg.TRACK.TYPE], dataclasses.replace(track_settings(cfg), mask_output=False)
    graphs = write_graphs(model, settings, kind.long_term, kind.masks, options, folder, bar)
    weights = {"file": snapshot.name, "sha256": file_hash(snapshot)}
    package = Package(folder, cfg.TRACK.TYPE, kind.long_term, kind.masks, settings, graphs, _describe(options), weights)
    quantised = None
    if pairs:
        graphs, quantised = quantise(package, pairs, bar)
    write_json(folder / FILE, package_content(dataclasses.replace(package, graphs=graphs)), indent=1)
    return quantised


def calibration_pairs(cfg: CfgNode, data_path: str | None, bar: Bar) -> list[Pair]:
    """Return pairs of crops of the training sets of a config, in the sizes of the tracker.

    Raises FileNotFoundError and ValueError as `build_dataset`.
    """
    items = build_dataset(cfg, seed=0, data_path=data_path)
    pairs = []
    for position in bar(range(min(_PAIRS, len(items))), description="pairs to calibrate on"):
        item = items[(0, position)]
        crops = [item[name].transpose(1, 2, 0) for name in ("template", "search")]
        sides = cfg.TRACK.EXEMPLAR_SIZE, cfg.TRACK.INSTANCE_SIZE
        resized = [cv2.resize(crop, (side, side)) for crop, side in zip(crops, sides, strict=True)]
        pairs.append((resized[0][None], resized[1][None]))
    return pairs


class VerificationError(RuntimeError):
    """The exported tracker does not track like the tracker of torch; `result` has the differences."""

    def __init__(self, result: Verification) -> None:
        super().__init__(
            f"the exported network is not that of torch, nothing was written: {'; '.join(result.problems)}"
        )
        self.result = result


def _check_output(output: Path) -> None:
    """Raise ValueError for a folder that holds something else than an export, OSError if it cannot be written."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())) and not (output / FILE).is_file():
        raise ValueError(f"{output} exists and is not an export: name another folder, or remove it")
    check_folder(output.parent)


def _replace(part: Path, output: Path) -> None:
    """Rename a complete export to its folder; one that is there goes after that."""
    before = part.with_name(f"{part.name}.before")
    if output.exists():
        output.rename(before)
    try:
        publish_folder(part, output)
    except BaseException:
        if before.exists() and not output.exists():
            before.rename(output)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _describe(options: ExportOptions) -> dict[str, Any]:
    versions = {"pysot": pysot.__version__} | {name: importlib.metadata.version(name) for name in _PACKAGES}
    batch = "dynamic" if options.batch is None else options.batch
    form = {"precision": options.precision, "xcorr": options.method, "opset": options.opset, "batch": batch}
    return {**form, "versions": versions}


def verify(model: SiamRPN, package: Package, dataset: Dataset | None, bar: Bar) -> Verification:
    """Compare an export with a network of torch, each with one thread, see `verification`."""
    networks: list[Network] = [
        TorchNetwork(model, masks=package.masks),
        EngineNetwork(package, *choose_engine("onnxruntime:cpu"), threads=1),
    ]
    with tempfile.TemporaryDirectory() as folder, one_thread(torch.device("cpu")):
        if dataset is None:
            generate(Path(folder), "test", sequences=1, frames=_SEQUENCE_FRAMES)
        video = (dataset or load_dataset("VOT-QUICKSTART", folder)).sequences[0]
        boxes, places = verification.track_both(networks, package, video, _MOST_FRAMES, bar)
        outputs = verification.compare_outputs(networks, package, video, places)
        precision = package.export["precision"]
        problems = verification.problems(outputs, boxes) if precision == "fp32" else []
        if dataset is None or problems:
            return Verification(outputs, boxes, problems)
        names = ["torch fp32", f"onnxruntime {precision}"]
        scores, speeds = verification.score_both(networks, package, names, dataset, Path(folder), bar)
    return Verification(outputs, boxes, problems, scores, speeds)
