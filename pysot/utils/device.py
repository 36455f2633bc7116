"""Accelerators: the only file that knows npu from cuda. Everything else takes a torch.device and the functions here.

torch_npu registers itself when torch is imported; a torch with torch_npu but without CANN fails to import, before anything here runs.
"""

import contextlib
import ctypes
import os
import random
import resource
import sys
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch.amp.grad_scaler import OptState

from pysot.utils.cores import torch_npu_binds, usable_cores
from pysot.utils.npu_sgd import npu_gradients

_BACKENDS = {"npu": "hccl", "cuda": "nccl", "cpu": "gloo"}
_PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16}
_STATIC_FOR_EVER = 2**31 - 1


def _module(kind: str):
    """torch.npu or torch.cuda, or None where this torch has none."""
    return getattr(torch, kind, None)


def device_module(device: torch.device):
    """torch's module for an accelerator, with its events, streams and counters of memory (those of torch_npu have the same names); None for the CPU."""
    return None if device.type == "cpu" else _module(device.type)


def _count(kind: str) -> int:
    module = _module(kind)
    return module.device_count() if module is not None and module.is_available() else 0


def choose_device(name: str = "auto", use_accelerator: bool = True, local_rank: int | None = None) -> torch.device:
    """The device that a command works on: 'auto' takes an NPU before a GPU before the CPU; 'npu', 'cuda', 'cpu' and 'npu:3' are taken at their word.

    A process of a distributed run passes its `local_rank` and gets the card of that number. The card becomes the current one.
    Raises ValueError for an unknown name, RuntimeError where the device is not there: there is no fall-back to the CPU.
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
        raise RuntimeError(_absent(kind, number))
    device = torch.device(kind, number)
    try:
        _module(kind).set_device(device)
    except RuntimeError as error:
        look = "npu-smi info" if kind == "npu" else "nvidia-smi"
        raise RuntimeError(
            f"device {device} is there but cannot be opened ({str(error).splitlines()[0]}): another process may hold it, or its driver needs a "
            f"restart. See `{look}`, end that process, or choose other cards with {_visibility(kind)}"
        ) from error
    return device


def _absent(kind: str, number: int) -> str:
    have = _count(kind)
    if have:
        return f"device {kind}:{number} was asked for, this process sees {have} {kind} device(s); start at most {have} processes, or see {_visibility(kind)}"
    package = (
        "install torch_npu and CANN, and source CANN's set_env.sh"
        if kind == "npu"
        else "install a CUDA build of torch and its driver"
    )
    return f"device {kind} was asked for, but this torch ({torch.__version__}) finds none: {package}, or choose --device cpu"


def _visibility(kind: str) -> str:
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
    """Set torch_npu's switches, see the NPU section of pysot/core/config.py; nothing on other devices."""
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
    """Set what torch leaves to its user on a GPU, see the GPU section of pysot/core/config.py; nothing on other devices."""
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = cudnn_benchmark
        torch.set_float32_matmul_precision("high" if tf32 else "highest")


def make_deterministic(device: torch.device) -> None:
    """Let the same work on `device` give the same bits in every run of this process's program: kernels that are deterministic, or an error by the operator
    that has none. Called before the process group is made and after the other switches.
    """
    # cuBLAS and HCCL read these when they are first used
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    if os.environ.get("HCCL_DETERMINISTIC") != "strict":
        os.environ["HCCL_DETERMINISTIC"] = "true"
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    if device.type == "npu" and hasattr(_module("npu"), "set_deterministic_level"):
        with warnings.catch_warnings():  # it always warns that torch's switch is not to be used any more
            warnings.simplefilter("ignore")
            _module("npu").set_deterministic_level(1)


def likes_channels_last(device: torch.device, precision: str, tf32: bool) -> bool:
    """Whether convolutions are faster with the channels of a pixel side by side: on a CPU (measured, test/benchmarks/README.md) and on the tensor cores of a
    GPU; an NPU has layouts of its own.
    """
    return device.type == "cpu" or (device.type == "cuda" and (precision != "fp32" or tf32))


def accelerators() -> list[torch.device]:
    """The NPUs of this machine that this process sees; its GPUs where there are none."""
    kind = next((k for k in ("npu", "cuda") if _count(k)), None)
    return [torch.device(kind, number) for number in range(_count(kind))] if kind else []


def try_device(device: torch.device) -> str:
    """Multiply two matrices on a card; returns its name and memory. Raises RuntimeError, as `choose_device`, or with what the card says."""
    choose_device(str(device))
    square = torch.eye(64, device=device) * 2
    result = (square @ square).sum().item()
    if result != 256:
        raise RuntimeError(f"{device} multiplies wrongly: expected 256, got {result}")
    free, total = (number / 2**30 for number in _module(device.type).mem_get_info(device))
    return f"{device_name(device)}, {free:.1f} of {total:.1f} GiB free"


def distributed_backend(device: torch.device | str) -> str:
    """The torch.distributed backend of a device or kind of device: hccl, nccl or gloo."""
    return _BACKENDS[torch.device(device).type]


def collective_timeout(device: torch.device) -> timedelta:
    """How long a collective may wait for its peers: longer than HCCL itself waits, so that HCCL's message, which names the peer, comes first."""
    seconds = 30 * 60.0
    if device.type == "npu":
        for name, default in (("HCCL_CONNECT_TIMEOUT", "120"), ("HCCL_EXEC_TIMEOUT", "1836")):
            text = os.environ.get(name) or default
            if not text.isdecimal():
                raise ValueError(f"{name} is {text!r}; expected a whole number of seconds")
            seconds = max(seconds, int(text))
    return timedelta(seconds=seconds + 600)


def binds_cores(device: torch.device) -> bool:
    """Whether torch_npu binds its threads to cores itself, see `torch_npu_binds`, so that nobody else must."""
    return device.type == "npu" and torch_npu_binds(
        os.environ.get("CPU_AFFINITY_CONF", ""), _count("npu"), usable_cores(), os.cpu_count() or 1
    )


def device_name(device: torch.device) -> str:
    """A name for tables, e.g. 'Ascend910B3' or 'cpu (2 threads)'."""
    return (
        f"cpu ({torch.get_num_threads()} threads)"
        if device.type == "cpu"
        else _module(device.type).get_device_name(device)
    )


def library_versions(device: torch.device) -> dict[str, str]:
    """The versions of what a CUDA build of torch computes with; those of an NPU are CANN's, which tools/doctor.py finds."""
    return (
        {"CUDA": str(torch.version.cuda), "cuDNN": str(torch.backends.cudnn.version())} if device.type == "cuda" else {}
    )


@contextlib.contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """On a CPU, compute with one thread meanwhile: the last digits of a convolution depend on how many there are, and with them where a tracker ends."""
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
    """Wait for all work given to the device."""
    if device.type != "cpu":
        _module(device.type).synchronize(device)


def peak_memory_mib(device: torch.device) -> float:
    """The most memory that the tensors of this process took at a time on the device, or all of the process on a CPU. MiB. See also `reserved_memory_mib`."""
    if device.type == "cpu":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
    return _module(device.type).max_memory_allocated(device) / 2**20


def forget_peak_memory(device: torch.device) -> None:
    """Let `peak_memory_mib` count from here on. On a CPU this is Linux's; other systems keep counting from the start of the process."""
    if device.type != "cpu":
        _module(device.type).empty_cache()
        _module(device.type).reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library other than glibc
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def half_type(precision: str) -> torch.dtype | None:
    """The type that a precision computes in, fp16 or bf16; None for fp32, torch's default."""
    return _PRECISIONS.get(precision)


def check_precision(device: torch.device, precision: str) -> None:
    """Raise ValueError for bf16 on an NPU whose chip lacks it: 910A and older."""
    if precision == "bf16" and device.type == "npu" and not _module("npu").is_bf16_supported():
        raise ValueError(
            f"TRAIN.PRECISION is bf16, which {device_name(device)} does not have (Ascend 910B and later do); set it to fp16 or fp32"
        )


def lowers_fp32(device: torch.device, precision_mode: str) -> bool:
    """Whether convolutions and matrix products of float32 run in fp16: on chips before Ascend 910B they do unless `precision_mode` is must_keep_origin_dtype,
    see torch_npu's SetPrecisionMode.
    """
    return (
        device.type == "npu" and not _module("npu").is_bf16_supported() and precision_mode != "must_keep_origin_dtype"
    )


def autocast(device: torch.device, precision: str):
    """A context in which the network runs in `precision`: fp32, fp16 or bf16."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_PRECISIONS[precision])


def make_scaler(device: torch.device, precision: str, loss_scale: float | str) -> torch.amp.GradScaler:
    """The loss scaler of a run; it does nothing unless precision is fp16. `loss_scale` is a number (the caller resets it after each step) or 'dynamic'."""
    enabled = precision == "fp16"
    options = (
        {"enabled": enabled}
        if loss_scale == "dynamic"
        else {"enabled": enabled, "init_scale": float(loss_scale), "growth_interval": _STATIC_FOR_EVER}
    )
    if device.type != "npu":
        return torch.amp.GradScaler(device.type, **options)
    if enabled and not _module("npu").utils.is_support_inf_nan():
        # Up to Ascend 910A an overflow gives the largest number, not infinity: only torch_npu's scaler asks the device. Its `dynamic=False` would not ask.
        return _module("npu").amp.GradScaler(**options)
    return _NpuGradScaler(device.type, **options)


class _NpuGradScaler(torch.amp.GradScaler):
    """torch takes the reciprocal of the scale in float64, which an NPU does not have. Nothing here reads the device on the host."""

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        if self.is_enabled():
            scale, _ = self._check_scale_growth_tracker("unscale_")
            state = self._per_optimizer_states[id(optimizer)]
            found = torch.zeros_like(scale)
            torch._amp_foreach_non_finite_check_and_unscale_(npu_gradients(optimizer), found, scale.reciprocal())
            state["found_inf_per_device"], state["stage"] = {scale.device: found}, OptState.UNSCALED


def saw_overflow(scaler: torch.amp.GradScaler) -> bool:
    """Whether the scaler of a saturating NPU has found an overflow on any rank in this step: torch_npu's reads a flag of the chip on the host for that, the
    only wait in a step. Elsewhere False: there the gradients themselves tell.
    """
    return bool(getattr(scaler, "_has_overflow", False))


class CopyStream:
    """Copies to a device that run beside its computations; computations that are given to it afterwards wait for them."""

    def __init__(self, device: torch.device):
        self.device = device
        self.stream = None if device.type == "cpu" else _module(device.type).Stream(device)

    def copy(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors on the device."""
        if self.stream is None:
            return tensors
        module = _module(self.device.type)
        with module.stream(self.stream):
            copies = {name: value.to(self.device, non_blocking=True) for name, value in tensors.items()}
        current = module.current_stream(self.device)
        current.wait_stream(self.stream)
        for value in copies.values():
            value.record_stream(current)  # else its memory may be given to the next copy while it is still in use
        return copies


def wants_pinned_memory(device: torch.device) -> bool:
    """Whether batches for the device should lie in pinned host memory."""
    return device.type != "cpu"
