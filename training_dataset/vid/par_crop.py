"""Crops for training: `python par_crop.py 511 12` (crop size, processes), then `python gen_json.py`; --help tells more."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import _prepare  # noqa: E402

if __name__ == "__main__":
    _prepare.run(__file__)
