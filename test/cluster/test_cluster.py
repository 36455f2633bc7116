"""Launch files of this folder, executed in a small form: two nodes are two processes on this CPU.

Commands of Slurm are stand-ins. Of the Kubernetes files, the commands of the containers are executed, with the
variables that the operators set.
"""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys

import pytest
import yaml

from helpers import ROOT, TINY, copy_of_repository, tiny_benchmark

SRUN = """#!/usr/bin/env bash
# Start the command once per node, and return the first status that is not 0.
while [[ "$1" == --* ]]; do shift; done
pids=() status=0
for ((node = 0; node < SLURM_JOB_NUM_NODES; node++)); do
    SLURM_NODEID=$node "$@" &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
exit "$status"
"""
SCONTROL = """#!/usr/bin/env bash
[ "$*" = "show hostnames node[1-2]" ] && printf '127.0.0.1\\n127.0.0.2\\n'
"""
OPTS = " ".join([*TINY, "DATASET.VIDEOS_PER_EPOCH 8 BACKBONE.TRAIN_EPOCH 1 TRAIN.PRINT_FREQ 1"])


class Cluster:
    """A copy of the repository, data and stand-ins, in which the launch files are executed."""

    def __init__(self, folder):
        self.repository = copy_of_repository(folder)
        self.data = tiny_benchmark(folder / "data")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
            (self.bin / name).write_text(text)
        for name in ("python", "python3"):
            (self.bin / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        for file in self.bin.iterdir():
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        self.small = [
            "--device=cpu",
            "--rank_size=1",
            f"--config={self.repository}/experiments/quickstart/config.yaml",
            f"--data_path={self.data}",
            "--batch_size=2",
            "--workers=0",
            f"--opts={OPTS}",
        ]

    def start(self, command, **variables):
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "PARTS"))},
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "OMP_NUM_THREADS": "1",
            "SLURM_SUBMIT_DIR": str(self.repository),
            **{key: str(value) for key, value in variables.items()},
        }
        return subprocess.Popen(
            list(map(str, command)),
            cwd=self.repository,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def sbatch(self, name, *arguments, **variables):
        """Run a file as Slurm does, as a copy in a folder of its own; return status and output."""
        script = self.bin.parent / "slurm_script"
        shutil.copy(ROOT / "test/cluster" / name, script)
        process = self.start(["bash", script, *arguments], **variables)
        output = process.communicate(timeout=500)[0]
        return process.returncode, output

    def array(self, name, task, count, *arguments, **variables):
        names = {"ID": task, "COUNT": count, "MIN": 1, "MAX": count}
        numbers = {f"SLURM_ARRAY_TASK_{key}": value for key, value in names.items()}
        return self.sbatch(name, *arguments, **{**numbers, **variables})

    def pod(self, container, extra=(), **variables):
        """Start the command of a container, with /data at the place of the data, and more arguments."""
        *shell, script = [*container["command"], *container["args"]]
        own = {item["name"]: item["value"] for item in container.get("env", ()) if "value" in item}
        text = script.replace("/data/", f"{self.data}/").replace("=/data ", f"={self.data} ")
        more = " ".join(f"'{word}'" for word in extra)
        return self.start([*shell, f"{text} {more}"], **{**own, **variables})


def containers(name):
    """Return the first container of each pod of a manifest."""
    found = []
    for document in yaml.safe_load_all((ROOT / "test/cluster" / name).read_text()):
        spec = document["spec"]
        tasks = [*spec.get("tasks", ()), *spec.get("pytorchReplicaSpecs", {}).values()] or [spec]
        found += [task["template"]["spec"]["containers"][0] for task in tasks]
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    return Cluster(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def trained(cluster):
    """Return the folder of a training run of train.sbatch on two nodes of one process each."""
    run = cluster.data / "runs/siamrpn"
    nodes = {"SLURM_JOB_NUM_NODES": 2, "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_NAME": "siamrpn"}
    status, output = cluster.sbatch(
        "train.sbatch", *cluster.small, "--max_steps=2", RUN=run, SLURM_JOB_ID=free_port() % 10000, **nodes
    )
    assert status == 0, output
    assert "training on 2 nodes (node[1-2]), the first is 127.0.0.1" in output and "Final Train Accuracy : " in output
    return run


def assert_two_ranks(run):
    """Check that two ranks have trained, and that the first node alone has written a snapshot."""
    logs = [(run / "0/train_0.log").read_text(), (run / "node1/0/train_1.log").read_text()]
    assert "2 process(es) on cpu" in logs[0] and "Final Train Loss : " in logs[0] and logs[1] == ""
    assert (run / "snapshot_8p/checkpoint_e1.pth").is_file() and not (run / "node1/snapshot_8p").exists()


def test_training_on_two_nodes_with_slurm(trained):
    assert_two_ranks(trained)


def test_preparation_in_an_array_with_slurm(cluster, tmp_path):
    arguments = ["vot", cluster.data / "testing_dataset/VOT2016", "--out"]
    for task in (1, 2):
        status, output = cluster.array("prepare.sbatch", task, 2, *arguments, tmp_path / "out")
        assert status == 0 and f"part {task} of 2 of train: 1 of 2 videos" in output, output
    status, output = cluster.sbatch("prepare.sbatch", *arguments, tmp_path / "out")
    assert status == 0 and "2 sequences, joined from 2 parts" in output, output
    expected = cluster.data / "training_dataset/quickstart"  # of one run
    for name in ("train.json", "dataset.yaml", "crop511/square1/000007.00.x.jpg"):
        assert (tmp_path / "out" / name).read_bytes() == (expected / name).read_bytes()


def test_some_tasks_of_an_array_again(cluster, tmp_path):
    """Tasks 2 and 3 alone do not say how many parts there are."""
    arguments = ["vot", cluster.data / "testing_dataset/VOT2016", "--out", tmp_path / "out"]
    some = {"SLURM_ARRAY_TASK_MIN": 2, "SLURM_ARRAY_TASK_MAX": 3}
    for name in ("prepare.sbatch", "evaluate.sbatch"):
        status, output = cluster.array(name, 2, 2, *arguments, DATASET="VOT2016", **some)
        assert status == 2 and output.endswith("or the number of all parts: PARTS=N sbatch --array=2\n"), output
    assert not (tmp_path / "out").exists()
    status, output = cluster.array("prepare.sbatch", 2, 2, *arguments, PARTS=4, **some)
    assert status == 0 and "part 2 of 4 of train" in output, output


def test_evaluation_in_an_array_with_slurm(cluster, trained, tmp_path):
    names = {"DATASET": "VOT2016", "DATASETDIR": cluster.data / "testing_dataset", "RESULTS": tmp_path}
    snapshot = ["--snapshot", trained / "snapshot_8p/checkpoint_e1.pth"]
    status, output = cluster.array("evaluate.sbatch", 1, 2, *snapshot, **names)
    assert status == 0 and "tracking 1 videos" in output, output
    status, output = cluster.sbatch("evaluate.sbatch", **names)
    assert status == 2 and "part 2 of 2 is missing, 1 of its 1 videos have no result; run:" in output, output
    assert cluster.array("evaluate.sbatch", 2, 2, *snapshot, **names)[0] == 0
    status, output = cluster.sbatch("evaluate.sbatch", **names)
    assert status == 0, output
    scores = [json.loads(path.read_text()) for path in (tmp_path / "VOT2016.json", trained / "0/scores.json")]
    assert scores[0] == scores[1]  # the training run has tracked both videos in one part


def finish(processes):
    """Wait for all processes; return their outputs, and check that they have succeeded."""
    outputs = [process.communicate(timeout=500)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes), outputs
    return outputs


def test_training_in_a_volcano_job(cluster):
    (container,) = containers("volcano_train.yaml")
    container["args"] = [container["args"][0].replace(" 29500 ", f" {free_port()} ").replace("/siamrpn ", "/volcano ")]
    variables = {"VC_WORKER_NUM": 2, "VC_WORKER_HOSTS": "localhost,127.0.0.2"}
    extra = [*cluster.small, "--max_steps=2"]
    finish([cluster.pod(container, extra, VC_TASK_INDEX=node, **variables) for node in (0, 1)])
    assert_two_ranks(cluster.data / "runs/volcano")


def test_training_in_a_pytorchjob(cluster):
    pods = containers("pytorchjob_train.yaml")
    variables = {"WORLD_SIZE": len(pods), "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}
    for pod in pods:
        pod["args"] = [pod["args"][0].replace("/siamrpn ", "/kubeflow ")]
    extra = [*cluster.small, "--max_steps=2"]
    finish([cluster.pod(pod, extra, RANK=node, **variables) for node, pod in enumerate(pods)])
    assert_two_ranks(cluster.data / "runs/kubeflow")


def indexed_job(cluster, name):
    """Run the pods of an Indexed Job with two parts, then the second job of the file; return the outputs."""
    part, last = containers(name)
    outputs = finish([cluster.pod(part, PARTS=2, JOB_COMPLETION_INDEX=index) for index in (0, 1)])
    return [*outputs, *finish([cluster.pod(last)])]


def test_preparation_in_an_indexed_job(cluster):
    for number in (0, 1):
        sequence = cluster.data / f"raw/GOT-10k/train/square{number}"
        source = cluster.data / f"testing_dataset/VOT2016/square{number}"
        shutil.copytree(source / "color", sequence)
        shutil.copy(source / "groundtruth.txt", sequence)
    outputs = indexed_job(cluster, "prepare_job.yaml")
    assert "part 2 of 2 of train: 1 of 2 videos" in outputs[1] and "2 sequences, joined from 2 parts" in outputs[2]
    assert (cluster.data / "training_dataset/got10k/dataset.yaml").is_file()


def test_evaluation_in_an_indexed_job(cluster, trained):
    shutil.copy(trained / "snapshot_8p/checkpoint_e1.pth", trained / "snapshot_8p/checkpoint_e20.pth")
    outputs = indexed_job(cluster, "evaluate_job.yaml")
    assert all("tracking 1 videos" in output for output in outputs[:2]) and "| checkpoint_e20 |" in outputs[2]
    assert "checkpoint_e20" in json.loads((cluster.data / "results/VOT2016.json").read_text())
