"""Measure this repository on this machine: python tools/benchmark.py WHAT --cfg experiments/<name>/config.yaml [--json FILE]. WHAT is

train  pairs per second of the training step against the same network stepped the plain way, in one run; the parts of a step; memory
scale  several processes against one: parallel efficiency, the share of communication, and what that foresees for 8 and 64 cards
xcorr  the ways to compute the depth-wise correlation, forward and backward
loader  training items on one core against decoding the two crops of a pair and nothing else, and its parts
index  the annotation index at the scale of YouTube-BB, 5 million boxes: time and memory
prepare  crops of a raw data set, --raw SET ROOT, against decoding its images and encoding its crops and nothing else
eval  scoring one tracker on a VOT set, --results FOLDER DATASET DATASETDIR
eval-many  scoring --trackers trackers on --sequences sequences, made for it: time and memory
"""

import argparse
import os
import sys
from pathlib import Path

from _benchmarks import BENCHMARKS

import _cli
from pysot.core.config import load_config
from pysot.utils.device import accelerators, device_name, seed_everything
from pysot.utils.distributed import find_rank, process_group
from pysot.utils.files import write_json


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(BENCHMARKS), help="what to measure")
    _cli.add_config_arguments(parser)
    parser.add_argument("--data_path", help="as for train.py")
    parser.add_argument("--steps", type=_cli.whole_number(1), default=10, help="steps of a repetition")
    parser.add_argument("--repeats", type=_cli.whole_number(1), default=5, help="repetitions; the median counts")
    parser.add_argument("--backbone", action="store_true", help="train: with the backbone training, as after the unfreeze epoch")
    parser.add_argument("--processes", type=_cli.whole_number(2), help="scale: processes to compare with one (default: one per card, two on a CPU)")
    parser.add_argument("--videos", type=_cli.whole_number(1), default=365_000, help="index: videos of the annotation that is made for it")
    parser.add_argument("--raw", nargs=2, metavar=("SET", "ROOT"), help="prepare: the raw data set, as for tools/prepare_data.py")
    parser.add_argument("--results", nargs=3, metavar=("FOLDER", "DATASET", "DATASETDIR"), help="eval: results of a tracker, as for tools/eval.py -p -d "
                                                                                                "--datasetdir")
    parser.add_argument("--sequences", type=_cli.whole_number(1), default=1000, help="eval-many: sequences")
    parser.add_argument("--trackers", type=_cli.whole_number(1), default=40, help="eval-many: trackers")
    parser.add_argument("--json", metavar="FILE", help="also write the figures: a list of {name, device, value, unit, ratio, target}")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    if args.what == "scale" and "WORLD_SIZE" not in os.environ:
        start_processes(args)
    cfg, me = load_config(args.config, args.opts, for_training=True), find_rank()
    _cli.setup_logging(quiet=True)
    device = _cli.open_device(args, cfg, me.local_rank)
    seed_everything(0)
    name = f"{args.what} {Path(args.config).parent.name}{' backbone' * args.backbone} {cfg.TRAIN.PRECISION} batch {cfg.TRAIN.BATCH_SIZE}"
    with process_group(me, device):
        rows, words = BENCHMARKS[args.what](args, cfg, device, me)
    figures = [{"name": f"{name}: {what}", "device": device_name(device), "value": value, "unit": unit, "ratio": ratio, "target": target}
               for what, value, unit, ratio, target in (row + (None,) * (5 - len(row)) for row in rows)]
    if not me.is_main:
        return
    for figure in figures:
        against = f"  {figure['ratio']:.2f} x" if figure["ratio"] else ""
        print(f"{figure['name']:<60} {figure['value']:>10.3f} {figure['unit']}{against}{', target ' + str(figure['target']) if figure['target'] else ''}")
    print(words)
    if args.json:
        write_json(args.json, figures, indent=1)


def start_processes(args: argparse.Namespace) -> None:
    """Become torchrun with as many processes as asked for."""
    cards = 1 if args.device == "cpu" else len(accelerators())
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(args.processes or max(2, cards)), *sys.argv]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    _cli.run(main)
