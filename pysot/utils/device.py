"""Accelerators: the only file that uses torch.npu and torch.cuda. Other code takes a torch.device and calls this file.

torch_npu registers itself when torch is imported. With torch_npu but without CANN, torch cannot be imported at all.
"""

import contextlib
import ctypes
import os
import random
import resource
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pysot.utils.cores import torch_npu_binds_cores, usable_cores
from pysot.utils.npu_optimizer import NpuGradScaler

_BACKENDS = {"npu": "hccl", "cuda": "nccl", "cpu": "gloo"}
_PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16}
_NEVER_GROW = 2**31 - 1  # growth interval, in steps, of a static loss scale


def _module(kind: str) -> Any:
    """Return torch.npu or torch.cuda, or None if this torch does not have it."""
    return getattr(torch, kind, None)


def device_module(device: torch.device) -> Any:
    """Return torch's module for an accelerator (torch_npu's has the same names as that of CUDA); None for the CPU."""
    return None if device.type == "cpu" else _module(device.type)


def _count(kind: str) -> int:
    module = _module(kind)
    return module.device_count() if module is not None and module.is_available() else 0


def choose_device(name: str = "auto", use_accelerator: bool = True, local_rank: int | None = None) -> torch.device:
    """Return the device that a command works on, and make it the current one.

    'auto' prefers an NPU to a GPU to the CPU; 'npu', 'cuda', 'cpu' and 'npu:3' are taken literally. A process of a
    distributed run passes its `local_rank` and gets the card of that number. Raises ValueError for an unknown name and
    RuntimeError for a missing device: there is no fall-back to the CPU.
    """
    kind, _, index = name.partition(":")
    if kind == "auto" and not index:
        kind = next((k for k in ("npu", "cuda") if use_accelerator and _count(k)), "cpu")
    if kind not in _BACKENDS or (index and not index.isdigit()):
        raise ValueError(f"device {name!r}: expected auto, npu, cuda, cpu or a card such as npu:3")
    if kind == "cpu":
        return torch.device("cpu")
    number = int(index) if index else local_rank or 0
    if number >= _count(kind):
        raise RuntimeError(_absent_message(kind, number))
    device = torch.device(kind, number)
    try:
        _module(kind).set_device(device)
    except RuntimeError as error:
        command = "npu-smi info" if kind == "npu" else "nvidia-smi"
        raise RuntimeError(
            f"device {device} exists but cannot be opened ({str(error).splitlines()[0]}): another process may hold "
            f"it, or its driver needs a restart. See `{command}`, end that process, or choose other cards with "
            f"{_visible_devices(kind)}"
        ) from error
    return device


def _absent_message(kind: str, number: int) -> str:
    count = _count(kind)
    if count:
        return (
            f"device {kind}:{number} was asked for, this process sees {count} {kind} device(s); start at most {count} "
            f"processes, or see {_visible_devices(kind)}"
        )
    package = "install a CUDA build of torch and its driver"
    if kind == "npu":
        package = "install torch_npu and CANN, and source CANN's set_env.sh"
    return f"device {kind} was asked for, but torch {torch.__version__} finds none: {package}, or choose --device cpu"


def _visible_devices(kind: str) -> str:
    variable = "ASCEND_RT_VISIBLE_DEVICES" if kind == "npu" else "CUDA_VISIBLE_DEVICES"
    return f"{variable} ({os.environ.get(variable, 'not set')})"


def set_npu_switches(
    device: torch.device,
    jit_compile: bool,
    conv_hf32: bool,
    matmul_hf32: bool,
    internal_format: bool,
    precision_mode: str = "",
) -> None:
    """Set torch_npu's switches (NPU section of pysot/core/config.py); do nothing on other devices."""
    if device.type != "npu":
        return
    npu = _module("npu")
    if precision_mode:
        npu.set_option({"ACL_PRECISION_MODE": precision_mode})
    npu.set_compile_mode(jit_compile=jit_compile)
    npu.conv.allow_hf32 = conv_hf32
    npu.matmul.allow_hf32 = matmul_hf32
    npu.config.allow_internal_format = internal_format


def set_gpu_switches(device: torch.device, tf32: bool, cudnn_benchmark: bool) -> None:
    """Set torch's switches for a GPU (GPU section of pysot/core/config.py); do nothing on other devices."""
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = cudnn_benchmark
        torch.set_float32_matmul_precision("high" if tf32 else "highest")


def make_deterministic(device: torch.device) -> None:
    """Make the same work on `device` give the same bits each time.

    Operators without a deterministic kernel raise an error. Call it after the other switches are set and before the
    process group is made.
    """
    # cuBLAS and HCCL read these variables at their first use.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    if os.environ.get("HCCL_DETERMINISTIC") != "strict":
        os.environ["HCCL_DETERMINISTIC"] = "true"
    torch.use_deterministic_algorithms(True)
    # No code here reads uninitialized memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    if device.type == "npu" and hasattr(_module("npu"), "set_deterministic_level"):
        with warnings.catch_warnings():  # it always warns that torch's own switch is deprecated
            warnings.simplefilter("ignore")
            _module("npu").set_deterministic_level(1)


def prefers_channels_last(device: torch.device, precision: str, tf32: bool) -> bool:
    """Return whether convolutions are faster in channels-last memory format.

    They are on a CPU (measured, test/benchmarks/README.md) and on the tensor cores of a GPU. An NPU uses other layouts.
    """
    return device.type == "cpu" or (device.type == "cuda" and (precision != "fp32" or tf32))


def accelerators() -> list[torch.device]:
    """Return the NPUs of this machine that this process sees; without NPUs, its GPUs."""
    kind = next((k for k in ("npu", "cuda") if _count(k)), None)
    return [torch.device(kind, number) for number in range(_count(kind))] if kind else []


def distributed_backend(device: torch.device | str) -> str:
    """Return the torch.distributed backend of a device or kind of device: hccl, nccl or gloo."""
    return _BACKENDS[torch.device(device).type]


def binds_cores(device: torch.device) -> bool:
    """Return whether torch_npu binds its threads to cores itself, so that no other code may."""
    conf = os.environ.get("CPU_AFFINITY_CONF", "")
    return device.type == "npu" and torch_npu_binds_cores(conf, _count("npu"), usable_cores(), os.cpu_count() or 1)


def device_name(device: torch.device) -> str:
    """Return a name for tables, e.g. 'Ascend910B3' or 'cpu (2 threads)'."""
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return _module(device.type).get_device_name(device)


def library_versions(device: torch.device) -> dict[str, str]:
    """Return the versions of CUDA and cuDNN on a GPU; empty elsewhere (tools/doctor.py finds the version of CANN)."""
    if device.type != "cuda":
        return {}
    return {"CUDA": str(torch.version.cuda), "cuDNN": str(torch.backends.cudnn.version())}


@contextlib.contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """On a CPU, compute with one thread in this context.

    The last digits of a convolution depend on the number of threads, and the end of a trajectory depends on those
    digits.
    """
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def synchronize(device: torch.device) -> None:
    """Wait for all work queued on the device."""
    if device.type != "cpu":
        _module(device.type).synchronize(device)


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak memory in MiB of this process's tensors on the device; on a CPU, of the entire process."""
    if device.type == "cpu":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
    return _module(device.type).max_memory_allocated(device) / 2**20


def reset_peak_memory(device: torch.device) -> None:
    """Make `peak_memory_mib` count from now on. For a CPU this works on Linux only; elsewhere the old peak stays."""
    if device.type != "cpu":
        _module(device.type).empty_cache()
        _module(device.type).reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library other than glibc
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def half_dtype(precision: str) -> torch.dtype | None:
    """Return the dtype that a precision computes in, for fp16 and bf16; None for fp32, torch's default."""
    return _PRECISIONS.get(precision)


def check_precision(device: torch.device, precision: str, key: str) -> None:
    """Raise ValueError, with the config key, for bf16 on an NPU whose chip does not support it: 910A and older."""
    if precision == "bf16" and device.type == "npu" and not _module("npu").is_bf16_supported():
        raise ValueError(
            f"{key} is bf16, which {device_name(device)} does not support (Ascend 910B and later do); set it to "
            "fp16 or fp32"
        )


def computes_fp32_in_fp16(device: torch.device, precision_mode: str) -> bool:
    """Return whether convolutions and matrix products of float32 are computed in fp16.

    Chips before Ascend 910B do so unless `precision_mode` is must_keep_origin_dtype, see torch_npu's SetPrecisionMode.
    """
    if device.type != "npu" or _module("npu").is_bf16_supported():
        return False
    return precision_mode != "must_keep_origin_dtype"


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Return a context in which the network computes in `precision`: fp32, fp16 or bf16."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_PRECISIONS[precision])


def make_scaler(device: torch.device, precision: str, loss_scale: float | str) -> torch.amp.GradScaler:
    """Return the loss scaler of a training run; it does nothing unless `precision` is fp16.

    `loss_scale` is 'dynamic' or a number, to which the caller resets the scale after each step.
    """
    enabled = precision == "fp16"
    options: dict[str, Any] = {"enabled": enabled}
    if loss_scale != "dynamic":
        options |= {"init_scale": float(loss_scale), "growth_interval": _NEVER_GROW}
    if device.type != "npu":
        return torch.amp.GradScaler(device.type, **options)
    if enabled and not _module("npu").utils.is_support_inf_nan():
        # Up to Ascend 910A an overflow gives the largest number, not infinity. Only torch_npu's scaler asks the device
        # for overflows, and with `dynamic=False` it does not.
        return _module("npu").amp.GradScaler(**options)
    return NpuGradScaler(device.type, **options)


def asks_for_overflow(scaler: torch.amp.GradScaler) -> bool:
    """Return whether a scaler reads on the host whether the device, a saturating NPU, has seen an overflow."""
    return hasattr(scaler, "_has_overflow")


def saw_overflow(scaler: torch.amp.GradScaler) -> bool:
    """Return whether the scaler of a saturating NPU found an overflow on any rank in this step.

    torch_npu's scaler reads a flag of the chip on the host, the only wait in a step. On other devices the result is
    False: there the gradients themselves become non-finite.
    """
    return bool(getattr(scaler, "_has_overflow", False))


def profiler_module(device: torch.device) -> Any:
    """Return the module with the profiler of a device: torch_npu.profiler or torch.profiler, with the same interface.

    Raises RuntimeError if the profiler of an NPU cannot work: torch_npu only prints that, and writes nothing.
    """
    if device.type != "npu":
        return torch.profiler
    import torch_npu.profiler

    for variable in ("PROFILER_SAMPLECONFIG", "PROFILING_MODE"):
        if os.environ.get(variable):
            raise RuntimeError(
                f"torch_npu's profiler does nothing under msprof ({variable} is set): use one of the two"
            )
    for library, function in (("libmsprofiler.so", "aclprofInit"), ("libascend_hal.so", "halGetDeviceInfo")):
        try:
            getattr(ctypes.CDLL(library), function)
        except (OSError, AttributeError) as error:
            raise RuntimeError(
                f"the profiler of CANN cannot be used ({error}): source CANN's set_env.sh; libascend_hal.so is a part "
                "of the driver"
            ) from error
    return torch_npu.profiler


def needs_pinned_memory(device: torch.device) -> bool:
    """Return whether batches for the device should lie in pinned host memory."""
    return device.type != "cpu"
