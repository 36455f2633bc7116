"""Training loop on drawn batches: learning, resuming to the same weights, skipping bad batches, writing files."""

import errno
import logging
import os
import re
import signal
import sys
import weakref

import numpy as np
import pytest
import torch
import torch.distributed as dist

from helpers import checkpoints, noisy_batches, tiny_config
from pysot.engine import checkpoint, skipped_steps, train_loop
from pysot.engine.engine_builder import build_trainer
from pysot.models.model_builder import build_model
from pysot.utils.distributed import Rank
from pysot.utils.log_helper import SpeedMeter
from pysot.utils.signals import Interrupted, StopRequest
from trainer_helpers import CPU, same, trainer, weights


def test_it_learns_and_writes_a_checkpoint_after_every_epoch(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    run = trainer(tmp_path, "TRAIN.EPOCH", 4)
    first = run.model(run.loader[0])["total_loss"].item()
    results = run.run()
    assert results["steps"] == 8 and results["skipped"] == 0
    assert results["loss"] < 0.8 * first and results["pairs_per_second"] > 0
    assert checkpoints(tmp_path) == [f"checkpoint_e{n}.pth" for n in (1, 2, 3, 4)]
    assert run.loader.epochs == [0, 1, 2, 3]
    lines = caplog.text
    for words in ("Epoch: [4][2/2] lr: 0.", "Progress: 8 / 8 [100%], Speed: ", "ETA 0:00:00 (D:H:M)", "FPS "):
        assert words in lines, words


def test_checkpoint_holds_the_agreed_keys(tmp_path):
    trainer(tmp_path, "TRAIN.EPOCH", 2, steps=1).run()
    content = torch.load(tmp_path / "checkpoint_e2.pth", weights_only=True)
    assert content["epoch"] == 2 and {"state_dict", "optimizer"} < set(content)


@pytest.mark.parametrize("unfreeze", [0, 1, 2, 3])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resume_at_every_epoch_equals_an_uninterrupted_run(tmp_path, unfreeze, precision):
    opts = ["TRAIN.EPOCH", 3, "BACKBONE.TRAIN_EPOCH", unfreeze, "BACKBONE.TRAIN_LAYERS", "[layer4, layer5]"]
    opts += ["TRAIN.PRECISION", precision]
    complete = trainer(tmp_path / "complete", *opts)
    complete.run()
    for epoch in (1, 2):
        checkpoint_e = str(tmp_path / "complete" / f"checkpoint_e{epoch}.pth")
        resumed = trainer(tmp_path / f"resumed{epoch}", *opts, "TRAIN.RESUME", checkpoint_e, seed=99)
        resumed.run()
        assert resumed.loader.epochs == list(range(epoch, 3))
        assert same(weights(complete), weights(resumed)), epoch


def convert_to_original(path):
    """Rewrite a checkpoint as the original's train.py writes it.

    It has three keys, `module.` before all names, all parameter groups (that of the backbone may be empty) with rates
    that are NumPy numbers, and momenta by number.
    """
    content = torch.load(path, weights_only=True)
    groups, state, number = [], {}, 0
    by_name = {group["name"]: group for group in content["optimizer"]["param_groups"]}
    for name in ("backbone", "rpn_head"):
        old = by_name.get(name, {"params": []})
        numbers = list(range(number, number + len(old["params"])))
        number += len(numbers)
        state |= {
            new: content["optimizer"]["state"][before] for new, before in zip(numbers, old["params"], strict=True)
        }
        constants = {"momentum": 0.9, "dampening": 0, "weight_decay": 1e-4, "nesterov": False}
        rates = {"lr": np.float64(0.005), "initial_lr": np.float64(0.005)}
        groups.append({**constants, **rates, "params": numbers})
    original = {
        "epoch": content["epoch"],
        "state_dict": {f"module.{k}": v for k, v in content["state_dict"].items()},
        "optimizer": {"state": state, "param_groups": groups},
    }
    torch.save(original, path)


@pytest.mark.parametrize("unfreeze", [0, 1, 3])
def test_resume_from_the_originals_checkpoint(tmp_path, unfreeze):
    """Weights, momenta and epoch are restored: the result equals uninterrupted training."""
    opts = ["TRAIN.EPOCH", 3, "BACKBONE.TRAIN_EPOCH", unfreeze, "BACKBONE.TRAIN_LAYERS", "[layer4, layer5]"]
    complete = trainer(tmp_path / "complete", *opts)
    complete.run()
    path = tmp_path / "complete/checkpoint_e1.pth"
    convert_to_original(path)
    resumed = trainer(tmp_path / "resumed", *opts, "TRAIN.RESUME", str(path), seed=99)
    resumed.run()
    assert resumed.loader.epochs == [1, 2] and same(weights(complete), weights(resumed))


@pytest.mark.parametrize(
    "before, now, grad_sum, words",
    [
        (
            (28, 8),
            (28, 4),
            True,
            [
                "224 pairs per step (8 x 28), this run has 112 (4 x 28)",
                "a step is 0.5 times as long",
                "effect per pair stays the same",
            ],
        ),
        ((28, 8), (14, 8), True, ["112 (8 x 14)", "multiply TRAIN.BASE_LR by 0.5"]),
        ((28, 8), (28, 4), False, ["multiply TRAIN.BASE_LR by 0.5"]),
        ((28, 8), (28, 8), True, []),
    ],
)
def test_another_number_of_pairs_per_step_is_described(before, now, grad_sum, words):
    batch_size, world_size = before
    content = {"batch_size": batch_size, "world_size": world_size}
    text = checkpoint.describe_batch_change(content, *now, grad_sum)
    assert all(word in text for word in words) and bool(text) == bool(words)
    assert checkpoint.describe_batch_change({}, *now, grad_sum) == ""


def test_resume_with_half_the_pairs_says_so(tmp_path, caplog):
    trainer(tmp_path, "TRAIN.EPOCH", 2).run()
    trainer(tmp_path, "TRAIN.EPOCH", 3, "TRAIN.RESUME", "auto", "TRAIN.BATCH_SIZE", 1)
    assert "was trained with 2 pairs per step (1 x 2), this run has 1 (1 x 1)" in caplog.text
    assert "multiply TRAIN.BASE_LR by 0.5" in caplog.text


def test_unfreeze_restarts_momentum(tmp_path):
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "BACKBONE.TRAIN_EPOCH", 1)
    run.begin(0)
    run.step(run.loader[0])
    assert any(state["momentum_buffer"].any() for state in run.optimizer.state.values())
    assert [g["name"] for g in run.optimizer.param_groups] == ["rpn_head"]
    run.begin(1)
    assert not any(state["momentum_buffer"].any() for state in run.optimizer.state.values())
    assert [g["name"] for g in run.optimizer.param_groups] == ["backbone", "rpn_head"]


def test_frozen_parts_do_not_move(tmp_path):
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "BACKBONE.TRAIN_EPOCH", 1, "BACKBONE.TRAIN_LAYERS", "[layer5]")
    before = weights(run)
    run.run()
    after = weights(run)
    moved = {k.split(".")[1] for k in before if k.startswith("backbone.") and not torch.equal(before[k], after[k])}
    assert moved == {"layer5"}


@pytest.mark.parametrize(("precision", "scale"), [("fp16", 32), ("fp16", "dynamic"), ("bf16", 32)])
def test_half_precision_trains_like_full(tmp_path, precision, scale):
    half = trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.PRECISION", precision, "TRAIN.LOSS_SCALE", scale)
    full = trainer(tmp_path / "full", "TRAIN.EPOCH", 2)
    assert half.run()["loss"] == pytest.approx(full.run()["loss"], rel=0.15)
    if precision == "fp16":
        assert (half.amp.scaler.get_scale() == 32) == (scale == 32)


def test_gradients_stay_in_the_buckets_of_ddp(tmp_path):
    """They are zeroed in place, so that no backward pass copies them; the weights equal training without DDP."""
    alone = trainer(tmp_path, "TRAIN.GRAD_REDUCE", "avg")
    opts = ["TRAIN.SNAPSHOT_DIR", str(tmp_path), "TRAIN.BATCH_SIZE", 2, "TRAIN.GRAD_REDUCE", "avg"]
    config = tiny_config(*opts, for_training=True)
    torch.manual_seed(5)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        run = build_trainer(config, build_model(config), noisy_batches(), CPU, Rank(0, 2))
        addresses = []
        for each in (alone, run):
            each.begin(0)
        for batch in [*run.loader, *run.loader]:
            alone.step(batch)
            losses = run.train_step.forward(run.to_device(batch))
            before = [p.grad for p in run.model.parameters() if p.grad is not None]
            assert all(not gradient.any() for gradient in before)
            run.train_step.update(run.train_step.backward(losses["total_loss"]))
            after = [p.grad for p in run.model.parameters()]
            addresses.append([[g.data_ptr() for g in before], [g.data_ptr() for g in after]])
        assert len(addresses[-1][0]) == len(list(run.model.parameters()))
        assert addresses[-1][0] == addresses[-1][1] == addresses[-2][1]
        storages = {p.grad.untyped_storage().data_ptr() for p in run.model.parameters()}
        assert len(storages) < 3 and same(weights(alone), weights(run))
    finally:
        run.train_step.network = run.model  # as at the end of Trainer.run
        dist.destroy_process_group()


def test_ddp_ends_before_its_process_group(tmp_path):
    """A process group that ends with DDP, at the last reference to the trainer, may hang."""
    config = tiny_config(
        "TRAIN.SNAPSHOT_DIR", str(tmp_path), "TRAIN.BATCH_SIZE", 2, "TRAIN.EPOCH", 2, for_training=True
    )
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    wrappers = []
    try:
        run = build_trainer(config, build_model(config), noisy_batches(), CPU, Rank(0, 2))
        begin = run.begin

        def begin_and_remember(epoch):
            begin(epoch)
            wrappers.append(weakref.ref(run.train_step.network))

        run.begin = begin_and_remember
        run.run()
        assert len(wrappers) == 2 and [wrapper() for wrapper in wrappers] == [None, None]
    finally:
        dist.destroy_process_group()


def test_a_failure_before_the_first_step_is_the_error(tmp_path, monkeypatch):
    def fail(*args):
        raise MemoryError("no memory for a folded copy")

    monkeypatch.setattr(train_loop, "fold_frozen", fail)
    with pytest.raises(MemoryError, match="no memory for a folded copy"):
        trainer(tmp_path).run()


def test_static_scale_stays_after_an_overflow(tmp_path):
    loader = noisy_batches(2)
    loader[0]["label_loc_weight"] *= 1e30
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.PRECISION", "fp16", loader=loader)
    assert run.run()["skipped"] == 2 and run.amp.scaler.get_scale() == 32


def test_a_bad_batch_changes_nothing(tmp_path, caplog):
    loader = noisy_batches(1)
    loader[0]["search"][0, 0, 0, 0] = float("nan")
    loader += noisy_batches(2)[1:]
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.PRINT_FREQ", 5, loader=loader)
    run.begin(0)
    for good_before in (0, 1):  # with zero momenta, and with momenta of a step
        for _ in range(good_before):
            run.step(loader[1])
        before = weights(run)
        momenta = [state["momentum_buffer"].clone() for state in run.optimizer.state.values()]
        run.step(loader[0])
        changed = [k for k, v in run.model.state_dict().items() if not torch.equal(v, before[k])]
        assert all(k.endswith("num_batches_tracked") for k in changed), changed
        momenta_after = [state["momentum_buffer"] for state in run.optimizer.state.values()]
        assert len(momenta) == len(momenta_after) and all(map(torch.equal, momenta, momenta_after))
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.PRINT_FREQ", 5, loader=loader)
    assert run.run()["skipped"] == 2
    assert "step 1 skipped" in caplog.text and "step 3 skipped" in caplog.text and "step 2 skipped" not in caplog.text


def without_batch_norm(model):
    for parent in [*model.modules()]:
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.BatchNorm2d):
                setattr(parent, name, torch.nn.Identity())
    return model


def test_a_network_without_batch_norm_trains_and_skips(tmp_path):
    opts = ["TRAIN.SNAPSHOT_DIR", str(tmp_path), "TRAIN.BATCH_SIZE", 2, "TRAIN.PRINT_FREQ", 1, "TRAIN.EPOCH", 2]
    config = tiny_config(*opts, for_training=True)
    torch.manual_seed(5)
    loader = noisy_batches(2)
    loader[1]["search"][:] = float("inf")
    run = build_trainer(config, without_batch_norm(build_model(config)), loader, CPU, Rank())
    before = weights(run)
    results = run.run()
    assert results["skipped"] == 2 and not same(before, weights(run)) and run.statistics == []


def test_statistics_lie_on_the_device_of_the_network():
    for model in (build_model(tiny_config()), without_batch_norm(build_model(tiny_config()))):
        # "meta" is a device without data, on which nothing is computed
        assert all(flat.device.type == "meta" for flat in skipped_steps.flat_statistics(model.to("meta")))


def test_many_bad_batches_end_training(tmp_path, monkeypatch):
    monkeypatch.setattr(skipped_steps, "MAX_IN_A_ROW", 2)
    loader = noisy_batches(3)
    for batch in loader:
        batch["search"][:] = float("inf")
    with pytest.raises(RuntimeError, match="2 steps in a row.*BASE_LR"):
        trainer(tmp_path, "TRAIN.EPOCH", 2, loader=loader).run()


def test_gradients_are_clipped(tmp_path):
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.GRAD_CLIP", 0.001)
    run.begin(0)
    norm = run.step(run.loader[0])["grad_norm"].item()
    after = torch.stack([p.grad.norm() for g in run.optimizer.param_groups for p in g["params"]]).norm().item()
    assert norm > 0.01 and after == pytest.approx(0.001, rel=0.01)


def test_max_steps_and_speed_runs(tmp_path):
    results = trainer(tmp_path, "TRAIN.EPOCH", 3, steps=4, max_steps=6, save=False).run()
    assert results["steps"] == 6 and checkpoints(tmp_path) == []
    trainer(tmp_path, "TRAIN.EPOCH", 3, steps=4, max_steps=6).run()
    assert checkpoints(tmp_path) == ["checkpoint_e1.pth", "latest.pth"], "half an epoch is latest.pth"


@pytest.mark.parametrize("stop", [1, 2, 3, 5])
@pytest.mark.parametrize("unfreeze", [0, 1])
def test_resume_inside_an_epoch_equals_an_uninterrupted_run(tmp_path, stop, unfreeze):
    opts = ["TRAIN.EPOCH", 2, "TRAIN.RESUME", "auto", "BACKBONE.TRAIN_EPOCH", unfreeze]
    opts += ["BACKBONE.TRAIN_LAYERS", "[layer4, layer5]"]
    complete = trainer(tmp_path / "complete", *opts, steps=3)
    complete.run()
    trainer(tmp_path / "parts", *opts, steps=3, max_steps=stop).run()
    resumed = trainer(tmp_path / "parts", *opts, steps=3, seed=99)
    assert resumed.run()["steps"] == 6 and same(weights(complete), weights(resumed))


def test_resume_within_a_step_of_other_batches(tmp_path):
    trainer(tmp_path, "TRAIN.EPOCH", 2, steps=4, max_steps=1).run()
    with pytest.raises(ValueError, match="trained 2 pairs of its epoch.*3 x 1 processes; resume with the same number"):
        trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.RESUME", "auto", "TRAIN.BATCH_SIZE", 3, steps=4)


class Writer(dict):
    def add_scalar(self, name, value, step):
        self.setdefault(name, []).append((step, value))


def test_scalars(tmp_path):
    writer = Writer()
    trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.LOG_GRADS", "true", writer=writer).run()
    assert {
        "total_loss",
        "cls_loss",
        "loc_loss",
        "grad_norm",
        "lr",
        "data_time",
        "grad_all/rpn_head.cls.head.3.weight",
        "grad/tot",
        "grad/feature",
        "grad/rpn",
        "pairs_per_second",
        "skipped_steps",
    } <= set(writer)
    assert [step for step, _ in writer["total_loss"]] == [1, 2, 3, 4]


def test_resume_refuses_what_does_not_fit(tmp_path):
    trainer(tmp_path, "TRAIN.EPOCH", 2).run()
    path = tmp_path / "checkpoint_e1.pth"
    with pytest.raises(ValueError, match="trained 2 epochs already.*TRAIN.EPOCH is 2"):
        trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.RESUME", str(tmp_path / "checkpoint_e2.pth"))
    with pytest.raises(FileNotFoundError, match="none.pth"):
        trainer(tmp_path, "TRAIN.RESUME", "none.pth")
    with pytest.raises(ValueError, match="another architecture"):
        trainer(tmp_path, "TRAIN.RESUME", str(path), "BACKBONE.KWARGS.width_mult", 0.125, "RPN.KWARGS.in_channels", 32)
    with pytest.raises(ValueError, match="optimizer of other parameters.*TRAIN_EPOCH"):
        trainer(tmp_path, "TRAIN.EPOCH", 3, "TRAIN.RESUME", str(path), "BACKBONE.TRAIN_EPOCH", 2).run()
    torch.save(torch.load(path)["state_dict"], tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="no epoch and optimizer.*TRAIN.PRETRAINED"):
        trainer(tmp_path, "TRAIN.RESUME", str(tmp_path / "weights.pth"))


def test_pretrained_weights_are_loaded_and_named_when_missing(tmp_path):
    first = trainer(tmp_path, "TRAIN.EPOCH", 2)
    first.run()
    path = str(tmp_path / "checkpoint_e2.pth")
    assert same(weights(first), weights(trainer(tmp_path, "TRAIN.PRETRAINED", path)))
    assert torch.equal(
        trainer(tmp_path, "BACKBONE.PRETRAINED", path).model.backbone.layer1[0].weight,
        first.model.backbone.layer1[0].weight,
    )
    with pytest.raises(FileNotFoundError, match="BACKBONE.PRETRAINED.*none.pth.*pretrained_models"):
        trainer(tmp_path, "BACKBONE.PRETRAINED", "none.pth")


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    run = trainer(tmp_path, "TRAIN.EPOCH", 3)
    real = os.fsync

    def full(descriptor):
        if "checkpoint_e2" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("pysot.utils.files.os.fsync", full)
    with pytest.raises(OSError, match="checkpoint_e2.pth.*No space left"):
        run.run()
    assert checkpoints(tmp_path) == ["checkpoint_e1.pth"]
    assert checkpoint.read_training_state(tmp_path / "checkpoint_e1.pth")["epoch"] == 1


def test_an_unwritable_folder_is_named_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write .*snapshot"):
        trainer(tmp_path / "file" / "snapshot")


def test_resume_auto_starts_resumes_and_stops(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    opts = ["TRAIN.EPOCH", 2, "TRAIN.RESUME", "auto"]
    first = trainer(tmp_path, *opts)
    assert first.run()["steps"] == 4
    (tmp_path / "checkpoint_e2.pth").unlink()
    resumed = trainer(tmp_path, *opts, seed=99)
    assert resumed.run() and resumed.loader.epochs == [1] and same(weights(first), weights(resumed))
    assert trainer(tmp_path, *opts).run() == {} and "all epochs are trained" in caplog.text


def test_checkpoints_by_progress(tmp_path):
    def names():
        return [path.name for path in checkpoint.checkpoints_by_progress(tmp_path)]

    assert names() == []
    for n in (2, 10, 9):
        (tmp_path / f"checkpoint_e{n}.pth").write_bytes(b"")
    assert names() == ["checkpoint_e10.pth", "checkpoint_e9.pth", "checkpoint_e2.pth"]
    latest = tmp_path / "latest.pth"
    optimizer = {"state": {}, "param_groups": []}
    for epoch, position in ((9, 1), (10, 0)):
        torch.save({"epoch": epoch, "pairs": 4, "state_dict": {}, "optimizer": optimizer}, latest)
        assert names()[position] == "latest.pth"
    latest.write_bytes(latest.read_bytes()[:99])
    assert names()[0] == "latest.pth"


@pytest.mark.parametrize("name", ["checkpoint_e2.pth", "latest.pth"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_is_offered(tmp_path, name):
    trainer(tmp_path, "TRAIN.EPOCH", 4, max_steps=5 if name == "latest.pth" else 4).run()
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-999])
    before = "checkpoint_e2.pth" if name == "latest.pth" else "checkpoint_e1.pth"
    with pytest.raises(ValueError, match=f"{name} (is cut off|was refused).*or resume from .*{before}"):
        trainer(tmp_path, "TRAIN.EPOCH", 4, "TRAIN.RESUME", "auto")


def test_old_checkpoints_are_removed(tmp_path):
    trainer(tmp_path, "TRAIN.EPOCH", 5, "TRAIN.KEEP", 2, "TRAIN.CHECKPOINT_EVERY", 1).run()
    assert checkpoints(tmp_path) == ["checkpoint_e4.pth", "checkpoint_e5.pth"]


@pytest.mark.parametrize(
    ("every", "written"), [(1, [1, 2, 4, 5]), (2, [2, 5]), ("", []), ("0.0m", [1, 2, 4, 5]), ("60m", [])]
)
def test_latest_is_written_inside_epochs(tmp_path, monkeypatch, every, written):
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.CHECKPOINT_EVERY", every, steps=3)
    real, steps = checkpoint.save_checkpoint, []

    def save(path, *args, **more):
        if path.name == "latest.pth":
            steps.append(run.step_count)
        return real(path, *args, **more)

    monkeypatch.setattr(checkpoint, "save_checkpoint", save)
    run.run()
    assert steps == written and not (tmp_path / "latest.pth").exists()


def test_a_request_to_end_saves_and_ends(tmp_path):
    request = StopRequest()
    opts = ["TRAIN.EPOCH", 2, "TRAIN.RESUME", "auto"]
    complete = trainer(tmp_path / "complete", *opts, steps=3)
    complete.run()
    run = trainer(tmp_path / "parts", *opts, steps=3, stop=request)
    step = run.step

    def ask_in_the_second_step(batch):
        if run.step_count == 1:
            request.ask(signal.SIGTERM)
        return step(batch)

    run.step = ask_in_the_second_step
    with pytest.raises(Interrupted, match="ended by SIGTERM after step 2; its state is saved"):
        run.run()
    resumed = trainer(tmp_path / "parts", *opts, steps=3, seed=99)
    resumed.run()
    assert same(weights(complete), weights(resumed))


def test_a_loss_that_explodes_is_skipped_and_its_items_are_named(tmp_path, caplog):
    loader = noisy_batches(3)
    loader[1]["label_loc_weight"] *= 1e9

    def describe(epoch, step):
        return f"crops of {epoch}/{step}"

    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.PRINT_FREQ", 4, loader=loader, describe=describe)
    assert run.run()["skipped"] == 2
    assert "step 2 skipped by all processes" in caplog.text and "crops of 1/1" in caplog.text
    assert "is the cause, its items: crops of 0/1" in caplog.text


def test_lines_after_a_resume_are_those_of_an_uninterrupted_run(tmp_path, caplog):
    caplog.set_level(logging.INFO)

    def losses():
        lines = re.findall(r"Epoch: (\[\d+\]\[\d/\d\]) .*?(total_loss: [\d.]+)", caplog.text)
        caplog.clear()
        return lines

    loader = noisy_batches(5)
    loader[0]["search"][0, 0, 0, 0] = float("nan")
    opts = ["TRAIN.EPOCH", 2, "TRAIN.RESUME", "auto", "TRAIN.PRINT_FREQ", 2]
    trainer(tmp_path / "complete", *opts, loader=loader).run()
    complete = losses()
    killed = trainer(tmp_path / "parts", *opts, "TRAIN.CHECKPOINT_EVERY", 1, loader=loader)
    step = killed.step
    killed.step = lambda batch: step(batch) if killed.step_count < 3 else sys.exit(9)
    with pytest.raises(SystemExit):
        killed.run()
    first = losses()
    assert trainer(tmp_path / "parts", *opts, loader=loader).run()["skipped"] == 2
    assert first + losses() == complete


@pytest.mark.parametrize(
    "change", [{"epoch": "x"}, {"epoch": -1}, {"epoch": 1.5}, {"optimizer": {}}, {"optimizer": [1]}]
)
def test_resume_from_states_of_other_types(tmp_path, change):
    trainer(tmp_path, "TRAIN.EPOCH", 2, steps=1).run()
    torch.save({**torch.load(tmp_path / "checkpoint_e1.pth"), **change}, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match="is not a training state.*TRAIN.PRETRAINED"):
        trainer(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.RESUME", str(tmp_path / "odd.pth"))


def test_an_epoch_without_a_single_good_step_is_an_error(tmp_path):
    loader = noisy_batches(2)
    for batch in loader:
        batch["search"][:] = float("nan")
    with pytest.raises(RuntimeError, match="every step of epoch 1.*nothing was saved"):
        trainer(tmp_path, "TRAIN.EPOCH", 2, loader=loader).run()
    assert checkpoints(tmp_path) == []


def test_speed_is_counted_after_the_warm_up_with_its_spread():
    meter = SpeedMeter(10)
    for step in range(1, 12):
        meter.add(9.0 if step <= 5 else 1.0 if step <= 8 else 2.0, mark=step in (3, 8, 11))
        assert meter.ends_warm_up == (step == 4)
    assert meter.mean == pytest.approx(60 / 9) and meter.spread == pytest.approx(2.5)
    assert meter.line() == "FPS 6.67 +- 2.50 pairs/s, 6 steps in 2 window(s)"
    short = SpeedMeter(10)
    short.add(2.0, mark=True)
    assert short.mean == 5 and short.spread == 0
