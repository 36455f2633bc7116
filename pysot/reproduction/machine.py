"""What a result depends on besides data and config: versions, environment variables, devices, and the code."""

import os
import subprocess
from pathlib import Path
from typing import Any

from pysot.utils import doctor

# Environment variables that change how training or tracking is computed; others may be secrets.
_VARIABLES = (
    "ASCEND_", "ATEN_", "COMBINED_", "CPU_AFFINITY_CONF", "CUBLAS_", "CUDA_", "GLOO_", "HCCL_", "KMP_", "MKL_", "NCCL_",
    "NPU_", "OMP_", "OPENBLAS_", "PYTHONHASHSEED", "PYTORCH_", "TASK_QUEUE_ENABLE", "TORCH_", "TRITON_",
)  # fmt: skip
_CODE = ("pysot", "tools", "experiments", "test/*.sh")


def describe_machine() -> dict[str, Any]:
    """Return {versions, system, variables, devices} of this machine and process."""
    findings = [*doctor.check_system(), *doctor.check_packages(), *doctor.check_ascend()]
    by_section: dict[str, dict[str, str]] = {}
    for finding in findings:
        by_section.setdefault(finding.section, {})[finding.name] = finding.value
    variables = {name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)}
    return {
        "versions": by_section.get("packages", {}),
        "system": {**by_section.get("system", {}), "processor": _processor(), **by_section.get("Ascend", {})},
        "variables": variables,
        "devices": device_names(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def device_names() -> list[str]:
    """Return the names of the accelerators of this machine."""
    from pysot.utils.device import accelerators, device_name

    return [f"{card}: {device_name(card)}" for card in accelerators()]


def kind_of_device(name: str) -> tuple[str, int]:
    """Return the kind of the device that --device selects (npu, cuda or cpu), and how many of it are here.

    Raises ValueError for an unknown name, RuntimeError for a device that is not here.
    """
    from pysot.utils.device import accelerators, choose_device

    kind = choose_device(name).type
    return kind, sum(card.type == kind for card in accelerators())


def git_state(root: Path) -> tuple[str, list[str]]:
    """Return the commit, and the changed files of the code in it; "" and no files without git or a repository."""
    commit = _git(root, "rev-parse", "HEAD").strip()
    status = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *_CODE) if commit else ""
    return commit, [line[3:] for line in status.splitlines()]


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
