"""Measure the speed of this repository on this machine, as a ratio to a named baseline. BENCHMARK is

train      steps of training, against the plain way to step and against the device's own speed
scale      several processes against one, and what that predicts for 8 and 64 cards
xcorr      the ways to compute the depth-wise correlation
loader     training items, against only decoding their crops
index      the annotation index at the scale of YouTube-BB
prepare    crops of a raw data set, against only decoding and encoding its images
track      one stream and batches, against a plain tracker; latency, parts, memory
test       a whole data set with tools/test.py --batch N, against the plain tracker
deploy     exported trackers of each engine and precision, against the tracker of torch
hp-search  16 settings in lockstep, against tools/test.py once per setting
eval       scores of one tracker on a VOT set, and J and F of masks
eval-many  scores of many generated trackers on generated sequences

Each has a default config, makes data itself if none are given, and takes minutes.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.benchmarks.case_builder import build_case
from pysot.benchmarks.generated import temporary_training_set
from pysot.benchmarks.job import Job
from pysot.benchmarks.table import BENCHMARKS
from pysot.core.config import load_config
from pysot.datasets.data_builder import find_dataset_paths
from pysot.utils.device import accelerators, device_name, seed_everything
from pysot.utils.distributed import find_rank, process_group
from pysot.utils.files import REPO_ROOT, write_json
from pysot.utils.progress import progress_bar

EXAMPLES = (
    "python tools/benchmark.py train --repeats 2",
    "python tools/benchmark.py track --cfg experiments/nanotrackv3/config.yaml --batches 1 8",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number(1)
    parser.usage = "%(prog)s BENCHMARK [options]"
    add("benchmark", choices=list(BENCHMARKS), help=argparse.SUPPRESS)  # the description lists them
    _arguments.add_config_arguments(parser, default="")
    add("--data_path", metavar="FOLDER", help="as for train.py")
    add("--steps", type=count, default=Job.steps, metavar="N", help="steps of a repetition")
    add("--repeats", type=count, default=Job.repeats, metavar="N", help="repetitions, whose median counts")
    add("--backbone", action="store_true", help="train: train the backbone too")
    add("--processes", type=_arguments.whole_number(2), metavar="N", help="scale: processes (default: the cards, on a "
        "CPU 2)")  # fmt: skip
    add("--videos", type=count, default=Job.videos, metavar="N", help="index: generated videos")
    add("--raw", nargs=2, metavar=("SET", "ROOT"), help="prepare: raw data set, as for prepare_data.py")
    add("--results", nargs=3, metavar=("FOLDER", "DATASET", "DATASETDIR"), help="eval: results, as -p, -d and "
        "--datasetdir of eval.py")  # fmt: skip
    add("--sequences", type=count, default=Job.sequences, metavar="N", help="eval-many: sequences")
    add("--trackers", type=count, default=Job.trackers, metavar="N", help="eval-many: trackers")
    add("--batches", type=count, nargs="+", default=(), metavar="N", help="track, test, deploy: targets in a batch "
        "(default: 1 4 8 16 64; for test and deploy 1 8)")  # fmt: skip
    add("--precisions", nargs="+", choices=("fp32", "bf16", "int8"), default=(), metavar="NAME", help="track, deploy: "
        "fp32, bf16, and for deploy int8 (default: all)")  # fmt: skip
    add("--snapshot", metavar="FILE", help="track, test, deploy, hp-search: weights (default: not trained)")
    _arguments.add_dataset_arguments(parser, default="")
    add("--json", metavar="FILE", help="also write the results to a file")
    args = parser.parse_args()
    if "int8" in args.precisions and args.benchmark != "deploy":
        parser.error(f"--precisions int8: only deploy measures it, {args.benchmark} takes fp32 and bf16")
    default = REPO_ROOT / "experiments" / BENCHMARKS[args.benchmark].experiment / "config.yaml"
    args.config = args.config or str(default)
    return args


def main() -> None:
    args = parse_arguments()
    if args.benchmark == "scale" and "WORLD_SIZE" not in os.environ:
        start_processes(args)
    _cli.setup_logging(quiet=True)
    with training_data(args) if BENCHMARKS[args.benchmark].reads_training_data else contextlib.nullcontext([]) as opts:
        measure(args, [*opts, *args.opts])


@contextlib.contextmanager
def training_data(args: argparse.Namespace) -> Iterator[list[object]]:
    """Return the config values that select generated training data; none if data are given or lie on this machine."""
    is_given = args.data_path or any(key.startswith("DATASET.") for key in args.opts[::2])
    try:
        find_dataset_paths(load_config(args.config, args.opts, for_training=True), args.data_path)
    except FileNotFoundError:
        if is_given or not Path(args.config).exists():
            raise
    else:
        is_given = True
    with contextlib.nullcontext([]) if is_given else temporary_training_set() as opts:
        yield opts


def measure(args: argparse.Namespace, opts: list[object]) -> None:
    """Run the benchmark with config values `opts`; print and write its results."""
    reads_training_data = BENCHMARKS[args.benchmark].reads_training_data
    cfg, rank = load_config(args.config, opts, for_training=reads_training_data), find_rank()
    device = _cli.open_device(args, cfg, rank.local_rank)
    seed_everything(0)
    case = build_case(cfg)
    experiment = Path(args.config).parent.name + (" backbone" if args.backbone else "")
    # Tracking has precisions and batches of its own.
    training = (
        ""
        if args.benchmark in ("track", "test", "deploy", "hp-search")
        else f" {case.precision} batch {case.batch_size}"
    )
    name = f"{args.benchmark} {experiment}{training}"
    job = Job(
        case,
        device,
        rank,
        _cli.claim_cores,
        progress_bar,
        data_path=args.data_path,
        steps=args.steps,
        repeats=args.repeats,
        backbone=args.backbone,
        videos=args.videos,
        raw=args.raw,
        results=args.results,
        sequences=args.sequences,
        trackers=args.trackers,
        batches=args.batches,
        precisions=args.precisions,
        snapshot=args.snapshot,
        dataset=(args.dataset, args.datasetdir) if args.dataset else None,
        config=args.config,
        opts=opts,
    )
    with process_group(rank, device):
        rows, words = BENCHMARKS[args.benchmark].function(job)
    if not rank.is_main:
        return
    for row in rows:
        ratio = f"  {row.ratio:.2f} x" if row.ratio else ""
        target = f", target {row.target}" if row.target else ""
        row_name = f"{name}: {row.name}"
        print(f"{row_name:<60} {row.value:>10.3f} {row.unit}{ratio}{target}")
    print(words)
    if args.json:
        content = [
            {
                "name": f"{name}: {row.name}",
                "device": device_name(device),
                "value": row.value,
                "unit": row.unit,
                "ratio": row.ratio,
                "target": row.target,
            }
            for row in rows
        ]
        write_json(args.json, content, indent=1)


def start_processes(args: argparse.Namespace) -> None:
    """Replace this process by torchrun with the requested number of processes."""
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
