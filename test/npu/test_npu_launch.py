"""Launch scripts on NPUs, and training runs in which a rank ends or a card is busy."""

import os
import re
import subprocess
import sys

import pytest

from helpers import ROOT, SIMULATED, TINY, checkpoints, copy_of_repository, run_script, tiny_benchmark
from launch_helpers import fields, final_lines
from rank_helpers import outcome, start_fated_ranks

pytestmark = pytest.mark.npu
OPTS = " ".join([*TINY, "DATASET.VIDEOS_PER_EPOCH 16 BACKBONE.TRAIN_EPOCH 1 TRAIN.PRINT_FREQ 2"])
ARGUMENTS = [
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
    return tiny_benchmark(tmp_path_factory.mktemp("data"), videos=3)


def run(script, copy, data, *more):
    return run_script(script, copy, f"--data_path={data}", *ARGUMENTS, *more)


def test_full_1p_across_the_unfreeze(copy, data):
    done = run("train_full_1p.sh", copy, data)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 process(es) on cpu" not in done.stdout and "trained parts: backbone, rpn_head" in done.stdout
    assert checkpoints(copy / "snapshot_1p") == ["checkpoint_e1.pth", "checkpoint_e2.pth"]
    values = fields(copy / "test" / "output" / "0" / "SiamRPN_for_PyTorch_bs2_1p_acc.log")
    final = final_lines(done.stdout)
    assert values["TrainAccuracy"] == final["Final Train Accuracy"] and 0 <= float(values["TrainAccuracy"]) <= 1
    assert values["ActualFPS"] == final["Final Performance images/sec"]
    assert values["RankSize"] == "1" and float(values["ActualLoss"]) > 0


def test_performance_8p(copy, data):
    done = run(
        "train_performance_8p.sh", copy, data, "--max_steps=6", f"--opts={OPTS.replace('EPOCH 16', 'EPOCH 160')}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    output = copy / "test" / "output" / "0"
    assert "8 process(es) on" in done.stdout and re.search(r"8 process\(es\) on (?!cpu)", done.stdout)
    assert fields(output / "SiamRPN_for_PyTorch_bs2_8p_perf.log")["RankSize"] == "8"
    assert {f"train_{rank}.log" for rank in range(8)} <= set(os.listdir(output)) and not (copy / "snapshot_8p").exists()


def test_full_8p_ended_by_max_steps_and_evaluated_on_the_cards(copy, data):
    done = run("train_full_8p.sh", copy, data, "--max_steps=1", "--rank_size=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkpoints(copy / "snapshot_8p") == ["latest.pth"]
    assert re.search(r"\| +latest +\|", done.stdout) and "Final Train Accuracy : " in done.stdout


@pytest.mark.parametrize(
    ("fate", "words"), [("killed", "rank 1 has died"), ("fails", "rank 1 failed: ValueError: no such crop")]
)
def test_a_rank_that_ends_ends_the_others(fate, words):
    status, text = outcome(start_fated_ranks(fate, 1, "npu"))[0]
    assert status not in (0, None) and words in text, (status, text)


def test_ranks_that_live_end_in_order():
    assert [status for status, _ in outcome(start_fated_ranks("lives", device="npu", size=3))] == [0, 0, 0]


def choose(name: str, **environment: str) -> subprocess.CompletedProcess:
    code = f"from pysot.utils.device import choose_device; print(choose_device({name!r}))"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not SIMULATED, reason="a card is made busy by the simulator")
def test_a_busy_card_is_named():
    done = choose("npu:2", NPU_SIM_BUSY="2")
    assert done.returncode != 0, done.stderr
    assert "device npu:2 exists but cannot be opened" in done.stderr and "npu-smi info" in done.stderr, done.stderr


def test_visible_cards():
    assert choose("npu:1", ASCEND_RT_VISIBLE_DEVICES="0,1").stdout.strip() == "npu:1"
    done = choose("npu:2", ASCEND_RT_VISIBLE_DEVICES="0,1")
    assert done.returncode != 0, done.stderr
    assert "this process sees 2 npu device(s)" in done.stderr, done.stderr
    assert "ASCEND_RT_VISIBLE_DEVICES (0,1)" in done.stderr, done.stderr


def test_doctor():
    environment = {**os.environ, "NPU_SIM_DEVICES": "2"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "doctor.py"), "--run"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert re.search(r"   npu:0 +\S+, [\d.]+ of [\d.]+ GiB free", done.stdout), done.stdout + done.stderr
    assert "sum over two devices works" in done.stdout, done.stdout + done.stderr
    assert "import torch               works" in done.stdout
    cards = re.findall(r"== run on (npu:\d+)\n((?:   .* error .* of at most .* s\n)+)", done.stdout)
    assert len(cards) >= 1 and all(lines.count("\n") == 6 for _, lines in cards), done.stdout
    assert not SIMULATED or len(cards) == 2 and done.stdout.count("sum over two devices works") == 2, done.stdout


@pytest.mark.skipif(not SIMULATED, reason="a card is made busy by the simulator")
def test_the_doctor_continues_with_the_other_cards():
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "NPU_SIM_DEVICES": "3", "NPU_SIM_BUSY": "1", "PYTHONPATH": path}
    code = (
        "from pysot.utils.doctor_run import run_all\n"
        "for finding in run_all(): print(finding.section, finding.name, finding.problem, sep=': ')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    busy = r"run on npu:1: start: .*device npu:1 exists but cannot be opened"
    assert done.returncode == 0 and re.search(busy, done.stdout), done.stdout + done.stderr
    assert "run on npu:0: optimizer step: \n" in done.stdout and "run on npu:2: copy: \n" in done.stdout, done.stdout
    assert re.search(r"run: hccl: rank 1: .*npu:1 exists but cannot be opened", done.stdout), done.stdout


def test_env_npu_sets_what_torch_npu_reads():
    import torch_npu

    names = set(re.findall(r'export (\w+)="', (ROOT / "test" / "env_npu.sh").read_text()))
    assert len(names) == 4
    libraries = (ROOT.__class__(torch_npu.__file__).parent / "lib").glob("libtorch_npu.so")
    library = b"".join(path.read_bytes() for path in libraries)
    assert [name for name in names if name.encode() not in library] == []
