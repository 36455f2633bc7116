"""Shared parts of the command-line tools: devices, logging, and errors as sentences.

Importing this module changes nothing in the process. Every tool calls `prepare_process()` before it imports pysot or
torch, and runs its main function with `run()`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import _terminal
import _torch_import

if TYPE_CHECKING:
    import argparse

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
    _terminal.fix_windows_console()
    _check_address_space()
    sys.excepthook = _torch_import.explain_uncaught


def _address_space_limit() -> int:
    """Return the limit on the address space of this process in bytes, -1 without one."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] if resource is not None else -1


def _check_address_space() -> None:
    limit = _address_space_limit()
    if 0 <= limit < _MIN_ADDRESS_SPACE:
        _terminal.print_error(
            f"this process is limited to {limit >> 20} MiB of address space (ulimit -v), and the libraries alone need "
            f"{_MIN_ADDRESS_SPACE >> 20}; raise the limit, for example with ulimit -v unlimited"
        )
        sys.exit(2)


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
    """Log lines on stderr that do not break progress bars; on a terminal, warnings and errors are coloured."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        text = self.format(record)
        if record.levelno >= logging.WARNING:
            role = "error" if record.levelno >= logging.ERROR else "warning"
            text = _terminal.painter(sys.stderr)(text, role)
        tqdm.write(text, file=sys.stderr)


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
        _terminal.print_error(f"{error}{_memory_hint(str(error))}")
        sys.exit(2)


def _memory_hint(message: str) -> str:
    if not any(sign in message for sign in _OUT_OF_MEMORY_SIGNS):
        return ""
    limit = _address_space_limit()
    limited = f"; this process is limited to {limit >> 20} MiB of address space (ulimit -v)" if limit > 0 else ""
    return f". Out of memory: a smaller TRAIN.BATCH_SIZE or fewer TRAIN.NUM_WORKERS or --workers need less{limited}"
