"""Quickstart of the README, executed in a copy of the repository."""

import re

import pytest

from helpers import TINY, copy_of_repository, run_script

pytest.importorskip("skimage")


@pytest.fixture
def copy(tmp_path):
    return copy_of_repository(tmp_path)


def test_quickstart_fails_runs_resumes_and_reuses(copy):
    """All steps use one copy, so that its data are made once."""
    few = "--sequences 3"
    failed = run_script("quickstart.sh", copy, QUICKSTART_OPTS="TRAIN.EPOCHS 2", QUICKSTART_DATA_OPTS=few)
    assert failed.returncode != 0 and "did you mean TRAIN.EPOCH" in failed.stderr

    short = " ".join(["TRAIN.EPOCH 2 TRAIN.BATCH_SIZE 8 DATASET.VIDEOS_PER_EPOCH 16 TRAIN.NUM_WORKERS 0", *TINY])
    done = run_script("quickstart.sh", copy, QUICKSTART_OPTS=short, QUICKSTART_DATA_OPTS=few)
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout[done.stdout.index("4/4") :]
    for name in ("trained", "untrained"):
        assert re.search(rf"\| +{name} +\|", table), table
    assert re.search(r"time: \d+ s\n$", done.stdout)
    scores = (copy / "quickstart" / "scores.json").stat().st_mtime_ns

    (copy / "quickstart" / "snapshot" / "checkpoint_e2.pth").unlink()
    again = run_script("quickstart.sh", copy, QUICKSTART_OPTS=short, QUICKSTART_DATA_OPTS=few)
    assert again.returncode == 0, again.stderr
    assert "resumed from quickstart/snapshot/checkpoint_e1.pth: epoch 2 is next" in again.stderr
    assert "has a result already" in again.stderr and (copy / "quickstart" / "scores.json").stat().st_mtime_ns > scores
