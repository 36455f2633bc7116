"""Examine this machine and describe its problems in words.

Importing this file needs neither torch nor an accelerator: a broken torch is one of the findings.
"""

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
OF_TRAINING = ("torch", "yacs", "tensorboardX")  # exported trackers need none of them
ENGINES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-cann", "openvino", "ais_bench")
OPTIONAL = ("torch_npu", "apex", "scikit-image", "pycocotools", "onnx", "onnxslim", "onnxruntime", "openvino")
_ALIASES = {
    "opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
}
_CANN_HOMES = ("/usr/local/Ascend/cann", "/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/nnae/latest")
_CANN_VERSIONS = ("version.cfg", "*-linux/ascend_toolkit_install.info", "compiler/version.info", "runtime/version.info")
_VARIABLES_IN_SECONDS = ("HCCL_CONNECT_TIMEOUT", "HCCL_EXEC_TIMEOUT", "HCCL_EVENT_TIMEOUT")
_GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the result: the examined item, its value, and its problem (empty without one)."""

    section: str
    name: str
    value: str
    problem: str = ""


def explain_torch_import(text: str) -> str | None:
    """Return why `import torch` failed, given the text of the error and its causes; None if not by torch_npu."""
    text = " ".join(text.split())
    if "Two accelerators cannot be used" in text:
        return (
            "this torch is a CUDA build and torch_npu is installed as well; remove one of the two. For an Ascend NPU: "
            "pip install the CPU build of torch. For CUDA: pip uninstall torch_npu, or export "
            "TORCH_DEVICE_BACKEND_AUTOLOAD=0"
        )
    if "torch_npu" not in text and "libhccl" not in text:
        return None
    if re.search(r"undefined symbol|incompatible function", text):
        return (
            "torch_npu does not fit this torch. Install both in the same version, such as torch==2.13.0 and "
            "torch_npu==2.13.0"
        )
    missing = re.search(r"lib\w+\.so[.\d]*: cannot open shared object file", text)
    if missing or re.search(r"ASCEND|CANN", text):
        reason = f" ({missing.group()})" if missing else ""
        return (
            f"torch_npu does not find CANN{reason}. Source CANN's set_env.sh (such as "
            "/usr/local/Ascend/ascend-toolkit/set_env.sh), or export TORCH_DEVICE_BACKEND_AUTOLOAD=0 to work on the CPU"
        )
    return f"torch_npu cannot be loaded: {text[-200:]}"


def examine() -> Iterator[Finding]:
    """Check system, packages, CANN and devices, each after what it depends on."""
    yield from check_system()
    yield from check_packages()
    yield from check_ascend()
    if is_for_exports():
        return
    torch_works = False
    for finding in check_torch_import():
        torch_works = not finding.problem
        yield finding
    if torch_works:
        yield from check_devices()


def is_for_exports() -> bool:
    """Return whether this environment is for exported trackers: it has an engine, and no package of training."""
    return any(map(_version, ENGINES)) and not any(map(_version, OF_TRAINING))


def check_system() -> Iterator[Finding]:
    """Check Python, processor, memory, shared memory and disk."""
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("system", "Python", version, "" if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed")
    cores, quota = usable_cores(), core_quota()
    limit = "" if quota == float("inf") else f", limited to the time of {quota:g}"
    problem = "the training and its loader share one core: expect it to wait for data"
    too_few = min(len(cores), quota) < 2
    yield Finding("system", "cores", f"{len(cores)} of {os.cpu_count()}{limit}", problem if too_few else "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    problem = "less than 4 GiB: training will not fit" if memory < 4 else ""
    yield Finding("system", "memory", f"{memory:.1f} GiB", problem)
    if Path("/dev/shm").is_dir():
        free = shutil.disk_usage("/dev/shm").free / _GIB
        problem = (
            "loader processes pass some batches through it: start the container with --shm-size=8g, or set "
            "TRAIN.NUM_WORKERS 0"
        )
        yield Finding("system", "shared memory", f"{free:.2f} GiB free in /dev/shm", problem if free < 0.5 else "")
    free = shutil.disk_usage(".").free / _GIB
    problem = "snapshots of the published recipe take about 9 GiB" if free < 9 else ""
    yield Finding("system", "disk", f"{free:.1f} GiB free here", problem)


def check_packages() -> Iterator[Finding]:
    """Check the versions of required packages, and whether torch and torch_npu fit together."""
    names = (*REQUIRED, *OPTIONAL)
    versions = {name: next(filter(None, map(_version, _ALIASES.get(name, (name,)))), None) for name in names}
    torch_version = versions["torch"]
    for name, version in versions.items():
        problem = "missing: pip install -r requirements.txt" if name in REQUIRED and version is None else ""
        if name in OF_TRAINING and is_for_exports():
            version, problem = "not installed: for training, and for networks that are not exported", ""
        if name == "torch_npu" and version and torch_version and _release(version) != _release(torch_version):
            wanted = ".".join(map(str, _release(torch_version)))
            problem = f"does not fit torch {torch_version}: install torch_npu=={wanted}"
        yield Finding("packages", name, version or "not installed", problem)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(\.\d+)*", version)
    assert numbers is not None, version
    return tuple(int(part) for part in numbers.group().split("."))[:3]


def check_ascend() -> Iterator[Finding]:
    """Check CANN, the driver, and the variables that torch_npu and HCCL read."""
    home = os.environ.get("ASCEND_HOME_PATH") or os.environ.get("ASCEND_TOOLKIT_HOME")
    installed = [folder for folder in _CANN_HOMES if Path(folder).is_dir()]
    wanted = _version("torch_npu") is not None
    if not (home or installed or wanted):
        yield Finding("Ascend", "CANN", "none, and no torch_npu: this is no Ascend machine")
        return
    value = f"{_cann_version(home)} in {home}" if home else "not in use"
    yield Finding("Ascend", "CANN", value, _cann_problem(home, installed) if wanted else "")
    driver = Path("/usr/local/Ascend/driver/version.info")
    problem = ""
    if Path("/dev/davinci0").exists() and not shutil.which("npu-smi"):
        problem = "npu-smi is not on PATH: the driver's tools are in /usr/local/Ascend/driver/tools"
    yield Finding("Ascend", "driver", _version_in(driver) if driver.exists() else "no version file", problem)
    for name in ("ASCEND_RT_VISIBLE_DEVICES", "CPU_AFFINITY_CONF", "TASK_QUEUE_ENABLE", *_VARIABLES_IN_SECONDS):
        setting = os.environ.get(name)
        if setting is not None:
            wrong = name in _VARIABLES_IN_SECONDS and not setting.isdecimal()
            yield Finding("Ascend", name, setting, "expected a whole number of seconds" if wrong else "")


def _cann_problem(home: str | None, installed: list[str]) -> str:
    if home:
        if Path(home).is_dir():
            return ""
        return f"ASCEND_HOME_PATH is {home}, which is no folder: source the set_env.sh of the installed CANN"
    if installed:
        return f"not in use: source {Path(installed[0]).parent}/set_env.sh"
    return "not found: install it and source its set_env.sh"


def _cann_version(home: str) -> str:
    files = (path for pattern in _CANN_VERSIONS for path in sorted(Path(home).glob(pattern)))
    return next(map(_version_in, files), "of unknown version")


def _version_in(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    match = re.search(r"version[\w]*\s*=\s*\[?([^\s\]]+)", text, re.IGNORECASE)
    return match.group(1) if match else "of unknown version"


def check_torch_import() -> Iterator[Finding]:
    """Check whether torch can be imported, in a separate process."""
    code = "import torch; print(torch.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        yield Finding("devices", "import torch", "works")
    else:
        last_line = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        yield Finding("devices", "import torch", "fails", explain_torch_import(done.stderr) or last_line)


def check_devices() -> Iterator[Finding]:
    """Compute on every accelerator, and sum over two of them."""
    from pysot.utils.device import accelerators

    cards = accelerators()
    if not cards:
        problem = ""
        if _version("torch_npu") and os.environ.get("TORCH_DEVICE_BACKEND_AUTOLOAD") != "0":
            problem = "torch_npu is installed but finds no NPU: see `npu-smi info`"
        yield Finding("devices", "accelerators", "none: everything runs on the CPU", problem)
        return
    from pysot.utils import doctor_run

    for card in cards:
        try:
            yield Finding("devices", str(card), doctor_run.probe_device(card))
        except RuntimeError as error:
            yield Finding("devices", str(card), "fails", str(error).splitlines()[0])
    if len(cards) > 1:
        yield doctor_run.check_collective(cards[0].type, 2)
