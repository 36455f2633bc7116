"""Helpers of many tests: expected numbers, small networks and data, copies of the repository, processes."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

# Tests import these from this module.
from pysot.benchmarks.synthetic import (  # noqa: F401
    Batches,
    add_points,
    load_nano_weights,
    load_synthetic_weights,
    synthetic_batch,
    synthetic_image,
    synthetic_tensor,
)
from pysot.tracker.compiled import can_compile

ROOT = Path(__file__).resolve().parents[1]
# NPUs of test/npu_sim compute with the CPU's numbers.
SIMULATED = "npu_sim" in os.environ.get("ASCEND_HOME_PATH", "")
PARITY = ROOT / "test" / "parity"
needs_compiler = pytest.mark.skipif(not can_compile("cpu"), reason="torch.compile needs a C++ compiler on a CPU")
EXPERIMENTS = ("siamrpn_alex_dwxcorr", "siamrpn_mobilev2_l234_dwxcorr", "siamrpn_r50_l234_dwxcorr_8gpu")

# Texts that are no masks: without or with wrong numbers, runs beyond the box, a negative size, too many pixels.
DAMAGED_MASKS = (
    "m",
    "m1,2,3",
    "m1,2,x,4,5",
    "m0,0,2,2,3,4",
    "m0,0,-1,2,1",
    "m0,0,99999999,99999999,1",
    "m0,0,2,2,99999999999999999999999",
    "m0,0,2,2,-1,5",
    "m3,4,10",
    "m3,4,10,10",
    "m3,4,10,10,5,",
    "m3,4,10,10,5,7,9",
)


def parity_json(name: str):
    return json.loads((PARITY / name).read_text())


def experiment(name: str) -> str:
    return str(ROOT / "experiments" / name / "config.yaml")


def add_masks(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a batch with the labels of SiamMask.

    They are search_mask (B, H, H) uint8, ellipses, has_mask (B,), and cell_keys (B, S, S), random numbers.
    """
    size, side = len(batch["search"]), batch["search"].shape[-1]
    masks = np.zeros((size, side, side), np.uint8)
    for index, mask in enumerate(masks):
        centre, half_axes = (side // 2 - 3 + 4 * (index % 5), side // 2), (30 + 4 * (index % 3), 40)
        cv2.ellipse(mask, centre, half_axes, 20 * index, 0, 360, 1, -1)
    keys = np.random.RandomState(5).rand(size, *batch["label_cls"].shape[2:]).astype(np.float32)
    return {
        **batch,
        "search_mask": torch.from_numpy(masks),
        "has_mask": torch.ones(size, dtype=torch.bool),
        "cell_keys": torch.from_numpy(keys),
    }


# Small networks by their kind: sides of search crops in pixels, and cells or points per side. They are '' with anchors,
# 'base' and 'refine' for the stages of SiamMask, 'point' and 'nano' without anchors.
BATCH_SIZES = {"": (255, 17), "base": (255, 25), "refine": (143, 3), "point": (255, 17), "nano": (255, 15)}


def noisy_batches(steps: int = 2, size: int = 2, stage: str = "") -> Batches:
    """Return batches that differ from each other for the `small_config` of a stage; each call returns the same ones."""
    torch.manual_seed(3)
    result = []
    for _ in range(steps):
        batch = synthetic_batch(size, *BATCH_SIZES[stage])
        batch["search"] += torch.randn_like(batch["search"])
        if stage in ("base", "refine"):
            batch = add_masks(batch)
        elif stage:
            batch = add_points(batch, 16 if stage == "nano" else 8)
        result.append(batch)
    return Batches(result)


def tiny_config(*opts, for_training: bool = False):
    """Return the config of a network that is quick to build and train: AlexNet with 16 channels at its end."""
    from pysot.core.config import load_config

    tiny = ["BACKBONE.KWARGS.width_mult", 0.0625, "RPN.KWARGS.in_channels", 16, "RPN.KWARGS.out_channels", 16]
    return load_config(experiment("quickstart"), [*tiny, *opts], for_training=for_training)


def tiny_mask_config(stage: str, *opts, for_training: bool = False):
    """Return the config of a small SiamMask for the stage `base` or `refine` of its training."""
    from pysot.core.config import load_config

    name = {"base": "siammask_mobilev2_small_base", "refine": "siammask_mobilev2_small"}[stage]
    tiny = ["BACKBONE.KWARGS.width_mult", 0.25, "BACKBONE.PRETRAINED", "", "TRAIN.PRETRAINED", ""]
    tiny += ["ADJUST.KWARGS.in_channels", [24], "ADJUST.KWARGS.out_channels", [16]]
    for key in ("RPN.KWARGS.in_channels", "RPN.KWARGS.out_channels", "MASK.KWARGS.in_channels", "MASK.KWARGS.hidden"):
        tiny += [key, 16]
    if stage == "refine":
        tiny += ["REFINE.KWARGS.in_channels", [8, 6, 8], "REFINE.KWARGS.corr_channels", 16]
    return load_config(experiment(name), [*tiny, *opts], for_training=for_training)


def tiny_point_config(kind: str, *opts, for_training: bool = False):
    """Return the config of a small network without anchors.

    It is that of `tiny_config` with another head for the kind `point`, and NanoTrack V3 for `nano`.
    """
    from pysot.core.config import load_config

    if kind == "nano":
        opts = ("TRAIN.LR_WARMUP.EPOCH", 1, "BACKBONE.TRAIN_EPOCH", 0, *opts)
        return load_config(experiment("nanotrackv3"), list(opts), for_training=for_training)
    return tiny_config(*POINTS, *opts, for_training=for_training)


def small_config(stage: str, *opts, for_training: bool = False):
    """Return the config of a small network, see `BATCH_SIZES`."""
    if stage in ("base", "refine"):
        return tiny_mask_config(stage, *opts, for_training=for_training)
    return (tiny_point_config if stage else tiny_config)(*([stage] if stage else []), *opts, for_training=for_training)


def small_model(config, stage: str):
    """Return the network of the `small_config` of a stage, with random weights.

    Those of NanoTrack are drawn so that its backbone gives features of usual size when it is frozen.
    """
    from pysot.models.model_builder import build_model

    model = build_model(config)
    return load_synthetic_weights(model) if stage == "nano" else model


def moving_square(
    folder: Path, frames: int = 6, side: int = 40, size: tuple[int, int] = (160, 120), seed: int = 0
) -> list[list[float]]:
    """Write a raw VOT sequence of a textured square on a textured background; return its boxes xywh.

    The files are color/%08d.jpg and groundtruth.txt.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    background = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 3)
    target = cv2.resize(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    (folder / "color").mkdir(parents=True)
    boxes = []
    for i in range(frames):
        x, y = (20 + 4 * i) % (width - side), (30 + 2 * i) % (height - side)
        frame = background.copy()
        frame[y : y + side, x : x + side] = target
        cv2.imwrite(str(folder / "color" / f"{i + 1:08d}.jpg"), frame)
        boxes.append([x, y, side, side])
    (folder / "groundtruth.txt").write_text("".join(f"{x},{y},{w},{h}\n" for x, y, w, h in boxes))
    return boxes


def small_trainer(folder: Path, device: torch.device, *opts, loader: Batches | None = None, stage: str = ""):
    """Return a trainer of three epochs of two steps; the backbone is trained from the second epoch.

    Each call starts from the same weights. It trains the `small_config` of a stage.
    """
    from pysot.engine.engine_builder import build_trainer
    from pysot.utils.distributed import Rank

    config = small_config(
        stage,
        "TRAIN.SNAPSHOT_DIR",
        str(folder),
        "TRAIN.BATCH_SIZE",
        2,
        "TRAIN.PRINT_FREQ",
        1,
        "TRAIN.EPOCH",
        3,
        "TRAIN.BASE_LR",
        0.005,
        "BACKBONE.TRAIN_EPOCH",
        1,
        "BACKBONE.TRAIN_LAYERS",
        "[features]" if stage == "nano" else "[layer4, layer5]",
        *opts,
        for_training=True,
    )
    torch.manual_seed(5)
    return build_trainer(
        config, small_model(config, stage), noisy_batches(stage=stage) if loader is None else loader, device, Rank()
    )


def assert_same_weights(a: dict, b: dict, tolerance: float, relative: float = 0.0) -> None:
    """Compare two state dicts; `relative` is a share of the largest value of a tensor, added to the tolerance."""
    for name, value in a.items():
        limit = tolerance + relative * float(value.abs().max())
        torch.testing.assert_close(value.cpu(), b[name].cpu(), rtol=0, atol=limit, msg=name)


# Beside TINY: a network without anchors.
POINTS = ["BAN.BAN", "True", "BAN.TYPE", "DepthwiseBAN", "BAN.KWARGS.in_channels", "16", "BAN.KWARGS.out_channels"]
POINTS += ["16", "TRACK.OUTPUT_SIZE", "17", "TRACK.TYPE", "SiamBANTracker"]
TINY = ["BACKBONE.KWARGS.width_mult", "0.0625", "RPN.KWARGS.in_channels", "16", "RPN.KWARGS.out_channels", "16"]


def copy_of_repository(folder: Path) -> Path:
    """Copy the repository without data, results and version control to a folder whose name has a space."""
    target = folder / "my pysot"
    ignore = shutil.ignore_patterns(
        ".git",
        ".venv*",
        "__pycache__",
        "quickstart",
        "output",
        "results",
        "reproductions",
        "snapshot*",
        "logs*",
        "crop511",
        "parity",
        "sequences",
        ".*cache",
    )
    kept = {"quickstart", "results"}  # packages and configs with these names

    def ignored(path: str, names: list[str]) -> set[str]:
        may_be_kept = Path(path).is_relative_to(ROOT / "pysot") or path.endswith("experiments")
        return ignore(path, names) - (kept if may_be_kept else set())

    shutil.copytree(ROOT, target, ignore=ignored)
    shutil.rmtree(target / "testing_dataset", ignore_errors=True)
    return target


def run_script(
    script: str, folder: Path, *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Run a script of test/ in a copy of the repository, from its test/, with the Python of the tests."""
    environment = {
        **os.environ,
        "VIRTUAL_ENV": sys.prefix,
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    command = ["bash", str(folder / "test" / script), *arguments]
    return subprocess.run(
        command, cwd=cwd or folder / "test", env=environment, capture_output=True, text=True, timeout=600
    )


def tiny_benchmark(folder: Path, frames: int = 115, videos: int = 2) -> Path:
    """Fill `folder` with training_dataset/quickstart and testing_dataset/VOT2016 of moving squares; return it.

    The videos are long enough for an EAO.
    """
    raw = folder / "testing_dataset" / "VOT2016"
    for i in range(videos):
        moving_square(raw / f"square{i}", frames=frames, seed=i)
    (raw / "list.txt").write_text("".join(f"square{i}\n" for i in range(videos)))
    command = [
        sys.executable,
        ROOT / "tools" / "prepare_data.py",
        "vot",
        raw,
        "--out",
        folder / "training_dataset" / "quickstart",
        "--procs",
        "1",
    ]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return folder


def checkpoints(folder: Path) -> list[str]:
    """Return the names in a snapshot folder, without the files of the training run."""
    return sorted(set(os.listdir(folder)) - {"run.json", ".lock"})


def is_alive(pid: int) -> bool:
    """Return whether a process is running, on Linux."""
    try:
        return "Z" not in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1][:3]
    except OSError:
        return False


def check_processes_end(folder: Path, script: str, signum: int) -> None:
    """Check that the two worker processes of a script end after a signal to the script alone.

    The worker processes write files pid<number> to `folder`.
    """
    (folder / "run.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "test")))}
    parent = subprocess.Popen(
        [sys.executable, folder / "run.py", folder], env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(pids := [int(path.name[3:]) for path in folder.glob("pid*")]) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(pids) == 2 and all(map(is_alive, pids))
    parent.send_signal(signum)
    parent.wait(30)
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, pids))


# Boxes and confidences of `track_golden` with AlexNet and synthetic weights, recorded when those on bag agreed with the
# original's.
GOLDEN_BOXES = [
    [93.98, 75.886, 59.2, 43.501],
    [90.55, 71.146, 57.531, 43.865],
    [86.819, 66.814, 56.072, 44.142],
    [76.479, 55.29, 54.466, 44.397],
]
GOLDEN_CONFIDENCES = [0.37596, 0.37058, 0.34025, 0.43517]


def track_golden(tracker) -> list[dict]:
    """Return the outputs of a tracker on four frames of a moving image."""
    image = synthetic_image("golden", 240, 320)
    tracker.init(image, [100.5, 80.25, 61, 43])
    return [tracker.track(np.roll(image, (2 * i, 5 * i), (0, 1))) for i in range(1, 5)]
