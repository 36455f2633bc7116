"""Train a network, in one process or under torchrun.

Checkpoints, log and curves go to the folders that the config names. TRAIN.RESUME auto goes on
after an interruption.
"""

import argparse
import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import _cli

_cli.prepare_process()

from torch.utils.data import DataLoader
from yacs.config import CfgNode

import _arguments
from pysot.core.config import load_config
from pysot.datasets.check import check_annotations
from pysot.datasets.data_builder import build_train_loader
from pysot.datasets.fingerprint import fingerprint
from pysot.engine.board import Board
from pysot.engine.engine_builder import build_trainer
from pysot.engine.run_folder import lock_folder
from pysot.engine.validation_builder import build_validation
from pysot.models.model_builder import build_model
from pysot.utils.device import device_name, needs_pinned_memory, seed_everything
from pysot.utils.distributed import find_rank, process_group
from pysot.utils.progress import progress_bar
from pysot.utils.signals import end_helpers, stop_on_signals
from pysot.utils.watchdog import Heartbeat

logger = logging.getLogger("train")
EXAMPLES = (
    "python tools/train.py --cfg experiments/quickstart/config.yaml --opts TRAIN.RESUME auto",
    "torchrun --nproc_per_node=8 tools/train.py --cfg experiments/siamrpn_r50_l234_dwxcorr_8gpu/config.yaml",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number
    _arguments.add_config_arguments(parser)
    add("--seed", type=count(0), default=123456, metavar="N", help="of weights and data order (default: 123456)")
    add("--local_rank", "--local-rank", type=int, default=None, metavar="N", help="set by the old launcher, not needed")
    add("--is_performance", action="store_true", help="measure speed only: write no checkpoints")
    add("--data_path", metavar="FOLDER", help="folder with training_dataset, or the data sets themselves (default: the "
        "current folder, else the repository)")  # fmt: skip
    add("--train_epochs", type=count(1), default=None, metavar="N", help="end after N epochs of the schedule of "
        "TRAIN.EPOCH, which is extended if it is shorter")  # fmt: skip
    add("--max_step", "--max_steps", type=count(1), default=None, metavar="N", help="end after N steps")
    _arguments.add_deterministic_argument(parser)
    return parser.parse_args()


def load_training_config(args: argparse.Namespace) -> CfgNode:
    """Load the config; a schedule that is shorter than --train_epochs is extended to it."""
    cfg = load_config(args.config, args.opts, for_training=True)
    if (args.train_epochs or 0) > cfg.TRAIN.EPOCH:
        cfg = load_config(args.config, [*args.opts, "TRAIN.EPOCH", str(args.train_epochs)], for_training=True)
    return cfg


def describe_step(loader: DataLoader, epoch: int, step: int) -> str:
    """Return the names of the crops that a step of this process uses."""
    return "; ".join(loader.dataset.describe(*index) for index in loader.batch_sampler.batch(epoch, step))


def main() -> None:
    args = parse_arguments()
    start = time.perf_counter()
    cfg, saves = load_training_config(args), not args.is_performance
    rank = find_rank(args.local_rank)
    log_file = Path(cfg.TRAIN.LOG_DIR) / "train.log" if rank.is_main else None
    _cli.setup_logging(quiet=not rank.is_main, file=log_file)
    device = _cli.open_device(args, cfg, rank.local_rank)
    workers = _cli.claim_cores(rank, device)
    seed_everything(args.seed)
    with contextlib.ExitStack() as stack:
        request, heartbeat = stack.enter_context(stop_on_signals()), Heartbeat()
        stack.callback(end_helpers)
        stack.enter_context(process_group(rank, device, request, heartbeat))
        if rank.is_main and saves:
            stack.enter_context(lock_folder(cfg.TRAIN.SNAPSHOT_DIR))
        loader = build_train_loader(
            cfg,
            seed=args.seed,
            rank=rank.index,
            world_size=rank.world_size,
            pin_memory=needs_pinned_memory(device),
            workers=workers,
            data_path=args.data_path,
        )
        annotations, storages = loader.dataset.annotations, loader.dataset.storages
        masks = loader.dataset.masks or [False] * len(storages)
        if rank.is_main:
            for sentence in check_annotations(annotations, storages, seed=args.seed, masks=masks):
                logger.warning("%s", sentence)
        writer = stack.enter_context(Board(cfg.TRAIN.LOG_DIR)) if rank.is_main and saves else None
        validate = build_validation(cfg, device, rank, request, progress_bar, heartbeat) if saves else None
        fingerprints = {row[0].name: fingerprint(*row) for row in zip(annotations, storages, masks, strict=True)}
        trainer = build_trainer(
            cfg,
            build_model(cfg),
            loader,
            device,
            rank,
            writer=writer,
            bar=progress_bar,
            max_steps=args.max_step,
            save=saves,
            epochs=args.train_epochs,
            seed=args.seed,
            data=fingerprints,
            stop=request,
            data_warnings=loader.dataset.pop_notes,
            describe=lambda epoch, step: describe_step(loader, epoch, step),
            validate=validate,
            heartbeat=heartbeat,
        )
        log_plan(args, cfg, rank.world_size, device_name(device), len(loader))
        results = trainer.run()
    if rank.is_main and results:
        print_summary(results, cfg, time.perf_counter() - start)


def log_plan(args: argparse.Namespace, cfg: CfgNode, world_size: int, device: str, steps_per_epoch: int) -> None:
    if args.train_epochs:
        logger.info(
            "the training run ends after epoch %d; its learning rates are those of a schedule of %d epochs",
            args.train_epochs,
            cfg.TRAIN.EPOCH,
        )
    logger.info(
        "%d process(es) on %s, %d pairs each, %d steps per epoch",
        world_size,
        device,
        cfg.TRAIN.BATCH_SIZE,
        steps_per_epoch,
    )


def print_summary(results: dict[str, Any], cfg: CfgNode, seconds: float) -> None:
    """Print the results of the training run; Ascend's scripts read some of these lines."""
    print(f"Steps : {results['steps']}, skipped {results['skipped']}")
    print(f"Batch size per rank : {cfg.TRAIN.BATCH_SIZE}")
    print(f"Speed pairs/s : mean {results['pairs_per_second']:.2f}, spread {results['spread']:.2f}")
    print(f"Waiting for data : {results['waiting']:.1%}")
    print(f"Final Performance images/sec : {results['pairs_per_second']:.2f}")
    print(f"Final Train Loss : {results['loss']:.5f}")
    if results["snapshot"]:
        print(f"Last checkpoint : {results['snapshot']}")
    if cfg.TRAIN.VAL.DATASET and results["eao"] >= 0:
        best = Path(cfg.TRAIN.SNAPSHOT_DIR) / "best.pth"
        print(f"Best EAO on {cfg.TRAIN.VAL.DATASET} : {results['eao']:.3f}, {best}")
    print(f"Peak memory MiB : {results['peak_memory_mib']:.0f}")
    if results["reserved_memory_mib"] is not None:
        print(f"Reserved memory MiB : {results['reserved_memory_mib']:.0f}")
    print(f"E2E Training Duration sec : {seconds:.0f}")


if __name__ == "__main__":
    _cli.run(main)
