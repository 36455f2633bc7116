"""Check that a device computes correctly, and how fast.

Networks, training, checkpoints and tracking are compared with the CPU; then copies, matrix
products, the training step, the loader and tracking are measured. Each step is a process that is
killed at its time limit. Writes report.json and check_device_<device>.md; ends with status 1 if
something is wrong.
"""

import argparse
import functools
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _cli

_cli.prepare_process()

import _arguments
from pysot.benchmarks.networks import missing_data
from pysot.benchmarks.record import Setting
from pysot.benchmarks.report import as_json, markdown, text
from pysot.benchmarks.steps import MAKE_DATA, STEPS
from pysot.benchmarks.supervise import Outcome, run_steps
from pysot.utils.device import accelerators, choose_device
from pysot.utils.files import atomic_write, check_folder, write_json
from pysot.utils.progress import progress_bar

EXAMPLES = (
    "python tools/check_device.py",
    "python tools/check_device.py --device npu:0 --minutes 10 --out check_npu",
)
START_AND_END_SECONDS = 8  # reserved for the start and the end of this process


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    _arguments.add_device_argument(parser)
    add("--data", type=Path, metavar="FOLDER", help="folder with training_dataset/COCO/ (crop511/, train2017.json), "
        "vot/ (sequences, list.txt) and, to compare with the original, parity/ (default: generated data)")  # fmt: skip
    add("--out", type=Path, default=Path("check_device"), metavar="FOLDER", help="default: check_device")
    add("--minutes", type=float, default=6, metavar="N", help="end after N minutes; what remains is not measured "
        "(default: 6)")  # fmt: skip
    add("--short", action="store_true", help="small networks and few repetitions; always on a CPU")
    args = parser.parse_args()
    if not args.minutes > 0:
        parser.error(f"--minutes: expected more than 0, got {args.minutes:g}")
    return args


def find_device(name: str) -> str:
    """Return the device that --device selects. Raises RuntimeError or ValueError.

    No device is opened here: a device that hangs must not hang more than one step.
    """
    cards = accelerators()
    if name == "auto":
        return cards[0].type if cards else "cpu"
    if name != "cpu" and name.partition(":")[0] not in {card.type for card in cards}:
        choose_device(name)
    return name


def write_report(args: argparse.Namespace, device: str, start: float, bar: Any, outcomes: list[Outcome]) -> None:
    """Write the files again after each step, and print a line about the last one above the bar."""
    last, kind = outcomes[-1], device.partition(":")[0]
    write_json(args.out / "report.json", as_json(outcomes, device, time.monotonic() - start), indent=1)
    notes = [note for outcome in outcomes for note in outcome.findings.notes]
    names = [note.removeprefix("device: ") for note in notes if note.startswith("device: ")]
    with atomic_write(args.out / f"check_device_{kind}.md") as stream:
        stream.write(markdown(outcomes, f"Device check: {names[0] if names else device}"))
    bar.write(f"{last.step.name}: {last.state}, {last.seconds:.1f} s {last.reason}".rstrip(), file=sys.stderr)
    bar.update()


def main() -> None:
    args, start = parse_arguments(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the current step is then killed
    device = find_device(args.device)
    if args.data is not None and (missing := missing_data(args.data)):
        raise FileNotFoundError(
            f"--data {args.data} is missing {'; '.join(missing)}. Leave --data out to use generated data"
        )
    check_folder(args.out)
    with tempfile.TemporaryDirectory(prefix="check_device") as work:
        data = (args.data or Path(work) / "data").resolve()
        setting = Setting(device, data, Path(work), args.short or device == "cpu")
        remaining = 60 * args.minutes - START_AND_END_SECONDS - (time.monotonic() - start)
        steps, kind = [*([MAKE_DATA] if args.data is None else []), *STEPS], device.partition(":")[0]
        with progress_bar(None, total=len(steps), description="steps") as bar:
            report = functools.partial(write_report, args, device, start, bar)
            outcomes = run_steps(steps, kind, setting, remaining, report)
    print("\n".join(text(outcomes)))
    sys.exit(0 if all(outcome.passed for outcome in outcomes) else 1)


if __name__ == "__main__":
    _cli.run(main)
