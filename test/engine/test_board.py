"""TensorBoard files on a full disk."""

import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT
from pysot.engine.board import Board

FULL = """
import logging, resource, sys
sys.path.insert(0, sys.argv[2])
from pysot.engine.board import Board
logging.basicConfig()
with Board(sys.argv[1]) as board:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))  # writes fail, as on a full disk
    for step in range(20000):
        board.add_scalar("loss", 1.0, step)
print("done")
"""


def test_values_and_pictures_can_be_read_again(tmp_path):
    with Board(str(tmp_path / "logs")) as board:
        board.add_scalar("loss", 1.5, 7)
        board.add_image("pairs", np.zeros((4, 6, 3), np.uint8), 7, dataformats="HWC")
    content = next((tmp_path / "logs").glob("events.out.tfevents.*")).read_bytes()
    assert b"loss" in content and b"pairs" in content and b"PNG" in content


def test_a_full_disk_costs_the_files_and_not_the_run(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(ROOT)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr
    assert done.stderr.count("cannot be written") == 1 and "continues without them" in done.stderr, done.stderr


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(OSError, match="cannot write .*logs .TRAIN.LOG_DIR."):
        Board(str(tmp_path / "logs"))
