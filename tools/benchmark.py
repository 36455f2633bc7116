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

import _cli
from pysot.benchmarks.case_builder import build_case
from pysot.benchmarks.job import Job
from pysot.benchmarks.table import BENCHMARKS
from pysot.core.config import load_config
from pysot.utils.device import accelerators, device_name, seed_everything
from pysot.utils.distributed import find_rank, process_group
from pysot.utils.files import write_json


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add, count = parser.add_argument, _cli.whole_number(1)
    add("what", choices=list(BENCHMARKS), help="what to measure")
    _cli.add_config_arguments(parser)
    add("--data_path", help="as for train.py")
    add("--steps", type=count, default=Job.steps, help="steps of a repetition")
    add("--repeats", type=count, default=Job.repeats, help="repetitions; the median counts")
    add("--backbone", action="store_true", help="train: with the backbone training, as after the unfreeze epoch")
    add(
        "--processes",
        type=_cli.whole_number(2),
        help="scale: processes to compare with one (default: one per card, two on a CPU)",
    )
    add("--videos", type=count, default=Job.videos, help="index: videos of the annotation that is made for it")
    add("--raw", nargs=2, metavar=("SET", "ROOT"), help="prepare: the raw data set, as for tools/prepare_data.py")
    add(
        "--results",
        nargs=3,
        metavar=("FOLDER", "DATASET", "DATASETDIR"),
        help="eval: results of a tracker, as for tools/eval.py -p -d --datasetdir",
    )
    add("--sequences", type=count, default=Job.sequences, help="eval-many: sequences")
    add("--trackers", type=count, default=Job.trackers, help="eval-many: trackers")
    add("--json", metavar="FILE", help="also write the figures: a list of {name, device, value, unit, ratio, target}")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    if args.what == "scale" and "WORLD_SIZE" not in os.environ:
        start_processes(args)
    cfg, rank = load_config(args.config, args.opts, for_training=True), find_rank()
    _cli.setup_logging(quiet=True)
    device = _cli.open_device(args, cfg, rank.local_rank)
    seed_everything(0)
    case = build_case(cfg)
    experiment = Path(args.config).parent.name + " backbone" * args.backbone
    name = f"{args.what} {experiment} {case.precision} batch {case.batch_size}"
    job = Job(
        case,
        device,
        rank,
        _cli.claim_cores,
        _cli.progress_bar,
        data_path=args.data_path,
        steps=args.steps,
        repeats=args.repeats,
        backbone=args.backbone,
        videos=args.videos,
        raw=args.raw,
        results=args.results,
        sequences=args.sequences,
        trackers=args.trackers,
    )
    with process_group(rank, device):
        rows, words = BENCHMARKS[args.what](job)
    if not rank.is_main:
        return
    for row in rows:
        ratio, target = f"  {row.ratio:.2f} x" if row.ratio else "", f", target {row.target}" if row.target else ""
        print(f"{f'{name}: {row.what}':<60} {row.value:>10.3f} {row.unit}{ratio}{target}")
    print(words)
    if args.json:
        write_json(
            args.json,
            [
                {
                    "name": f"{name}: {row.what}",
                    "device": device_name(device),
                    "value": row.value,
                    "unit": row.unit,
                    "ratio": row.ratio,
                    "target": row.target,
                }
                for row in rows
            ],
            indent=1,
        )


def start_processes(args: argparse.Namespace) -> None:
    """Become torchrun with as many processes as asked for."""
    cards = 1 if args.device == "cpu" else len(accelerators())
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        str(args.processes or max(2, cards)),
        *sys.argv,
    ]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    _cli.run(main)
