"""Measure this repository on this machine: python tools/benchmark.py BENCHMARK [--cfg experiments/<name>/config.yaml].

BENCHMARK is one of

train      pairs per second of the training step, compared in one run with the plain way to step the same network, and
           with a matrix product and a copy on the device; the parts of a step; memory
scale      several processes compared with one: parallel efficiency, the share of communication, and what these predict
           for 8 and 64 cards
xcorr      the ways to compute the depth-wise correlation, forward and backward
loader     training items on one core compared with only decoding the two crops of a pair, and the parts of loading
index      the annotation index at the scale of YouTube-BB, 5 million boxes: time and memory
prepare    crops of a raw data set, --raw SET ROOT, compared with only decoding its images and encoding its crops
track      frames per second and latency of one stream and of batches, compared in one run with a plain tracker; the
           parts of a step; memory; --cfg selects another network
test       a whole data set with tools/test.py --batch N, compared in one run with the plain tracker: seconds, results
deploy     frames per second of exported trackers, one stream and batches, with each engine and precision that is
           installed, compared in one run with the tracker of torch; the ways to correlate
hp-search  16 settings in lockstep with tools/hp_search.py, compared in one run with tools/test.py once per setting
eval       scoring one tracker on a VOT set, --results FOLDER DATASET DATASETDIR; J and F of masks of two objects on one
           core, compared in one run with dilating whole frames
eval-many  scoring --trackers generated trackers on --sequences generated sequences: time and memory

Each has a default config, and makes data itself, in a temporary folder, if none are given. With default options each
takes about three minutes or less on two cores (--repeats 2 shortens it); eval-many takes four, and one with --trackers
10. --json FILE also writes the results to a file.
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


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__)
    add, count = parser.add_argument, _arguments.whole_number(1)
    add("benchmark", choices=list(BENCHMARKS), help="benchmark to run")
    _arguments.add_config_arguments(parser, default="")
    add("--data_path", help="as for train.py")
    add("--steps", type=count, default=Job.steps, help="steps of a repetition")
    add("--repeats", type=count, default=Job.repeats, help="repetitions; the median is reported")
    add("--backbone", action="store_true", help="train: train the backbone too, as after the unfreeze epoch")
    add(
        "--processes",
        type=_arguments.whole_number(2),
        help="scale: processes to compare with one (default: one per card, two on a CPU)",
    )
    add("--videos", type=count, default=Job.videos, help="index: videos of the generated annotation")
    add("--raw", nargs=2, metavar=("SET", "ROOT"), help="prepare: the raw data set, as for tools/prepare_data.py")
    add(
        "--results",
        nargs=3,
        metavar=("FOLDER", "DATASET", "DATASETDIR"),
        help="eval: results of a tracker, as for tools/eval.py -p -d --datasetdir",
    )
    add("--sequences", type=count, default=Job.sequences, help="eval-many: sequences")
    add("--trackers", type=count, default=Job.trackers, help="eval-many: trackers")
    add(
        "--batches",
        type=count,
        nargs="+",
        default=(),
        metavar="N",
        help="track, test, deploy: targets in a batch (default: 1 4 8 16 64; for test and deploy 1 8)",
    )
    add(
        "--precisions",
        nargs="+",
        choices=("fp32", "bf16", "int8"),
        default=(),
        help="track, deploy: precisions (default: all, on a CPU without amx_bf16 no bf16); int8 is for deploy only",
    )
    add(
        "--snapshot",
        help="track, deploy, hp-search: weights (default: synthetic); test: checkpoint (default: an untrained network)",
    )
    _arguments.add_dataset_arguments(parser, default="")
    add("--json", metavar="FILE", help="also write the results: a list of {name, device, value, unit, ratio, target}")
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
