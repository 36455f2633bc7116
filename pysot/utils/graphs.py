"""Graphs: work that a device repeats by one call of the host, in place of one call per operator."""

import contextlib
import ctypes
import functools
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

from pysot.utils.device import device_module

logger = logging.getLogger(__name__)
_TYPES = {"cuda": "CUDAGraph", "npu": "NPUGraph"}
_one_capture = threading.Lock()  # torch allows one at a time in a process


def find_graphs(device: torch.device) -> "Graphs | None":
    """Return the graphs of a device; None for a CPU, and where the software has none, which is logged once."""
    return Graphs(device) if device.type in _TYPES and _can_capture(device) else None


@functools.cache
def _can_capture(device: torch.device) -> bool:
    missing = None
    if not hasattr(device_module(device), _TYPES[device.type]):
        missing = f"torch {torch.__version__} has no {_TYPES[device.type]}"
    elif device.type == "npu" and not _cann_captures():
        missing = "this version of CANN has no aclmdlRICaptureBegin"
    if missing is not None:
        logger.warning("%s cannot capture graphs, %s: each step is computed operator by operator", device, missing)
    return missing is None


def _cann_captures() -> bool:
    """Return whether CANN can capture. Without that function, a capture leaves torch_npu unable to pin memory."""
    with contextlib.suppress(OSError):
        return hasattr(ctypes.CDLL("libascendcl.so"), "aclmdlRICaptureBegin")
    return False


class CaptureError(RuntimeError):
    """Work that can be computed, but not captured."""


class Graphs:
    """Captures graphs that share their memory: the results of one are lost when another one runs."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool: Any = None
        self._stream: Any = None  # graphs share memory only if they are captured on the same stream
        self._last: Any = None  # torch refuses a pool whose graphs are all gone, if tensors are left in it

    @contextlib.contextmanager
    def on_stream(self) -> Iterator[None]:
        """Queue work on the stream of the captures: after work that is queued so far, and before further work."""
        module = device_module(self.device)
        with module.device(self.device):
            current = module.current_stream(self.device)
            if self._stream is None:
                self._stream = module.Stream(self.device)
            self._stream.wait_stream(current)
            try:
                with module.stream(self._stream):
                    yield
            finally:
                current.wait_stream(self._stream)

    def capture(self, work: Callable[[], object]) -> Callable[[], None]:
        """Capture `work`, and return a function that repeats it.

        `work` is called twice: once to load kernels and to choose algorithms, and for the capture itself, which
        computes nothing. It reads and writes the same tensors each time, and reads nothing on the host. Raises
        CaptureError if it cannot be captured, and the errors of `work` itself.
        """
        module = device_module(self.device)
        with _one_capture, module.device(self.device):
            current = module.current_stream(self.device)
            with self.on_stream():
                work()
            if self._pool is None:
                self._pool = module.graph_pool_handle()
            graph = getattr(module, _TYPES[self.device.type])()
            options = {"pool": self._pool, "stream": self._stream}
            try:
                # Other threads may use the device meanwhile.
                with module.graph(graph, **options, capture_error_mode="thread_local"):
                    work()
            except RuntimeError as error:
                self._end_failed_capture()
                # The end of a capture fails as well, after an operation that the device has refused.
                raise CaptureError(str(error.__context__ or error)) from error
            finally:
                module.set_stream(current)  # a capture that fails leaves its own stream
        self._last = graph
        return graph.replay

    def release(self) -> None:
        """Give the memory of the graphs back, as soon as no function that repeats one is left."""
        self._pool = self._last = None

    def _end_failed_capture(self) -> None:
        """End the use of the pool, where torch has not: its allocator frees no memory while it takes a capture to run.

        torch does not, if the device has refused an operation. No further graph can then use the pool.
        """
        bindings = sys.modules["torch_npu" if self.device.type == "npu" else "torch"]._C
        index = device_module(self.device).current_device()
        with contextlib.suppress(RuntimeError, AttributeError):  # such as: "not currently recording to mempool_id"
            getattr(bindings, f"_{self.device.type}_endAllocateToPool")(index, self._pool)
            getattr(bindings, f"_{self.device.type}_releasePool")(index, self._pool)
        self._stream = None
        self.release()
