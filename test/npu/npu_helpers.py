"""Processes that compute on NPUs, real or simulated."""

import os
import subprocess
import sys

from helpers import ROOT


def record(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Start Python with the modules of the tests on its path."""
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "test"), str(ROOT / "test" / "npu"), os.environ.get("PYTHONPATH", "")]
    )
    # With this variable torch_npu refuses operators without a kernel instead of sending them to the CPU.
    environment = {**os.environ, "PYTHONPATH": path, "TORCH_NPU_FALLBACK_CPU_DISABLE": "1", **environment}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=600)
