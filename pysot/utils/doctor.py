"""What this machine has, and what is wrong with it, in words. Importing this needs neither torch nor an accelerator: a broken torch is one of the findings."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pysot.utils.cores import core_quota, usable_cores

REQUIRED = ("torch", "numpy", "opencv", "yacs", "tqdm", "bracex", "pillow", "tensorboardX", "matplotlib")
OPTIONAL = ("torch_npu", "apex", "scikit-image")
_ALIASES = {
    "opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
}
_CANN_HOMES = ("/usr/local/Ascend/cann", "/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/nnae/latest")
_CANN_VERSIONS = ("version.cfg", "*-linux/ascend_toolkit_install.info", "compiler/version.info", "runtime/version.info")
_SECONDS = ("HCCL_CONNECT_TIMEOUT", "HCCL_EXEC_TIMEOUT", "HCCL_EVENT_TIMEOUT")
_GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what is wrong with it (empty: nothing)."""

    section: str
    name: str
    value: str
    problem: str = ""


def explain_torch_import(text: str) -> str | None:
    """Why `import torch` failed, given the text of the error and its causes; None where torch_npu has no part in it."""
    text = " ".join(text.split())
    if "Two accelerators cannot be used" in text:
        return (
            "this torch is a CUDA build and torch_npu is installed beside it; one of the two must go. For an Ascend NPU: pip install the CPU build of "
            "torch. For CUDA: pip uninstall torch_npu, or export TORCH_DEVICE_BACKEND_AUTOLOAD=0"
        )
    if "torch_npu" not in text and "libhccl" not in text:
        return None
    if re.search(r"undefined symbol|incompatible function", text):
        return "torch_npu does not fit this torch. Install two of the same version, such as torch==2.13.0 and torch_npu==2.13.0"
    missing = re.search(r"lib\w+\.so[.\d]*: cannot open shared object file", text)
    if missing or re.search(r"ASCEND|CANN", text):
        return (
            f"torch_npu does not find CANN{f' ({missing.group()})' if missing else ''}. Source CANN's set_env.sh (such as "
            "/usr/local/Ascend/ascend-toolkit/set_env.sh), or export TORCH_DEVICE_BACKEND_AUTOLOAD=0 to work on the CPU"
        )
    return f"torch_npu cannot be loaded: {text[-200:]}"


def examine() -> Iterator[Finding]:
    """All findings about system, packages, CANN and devices, in the order in which they build on one another."""
    yield from system()
    yield from packages()
    yield from ascend()
    torch_works = False
    for finding in torch_import():
        torch_works = not finding.problem
        yield finding
    if torch_works:
        yield from devices()


def system() -> Iterator[Finding]:
    """Python, processor, memory, shared memory, disk."""
    old = "" if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed"
    yield Finding("system", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}", old)
    cores, quota = usable_cores(), core_quota()
    limit = "" if quota == float("inf") else f", limited to the time of {quota:g}"
    yield Finding(
        "system",
        "cores",
        f"{len(cores)} of {os.cpu_count()}{limit}",
        "the training and its loader share one core: expect it to wait for data" if min(len(cores), quota) < 2 else "",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    yield Finding(
        "system", "memory", f"{memory:.1f} GiB", "less than 4 GiB: training will not fit" if memory < 4 else ""
    )
    if Path("/dev/shm").is_dir():
        free = shutil.disk_usage("/dev/shm").free / _GIB
        yield Finding(
            "system",
            "shared memory",
            f"{free:.2f} GiB free in /dev/shm",
            "loader processes pass batches through it: start the container with "
            "--shm-size=8g, or set TRAIN.NUM_WORKERS 0"
            if free < 0.5
            else "",
        )
    free = shutil.disk_usage(".").free / _GIB
    yield Finding(
        "system",
        "disk",
        f"{free:.1f} GiB free here",
        "snapshots of the published recipe take about 9 GiB" if free < 9 else "",
    )


def packages() -> Iterator[Finding]:
    """Versions of what is needed, and whether torch and torch_npu are a pair."""
    found = {
        name: next(filter(None, map(_version, _ALIASES.get(name, (name,)))), None) for name in (*REQUIRED, *OPTIONAL)
    }
    for name, version in found.items():
        needed = "missing: pip install -r requirements.txt" if name in REQUIRED and version is None else ""
        if name == "torch_npu" and version and found["torch"] and _release(version) != _release(found["torch"]):
            needed = f"does not pair with torch {found['torch']}: install torch_npu=={'.'.join(map(str, _release(found['torch'])))}"
        yield Finding("packages", name, version or "not installed", needed)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)*", version).group().split("."))[:3]


def ascend() -> Iterator[Finding]:
    """CANN, driver, and the variables that torch_npu and HCCL read."""
    home = os.environ.get("ASCEND_HOME_PATH") or os.environ.get("ASCEND_TOOLKIT_HOME")
    installed = [folder for folder in _CANN_HOMES if Path(folder).is_dir()]
    wanted = _version("torch_npu") is not None
    if not (home or installed or wanted):
        yield Finding("Ascend", "CANN", "none, and no torch_npu: this is no Ascend machine")
        return
    problem = ""
    if not home:
        problem = (
            f"not in use: source {Path(installed[0]).parent}/set_env.sh"
            if installed
            else "not found: install it and source its set_env.sh"
        )
    elif not Path(home).is_dir():
        problem = f"ASCEND_HOME_PATH is {home}, which is no folder: source the set_env.sh of the CANN that is there"
    yield Finding(
        "Ascend", "CANN", f"{_cann_version(home)} in {home}" if home else "not in use", problem if wanted else ""
    )
    driver = Path("/usr/local/Ascend/driver/version.info")
    smi = shutil.which("npu-smi")
    yield Finding(
        "Ascend",
        "driver",
        _version_in(driver) if driver.exists() else "no version file",
        ""
        if smi or not Path("/dev/davinci0").exists()
        else "npu-smi is not on PATH: the driver's tools are in /usr/local/Ascend/driver/tools",
    )
    for name in ("ASCEND_RT_VISIBLE_DEVICES", "CPU_AFFINITY_CONF", "TASK_QUEUE_ENABLE", *_SECONDS):
        value = os.environ.get(name)
        if value is not None:
            yield Finding(
                "Ascend",
                name,
                value,
                "expected a whole number of seconds" if name in _SECONDS and not value.isdecimal() else "",
            )


def _cann_version(home: str) -> str:
    found = (path for pattern in _CANN_VERSIONS for path in sorted(Path(home).glob(pattern)))
    return next(map(_version_in, found), "of unknown version")


def _version_in(path: Path) -> str:
    match = re.search(
        r"version[\w]*\s*=\s*\[?([^\s\]]+)", path.read_text(encoding="utf-8", errors="replace"), re.IGNORECASE
    )
    return match.group(1) if match else "of unknown version"


def torch_import() -> Iterator[Finding]:
    """Whether torch can be imported, tried in a process of its own."""
    code = "import torch; print(torch.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        yield Finding("devices", "import torch", "works")
    else:
        yield Finding(
            "devices",
            "import torch",
            "fails",
            explain_torch_import(done.stderr) or (done.stderr.strip().splitlines() or ["no reason given"])[-1],
        )


def devices() -> Iterator[Finding]:
    """Every accelerator, tried; and a sum over two of them."""
    from pysot.utils.device import accelerators, try_device

    found = accelerators()
    if not found:
        yield Finding(
            "devices",
            "accelerators",
            "none: everything runs on the CPU",
            "torch_npu is installed but finds no NPU: see `npu-smi info`"
            if _version("torch_npu") and os.environ.get("TORCH_DEVICE_BACKEND_AUTOLOAD") != "0"
            else "",
        )
    for device in found:
        try:
            yield Finding("devices", str(device), try_device(device))
        except RuntimeError as error:
            yield Finding("devices", str(device), "fails", str(error).splitlines()[0])
    if len(found) > 1:
        from pysot.utils.doctor_run import collective

        yield collective(found[0].type, 2)
