"""Does a device compute right, and how fast: python tools/check_device.py [--device npu] [--data FOLDER] [--out FOLDER] [--minutes 6]

Compares networks, training, checkpoints and tracking with the CPU, then measures copies, products, the training step, loader and tracking. Each step runs in
a process of its own that is killed at its limit, so that no failure stops the others. Writes report.json and check_device_<device>.md, for test/benchmarks.
Ends with status 1 if something is wrong.
"""

import argparse
import functools
import signal
import sys
import tempfile
import time
from pathlib import Path

import _cli
from pysot.benchmarks.networks import find_data
from pysot.benchmarks.record import Setting
from pysot.benchmarks.report import as_json, markdown, text
from pysot.benchmarks.steps import OWN_DATA, STEPS
from pysot.benchmarks.supervise import Outcome, run_steps
from pysot.utils.device import accelerators, choose_device
from pysot.utils.files import atomic_write, check_folder, write_json

AROUND = 8  # seconds kept for the start of this process and for its end


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device",
        default="auto",
        help="auto (NPU, GPU or CPU, the first there is), npu, cuda, cpu, or a card such as npu:3",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with training_dataset/COCO/ (crop511/, train2017.json), vot/ (sequences and list.txt) and, for the "
        "original's numbers, parity/ (default: data of its own, made from photographs)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("check_device"),
        help="folder for report.json and the Markdown file (default: check_device)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=6,
        help="end after so many minutes; what is left then is not measured (default: 6)",
    )
    parser.add_argument("--short", action="store_true", help="small networks and few repetitions; always so on a CPU")
    args = parser.parse_args()
    if not args.minutes > 0:
        parser.error(f"--minutes: expected more than 0, got {args.minutes:g}")
    return args


def find_device(name: str) -> str:
    """The device that --device means. Nothing of it is opened here: a device that hangs is to hang a step only. Raises RuntimeError or ValueError."""
    cards = accelerators()
    if name == "auto":
        return cards[0].type if cards else "cpu"
    if name != "cpu" and name.partition(":")[0] not in {card.type for card in cards}:
        choose_device(name)
    return name


def write(args: argparse.Namespace, device: str, began: float, outcomes: list[Outcome]) -> None:
    """The files, after each step anew, and a line about the last one."""
    last, kind = outcomes[-1], device.partition(":")[0]
    write_json(args.out / "report.json", as_json(outcomes, device, time.monotonic() - began), indent=1)
    names = [
        note.removeprefix("device: ")
        for outcome in outcomes
        for note in outcome.told.notes
        if note.startswith("device: ")
    ]
    with atomic_write(args.out / f"check_device_{kind}.md") as stream:
        stream.write(markdown(outcomes, f"Device check: {names[0] if names else device}"))
    print(f"{last.step.name}: {last.state}, {last.seconds:.1f} s {last.reason}".rstrip(), file=sys.stderr, flush=True)


def main() -> None:
    args, began = parse_arguments(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the step that runs is then killed
    device = find_device(args.device)
    if args.data is not None and (missing := find_data(args.data)):
        raise FileNotFoundError(f"--data {args.data} lacks {'; '.join(missing)}. Leave --data out for data of its own")
    check_folder(args.out)
    with tempfile.TemporaryDirectory(prefix="check_device") as work:
        data = (args.data or Path(work) / "data").resolve()
        setting = Setting(device, data, Path(work), args.short or device == "cpu")
        left = 60 * args.minutes - AROUND - (time.monotonic() - began)
        outcomes = run_steps(
            [OWN_DATA] * (args.data is None) + list(STEPS),
            device.partition(":")[0],
            setting,
            left,
            functools.partial(write, args, device, began),
        )
    print("\n".join(text(outcomes)))
    sys.exit(0 if all(outcome.passed for outcome in outcomes) else 1)


if __name__ == "__main__":
    _cli.run(main)
