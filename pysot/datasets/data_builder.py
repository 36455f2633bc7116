"""Training data from the config."""

import itertools
from pathlib import Path

from torch.utils.data import DataLoader
from yacs.config import CfgNode

from pysot.datasets.anchor_target import AnchorTarget
from pysot.datasets.annotation import find_data_path
from pysot.datasets.augmentation import Augmentation
from pysot.datasets.collate import Collate
from pysot.datasets.dataset import TrackingPairDataset, init_worker
from pysot.datasets.dataset_yaml import DESCRIPTION, find_description
from pysot.datasets.index import load_annotation
from pysot.datasets.mask_files import require_masks
from pysot.datasets.point_target import PointTarget
from pysot.datasets.sampler import EpochBatchSampler
from pysot.utils.cores import raise_open_file_limit
from pysot.utils.signals import end_daemons_at_exit


def build_train_loader(
    cfg: CfgNode,
    *,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
    workers: int = 1,
    data_path: str | None = None,
) -> DataLoader:
    """Build the loader of batches of cfg.TRAIN.BATCH_SIZE training items for one rank.

    Its length is the number of steps of an epoch. `workers` processes load the items if cfg.TRAIN.NUM_WORKERS is -1.
    `data_path` is the folder where the data sets are searched first. Call `loader.batch_sampler.set_epoch(epoch)`
    before each epoch. All ranks must pass the same seed. Raises ValueError or FileNotFoundError when a data set is
    missing, the config can't give one batch, or this process may not open enough files.
    """
    sampler = EpochBatchSampler(cfg.DATASET.VIDEOS_PER_EPOCH, cfg.TRAIN.BATCH_SIZE, rank, world_size)
    is_configured = cfg.TRAIN.NUM_WORKERS >= 0
    workers = raise_open_file_limit(cfg.TRAIN.NUM_WORKERS if is_configured else workers, may_reduce=not is_configured)
    if workers:
        end_daemons_at_exit()
    dataset = build_dataset(cfg, seed=seed, data_path=data_path)
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=init_worker,
        collate_fn=Collate(dataset.forms, cfg.TRAIN.BATCH_SIZE, workers),
    )


def find_dataset_paths(cfg: CfgNode, data_path: str | None = None) -> list[tuple[str, Path, Path, bool]]:
    """Return name, folder of crops (or pack), annotation and MASKS of each set of cfg.DATASET.NAMES.

    Raises as `build_train_loader`.
    """
    sections = [(name, _dataset_section(cfg, name, data_path)) for name in cfg.DATASET.NAMES]
    return [
        (
            name,
            find_data_path(section.ROOT, f"DATASET.{name}.ROOT", data_path),
            find_data_path(section.ANNO, f"DATASET.{name}.ANNO", data_path),
            section.MASKS,
        )
        for name, section in sections
    ]


def build_dataset(cfg: CfgNode, *, seed: int, data_path: str | None = None) -> TrackingPairDataset:
    """Build the data set of training items from cfg.DATASET.NAMES, with masks if cfg.MASK.MASK.

    Raises ValueError as `build_train_loader`, and if MASKS of a data set promises masks that it does not have.
    """
    sections = [_dataset_section(cfg, name, data_path) for name in cfg.DATASET.NAMES]
    if not sections:
        raise ValueError("DATASET.NAMES is empty: name at least one data set to train on")
    masks = [section.MASKS for section in sections] if cfg.MASK.MASK else None
    if masks is not None and not any(masks):
        raise ValueError(
            f"MASK.MASK is true, but MASKS is false for all of DATASET.NAMES ({', '.join(cfg.DATASET.NAMES)}): "
            "SiamMask needs a data set with masks. Prepare one with --with-masks, or set MASK.MASK to false"
        )
    dataset = TrackingPairDataset(
        [
            load_annotation(name, section.ROOT, section.ANNO, data_path)
            for name, section in zip(cfg.DATASET.NAMES, sections, strict=True)
        ],
        [section.FRAME_RANGE for section in sections],
        [section.NUM_USE for section in sections],
        length=cfg.DATASET.VIDEOS_PER_EPOCH,
        seed=seed,
        template_size=cfg.TRAIN.EXEMPLAR_SIZE,
        search_size=cfg.TRAIN.SEARCH_SIZE,
        template_augmentation=_build_augmentation(cfg.DATASET.TEMPLATE, "TEMPLATE"),
        search_augmentation=_build_augmentation(cfg.DATASET.SEARCH, "SEARCH"),
        make_labels=_build_labels(cfg),
        negative_share=cfg.DATASET.NEG,
        gray_share=cfg.DATASET.GRAY,
        masks=masks,
    )
    for storage in itertools.compress(dataset.storages, masks or ()):
        require_masks(storage)
    return dataset


def _dataset_section(cfg: CfgNode, name: str, data_path: str | None) -> CfgNode:
    """Return the section of a data set: from the config, else from the set's own description."""
    if name in cfg.DATASET and hasattr(cfg.DATASET[name], "ANNO"):
        return cfg.DATASET[name]
    description = find_description(name, data_path)
    if description is None:
        known = sorted(key for key, value in cfg.DATASET.items() if hasattr(value, "ANNO"))
        raise ValueError(
            f"DATASET.NAMES lists {name!r}, but the config has no section DATASET.{name} (known: {', '.join(known)}), "
            f"and no folder of that name in training_dataset has a {DESCRIPTION}. Prepare it with "
            f"tools/prepare_data.py --name {name.lower()}, or add a section with ROOT, ANNO, FRAME_RANGE and NUM_USE"
        )
    return CfgNode(description)


def _build_augmentation(section: CfgNode, key: str) -> Augmentation:
    """Build the augmentation of the section DATASET.<key>. Raises ValueError that names it."""
    try:
        return Augmentation(
            shift=section.SHIFT, scale=section.SCALE, blur=section.BLUR, flip=section.FLIP, color=section.COLOR
        )
    except ValueError as error:
        raise ValueError(f"DATASET.{key}: {error}") from None


def _build_labels(cfg: CfgNode) -> AnchorTarget | PointTarget:
    """Build the labelling of search crops: with cfg.BAN.BAN that of points, otherwise that of anchors."""
    train = cfg.TRAIN
    if cfg.BAN.BAN:
        return PointTarget(
            stride=cfg.POINT.STRIDE,
            search_size=train.SEARCH_SIZE,
            output_size=train.OUTPUT_SIZE,
            pos_num=train.POS_NUM,
            neg_num=train.NEG_NUM,
            total_num=train.TOTAL_NUM,
        )
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
