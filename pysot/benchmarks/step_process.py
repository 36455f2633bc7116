"""Process of one step of a device check.

python -m pysot.benchmarks.step_process MODULE:FUNCTION SETTING RESULTS

SETTING is the JSON of a `Setting`, RESULTS is the file of the step's `Record`.
"""

import importlib
import logging
import sys
from pathlib import Path

from pysot.benchmarks.record import Record, Setting


def main(target: str, setting: str, results: str) -> None:
    """Call function(setting, record)."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(Setting.from_json(setting), Record(Path(results)))


if __name__ == "__main__":
    main(*sys.argv[1:])
