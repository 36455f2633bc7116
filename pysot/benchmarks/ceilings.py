"""What the device is, and the most that it can do: copies and matrix products."""

import importlib.metadata
import platform
import statistics
from pathlib import Path

import torch

from pysot.benchmarks.networks import case_of, precisions
from pysot.benchmarks.record import Record, Setting
from pysot.utils.cores import core_quota, usable_cores
from pysot.utils.device import device_module, device_name, half_type, library_versions, wants_pinned_memory
from pysot.utils.device_builder import open_device
from pysot.utils.meter import elapsed_ms

_PACKAGES = ("torch", "torch_npu", "numpy", "opencv-python-headless", "opencv-python", "triton")


def measure(setting: Setting, record: Record) -> None:
    """Versions; copies from the host and on the device; a matrix product in each precision."""
    device = open_device(setting.device, case_of(setting).cfg)
    versions(device, record)
    copies(device, record, mib=16 if setting.short else 256)
    products(setting, record, side=512 if setting.short else 8192)


def versions(device: torch.device, record: Record) -> None:
    """Python, packages, the libraries of the device, cores and memory, as notes."""
    record.note(f"device: {device_name(device)}")
    if (module := device_module(device)) is not None:
        record.note(
            "memory: {:.1f} of {:.1f} GiB free".format(*(number / 2**30 for number in module.mem_get_info(device)))
        )
    found = {"Python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    record.note(", ".join(f"{name} {version}" for name, version in (found | library_versions(device)).items()))
    quota = core_quota()
    record.note(
        f"{processor()}, cores: {len(usable_cores())}"
        + (f", of which the container grants the time of {quota:g}" if quota != float("inf") else "")
    )


def processor() -> str:
    """The name of the processor, as Linux tells it; else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor() or "processor unknown",
    )


def best_ms(device: torch.device, work, repeats: int = 7) -> float:
    """The median milliseconds of a piece of work, after two runs that warm up."""
    return statistics.median([elapsed_ms(device, work) for _ in range(repeats + 2)][2:])


def copies(device: torch.device, record: Record, mib: int) -> None:
    """GB/s from the host to the device, from pinned and from other memory, and on the device, where a copy reads and writes."""
    size = mib * 2**20
    here = torch.zeros(size, dtype=torch.uint8)
    there, other = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    if wants_pinned_memory(device):
        for name, source in (("pinned", here.pin_memory()), ("not pinned", here)):
            milliseconds = best_ms(device, lambda source=source: there.copy_(source, non_blocking=True))
            record.figure(f"copy to the device, {name} memory", size / milliseconds / 1e6, "GB/s")
    record.figure(
        "copy on the device, read and written", 2 * size / best_ms(device, lambda: other.copy_(there)) / 1e6, "GB/s"
    )


def products(setting: Setting, record: Record, side: int) -> None:
    """TFLOP/s of a product of two square matrices in each precision."""
    for precision, opts in precisions(setting.kind).items():
        device = open_device(setting.device, case_of(setting, *opts).cfg)
        a, b = (torch.randn(side, side, device=device, dtype=half_type(precision)) for _ in range(2))
        milliseconds = best_ms(device, lambda a=a, b=b: torch.mm(a, b), repeats=5)
        record.figure(f"matrix product of {side} x {side}, {precision}", 2 * side**3 / milliseconds / 1e9, "TFLOP/s")
