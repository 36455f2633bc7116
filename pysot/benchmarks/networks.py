"""The networks, data and precisions that a device check works with: those of the published recipe, or small ones in the short form."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from pysot.benchmarks.case_builder import Case, load_case
from pysot.benchmarks.drawn import Batches, draw_weights, drawn_batch
from pysot.benchmarks.record import Record, Setting
from pysot.datasets.quickstart.data import generate
from pysot.engine.engine_builder import build_trainer
from pysot.engine.train_loop import Trainer
from pysot.models.model_builder import ModelBuilder, build_model
from pysot.utils.device import seed_everything, wants_pinned_memory
from pysot.utils.distributed import Rank
from pysot.utils.files import REPO_ROOT

LARGE, SMALL = "siamrpn_r50_l234_dwxcorr_8gpu", "quickstart"
NETWORKS = ("siamrpn_alex_dwxcorr", "siamrpn_mobilev2_l234_dwxcorr", LARGE)
GAINS = {"siamrpn_mobilev2_l234_dwxcorr": {"cls_gain": 10, "loc_gain": 2}}  # of `drawn_tensor`
_DRAWN: dict[str, torch.nn.Module] = {}
ROUNDED = {"cuda": ["GPU.TF32", True], "npu": ["NPU.CONV_HF32", True, "NPU.MATMUL_HF32", True]}


def find_data(folder: Path) -> list[str]:
    """What a folder of data lacks for a device check, in words."""
    coco, vot = folder / "training_dataset" / "COCO", folder / "vot" / "list.txt"
    wanted = {
        "training data": [coco / "crop511", *([] if _annotation(coco) else [coco / "train2017.json"])],
        "sequences": [vot],
    }
    return [f"{what}: no {path}" for what, paths in wanted.items() for path in paths if not path.exists()]


def make_data(setting: Setting, record: Record) -> None:
    """Sequences and crops rendered from photographs, where `find_data` looks for them. Raises ImportError without scikit-image, whose wheel holds them."""
    videos, frames = (6, 5) if setting.short else (40, 8)
    raw = setting.work / "raw"
    generate(raw, "train", sequences=videos, frames=frames)
    generate(setting.data / "vot", "test", sequences=1 if setting.short else 2, frames=30)
    command = [
        sys.executable,
        REPO_ROOT / "tools" / "prepare_data.py",
        "vot",
        raw,
        "--out",
        setting.data / "training_dataset" / "COCO",
        "--name",
        "COCO",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"crops could not be made: {done.stderr.strip()}")
    shutil.rmtree(raw)
    record.note(done.stdout.splitlines()[0])


def _annotation(folder: Path) -> Path | None:
    return next((path for path in (folder / "train2017.json", folder / "train.json") if path.exists()), None)


def training_data(setting: Setting) -> list:
    """Config values for the training data of the folder."""
    coco = setting.data / "training_dataset" / "COCO"
    return [
        "DATASET.NAMES",
        ["COCO"],
        "DATASET.COCO.ROOT",
        str(coco / "crop511"),
        "DATASET.COCO.ANNO",
        str(_annotation(coco)),
    ]


def precisions(kind: str) -> dict[str, list]:
    """The precisions of a kind of device, and their config values: fp32, products of 19 bits (TF32 or HF32), bf16 and fp16."""
    rounded = {{"cuda": "tf32", "npu": "hf32"}[kind]: ROUNDED[kind]} if kind in ROUNDED else {}
    return {"fp32": [], **rounded, "bf16": ["TRAIN.PRECISION", "bf16"], "fp16": ["TRAIN.PRECISION", "fp16"]}


def case_of(setting: Setting, *opts, name: str | None = None, batch: int | None = None) -> Case:
    """The config of an experiment, by default that of the recipe or the small one, with the folders of the setting."""
    name = name or (SMALL if setting.short else LARGE)
    folders = ["TRAIN.SNAPSHOT_DIR", str(setting.work / "snapshot"), "TRAIN.LOG_DIR", str(setting.work / "logs")]
    fixed = ["BACKBONE.PRETRAINED", "", *folders, "TRAIN.BATCH_SIZE", batch or (8 if setting.short else 28)]
    own = [] if name == LARGE else ["BACKBONE.TRAIN_EPOCH", 1]  # frozen in the first epoch, as the recipe's
    return load_case(name, [*fixed, *own, *opts])


def network_of(case: Case, name: str = "") -> ModelBuilder:
    """The network of a case, or of the experiment `name` with gains of its own, with drawn weights, on the CPU. They
    are drawn once.
    """
    key = name + case.network
    if key not in _DRAWN:
        _DRAWN[key] = draw_weights(build_model(case.cfg), **GAINS.get(name, {}))
    return copy.deepcopy(_DRAWN[key])


def pinned(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """The batch in memory like that in which a loader leaves it for the device."""
    return {name: value.pin_memory() for name, value in batch.items()} if wants_pinned_memory(device) else batch


def batch_of(case: Case, size: int | None = None, seed: int | None = None) -> dict[str, torch.Tensor]:
    """A drawn batch that fits a case; with a `seed` its search crops differ from those of other seeds."""
    batch = drawn_batch(size or case.batch_size, case.search_size, case.output_size)
    if seed is not None:
        batch["search"] += torch.randn(batch["search"].shape, generator=torch.Generator().manual_seed(seed))
    return batch


def trainer_of(case: Case, device: torch.device, batches: list[dict], epoch: int = 0, save: bool = False) -> Trainer:
    """A run of drawn weights over given batches, begun at `epoch`, from which on the backbone trains if the config says
    so.
    """
    seed_everything(0)
    trainer = build_trainer(case.cfg, network_of(case), Batches(batches), device, Rank(), save=save)
    trainer.begin(epoch)
    return trainer


def golden(setting: Setting, file: str):
    """The content of a file of the folder's parity/, an npz or a json; None where it is not there."""
    import numpy as np

    path = setting.data / "parity" / file
    if not path.exists():
        return None
    return dict(np.load(path)) if path.suffix == ".npz" else json.loads(path.read_text(encoding="utf-8"))
