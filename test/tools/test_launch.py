"""Launch scripts of test/ on a CPU, in a copy of the repository whose path has a space: output, files, failures."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers import ROOT, TINY, checkpoints, copy_of_repository, run_script, tiny_benchmark
from launch_helpers import fields, final_lines

SCRIPTS = sorted((ROOT / "test").glob("*.sh"))
OPTS = " ".join([*TINY, "DATASET.VIDEOS_PER_EPOCH 8 BACKBONE.TRAIN_EPOCH 1 TRAIN.PRINT_FREQ 2"])
ARGUMENTS = [
    "--device=cpu",
    "--config=../experiments/quickstart/config.yaml",
    "--batch_size=2",
    "--train_epochs=2",
    "--workers=0",
    f"--opts={OPTS}",
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return copy_of_repository(tmp_path_factory.mktemp("launch"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_benchmark(tmp_path_factory.mktemp("with space"))


def run(script, copy, data, *more, **environment):
    return run_script(script, copy, f"--data_path={data}", *ARGUMENTS, *more, **environment)


def test_full_1p_then_again_then_a_range(copy, data):
    done = run("train_full_1p.sh", copy, data)
    assert done.returncode == 0, done.stdout + done.stderr
    output = copy / "test" / "output" / "0"
    assert checkpoints(copy / "snapshot_1p") == ["checkpoint_e1.pth", "checkpoint_e2.pth"]
    final = final_lines(done.stdout)
    assert list(final) == [
        "Speed pairs/s",
        "Final Performance images/sec",
        "Final Train Accuracy",
        "E2E Training Duration sec",
    ]
    values = fields(output / "SiamRPN_for_PyTorch_bs2_1p_acc.log")
    assert (
        values["ActualFPS"] == final["Final Performance images/sec"]
        and values["TrainAccuracy"] == final["Final Train Accuracy"]
    )
    assert (
        values["RankSize"] == "1"
        and values["BatchSize"] == "2"
        and float(values["ActualLoss"]) > 0
        and int(values["E2ETrainingTime"]) > 0
    )
    assert float(values["TrainingTime"]) == pytest.approx(2000 / float(values["ActualFPS"]), abs=0.01)
    assert 0 <= float(values["TrainAccuracy"]) <= 1
    table = (output / "SiamRPN_for_PyTorch_1p_acc.log").read_text()
    assert re.search(rf"\| checkpoint_e2 \|.*\| {values['TrainAccuracy']} \|", table), table
    speed = (output / "train_per_0.log").read_text()
    assert re.search(r"FPS [\d.]+ ", speed) and "Progress: 8 / 8 [100%], Speed: " in speed
    log = (output / "train_0.log").read_text()
    assert (
        "trained parts: rpn_head" in log
        and "trained parts: backbone, rpn_head" in log
        and "Epoch: [2][4/4] lr: 0." in log
    )

    again = run("train_full_1p.sh", copy, data)
    assert again.returncode == 0 and "all epochs are trained" in again.stdout, again.stderr
    assert final_lines(again.stdout)["Final Performance images/sec"] == values["ActualFPS"]

    ranged = run("train_eval_1p.sh", copy, data, "--epochs=1-2", "--rank_size=2")
    assert ranged.returncode == 0, ranged.stderr
    assert re.search(r"\| checkpoint_e1 \|", ranged.stdout) and re.search(r"\| checkpoint_e2 \|.*", ranged.stdout)
    assert re.search(r"best EAO : [\d.]+ checkpoint_e[12]\n", ranged.stdout)
    assert list(final_lines(ranged.stdout)) == ["Final Train Accuracy", "E2E Training Duration sec"]


def test_performance_on_several_ranks(copy, data):
    done = run(
        "train_performance_8p.sh",
        copy,
        data,
        "--rank_size=2",
        "--max_steps=9",
        "--device_id=3",
        "--workers=-1",
        "--opts=" + OPTS.replace("EPOCH 8", "EPOCH 80"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    output = copy / "test" / "output" / "3"
    values = fields(output / "SiamRPN_for_PyTorch_bs2_2p_perf.log")
    final = final_lines(done.stdout)
    assert (
        values["RankSize"] == "2"
        and values["TrainAccuracy"] == "-"
        and values["ActualFPS"] == final["Final Performance images/sec"]
    )
    assert re.fullmatch(r"mean [\d.]+, spread [\d.]+", final["Speed pairs/s"])
    assert float(values["TrainingTime"]) == pytest.approx(4000 / float(values["ActualFPS"]), abs=0.01)
    assert "4 steps in 3 window(s)" in (output / "train_per_3.log").read_text()
    assert (
        (output / "train_0.log").exists() and (output / "train_1.log").exists() and not (copy / "snapshot_8p").exists()
    )


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("train_full_1p.sh", ["--batchsize=2"], "unknown argument --batchsize=2; --help lists all"),
        ("train_full_1p.sh", ["fast"], "expected --name=value, got fast"),
        ("train_full_8p.sh", ["--device=gpu"], "--device: expected npu, cuda or cpu, got gpu"),
        ("train_full_8p.sh", ["--batch_size=two"], "--batch_size: expected a whole number, got two"),
        ("train_full_8p.sh", ["--data_path=/nowhere"], "--data_path: there is no /nowhere"),
        ("train_full_8p.sh", ["--deterministic=yes"], "--deterministic: expected true or false, got yes"),
        ("train_full_8p.sh", ["--precision_mode=O3"], "--precision_mode: expected fp32, fp16, bf16"),
        ("train_full_1p.sh", ["--dataset=VOT2099"], "no data set VOT2099"),
        ("train_eval_1p.sh", ["--epochs=7-8"], "there is no checkpoint"),
        ("train_eval_1p.sh", ["--epochs=x"], "--epochs: expected A or A-B"),
        ("train_full_1p.sh", ["--resume=gone.pth"], "--resume: there is no gone.pth"),
        ("train_full_1p.sh", ["--device_id=../../evil"], "--device_id: expected a whole number, got ../../evil"),
        ("train_full_1p.sh", ["--device_id="], "--device_id: expected a whole number, got nothing"),
        (
            "train_full_8p.sh",
            ["--nnodes=2", "--node_rank=5"],
            "--node_rank: expected a number below --nnodes=2, counted from 0; got 5",
        ),
        ("train_full_8p.sh", ["--nnodes=0"], "--node_rank: expected a number below --nnodes=0"),
        ("train_full_8p.sh", ["--master_port=99999"], "--master_port: expected a number from 1 to 65535, got 99999"),
        ("train_full_8p.sh", ["--node_rank=one"], "--node_rank: expected a whole number, got one"),
        ("train_full_1p.sh", ["--output_path=/proc/nowhere"], "--output_path: cannot make /proc/nowhere"),
    ],
)
def test_mistakes_are_told_before_any_work(copy, data, script, arguments, words):
    done = run(script, copy, data, *arguments)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_help_names_every_argument(copy):
    done = run_script("train_full_8p.sh", copy, "--help")
    known = re.search(r"declare -A ARG=\((.*?)\n\)", (ROOT / "test" / "launch.sh").read_text(), re.DOTALL).group(1)
    assert done.returncode == 0
    for name in re.findall(r"\[(\w+)\]=", known):
        assert f"--{name}=" in done.stdout, name


def test_training_runs_of_two_seeds_do_not_mix(copy, data, tmp_path):
    """Another seed on another card is refused in the same folder; from scratch it moves the old checkpoints aside."""
    place = tmp_path / "outputs"
    arguments = (f"--output_path={place}", "--train_epochs=1")
    one = run("train_full_1p.sh", copy, data, *arguments)
    assert one.returncode == 0, one.stderr
    assert checkpoints(place / "snapshot_1p") == ["checkpoint_e1.pth"] and (place / "0" / "train_0.log").exists()
    assert "the training run ends after epoch 1; its learning rates are those of a schedule of " in one.stdout
    other = ("--device_id=1", "--seed=7")
    mixed = run("train_full_1p.sh", copy, data, *arguments, *other)
    assert mixed.returncode == 2 and "--output_path" in mixed.stderr, mixed.stderr
    assert "is of another run: the seed was 123456 and is 7" in mixed.stderr, mixed.stderr
    assert "Final Train Accuracy" not in mixed.stdout
    scratch = run("train_full_1p.sh", copy, data, *arguments, *other, "--resume=none")
    assert scratch.returncode == 0, scratch.stderr
    assert checkpoints(place / "snapshot_1p") == ["checkpoint_e1.pth", "earlier_1"]
    assert (place / "1" / "train_1.log").exists()


@pytest.mark.parametrize("script", ["train_full_1p.sh", "train_performance_8p.sh"])
def test_a_failing_training_ends_with_its_status_and_log(copy, data, script):
    done = run(
        script,
        copy,
        data,
        "--rank_size=1" if "1p" in script else "--rank_size=2",
        "--opts=TRAIN.EPOCHS 3",
        "--resume=none",
    )
    assert (
        done.returncode not in (0, None) and "did you mean TRAIN.EPOCH" in done.stderr and "The end of " in done.stderr
    ), done.stderr
    assert "Final" not in done.stdout


def process_of_rank(copy: Path, rank: int) -> int:
    """Return the process id of a rank of the training run in this copy."""
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdigit()
                and b"tools/train.py" in (entry / "cmdline").read_bytes()
                and (entry / "cwd").resolve() == copy
            ):
                if f"RANK={rank}".encode() in (entry / "environ").read_bytes().split(b"\0") and os.stat(entry / "exe"):
                    return int(entry.name)
        except OSError:
            continue
    return 0


def test_a_killed_rank_is_named(copy, data):
    result = []
    opts = OPTS.replace("EPOCH 8", "EPOCH 80000")
    thread = threading.Thread(
        target=lambda: result.append(
            run("train_performance_8p.sh", copy, data, "--rank_size=2", "--max_steps=40000", f"--opts={opts}")
        )
    )
    thread.start()
    log = copy / "test" / "output" / "0" / "train_0.log"
    log.unlink(missing_ok=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.exists() and "Progress" in log.read_text()):
        time.sleep(0.3)
    os.kill(process_of_rank(copy, 1), signal.SIGKILL)
    began = time.monotonic()
    thread.join(timeout=60)
    assert not thread.is_alive() and time.monotonic() - began < 60
    text = result[0].stderr
    assert result[0].returncode != 0 and "rank 1 of the training ended with status" in text and "SIGKILL" in text, text


def test_a_port_that_is_taken_ends_the_script(copy, data):
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run("train_performance_8p.sh", copy, data, "--rank_size=2", f"--master_port={port}")
    assert (
        done.returncode == 2 and f"--master_port: port {port} cannot be used (address already in use" in done.stderr
    ), done.stderr
    assert "Traceback" not in done.stderr


def test_two_machines(copy, data, tmp_path):
    """Two copies act as two machines, with one rank each."""
    other = tmp_path / "other"
    shutil.copytree(copy, other, ignore=shutil.ignore_patterns("output", "snapshot*"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    results = {}

    def node(number, folder):
        results[number] = run(
            "train_performance_8p.sh",
            folder,
            data,
            "--rank_size=1",
            "--nnodes=2",
            f"--node_rank={number}",
            f"--master_port={port}",
            "--max_steps=3",
        )

    threads = [threading.Thread(target=node, args=pair) for pair in ((0, copy), (1, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert [results[i].returncode for i in (0, 1)] == [0, 0], results[0].stderr + results[1].stderr
    assert "2 process(es) on cpu" in results[0].stdout
    assert (other / "test" / "output" / "0" / "train_1.log").exists()


def test_shellcheck():
    program = shutil.which("shellcheck") or next(iter(Path(sys.prefix).glob("bin/shellcheck")), None)
    if program is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([str(program), "-x", *map(str, SCRIPTS)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def sourced(home: Path, **environment: str) -> dict[str, str]:
    command = f'set -euo pipefail; source "{ROOT}/test/env_npu.sh" >/dev/null 2>&1; env -0'
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **environment}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
    return dict(entry.split("=", 1) for entry in done.stdout.split("\0") if "=" in entry)


@pytest.mark.parametrize(
    ("cores", "visible", "cards", "conf"),
    [
        (192, "", "0 1 2 3 4 5 6 7", "2," + ",".join(f"npu{i}:{24 * i}-{24 * i + 23}" for i in range(8))),
        (192, "5", "0 1 2 3 4 5 6 7", "2,npu0:120-143"),
        (192, "3", "0 1 2 3 4 5 6 7", "2,npu0:72-95"),  # two jobs with a card each
        (192, "6,2", "0 1 2 3 4 5 6 7", "2,npu0:144-167,npu1:48-71"),
        (65, "", "0 1", "2,npu0:0-31,npu1:32-63"),
        (4, "", "0", "2,npu0:0-3"),
        (192, "", "", "0"),
        (192, "", "3", "0"),
        (192, "", "4 5 6 7", "0"),
        (192, "8", "0 1", "0"),
        (192, "0-3", "0 1 2 3", "0"),
        (4, "", "0 1 2 3 4 5 6 7", "0"),
    ],
)
def test_cards_have_the_cores_of_their_number(cores, visible, cards, conf):
    command = f'set -euo pipefail; source "{ROOT}/test/env_npu.sh"; cores_of_cards {cores} "{visible}" {cards}'
    done = subprocess.run(
        ["bash", "-c", command],
        env={"PATH": os.environ["PATH"], "etp_running_flag": "true"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, conf), done.stderr


def test_env_npu_finds_cann_and_keeps_what_the_user_set(tmp_path):
    script = tmp_path / "Ascend" / "ascend-toolkit" / "set_env.sh"
    script.parent.mkdir(parents=True)
    script.write_text(f"export ASCEND_HOME_PATH='{script.parent}' UNSET_BEFORE=$NOT_SET_ANYWHERE\n")
    env = sourced(tmp_path)
    assert env["ASCEND_HOME_PATH"] == str(script.parent) and env["TASK_QUEUE_ENABLE"] == "2"
    assert env["CPU_AFFINITY_CONF"] == "0" or list(Path("/dev").glob("davinci[0-9]*"))  # no card, nothing to bind
    env = sourced(tmp_path, TASK_QUEUE_ENABLE="1", CPU_AFFINITY_CONF="", ASCEND_HOME_PATH=str(tmp_path))
    assert (
        env["TASK_QUEUE_ENABLE"] == "1" and env["CPU_AFFINITY_CONF"] == "" and env["ASCEND_HOME_PATH"] == str(tmp_path)
    )
    env = sourced(tmp_path, etp_running_flag="true")
    assert not {"ASCEND_HOME_PATH", "TASK_QUEUE_ENABLE", "HCCL_CONNECT_TIMEOUT"} & set(env)
