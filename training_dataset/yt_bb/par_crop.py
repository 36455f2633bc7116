"""Make training crops: `python par_crop.py 511 12` (crop size, processes), then `python gen_json.py`.

--help lists the options.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import _cli

_cli.prepare_process()

import _prepare

if __name__ == "__main__":
    _prepare.run(__file__)
