"""Faults injected into training runs of two processes.

The same command then resumes, to the weights of an undisturbed training run.

PYSOT_SOAK=4 repeats the events of the soak four times: twenty kills and twenty-eight faults.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from helpers import ROOT, TINY, experiment, tiny_benchmark
from rank_helpers import free_port

AFTER_THE_OTHER = 15  # seconds that the second process has after the first one
PAIRS = 2  # of a step, over all processes
STEPS = 40  # of an epoch; two epochs, the backbone trains in the second
ROUNDS = int(os.environ.get("PYSOT_SOAK", "1"))  # of the soak's events


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_benchmark(tmp_path_factory.mktemp("faults"), frames=8, videos=3)


def options(data, folder, *opts: str, ranks: int = 2, workers: int = 1) -> list[str]:
    fixed = [
        "DATASET.VIDEOS_PER_EPOCH",
        str(STEPS * PAIRS),
        "TRAIN.EPOCH",
        "2",
        "TRAIN.BATCH_SIZE",
        str(PAIRS // ranks),
        "TRAIN.NUM_WORKERS",
        str(workers),
        "BACKBONE.TRAIN_EPOCH",
        "1",
        "TRAIN.PRINT_FREQ",
        "1",
        "TRAIN.CHECKPOINT_EVERY",
        "1",
        "TRAIN.RESUME",
        "auto",
        "TRAIN.SNAPSHOT_DIR",
        str(folder / "snap"),
        "TRAIN.LOG_DIR",
        str(folder / "logs"),
    ]
    return [
        "--cfg",
        experiment("quickstart"),
        "--device",
        "cpu",
        "--data_path",
        str(data),
        "--opts",
        *TINY,
        *fixed,
        *opts,
    ]


def start(
    data, folder, *opts: str, ranks: int = 2, launcher=(), workers: int = 1, arguments=(), **environment: str
) -> subprocess.Popen:
    """Start a training run of one process, or of several with torchrun."""
    begin = (
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}", *launcher]
        if ranks > 1
        else [sys.executable]
    )
    return popen(
        [
            *begin,
            str(ROOT / "tools" / "train.py"),
            *arguments,
            *options(data, folder, *opts, ranks=ranks, workers=workers),
        ],
        **environment,
    )


def popen(command: list[str], **environment: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def start_machines(
    data, folders, *opts: str, own: tuple = ((), ()), workers: int = 1, **environment: str
) -> list[subprocess.Popen]:
    """Start two processes with short time limits (faulty_train.py), as on two machines without a common disk.

    `own` are options of each process.
    """
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), **environment}
    script = str(ROOT / "test" / "tools" / "faulty_train.py")
    return [
        popen(
            [sys.executable, script, *options(data, folder, *opts, *own[rank], workers=workers)],
            **place,
            RANK=str(rank),
            LOCAL_RANK="0",
        )
        for rank, folder in enumerate(folders)
    ]


def finish(process: subprocess.Popen, limit: float = 300) -> str:
    text, _ = process.communicate(timeout=limit)
    return text


def lines(folder: Path) -> list[str]:
    """Return `[epoch][step/steps]` and loss of all steps so far, over all starts."""
    log = folder / "logs" / "train.log"
    return re.findall(r"Epoch: (\[\d+\]\[\d+/\d+\]) .*?(total_loss: [\d.]+)", log.read_text()) if log.exists() else []


def wait_for(folder: Path, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while len(lines(folder)) < count and process.poll() is None:
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.02)


def final_weights(folder: Path) -> dict:
    return torch.load(folder / "snap" / "checkpoint_e2.pth", weights_only=True)["state_dict"]


def assert_equal(one: Path, other: Path) -> None:
    a, b = final_weights(one), final_weights(other)
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def processes(folder: Path) -> dict[int, tuple[int, bytes]]:
    """Return {pid: (parent, environment)} of the training processes and their loader processes."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "cmdline").read_bytes():
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                found[int(entry.name)] = parent, (entry / "environ").read_bytes()
        except OSError:
            continue
    return found


def rank_process(folder: Path, rank: int) -> int:
    """Return the training process of a rank; its parent is not a process of that rank."""
    found = processes(folder)
    wanted = [pid for pid, (_, environment) in found.items() if f"RANK={rank}".encode() in environment.split(b"\0")]
    return next(pid for pid in wanted if found[pid][0] not in wanted)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(data, folder)
    text = finish(process)
    assert process.returncode == 0, text
    assert len(lines(folder)) == 2 * STEPS
    return folder


@pytest.mark.parametrize("target", ["all", "rank 1"])
def test_sigterm_saves_and_ends_with_a_message(data, undisturbed, tmp_path, target):
    process = start(data, tmp_path)
    wait_for(tmp_path, 5 if target == "rank 1" else STEPS + 5, process)  # a message of rank 1 takes a second or two
    os.kill(process.pid if target == "all" else rank_process(tmp_path, 1), signal.SIGTERM)
    text = finish(process)
    assert process.returncode != 0 and re.search(r"ended by SIGTERM after step \d+; its state is saved", text), text
    assert (tmp_path / "snap" / "latest.pth").exists()
    if target == "all":
        again = start(data, tmp_path)
        text = finish(again)
        assert again.returncode == 0 and "resumed from" in text, text
        assert_equal(undisturbed, tmp_path)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_process_ends_with_the_status_of_the_signal(data, tmp_path, signum, status):
    process = start(data, tmp_path, ranks=1)
    wait_for(tmp_path, 5, process)
    os.killpg(process.pid, signum)  # its loader processes get it as well, as from a terminal
    text = finish(process)
    assert process.returncode == status and f"ended by {signum.name}" in text and "Traceback" not in text, text
    assert (tmp_path / "snap" / "latest.pth").exists()


def test_torchrun_restarts_and_resumes_by_itself(data, undisturbed, tmp_path):
    process = start(data, tmp_path, "TRAIN.RESUME", "", launcher=("--max-restarts=1",))
    wait_for(tmp_path, STEPS + 5, process)
    os.kill(rank_process(tmp_path, 1), signal.SIGKILL)
    text = finish(process)
    assert process.returncode == 0 and "resumed from" in text, text
    assert_equal(undisturbed, tmp_path)


def test_a_loader_process_that_is_killed_leaves_a_state_to_resume_from(data, tmp_path):
    process = start(data, tmp_path, "TRAIN.CHECKPOINT_EVERY", "", ranks=1)
    wait_for(tmp_path, 5, process)
    loaders = [pid for pid, (parent, _) in processes(tmp_path).items() if parent == process.pid]
    os.kill(loaders[0], signal.SIGKILL)
    text = finish(process)
    assert process.returncode == 2 and "Traceback" not in text, text
    assert "a loader process died" in text and "TRAIN.NUM_WORKERS" in text, text
    again = start(data, tmp_path, ranks=1)
    text = finish(again)
    assert again.returncode == 0 and re.search(r"resumed from .*latest.pth: epoch 1, step \d+ is next", text), text
    assert len(dict(lines(tmp_path))) == 2 * STEPS


def test_crops_that_cannot_be_read_are_reported_at_the_end_of_the_epoch(tmp_path):
    data = tiny_benchmark(tmp_path / "data", frames=8, videos=3)
    crops = sorted((data / "training_dataset" / "quickstart" / "crop511").rglob("*.jpg"))
    crops[0].unlink()
    crops[9].write_bytes(crops[9].read_bytes()[:200])
    process = start(data, tmp_path, "TRAIN.EPOCH", "1", "TRAIN.LR_WARMUP.WARMUP", "False")
    text = finish(process)
    assert process.returncode == 0, text
    assert re.search(r"epoch 1: \d+ crops could not be read and were replaced by other draws", text)
    assert re.search(rf"epoch 1: .*{re.escape(crops[0].name)}", text) and re.search(
        rf"epoch 1: .*{re.escape(crops[9].name)}", text
    ), text


def both(machines: list[subprocess.Popen], limit: float = 60, after: float = AFTER_THE_OTHER) -> list[tuple[int, str]]:
    """Return status and output of both. The second is killed if it has not ended `after` seconds after the first."""
    found, end = {}, time.monotonic() + limit
    while len(found) < 2 and time.monotonic() < end:
        for i, machine in enumerate(machines):
            if i not in found and machine.poll() is not None:
                found[i], end = machine.communicate()[0], min(end, time.monotonic() + after)
        time.sleep(0.1)
    for i in {0, 1} - set(found):
        os.killpg(machines[i].pid, signal.SIGKILL)
        found[i] = machines[i].communicate()[0]
        found[i] += "\nTHE TEST ENDED IT"
    return [(machine.returncode, found[i]) for i, machine in enumerate(machines)]


def test_rank_0_decides_where_machines_without_a_common_disk_go_on(data, undisturbed, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    machines = start_machines(data, folders)
    wait_for(folders[0], STEPS + 5, machines[0])
    for machine in machines:
        os.killpg(machine.pid, signal.SIGKILL)
    both(machines)
    assert not (folders[1] / "snap").exists()
    results = both(start_machines(data, folders), limit=120)
    assert [status for status, _ in results] == [0, 0] and "resumed from" in results[0][1], results
    assert_equal(undisturbed, folders[0])


def test_ranks_that_would_do_different_things_are_refused(data, tmp_path):
    results = both(start_machines(data, [tmp_path / "a", tmp_path / "b"], own=((), ("TRAIN.BASE_LR", "0.001"))))
    assert [status for status, _ in results] == [2, 2], results
    assert all(
        re.search(r"do not agree on config TRAIN.BASE_LR: [\d.]+ in rank 0, 0.001 in rank 1", text)
        for _, text in results
    ), results


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_ends_a_process_that_waits_in_a_collective(data, tmp_path, signals):
    folders = [tmp_path / "a", tmp_path / "b"]
    machines = start_machines(data, folders, FAULT="hang@12", FAULT_RANK="1")
    wait_for(folders[0], 11, machines[0])
    time.sleep(0.5)
    began = time.monotonic()
    for _ in range(signals):
        os.kill(machines[0].pid, signal.SIGTERM)
        time.sleep(0.3)
    machines[0].wait(timeout=20)
    assert machines[0].returncode == 143 and time.monotonic() - began < (8 if signals == 1 else 5)
    assert "did not end within" in both(machines)[0][1]


def test_a_signal_before_the_first_step_ends_at_once(data, tmp_path):
    machines = start_machines(data, [tmp_path / "a", tmp_path / "b"])
    os.killpg(machines[1].pid, signal.SIGKILL)  # the other waits for it
    time.sleep(15)  # on a loaded machine, until it has started
    began = time.monotonic()
    os.kill(machines[0].pid, signal.SIGINT)
    machines[0].wait(timeout=20)
    assert machines[0].returncode == 130 and time.monotonic() - began < 6
    both(machines)


def test_weights_that_are_no_numbers_are_not_written(data, tmp_path):
    machines = start_machines(
        data, [tmp_path / "a", tmp_path / "b"], "TRAIN.CHECKPOINT_EVERY", "3", FAULT="nan@5", FAULT_RANK="0"
    )
    status, text = both(machines)[0]
    assert status == 2 and re.search(
        r"latest.pth was not written: the network holds NaN or infinity in rpn_head", text
    ), text
    assert f"the last good state is {tmp_path / 'a' / 'snap' / 'latest.pth'}" in text, text
    assert torch.load(tmp_path / "a" / "snap" / "latest.pth", weights_only=True)["pairs"] == 3 * PAIRS


def test_two_runs_do_not_write_into_one_folder(data, tmp_path):
    long = ("DATASET.VIDEOS_PER_EPOCH", "10000")  # the first does not end before the second starts
    first = start(data, tmp_path, *long, ranks=1)
    wait_for(tmp_path, 3, first)
    second = popen(
        [
            sys.executable,
            str(ROOT / "test" / "tools" / "faulty_train.py"),
            "--seed",
            "7",
            *options(data, tmp_path, *long, ranks=1),
        ]
    )
    text = finish(second)
    assert second.returncode == 2 and re.search(
        rf"snap is in use by another run \(process {first.pid} on .*TRAIN.SNAPSHOT_DIR", text
    ), text
    os.kill(first.pid, signal.SIGTERM)
    finish(first)
    after = start(data, tmp_path, *long, ranks=1, arguments=("--seed", "7"))
    text = finish(after)
    assert after.returncode == 2 and "is of another run: the seed was 123456 and is 7" in text, text


def flip_bytes(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 + rng.randint(-1000, 1000)
    content[middle : middle + 64] = bytes(byte ^ 255 for byte in content[middle : middle + 64])
    path.write_bytes(content)


# Rank that has the fault, and the message of rank 0. Rank 0 writes checkpoints.
FAULTS = {
    "hang": ("1", "a rank hangs: rank 0 is in step"),
    "freeze": ("1", "rank 1 has died or hangs"),
    "loader": ("1", "no batch has come for 4 s: a loader process"),
    "lost": ("1", "has died|no answer|failed: "),
    "disk": ("0", "No space left"),
    "nan": ("0", "holds NaN"),
}


def test_a_soak_of_kills_and_faults(data, undisturbed, tmp_path):
    """Two machines have separate folders. Every start resumes from the last good state or is refused with a reason.

    Whatever hangs, both processes end. The last start ends with the weights and losses of an undisturbed run.
    """
    rng, folders = random.Random(15), [tmp_path / "a", tmp_path / "b"]
    events = (["kill"] * 5 + ["flipped bytes", *FAULTS]) * ROUNDS
    rng.shuffle(events)
    for event in events:
        began = time.monotonic()
        if event in FAULTS:
            start_with_fault(
                data, folders, event, step=4 if event in ("hang", "freeze", "loader") else rng.randint(1, 3)
            )
        else:
            kill_after_some_steps(data, folders, rng)
        if event == "lost":
            shutil.rmtree(folders[1], ignore_errors=True)
        latest = folders[0] / "snap" / "latest.pth"
        if event == "flipped bytes" and latest.exists():
            flip_bytes(latest, rng)
            refused = both(start_machines(data, folders))
            assert refused[0][0] == 2 and "does not have its checksum" in refused[0][1] and refused[1][0] != 0, refused
            latest.unlink()  # the remedy of the message: resume from an earlier one
        assert time.monotonic() - began < 60, event
    results = both(start_machines(data, folders), limit=200)
    assert [status for status, _ in results] == [0, 0], results
    assert_equal(undisturbed, folders[0])
    assert dict(lines(folders[0])) == dict(lines(undisturbed)), "the losses of every step"


def start_with_fault(data, folders, fault: str, step: int) -> None:
    """Start both; the fault happens at a step of this start, and both end. The test kills a frozen process."""
    rank, words = FAULTS[fault]
    machines = start_machines(
        data, folders, workers=1 if fault == "loader" else 0, FAULT=f"{fault}@{step}", FAULT_RANK=rank
    )
    results = both(machines, after=1 if fault == "freeze" else AFTER_THE_OTHER)
    assert results[0][0] not in (0, None) and results[1][0] != 0 and re.search(words, results[0][1]), (fault, results)
    assert "THE TEST ENDED IT" not in results[0][1], (fault, results)
    assert ("THE TEST ENDED IT" in results[1][1]) == (fault == "freeze"), (fault, results)


def kill_after_some_steps(data, folders, rng: random.Random) -> None:
    """Start both, with or without a loader process, and kill both after one to three further steps."""
    machines = start_machines(data, folders, workers=rng.randint(0, 1))
    wait_for(folders[0], len(lines(folders[0])) + rng.randint(1, 3), machines[0])
    time.sleep(rng.random() * 0.2)
    for machine in machines:
        os.killpg(machine.pid, signal.SIGKILL)
    both(machines)
