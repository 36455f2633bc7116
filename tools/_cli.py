"""What the command-line tools share: arguments, logging, progress bars, and errors as sentences. Importing it makes `pysot` importable."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

try:
    import resource
except ImportError:  # not on Windows
    resource = None

try:
    import pysot  # noqa: F401
except ModuleNotFoundError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


_MOST_PROCESSES = 8  # each holds a network
_ADDRESSES = (
    2**30
)  # bytes of address space without which the libraries cannot be loaded, and end the process in ways that no error reaches
_OUT_OF_MEMORY = (
    "could not create a primitive",
    "Cannot allocate memory",
    "can't allocate memory",
    "bad_alloc",
    "out of memory",
    "DefaultCPUAllocator",
)


def _check_addresses() -> None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0] if resource is not None else -1
    if 0 <= limit < _ADDRESSES:
        print(
            f"error: a process may have {limit >> 20} MiB of addresses here (ulimit -v), and the libraries alone need {_ADDRESSES >> 20}; raise the limit, "
            "such as with ulimit -v unlimited",
            file=sys.stderr,
        )
        sys.exit(2)


_check_addresses()


def add_config_arguments(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """--cfg/--config FILE, --device NAME and --opts KEY VALUE ..., the last one on the line."""
    parser.add_argument(
        "--cfg",
        "--config",
        dest="config",
        required=default is None,
        default=default,
        help="YAML file, experiments/<name>/config.yaml",
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto (NPU, GPU or CPU, the first there is), npu, cuda, cpu, or a card such as npu:3",
    )
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], help="config values KEY VALUE ..., last on the line"
    )


def add_dataset_arguments(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """--dataset/-d NAME and --datasetdir FOLDER; by default testing_dataset here, else that of the repository. A NAME with a slash in it is a path: of a set's
    folder, or of its json.
    """
    here = Path("testing_dataset")
    folder = here if here.is_dir() else Path(__file__).resolve().parents[1] / "testing_dataset"
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
    """--dataset: a path becomes the name at its end and --datasetdir."""

    def __call__(self, parser, namespace, value, option_string=None):
        if any(mark and mark in value for mark in (os.sep, os.altsep)):
            path = Path(value).resolve()
            value, namespace.datasetdir = (
                (path.stem, str(path.parent)) if path.suffix == ".json" else (path.name, str(path))
            )
        namespace.dataset = value


def whole_number(least: int) -> Callable[[str], int]:
    """An argument type: a whole number that is `least` or more."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number, {least} or more, got {text!r}")
        return int(text)

    return read


def part(text: str) -> tuple[int, int]:
    """An argument type: I/N with 1 <= I <= N."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise argparse.ArgumentTypeError(f"expected I/N with I from 1 to N, got {text!r}")
    return int(first), int(second)


def add_sequence_arguments(parser: argparse.ArgumentParser) -> None:
    """--only a,b and --except a,b (dest excluded): which sequences of a folder."""

    def names(text: str) -> tuple[str, ...]:
        return tuple(name.strip() for name in text.split(",") if name.strip())

    parser.add_argument("--only", type=names, default=(), help="these sequences, separated by commas")
    parser.add_argument("--except", type=names, default=(), dest="excluded", help="all but these")


def add_deterministic_argument(parser: argparse.ArgumentParser) -> None:
    """--deterministic, which open_device obeys."""
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits in every run on the same device, with as many processes and threads "
        "(slower, see test/README.md)",
    )


def open_device(args: argparse.Namespace, cfg, local_rank: int | None = None):
    """The device of --device, with the switches of the config's NPU or GPU section, and --deterministic where a command has it."""
    from pysot.utils import device_builder

    return device_builder.open_device(args.device, cfg, local_rank, getattr(args, "deterministic", False))


def card_of(number: int) -> int:
    """The card of a process that tracks, by its number from 0: they take the cards by turns."""
    from pysot.utils.device import accelerators

    return number % max(1, len(accelerators()))


def tracking_processes(device, videos: int) -> int:
    """How many processes track where nobody says so: one on an accelerator, one per core on a CPU."""
    from pysot.utils.cores import usable_cores

    return max(1, min(len(usable_cores()), videos, _MOST_PROCESSES)) if device.type == "cpu" else 1


def claim_cores(rank, device) -> int:
    """Bind each of several processes on a machine to its share of the cores; returns the loader processes that these can feed."""
    from pysot.utils.cores import bind_to_cores, core_quota, loader_workers, share_of_cores, usable_cores
    from pysot.utils.device import binds_cores

    cores = share_of_cores(usable_cores(), rank.local_rank, rank.local_world_size)
    if rank.local_world_size > 1 and not binds_cores(device):
        bind_to_cores(cores)
    return loader_workers(len(cores), rank.local_world_size, core_quota())


def setup_logging(quiet: bool = False, file: Path | None = None) -> None:
    """Send log lines to stderr, without tearing progress bars, and to `file` as well; quiet keeps warnings only."""
    from pysot.utils.files import atomic_write

    handlers: list[logging.Handler] = [_BarSafeHandler()]
    if file is not None:
        if not file.exists():
            with atomic_write(file):
                pass
        handlers.append(_ToleratedFile(file, encoding="utf-8"))
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(
        level=level, format="[%(asctime)s] %(message)s", datefmt="%H:%M:%S", handlers=handlers, force=True
    )


class _ToleratedFile(logging.FileHandler):
    """A log file whose disk may be full: that is said once, and costs its further lines only."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
        elif not getattr(self, "told", False):
            self.told = True
            print(
                f"the log {self.baseFilename} cannot be written ({sys.exc_info()[1]}): the run goes on without it",
                file=sys.stderr,
            )


class _BarSafeHandler(logging.StreamHandler):
    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def progress_bar(iterable: Iterable, total: int | None = None, description: str = "", initial: int = 0) -> Iterable:
    """The iterable with a bar, speed and ETA on a terminal; nothing where stderr is a file."""
    from tqdm import tqdm

    return tqdm(iterable, total=total, desc=description, initial=initial, disable=None, dynamic_ncols=True)


def _explain(kind, error, trace) -> None:
    """An import of torch that fails because of torch_npu: say why, and what to do."""
    from pysot.utils.doctor import explain_torch_import

    reason = (
        explain_torch_import(f"{error} {error.__cause__ or ''}")
        if issubclass(kind, (ImportError, RuntimeError, OSError))
        else None
    )
    if reason is None:
        sys.__excepthook__(kind, error, trace)
        return
    print(f"error: torch cannot be imported: {reason}. `python tools/doctor.py` tells more", file=sys.stderr)
    sys.exit(2)


sys.excepthook = _explain


def run(main: Callable[[], None]) -> None:
    """Call main; errors that explain themselves become one sentence on stderr and exit status 2, an interrupt 128 and the number of the signal."""
    from pysot.utils.signals import Interrupted

    try:
        main()
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        sys.exit(130)
    except Interrupted as error:
        print(str(error), file=sys.stderr)
        sys.exit(128 + error.signum)
    except (ValueError, OSError, ImportError, RuntimeError, MemoryError) as error:
        logging.getLogger(__name__).debug("", exc_info=True)
        print(f"error: {error}{_memory_hint(str(error))}", file=sys.stderr)
        sys.exit(2)


def _memory_hint(words: str) -> str:
    if not any(sign in words for sign in _OUT_OF_MEMORY):
        return ""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0] if resource is not None else -1
    limited = f"; a process may have {limit >> 20} MiB of addresses here (ulimit -v)" if limit > 0 else ""
    return f". Memory ran out: a smaller TRAIN.BATCH_SIZE or fewer TRAIN.NUM_WORKERS or --workers need less{limited}"
