"""Shared parts of the command-line tools: arguments, logging, progress bars, and errors as sentences.

Importing this module changes nothing in the process. Every tool calls `prepare_process()` before it imports pysot or
torch, and runs its main function with `run()`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _torch_import

if TYPE_CHECKING:
    import torch
    from yacs.config import CfgNode

    from pysot.utils.distributed import Rank

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]


_MAX_TRACKING_WORKERS = 8
# Bytes of address space. With less, the libraries cannot be loaded and end the process without a Python error.
_MIN_ADDRESS_SPACE = 2**30
_OUT_OF_MEMORY_SIGNS = (
    "could not create a primitive",
    "Cannot allocate memory",
    "can't allocate memory",
    "bad_alloc",
    "out of memory",
    "DefaultCPUAllocator",
)


def prepare_process() -> None:
    """Make the `pysot` beside the tools importable, and turn failures of the system or of torch into sentences.

    It comes before an installed pysot, which may be another one, and has neither tools nor experiments beside it.

    Call it at the start of a tool, before pysot or torch is imported. Ends the process with status 2 if the limit on
    its address space is too small.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    _check_address_space()
    sys.excepthook = _torch_import.explain_uncaught


def _address_space_limit() -> int:
    """Return the limit on the address space of this process in bytes, -1 without one."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] if resource is not None else -1


def _check_address_space() -> None:
    limit = _address_space_limit()
    if 0 <= limit < _MIN_ADDRESS_SPACE:
        print(
            f"error: this process is limited to {limit >> 20} MiB of address space (ulimit -v), and the libraries "
            f"alone need {_MIN_ADDRESS_SPACE >> 20}; raise the limit, for example with ulimit -v unlimited",
            file=sys.stderr,
        )
        sys.exit(2)


def add_config_arguments(
    parser: argparse.ArgumentParser, default: str | None = None, from_snapshot: bool = False, with_device: bool = True
) -> None:
    """Add --cfg/--config FILE, --device NAME and --opts KEY VALUE ..., which is last on the line.

    Without a default the file is required, unless it may be left out for the config `from_snapshot`. Commands that only
    compute on the CPU have no --device.
    """
    stored = " (default: the one that the snapshot knows, if training here has written it)"
    parser.add_argument(
        "--cfg",
        "--config",
        dest="config",
        required=default is None and not from_snapshot,
        default=default,
        help=f"YAML file, experiments/<name>/config.yaml{stored if from_snapshot else ''}",
    )
    if with_device:
        add_device_argument(parser)
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], help="config values KEY VALUE ..., last on the line"
    )


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add --device NAME."""
    parser.add_argument(
        "--device",
        default="auto",
        help="auto (NPU, GPU or CPU, the first that exists), npu, cuda, cpu, or a card such as npu:3",
    )


def add_dataset_arguments(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add --dataset/-d NAME and --datasetdir FOLDER.

    The default folder is testing_dataset in the current folder if it exists, else that of the repository. A NAME with a
    slash is a path: of a set's folder, or of its json.
    """
    local = Path("testing_dataset")
    folder = local if local.is_dir() else Path(__file__).resolve().parents[1] / "testing_dataset"
    parser.add_argument(
        "--dataset",
        "-d",
        required=default is None,
        default=default,
        action=_NameOrPath,
        help="name of the data set, such as VOT2018, or the path of its folder (./mine) or json",
    )
    parser.add_argument(
        "--datasetdir",
        default=str(folder),
        help="folder with <DATASET>.json or the raw VOT folder (default: testing_dataset)",
    )


class _NameOrPath(argparse.Action):
    """Argument --dataset: a path is split into the name at its end and --datasetdir."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from pysot.toolkit.datasets.load import split_dataset_path

        namespace.dataset, folder = split_dataset_path(str(values))
        if folder is not None:
            namespace.datasetdir = str(folder)


def whole_number(least: int) -> Callable[[str], int]:
    """Return an argument type: a whole number that is `least` or more."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number, {least} or more, got {text!r}")
        return int(text)

    return read


def parse_part(text: str) -> tuple[int, int]:
    """Parse an argument I/N with 1 <= I <= N."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise argparse.ArgumentTypeError(f"expected I/N with I from 1 to N, got {text!r}")
    return int(first), int(second)


def add_sequence_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --only a,b and --except a,b (dest excluded), which choose sequences of a folder."""

    def parse_names(text: str) -> tuple[str, ...]:
        return tuple(name.strip() for name in text.split(",") if name.strip())

    parser.add_argument("--only", type=parse_names, default=(), help="these sequences, separated by commas")
    parser.add_argument("--except", type=parse_names, default=(), dest="excluded", help="all but these")


def add_deterministic_argument(parser: argparse.ArgumentParser) -> None:
    """Add --deterministic, which `open_device` applies."""
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="compute the same bits each time on the same device, for the same number of processes and threads "
        "(slower, see test/README.md)",
    )


def open_device(args: argparse.Namespace, cfg: CfgNode, local_rank: int | None = None) -> torch.device:
    """Open the device of --device, with the switches of the config's NPU or GPU section.

    --deterministic applies if the command has it.
    """
    from pysot.utils import device_builder

    return device_builder.open_device(args.device, cfg, local_rank, getattr(args, "deterministic", False))


def card_of_process(number: int) -> int:
    """Return the card of a tracking process, by its number from 0; cards are assigned round-robin."""
    from pysot.utils.device import accelerators

    return number % max(1, len(accelerators()))


def default_tracking_workers(device: torch.device, videos: int) -> int:
    """Return the default number of tracking workers: one on an accelerator, one per core on a CPU."""
    return workers_on_cpu(videos) if device.type == "cpu" else 1


def workers_on_cpu(videos: int) -> int:
    """Return the default number of tracking workers on a CPU: one per core."""
    from pysot.utils.cores import usable_cores

    return max(1, min(len(usable_cores()), videos, _MAX_TRACKING_WORKERS))


def claim_cores(rank: Rank, device: torch.device) -> int:
    """Bind each of several processes on a machine to its share of the cores.

    Returns the number of loader processes that these cores support.
    """
    from pysot.utils.cores import bind_to_cores, core_quota, loader_workers, share_of_cores, usable_cores
    from pysot.utils.device import binds_cores

    cores = share_of_cores(usable_cores(), rank.local_rank, rank.local_world_size)
    if rank.local_world_size > 1 and not binds_cores(device):
        bind_to_cores(cores)
    return loader_workers(len(cores), rank.local_world_size, core_quota())


def setup_logging(quiet: bool = False, file: Path | None = None) -> None:
    """Send log lines to stderr, without breaking progress bars, and to `file` as well; quiet keeps warnings only."""
    from pysot.utils.files import atomic_write

    handlers: list[logging.Handler] = [_BarSafeHandler()]
    if file is not None:
        if not file.exists():
            with atomic_write(file):
                pass
        handlers.append(_TolerantFileHandler(file, encoding="utf-8"))
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(
        level=level, format="[%(asctime)s] %(message)s", datefmt="%H:%M:%S", handlers=handlers, force=True
    )


class _TolerantFileHandler(logging.FileHandler):
    """Log file whose disk may be full: this is reported once, and only further lines are lost."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not getattr(self, "reported", False):
            self.reported = True
            print(
                f"the log {self.baseFilename} cannot be written ({error}): this process continues without it",
                file=sys.stderr,
            )


class _BarSafeHandler(logging.StreamHandler):
    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def progress_bar(
    iterable: Iterable | None, total: int | None = None, description: str = "", initial: int = 0, unit: str = "it"
) -> Any:
    """Return the iterable with a bar, speed and ETA on a terminal; nothing is drawn if stderr is a file.

    The unit B, bytes, is shown as kB, MB and so on.
    """
    from tqdm import tqdm

    return tqdm(
        iterable,
        total=total,
        desc=description,
        initial=initial,
        unit=unit,
        unit_scale=unit == "B",
        disable=None,
        dynamic_ncols=True,
    )


def run(main: Callable[[], None]) -> None:
    """Call main and turn its errors into one sentence on stderr and an exit status.

    The status is 2 for an error that explains itself, and 128 plus the number of the signal for an interrupt.
    """
    from pysot.utils.signals import Interrupted

    try:
        main()
    except KeyboardInterrupt:
        print("interrupted; finished work is kept", file=sys.stderr)
        sys.exit(130)
    except Interrupted as error:
        print(str(error), file=sys.stderr)
        sys.exit(128 + error.signum)
    except (ValueError, OSError, ImportError, RuntimeError, MemoryError) as error:
        logging.getLogger(__name__).debug("", exc_info=True)
        print(f"error: {error}{_memory_hint(str(error))}", file=sys.stderr)
        sys.exit(2)


def _memory_hint(message: str) -> str:
    if not any(sign in message for sign in _OUT_OF_MEMORY_SIGNS):
        return ""
    limit = _address_space_limit()
    limited = f"; this process is limited to {limit >> 20} MiB of address space (ulimit -v)" if limit > 0 else ""
    return f". Out of memory: a smaller TRAIN.BATCH_SIZE or fewer TRAIN.NUM_WORKERS or --workers need less{limited}"
