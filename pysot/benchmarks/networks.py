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
from pysot.benchmarks.synthetic import Batch, Batches, load_synthetic_weights, synthetic_batch
from pysot.datasets.quickstart.data import generate
from pysot.engine.engine_builder import build_trainer
from pysot.engine.train_loop import Trainer
from pysot.models.model_builder import ModelBuilder, build_model
from pysot.utils.device import needs_pinned_memory, seed_everything
from pysot.utils.distributed import Rank

LARGE, SMALL = "siamrpn_r50_l234_dwxcorr_8gpu", "quickstart"
NETWORKS = ("siamrpn_alex_dwxcorr", "siamrpn_mobilev2_l234_dwxcorr", LARGE)
# Gains of `synthetic_tensor` by experiment.
GAINS = {"siamrpn_mobilev2_l234_dwxcorr": {"cls_gain": 10, "loc_gain": 2}}
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
    """Return the case of an experiment with the folders of the setting.

    By default the experiment is that of the recipe, or the small one in the short form.
    """
    name = name or (SMALL if setting.short else LARGE)
    folders = ["TRAIN.SNAPSHOT_DIR", str(setting.work / "snapshot"), "TRAIN.LOG_DIR", str(setting.work / "logs")]
    fixed = ["BACKBONE.PRETRAINED", "", *folders, "TRAIN.BATCH_SIZE", batch or (8 if setting.short else 28)]
    # Like in the recipe, the backbone is frozen in the first epoch.
    unfreeze = [] if name == LARGE else ["BACKBONE.TRAIN_EPOCH", 1]
    return load_case(name, [*fixed, *unfreeze, *opts])


def make_network(case: Case, name: str = "") -> ModelBuilder:
    """Return the network of a case on the CPU with synthetic weights, drawn with the gains of the experiment `name`.

    The weights are drawn once per network and name; every call returns a copy.
    """
    key = name + case.network
    if key not in _NETWORK_CACHE:
        _NETWORK_CACHE[key] = load_synthetic_weights(build_model(case.cfg), **GAINS.get(name, {}))
    return copy.deepcopy(_NETWORK_CACHE[key])


def pin_batch(batch: Batch, device: torch.device) -> Batch:
    """Return the batch in the kind of host memory that a loader uses for the device."""
    return {name: value.pin_memory() for name, value in batch.items()} if needs_pinned_memory(device) else batch


def make_batch(case: Case, size: int | None = None, seed: int | None = None) -> Batch:
    """Return a synthetic batch for a case. With a `seed`, noise of that seed is added to the search crops."""
    batch = synthetic_batch(size or case.batch_size, case.search_size, case.output_size)
    if seed is not None:
        batch["search"] += torch.randn(batch["search"].shape, generator=torch.Generator().manual_seed(seed))
    return batch


def make_trainer(case: Case, device: torch.device, batches: list[Batch], epoch: int = 0, save: bool = False) -> Trainer:
    """Return a trainer of a network with synthetic weights over given batches, started at `epoch`."""
    seed_everything(0)
    trainer = build_trainer(case.cfg, make_network(case), Batches(batches), device, Rank(), save=save)
    trainer.begin(epoch)
    return trainer


def load_reference(setting: Setting, file: str) -> Any:
    """Return the content of an .npz or .json file in parity/ of the data folder, None if it is missing.

    These files hold numbers of the original implementation.
    """
    path = setting.data / "parity" / file
    if not path.exists():
        return None
    return dict(np.load(path)) if path.suffix == ".npz" else json.loads(path.read_text(encoding="utf-8"))
