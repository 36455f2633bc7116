"""Training data from the config."""

from pathlib import Path

from torch.utils.data import DataLoader
from yacs.config import CfgNode

from pysot.datasets.anchor_target import AnchorTarget
from pysot.datasets.annotation import find_data_path
from pysot.datasets.augmentation import Augmentation
from pysot.datasets.collate import collate
from pysot.datasets.dataset import TrackingPairDataset, init_worker
from pysot.datasets.dataset_yaml import DESCRIPTION, find_description
from pysot.datasets.index import load_annotation
from pysot.datasets.sampler import EpochBatchSampler
from pysot.utils.cores import allow_open_files


def build_train_loader(
    cfg,
    *,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
    workers: int = 1,
    data_path: str | None = None,
) -> DataLoader:
    """Batches of cfg.TRAIN.BATCH_SIZE training items for one rank; its length is the steps of an epoch. `workers` processes load them where
    cfg.TRAIN.NUM_WORKERS is -1. `data_path` is a folder to look for the data sets in first.

    Call `loader.batch_sampler.set_epoch(epoch)` before each epoch. All ranks must pass the same seed. Raises ValueError or FileNotFoundError when
    a data set is not there, the config can't give one batch, or this process may not open enough files.
    """
    sampler = EpochBatchSampler(cfg.DATASET.VIDEOS_PER_EPOCH, cfg.TRAIN.BATCH_SIZE, rank, world_size)
    chosen = cfg.TRAIN.NUM_WORKERS >= 0
    workers = allow_open_files(cfg.TRAIN.NUM_WORKERS if chosen else workers, fewer=not chosen)
    return DataLoader(
        build_dataset(cfg, seed=seed, data_path=data_path),
        batch_sampler=sampler,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=init_worker,
        collate_fn=collate,
    )


def find_sets(cfg, data_path: str | None = None) -> list[tuple[str, Path, Path]]:
    """Name, folder of crops (or pack) and annotation of each set of cfg.DATASET.NAMES. Raises as `build_train_loader`."""
    nodes = [(name, _node(cfg, name, data_path)) for name in cfg.DATASET.NAMES]
    return [
        (
            name,
            find_data_path(node.ROOT, f"DATASET.{name}.ROOT", data_path),
            find_data_path(node.ANNO, f"DATASET.{name}.ANNO", data_path),
        )
        for name, node in nodes
    ]


def build_dataset(cfg, *, seed: int, data_path: str | None = None) -> TrackingPairDataset:
    """The training items of cfg.DATASET.NAMES."""
    nodes = [_node(cfg, name, data_path) for name in cfg.DATASET.NAMES]
    if not nodes:
        raise ValueError("DATASET.NAMES is empty: name at least one data set to train on")
    return TrackingPairDataset(
        [
            load_annotation(name, node.ROOT, node.ANNO, data_path)
            for name, node in zip(cfg.DATASET.NAMES, nodes, strict=True)
        ],
        [node.FRAME_RANGE for node in nodes],
        [node.NUM_USE for node in nodes],
        length=cfg.DATASET.VIDEOS_PER_EPOCH,
        seed=seed,
        template_size=cfg.TRAIN.EXEMPLAR_SIZE,
        search_size=cfg.TRAIN.SEARCH_SIZE,
        template_augmentation=_augmentation(cfg.DATASET.TEMPLATE, "TEMPLATE"),
        search_augmentation=_augmentation(cfg.DATASET.SEARCH, "SEARCH"),
        anchor_target=_anchor_target(cfg),
        negative_share=cfg.DATASET.NEG,
        gray_share=cfg.DATASET.GRAY,
    )


def _node(cfg, name: str, data_path: str | None):
    """The section of a data set: that of the config, else what the set says of itself."""
    if name in cfg.DATASET and hasattr(cfg.DATASET[name], "ANNO"):
        return cfg.DATASET[name]
    described = find_description(name, data_path)
    if described is None:
        known = sorted(key for key, value in cfg.DATASET.items() if hasattr(value, "ANNO"))
        raise ValueError(
            f"DATASET.NAMES lists {name!r}, but the config has no section DATASET.{name} (known: {', '.join(known)}), and no folder in "
            f"training_dataset of that name has a {DESCRIPTION}. Prepare it with tools/prepare_data.py --name {name.lower()}, or add a section "
            "with ROOT, ANNO, FRAME_RANGE and NUM_USE"
        )
    return CfgNode(described)


def _augmentation(node, key: str) -> Augmentation:
    try:
        return Augmentation(shift=node.SHIFT, scale=node.SCALE, blur=node.BLUR, flip=node.FLIP, color=node.COLOR)
    except ValueError as error:
        raise ValueError(f"DATASET.{key}: {error}") from None


def _anchor_target(cfg) -> AnchorTarget:
    train = cfg.TRAIN
    return AnchorTarget(
        stride=cfg.ANCHOR.STRIDE,
        ratios=tuple(cfg.ANCHOR.RATIOS),
        scales=tuple(cfg.ANCHOR.SCALES),
        search_size=train.SEARCH_SIZE,
        output_size=train.OUTPUT_SIZE,
        thr_high=train.THR_HIGH,
        thr_low=train.THR_LOW,
        pos_num=train.POS_NUM,
        neg_num=train.NEG_NUM,
        total_num=train.TOTAL_NUM,
    )
