"""Measure this repository on this machine: python tools/benchmark.py train --cfg experiments/<name>/config.yaml [--json FILE].

train: pairs per second of the training step against the same network stepped the plain way, in one run; the parts of a step; memory.
"""

import argparse
import copy
import statistics
from pathlib import Path

import _cli
from pysot.core.config import load_config
from pysot.datasets.data_builder import build_train_loader
from pysot.engine.batch import float_images
from pysot.engine.benchmark import PlainStep, seconds_per_step, time_parts, verdict
from pysot.engine.engine_builder import build_trainer
from pysot.models.model_builder import build_model
from pysot.utils.device import device_name, peak_memory_mib, seed_everything, wants_pinned_memory
from pysot.utils.distributed import Rank
from pysot.utils.files import write_json


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train"], help="what to measure")
    _cli.add_config_arguments(parser)
    parser.add_argument("--data_path", help="as for train.py")
    parser.add_argument("--steps", type=_cli.whole_number(1), default=10, help="steps of a repetition")
    parser.add_argument("--repeats", type=_cli.whole_number(1), default=5, help="repetitions; the median counts")
    parser.add_argument("--backbone", action="store_true", help="with the backbone training, as after the unfreeze epoch")
    parser.add_argument("--json", metavar="FILE", help="also write the figures: a list of {name, device, value, unit, ratio, target}")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging(quiet=True)
    cfg = load_config(args.config, args.opts, for_training=True)
    device = _cli.open_device(args, cfg)
    seed_everything(0)
    loader = build_train_loader(cfg, seed=0, pin_memory=wants_pinned_memory(device), data_path=args.data_path)
    model = build_model(cfg)
    epoch = cfg.BACKBONE.TRAIN_EPOCH if args.backbone else 0
    trainer = build_trainer(cfg, copy.deepcopy(model), loader, device, Rank(), save=False)
    trainer.begin(epoch)
    stream = iter(loader)
    batches = [next(stream) for _ in range(4)]
    ours = seconds_per_step(trainer.step, batches, device, args.steps, args.repeats)
    memory = peak_memory_mib(device)
    plain_batches = [float_images(batch) for batch in batches]
    plain = seconds_per_step(PlainStep(model, trainer.freeze, epoch, cfg.TRAIN, device), plain_batches, device, args.steps, args.repeats)
    parts = time_parts(trainer, stream, min(2 * args.steps, len(loader) - len(batches)))
    name = f"train {Path(args.config).parent.name}{' backbone' * args.backbone} {cfg.TRAIN.PRECISION} batch {cfg.TRAIN.BATCH_SIZE}"
    target = 1.3 if device.type == "cpu" else 3.0 if args.backbone else 4.0
    figures = entries(name, device_name(device), cfg.TRAIN.BATCH_SIZE, ours, plain, parts, memory, target)
    for figure in figures:
        against = f"  {figure['ratio']:.2f} x, target {figure['target']}" if figure["ratio"] else ""
        print(f"{figure['name']:<60} {figure['value']:>10.3f} {figure['unit']}{against}")
    print(verdict(parts))
    if args.json:
        write_json(args.json, figures, indent=1)


def entries(name, device, batch, ours, plain, parts, memory, target) -> list[dict]:
    """The figures as rows of name, device, value, unit, ratio, target."""

    def row(what, value, unit, ratio=None, wanted=None):
        return {"name": f"{name}: {what}", "device": device, "value": value, "unit": unit, "ratio": ratio, "target": wanted}

    speeds, plain_speeds = ([batch / seconds for seconds in run] for run in (ours, plain))
    ratio = statistics.median(speeds) / statistics.median(plain_speeds)
    rows = [row("speed", statistics.median(speeds), "pairs/s", ratio, target), row("speed, spread", statistics.pstdev(speeds), "pairs/s"),
            row("plain way", statistics.median(plain_speeds), "pairs/s"), row("plain way, spread", statistics.pstdev(plain_speeds), "pairs/s"),
            row("peak memory", memory, "MiB")]
    return rows + [row(part, 1000 * seconds, "ms") for part, seconds in parts.items()]


if __name__ == "__main__":
    _cli.run(main)
