"""Versions and upper limits of a device: bandwidth of copies, throughput of matrix products."""

import functools
import importlib.metadata
import platform
import statistics
from collections.abc import Callable
from pathlib import Path

import torch

from pysot.benchmarks.networks import make_case, precisions
from pysot.benchmarks.record import Record, Setting
from pysot.utils.cores import core_quota, usable_cores
from pysot.utils.device import device_module, device_name, half_dtype, library_versions, needs_pinned_memory
from pysot.utils.device_builder import open_device
from pysot.utils.meter import elapsed_ms

_PACKAGES = ("torch", "torch_npu", "numpy", "opencv-python-headless", "opencv-python", "triton")


def measure(setting: Setting, record: Record) -> None:
    """Record versions, copies from the host and on the device, and a matrix product in each precision."""
    device = open_device(setting.device, make_case(setting).cfg)
    note_versions(device, record)
    measure_copies(device, record, mib=16 if setting.short else 256)
    measure_matrix_products(setting, record, side=512 if setting.short else 8192)


def note_versions(device: torch.device, record: Record) -> None:
    """Note Python, packages, the libraries of the device, cores and memory."""
    record.note(f"device: {device_name(device)}")
    if (module := device_module(device)) is not None:
        free, total = module.mem_get_info(device)
        record.note(f"memory: {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    versions = {"Python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    versions |= library_versions(device)
    record.note(", ".join(f"{name} {version}" for name, version in versions.items()))
    quota = core_quota()
    limit = "" if quota == float("inf") else f", CPU quota of the container: {quota:g}"
    record.note(f"{processor_name()}, cores: {len(usable_cores())}{limit}")


def _processor_lines(key: str) -> list[str]:
    """Return the values of `key` in /proc/cpuinfo, none where that file is missing."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in lines if line.startswith(key)]


def processor_name() -> str:
    """Return the processor's name from /proc/cpuinfo, or from Python's `platform` where that file is missing."""
    return next(iter(_processor_lines("model name")), platform.processor() or "unknown processor")


def has_amx_bf16() -> bool:
    """Return whether Linux lists matrix products in bf16 (AMX) among the features of the processor."""
    return any("amx_bf16" in flags.split() for flags in _processor_lines("flags"))


def median_ms(device: torch.device, work: Callable[[], object], repeats: int = 7) -> float:
    """Return the median milliseconds of `work` over `repeats` calls, after two warm-up calls."""
    return statistics.median([elapsed_ms(device, work) for _ in range(repeats + 2)][2:])


def copy_rate(device: torch.device, mib: int) -> float:
    """Return the bytes per second of a copy of `mib` MiB within the device, those read and those written together."""
    first, second = (torch.zeros(mib * 2**20, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * first.nbytes / median_ms(device, functools.partial(second.copy_, first)) * 1000


def matrix_product_rate(device: torch.device, precision: str, side: int) -> float:
    """Return the floating-point operations per second of a product of two square matrices of `side` rows."""
    a, b = (torch.randn(side, side, device=device, dtype=half_dtype(precision)) for _ in range(2))
    return 2 * side**3 / median_ms(device, functools.partial(torch.mm, a, b), repeats=5) * 1000


def measure_copies(device: torch.device, record: Record, mib: int) -> None:
    """Record the GB/s of copies from pinned and pageable host memory to the device, and within the device.

    A copy within the device counts twice: bytes read and bytes written.
    """
    if needs_pinned_memory(device):
        host = torch.zeros(mib * 2**20, dtype=torch.uint8)
        copy = torch.zeros_like(host, device=device)
        for name, memory in (("pinned", host.pin_memory()), ("not pinned", host)):
            milliseconds = median_ms(device, functools.partial(copy.copy_, memory, non_blocking=True))
            record.measurement(f"copy to the device, {name} memory", host.nbytes / milliseconds / 1e6, "GB/s")
    record.measurement("copy on the device, read and written", copy_rate(device, mib) / 1e9, "GB/s")


def measure_matrix_products(setting: Setting, record: Record, side: int) -> None:
    """Record the TFLOP/s of a product of two square matrices in each precision."""
    for precision, opts in precisions(setting.kind).items():
        device = open_device(setting.device, make_case(setting, *opts).cfg)
        rate = matrix_product_rate(device, precision, side)
        record.measurement(f"matrix product of {side} x {side}, {precision}", rate / 1e12, "TFLOP/s")
