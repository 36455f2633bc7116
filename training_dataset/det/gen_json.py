"""Training annotation, a json per split; run par_crop.py before. --help tells more."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import _prepare  # noqa: E402

if __name__ == "__main__":
    _prepare.run(__file__)
