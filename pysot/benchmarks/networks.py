"""Networks, data and precisions of a device check: those of the published recipe, or small ones in the short form."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pysot.benchmarks.case_builder import Case, load_case
from pysot.benchmarks.generated import find_annotation, make_crops, make_raw_set, training_set_opts
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.synthetic import (
    Batch,
    Batches,
    add_points,
    load_nano_weights,
    load_synthetic_weights,
    synthetic_batch,
)
from pysot.datasets.quickstart.data import generate
from pysot.engine.engine_builder import build_trainer
from pysot.engine.step_graph import StepGraph
from pysot.engine.train_loop import Trainer
from pysot.models.model_builder import ModelBuilder, build_model
from pysot.utils.device import needs_pinned_memory, seed_everything
from pysot.utils.distributed import Rank
from pysot.utils.graphs import find_graphs

LARGE, SMALL = "siamrpn_r50_l234_dwxcorr_8gpu", "quickstart"
NETWORKS = ("siamrpn_alex_dwxcorr", "siamrpn_mobilev2_l234_dwxcorr", LARGE)
NANO, SIAMBAN = "nanotrackv3", "siamban_r50_l234"
# Gains of `synthetic_tensor` by experiment.
GAINS: dict[str, dict[str, float]] = {
    "siamrpn_mobilev2_l234_dwxcorr": {"cls_gain": 10, "loc_gain": 2},
    SIAMBAN: {"loc_gain": -0.0025},
}
# Precision with rounded inputs of products (19 bits) by kind of device: its name and its config values.
ROUNDED: dict[str, tuple[str, list[object]]] = {
    "cuda": ("tf32", ["GPU.TF32", True]),
    "npu": ("hf32", ["NPU.CONV_HF32", True, "NPU.MATMUL_HF32", True]),
}
_NETWORK_CACHE: dict[str, ModelBuilder] = {}


def missing_data(folder: Path) -> list[str]:
    """Return a phrase for each file or folder that a data folder is missing for a device check."""
    coco, vot = folder / "training_dataset" / "COCO", folder / "vot" / "list.txt"
    required = {
        "training data": [coco / "crop511", *([] if find_annotation(coco) else [coco / "train2017.json"])],
        "sequences": [vot],
    }
    return [f"{use}: no {path}" for use, paths in required.items() for path in paths if not path.exists()]


def make_data(setting: Setting, record: Record) -> None:
    """Render sequences and crops from photographs into the folders that `missing_data` checks.

    Raises ImportError without scikit-image, whose wheel contains the photographs; RuntimeError if cropping fails.
    """
    videos, frames = (6, 5) if setting.short else (40, 8)
    raw = setting.work / "raw"
    make_raw_set(raw, videos, frames)
    generate(setting.data / "vot", "test", sequences=1 if setting.short else 2, frames=30)
    record.note(make_crops(raw, setting.data / "training_dataset" / "COCO", "COCO"))
    shutil.rmtree(raw)


def training_data_opts(setting: Setting) -> list[object]:
    """Return config values that select the training data of the data folder."""
    return training_set_opts(setting.data / "training_dataset" / "COCO")


def precisions(kind: str) -> dict[str, list[object]]:
    """Return the precisions of a kind of device with their config values: fp32, TF32 or HF32, bf16 and fp16."""
    opts: dict[str, list[object]] = {"fp32": []}
    if kind in ROUNDED:
        name, values = ROUNDED[kind]
        opts[name] = values
    return opts | {"bf16": ["TRAIN.PRECISION", "bf16"], "fp16": ["TRAIN.PRECISION", "fp16"]}


def make_case(setting: Setting, *opts: object, name: str | None = None, batch: int | None = None) -> Case:
    """Return the case of an experiment with the folders of the setting; steps are not a graph.

    By default the experiment is that of the recipe, or the small one in the short form.
    """
    name = name or (SMALL if setting.short else LARGE)
    folders = ["TRAIN.SNAPSHOT_DIR", str(setting.work / "snapshot"), "TRAIN.LOG_DIR", str(setting.work / "logs")]
    size = batch or (8 if setting.short else 28)
    fixed = ["BACKBONE.PRETRAINED", "", "TRAIN.GRAPH", "off", *folders, "TRAIN.BATCH_SIZE", size]
    # Like in the recipe, the backbone is frozen in the first epoch.
    unfreeze = [] if name == LARGE else ["BACKBONE.TRAIN_EPOCH", 1]
    return load_case(name, [*fixed, *unfreeze, *opts])


def make_network(case: Case, name: str = "") -> ModelBuilder:
    """Return the network of a case on the CPU with synthetic weights, drawn with the gains of the experiment `name`.

    The weights are drawn once per network and name; every call returns a copy.
    """
    key = name + case.network
    if key not in _NETWORK_CACHE:
        model = build_model(case.cfg)
        _NETWORK_CACHE[key] = (
            load_nano_weights(model) if name == NANO else load_synthetic_weights(model, **GAINS.get(name, {}))
        )
    return copy.deepcopy(_NETWORK_CACHE[key])


def pin_batch(batch: Batch, device: torch.device) -> Batch:
    """Return the batch in the kind of host memory that a loader uses for the device."""
    return {name: value.pin_memory() for name, value in batch.items()} if needs_pinned_memory(device) else batch


def make_batch(case: Case, size: int | None = None, seed: int | None = None) -> Batch:
    """Return a synthetic batch for a case. With a `seed`, noise of that seed is added to the search crops."""
    batch = synthetic_batch(size or case.batch_size, case.search_size, case.output_size)
    if case.point_stride is not None:
        batch = add_points(batch, case.point_stride)
    if seed is not None:
        batch["search"] += torch.randn(batch["search"].shape, generator=torch.Generator().manual_seed(seed))
    return batch


def zero_shortcuts(model: ModelBuilder) -> ModelBuilder:
    """Zero all but the centre of the 3x3 shortcuts of a ResNet, as in weights that were converted from torchvision."""
    for name, parameter in model.backbone.named_parameters():
        if "downsample.0" in name and parameter.shape[2:] == (3, 3):
            centre = parameter.data[:, :, 1, 1].clone()
            parameter.data.zero_()[:, :, 1, 1] = centre
    return model


def make_trainer(
    case: Case,
    device: torch.device,
    batches: list[Batch],
    epoch: int = 0,
    save: bool = False,
    converted: bool = False,
) -> Trainer:
    """Return a trainer of a network with synthetic weights over given batches, started at `epoch`.

    With TRAIN.GRAPH auto its steps are a graph from the first one on, whether that is faster or not. `converted`:
    shortcuts are as in converted weights.
    """
    seed_everything(0)
    network = zero_shortcuts(make_network(case)) if converted else make_network(case)
    trainer = build_trainer(case.cfg, network, Batches(batches), device, Rank(), save=save)
    trainer.begin(epoch)
    if isinstance(trainer.compute, StepGraph):
        trainer.compute.is_settled = True
    return trainer


def ways_to_step(device: torch.device) -> dict[str, list[object]]:
    """Return the ways in which the steps of a device are computed: the ends of their names, and their config values."""
    return {"": []} | ({", as a graph": ["TRAIN.GRAPH", "auto"]} if find_graphs(device) is not None else {})


def load_reference(setting: Setting, file: str) -> Any:
    """Return the content of an .npz or .json file in parity/ of the data folder, None if it is missing.

    These files hold numbers of the original implementation.
    """
    path = setting.data / "parity" / file
    if not path.exists():
        return None
    return dict(np.load(path)) if path.suffix == ".npz" else json.loads(path.read_text(encoding="utf-8"))
