"""Write the training annotation, one json per split; run par_crop.py first.

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
