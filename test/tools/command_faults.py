"""Print what the parsers of the tools say to commands: {tool: [[words], ...]} as JSON on stdin."""

import argparse
import json
import shlex
import sys
from pathlib import Path

import help_pages


def main() -> None:
    tools = Path(__file__).resolve().parents[2] / "tools"
    argparse.ArgumentParser.parse_args = help_pages.stop  # type: ignore[method-assign]
    faults = {}
    for name, commands in json.load(sys.stdin).items():
        parser = help_pages.find_parser(tools / name)
        for words in commands:
            faults[shlex.join(words)] = help_pages.faults_of(words, tools / name, parser)
    print(json.dumps({command: found for command, found in faults.items() if found}))


if __name__ == "__main__":
    main()
