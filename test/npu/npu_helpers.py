"""Processes that compute on NPUs, real or simulated."""

import json
import os
import re
import subprocess
import sys

from helpers import ROOT


def ranks(folder, *arguments: str) -> list[dict]:
    """Execute engine/two_ranks.py on two ranks over HCCL; return what each rank printed."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "test"), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        str(ROOT / "test" / "engine" / "two_ranks.py"),
    ]
    done = subprocess.run(
        [*command, str(folder), *arguments], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(entry) for entry in re.findall(r"\{.*?\}", done.stdout)]  # both print to the same pipe


def record(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "test"), str(ROOT / "test" / "npu"), os.environ.get("PYTHONPATH", "")]
    )
    # With this variable torch_npu refuses operators without a kernel instead of sending them to the CPU.
    environment = {**os.environ, "PYTHONPATH": path, "TORCH_NPU_FALLBACK_CPU_DISABLE": "1", **environment}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=600)
