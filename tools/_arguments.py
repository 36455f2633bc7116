"""Arguments that several tools have: the parser, config, device, data set, sequences; and types of arguments."""

from __future__ import annotations

import argparse
import functools
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import _terminal

_HELP_COLUMN = 30  # of the help pages: most options fit before it


def make_parser(description: str | None, examples: Sequence[str], remarks: str = "") -> argparse.ArgumentParser:
    """Return a parser with the option --no-color of every tool; its help shows the description as it is.

    The page ends with `remarks` and with the example commands, which go on in a second line where they are long.
    """
    lines = [" \\\n      ".join(_wrap(example)) for example in examples]
    parser = _Parser(
        description=description,
        epilog=f"{remarks}examples:\n  " + "\n  ".join(lines),
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, max_help_position=_HELP_COLUMN),
    )
    parser.add_argument("--no-color", action=_NoColour, help="print without colours")
    return parser


def _wrap(command: str) -> list[str]:
    """Return the lines of a command; an option and its value stay on a line."""
    kept_together = re.sub(r"( --?[\w-]+) (?!-)", "\\1\0", command)
    lines = textwrap.wrap(kept_together, 92, break_on_hyphens=False, break_long_words=False)
    return [line.replace("\0", " ") for line in lines]


class _Parser(argparse.ArgumentParser):
    """Parser whose errors have the colour of errors."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, _terminal.painter(sys.stderr)(f"{self.prog}: error: {message}", "error") + "\n")


class _NoColour(argparse.Action):
    """Option --no-color: sets the variable NO_COLOR, which processes that the tool starts see too."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, *arguments: Any) -> None:
        os.environ["NO_COLOR"] = "1"


def add_config_arguments(
    parser: argparse.ArgumentParser, default: str | None = None, from_snapshot: bool = False, with_device: bool = True
) -> None:
    """Add --cfg/--config FILE, --device NAME and --opts KEY VALUE ..., which is last on the line.

    Without a default the file is required, unless it may be left out for the config `from_snapshot`. Commands that only
    compute on the CPU have no --device.
    """
    stored = " (default: that of the snapshot, if it was trained here)"
    parser.add_argument(
        "--cfg",
        "--config",
        dest="config",
        required=default is None and not from_snapshot,
        default=default,
        metavar="FILE",
        help=f"experiments/<name>/config.yaml{stored if from_snapshot else ''}",
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
        metavar="NAME",
        help="auto (the first of NPU, GPU, CPU), npu, cuda, cpu, or a card: npu:3",
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
        metavar="NAME",
        help="data set, such as VOT2018, or the path of its folder or json",
    )
    parser.add_argument(
        "--datasetdir",
        default=str(folder),
        metavar="FOLDER",
        help="where the data set lies (default: testing_dataset)",
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

    add = parser.add_argument
    add("--only", type=parse_names, default=(), metavar="NAMES", help="these sequences only, as a,b,c")
    add("--except", type=parse_names, default=(), dest="excluded", metavar="NAMES", help="all sequences but these")


def add_deterministic_argument(parser: argparse.ArgumentParser) -> None:
    """Add --deterministic, which `open_device` applies."""
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="compute the same bits each time, with equal devices and processes",
    )
