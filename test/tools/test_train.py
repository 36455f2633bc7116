"""From annotated frames to a scored snapshot with the commands of the README, and error messages."""

import os
import re
import subprocess
import sys

import pytest
import torch

from helpers import POINTS, ROOT, TINY, experiment, moving_square

DATA = [
    "DATASET.SQUARES.ROOT",
    "data/crop511",
    "DATASET.SQUARES.ANNO",
    "data/train.json",
    "DATASET.NAMES",
    "[SQUARES]",
    "DATASET.VIDEOS_PER_EPOCH",
    "8",
]
RUN = [
    "TRAIN.EPOCH",
    "2",
    "TRAIN.BATCH_SIZE",
    "2",
    "TRAIN.NUM_WORKERS",
    "0",
    "TRAIN.PRINT_FREQ",
    "2",
    "TRAIN.SNAPSHOT_DIR",
    "snap",
    "TRAIN.LOG_DIR",
    "logs",
]


def tool(name: str, *arguments, cwd, launcher=()) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = [sys.executable, "-m", "torch.distributed.run", *launcher] if launcher else [sys.executable]
    return subprocess.run(
        [*start, str(ROOT / "tools" / name), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def train(folder, *opts, arguments=(), **more) -> subprocess.CompletedProcess:
    return tool(
        "train.py",
        "--cfg",
        experiment("quickstart"),
        "--device",
        "cpu",
        *arguments,
        "--opts",
        *TINY,
        *DATA,
        *RUN,
        *opts,
        cwd=folder,
        **more,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("with space")
    for i in range(3):
        moving_square(folder / "raw" / f"square{i}", seed=i)
    (folder / "raw" / "list.txt").write_text("square0\nsquare1\nsquare2\n")
    done = tool("prepare_data.py", "vot", "raw", "--out", "data", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_train_resume_track_and_score(folder):
    done = train(folder)
    assert done.returncode == 0, done.stderr
    for line in (
        r"Epoch: \[2\]\[4/4\] lr: 0\.",
        r"Progress: 8 / 8 \[100%\], Speed: [\d.]+ s/iter, ETA 0:00:00",
        r"FPS [\d.]+",
    ):
        assert re.search(line, done.stderr), line
        assert re.search(line, (folder / "logs" / "train.log").read_text()), line
    for line in (r"Final Performance images/sec : [\d.]+\n", r"E2E Training Duration sec : \d+\n"):
        assert re.search(line, done.stdout), line
    assert list((folder / "logs").glob("events.*")), "TensorBoard file"
    complete = torch.load(folder / "snap" / "checkpoint_e2.pth", weights_only=True)

    again = train(
        folder, "TRAIN.RESUME", "snap/checkpoint_e1.pth", "TRAIN.SNAPSHOT_DIR", "again", "TRAIN.NUM_WORKERS", "1"
    )
    assert again.returncode == 0, again.stderr
    resumed = torch.load(folder / "again" / "checkpoint_e2.pth", weights_only=True)
    assert all(torch.equal(value, resumed["state_dict"][name]) for name, value in complete["state_dict"].items())

    scored = tool(
        "test.py",
        "--config",
        experiment("quickstart"),
        "--snapshot",
        "snap/checkpoint_e2.pth",
        "--dataset",
        "raw",
        "--datasetdir",
        ".",
        "--device",
        "cpu",
        "--opts",
        *TINY,
        cwd=folder,
    )
    assert scored.returncode == 0, scored.stderr
    assert (
        "| checkpoint_e2 |" in scored.stdout
        and (folder / "results" / "raw" / "checkpoint_e2" / "baseline" / "square0" / "square0_001.txt").exists()
    )


def test_two_processes(folder):
    done = train(folder, "TRAIN.SNAPSHOT_DIR", "two", launcher=("--standalone", "--nproc_per_node=2"))
    assert done.returncode == 0, done.stderr
    assert "2 process(es) on cpu" in done.stderr and "Epoch: [2][2/2]" in done.stderr
    assert done.stdout.count("Final Performance images/sec") == 1
    assert (folder / "two" / "checkpoint_e2.pth").exists()


def test_a_network_without_anchors_trains_and_resumes(folder):
    opts = [*POINTS, "TRAIN.LOG_GRADS", "True", "TRAIN.LOG_PICTURES", "2", "TRAIN.SNAPSHOT_DIR"]
    done = train(folder, *opts, "points")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Epoch: \[2\]\[4/4\].*cls_loss: [\d.]+.*loc_loss: 0\.\d+", done.stderr), done.stderr
    complete = torch.load(folder / "points" / "checkpoint_e2.pth", weights_only=True)
    assert {name.split(".")[0] for name in complete["state_dict"]} == {"backbone", "head"}
    again = train(folder, *opts, "points_again", "TRAIN.RESUME", "points/checkpoint_e1.pth")
    assert again.returncode == 0, again.stderr
    resumed = torch.load(folder / "points_again" / "checkpoint_e2.pth", weights_only=True)
    assert all(torch.equal(value, resumed["state_dict"][name]) for name, value in complete["state_dict"].items())


def test_speed_run(folder):
    done = train(folder, "TRAIN.SNAPSHOT_DIR", "none", arguments=("--is_performance", "--max_step", "3"))
    assert done.returncode == 0, done.stderr
    assert "Progress: 3 / 3" in done.stderr and "FPS " in done.stderr and not (folder / "none").exists()


@pytest.mark.parametrize(
    ("opts", "sentence"),
    [
        (("TRAIN.EPOCHS", "3"), "unknown config key TRAIN.EPOCHS; did you mean TRAIN.EPOCH"),
        (("TRAIN.EPOCH", "three"), "TRAIN.EPOCH: expected a whole number"),
        (("TRAIN.OUTPUT_SIZE", "25"), "TRAIN.OUTPUT_SIZE"),
        (("TRAIN.RESUME", "gone.pth"), "gone.pth"),
        (("BACKBONE.PRETRAINED", "gone.model"), "BACKBONE.PRETRAINED"),
        (("TRAIN.SNAPSHOT_DIR", "raw/list.txt"), "cannot write"),
        (("DATASET.SQUARES.ANNO", "gone.json"), "gone.json"),
        (("TRAIN.BATCH_SIZE", "9"), "VIDEOS_PER_EPOCH"),
    ],
)
def test_mistakes_are_sentences(folder, opts, sentence):
    done = train(folder, *opts)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("arguments", [("--max_step", "0"), ("--max_step", "-3"), ("--seed", "-1")])
def test_numbers_out_of_range(folder, arguments):
    done = train(folder, arguments=arguments)
    assert done.returncode == 2 and arguments[0] in done.stderr and "expected" in done.stderr


def test_a_truncated_annotation_is_named(folder):
    text = (folder / "data" / "train.json").read_text()
    (folder / "cut.json").write_text(text[: len(text) // 2])
    done = train(folder, "DATASET.SQUARES.ANNO", "cut.json")
    assert done.returncode == 2 and "cut.json is cut off" in done.stderr, done.stderr


def test_convert_pretrained(folder):
    done = tool("convert_pretrained.py", "resnet50", "snap/none.pth", "out.model", cwd=folder)
    assert done.returncode == 2 and "none.pth" in done.stderr and not (folder / "out.model").exists()


LIMITED = (
    "import resource, runpy, sys; kind, limit = getattr(resource, sys.argv[1]), int(sys.argv[2]); "
    "resource.setrlimit(kind, (limit, limit)); "
    "sys.path.insert(0, sys.argv[3]); sys.argv = sys.argv[4:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.mark.parametrize(
    ("kind", "limit", "words"),
    [
        (
            "RLIMIT_AS",
            500 << 20,
            "limited to 500 MiB of address space (ulimit -v), and the libraries alone need 1024",
        ),
        ("RLIMIT_NOFILE", 32, "this process may open 32 files (ulimit -n), and 1 loader process(es) need 112"),
    ],
)
def test_small_limits_end_in_words(folder, kind, limit, words):
    tools = ROOT / "tools"
    command = [
        sys.executable,
        "-c",
        LIMITED,
        kind,
        str(limit),
        str(tools),
        str(tools / "train.py"),
        "--cfg",
        experiment("quickstart"),
        "--device",
        "cpu",
    ]
    values = ["--opts", *TINY, *DATA, *RUN, "TRAIN.NUM_WORKERS", "1", "TRAIN.SNAPSHOT_DIR", "limited"]
    done = subprocess.run([*command, *values], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_a_log_on_a_full_disk_costs_its_lines_and_a_sentence(tmp_path):
    code = (
        "import logging, resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import _cli; "
        "_cli.prepare_process(); _cli.setup_logging(file=Path(sys.argv[2])); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
        "[logging.info('line %d', n) for n in range(500)]; print('done')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "tools"), str(tmp_path / "train.log")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr
    assert done.stderr.count("cannot be written") == 1 and "Traceback" not in done.stderr, done.stderr


def test_deterministic_runs_are_the_same_bits(folder):
    states, opts = [], ["TRAIN.EPOCH", "1", "TRAIN.LR_WARMUP.WARMUP", "False", "BACKBONE.TRAIN_EPOCH", "0"]
    for name in ("one", "two"):
        done = train(folder, "TRAIN.SNAPSHOT_DIR", name, *opts, arguments=("--deterministic", "--max_step", "3"))
        assert done.returncode == 0, done.stderr
        states.append(torch.load(folder / name / "latest.pth", weights_only=True)["state_dict"])
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    done = tool(
        "test.py",
        "--snapshot",
        "one/latest.pth",
        "--config",
        experiment("quickstart"),
        "--dataset",
        "raw",
        "--datasetdir",
        ".",
        "--device",
        "cpu",
        "--video",
        "square0",
        "--results_dir",
        "det",
        "--deterministic",
        "--opts",
        *TINY,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
