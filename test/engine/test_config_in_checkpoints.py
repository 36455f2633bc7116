"""Every checkpoint that training writes knows its config; training does not need it."""

import pytest
import torch

from helpers import small_trainer, tiny_config
from pysot.core.stored_config import config_text
from pysot.utils.model_load import read_checkpoint

CPU = torch.device("cpu")


def test_checkpoints_know_their_config(tmp_path):
    """Those of an epoch, inside an epoch, and the best one."""
    trainer = small_trainer(tmp_path, CPU, "TRAIN.CHECKPOINT_EVERY", "1")
    inside = []
    write = trainer.checkpoints.write

    def spy(*args, **more):
        path = write(*args, **more)
        if path.name == "latest.pth":
            inside.append(torch.load(path, weights_only=True)["config"])
        return path

    trainer.checkpoints.write = spy
    trainer.run()
    best = trainer.checkpoints.keep_best(tmp_path / "checkpoint_e2.pth", 0.5)
    expected = config_text(tiny_config())
    stored = [read_checkpoint(path)["config"] for path in (*sorted(tmp_path.glob("checkpoint_e*.pth")), best)]
    assert stored == [expected] * 4 and inside and set(inside) == {expected}
    assert str(tmp_path) not in expected


@pytest.mark.parametrize("change", [lambda c: c.pop("config"), lambda c: c.update(config="another one")])
def test_a_resumed_run_does_not_read_it(tmp_path, change):
    """A checkpoint of an earlier version has none."""
    small_trainer(tmp_path, CPU).run()
    content = torch.load(tmp_path / "checkpoint_e2.pth", weights_only=True)
    expected = torch.load(tmp_path / "checkpoint_e3.pth", weights_only=True)["state_dict"]
    change(content)
    torch.save(content, tmp_path / "checkpoint_e2.pth")
    (tmp_path / "checkpoint_e3.pth").unlink()
    small_trainer(tmp_path, CPU, "TRAIN.RESUME", "auto").run()
    resumed = torch.load(tmp_path / "checkpoint_e3.pth", weights_only=True)
    assert resumed["config"] == config_text(tiny_config())
    assert all(torch.equal(value, expected[name]) for name, value in resumed["state_dict"].items())
