"""Print the help pages of the tools as JSON: python help_pages.py TOOL ..., each with what its examples lack."""

import argparse
import json
import os
import re
import runpy
import shlex
import sys
from pathlib import Path

parse = argparse.ArgumentParser.parse_args


class Found(BaseException):
    """Carries the parser of a tool out of it."""


def stop(parser: argparse.ArgumentParser, arguments: object = None) -> None:
    raise Found(parser)


def find_parser(tool: Path) -> argparse.ArgumentParser:
    """Return the parser of a tool, which ends before it reads its arguments."""
    sys.argv, sys.path[0] = [str(tool)], str(tool.parent)
    try:
        runpy.run_path(str(tool), run_name="__main__")
    except Found as found:
        return found.args[0]
    raise RuntimeError(f"{tool} parses no arguments")


def examples_of(page: str) -> list[list[str]]:
    """Return the words of the example commands at the end of a page."""
    lines = page.partition("\nexamples:\n")[2].replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def faults_of(words: list[str], tool: Path, parser: argparse.ArgumentParser) -> list[str]:
    """Return what is wrong with an example: its tool, its options, its arguments, files of the repository."""
    names = [word for word in words if re.fullmatch(r"tools/\w+\.py", word)]
    if names != [f"tools/{tool.name}"]:
        return [f"names the tools {names}"]
    arguments = words[words.index(names[0]) + 1 :]
    options = [word.partition("=")[0] for word in arguments if word.startswith("-")]
    faults = [f"has the unknown option {option}" for option in options if option not in parser._option_string_actions]
    root = tool.parents[1]
    faults += [f"names {word}" for word in words if word.startswith("experiments/") and not (root / word).is_file()]
    try:
        parse(parser, arguments)
    except SystemExit:
        faults.append("is refused by the parser")
    return faults


def main() -> None:
    paths = [Path(name).resolve() for name in sys.argv[1:]]
    argparse.ArgumentParser.parse_args = stop  # type: ignore[method-assign]
    pages = {}
    for tool in paths:
        parser = find_parser(tool)
        page = parser.format_help()
        examples = examples_of(page)
        faults = {shlex.join(words): faults_of(words, tool, parser) for words in examples}
        pages[tool.name] = {"page": page, "examples": faults, "options": sorted(parser._option_string_actions)}
    assert "NO_COLOR" not in os.environ, "an example turned colours off"
    print(json.dumps(pages))


if __name__ == "__main__":
    main()
