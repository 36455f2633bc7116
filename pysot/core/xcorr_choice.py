"""Choice of the method to correlate on a GPU, by its time there."""

import functools
import logging
import statistics
from collections.abc import Callable, Mapping

import torch

from pysot.utils.device import device_module
from pysot.utils.meter import elapsed_ms

logger = logging.getLogger(__name__)
Method = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_WARM_UP, _REPEATS = 2, 7
_chosen: dict[tuple, str] = {}  # name of the fastest method by what `_kind_of_call` returns


def choose_method(methods: Mapping[str, Method], fixed: str, search: torch.Tensor, kernel: torch.Tensor) -> str:
    """Return the name of the fastest of `methods` for such tensors: measured at the first call, then remembered.

    It is `fixed`, unmeasured, with deterministic algorithms and in the capture of a graph that no such call precedes.
    Ranks may choose differently; their results differ by rounding only, as those of different batches do.
    """
    if torch.are_deterministic_algorithms_enabled():
        return fixed
    kind = _kind_of_call(search, kernel)
    if kind not in _chosen:
        if device_module(search.device).is_current_stream_capturing():
            return fixed
        _chosen[kind] = _measure(methods, search, kernel)
    return _chosen[kind]


def _wants_gradients(search: torch.Tensor, kernel: torch.Tensor) -> bool:
    return torch.is_grad_enabled() and (search.requires_grad or kernel.requires_grad)


def _kind_of_call(search: torch.Tensor, kernel: torch.Tensor) -> tuple:
    """Return what the fastest method depends on; batches of up to 1, 3, 7, ... images are not told apart."""
    return (
        search.device,
        search.dtype,
        kernel.dtype,
        torch.is_autocast_enabled(search.device.type),
        search.shape[0].bit_length(),
        search.shape[1:],
        kernel.shape[2:],
        search.stride(1) == 1,
        _wants_gradients(search, kernel),
    )


def _measure(methods: Mapping[str, Method], search: torch.Tensor, kernel: torch.Tensor) -> str:
    """Return the name of the method that is fastest on the values of these tensors, with gradients if they are wanted.

    Random numbers would change the state of the generator, and with it the training run.
    """
    with_gradients = _wants_gradients(search, kernel)
    inputs = [tensor.detach().requires_grad_(with_gradients) for tensor in (search, kernel)]

    def work(correlate: Method) -> None:
        out = correlate(*inputs)
        if with_gradients:
            torch.autograd.grad(out, inputs, torch.ones_like(out))

    spent: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(_WARM_UP + _REPEATS):
        for name, correlate in methods.items():
            spent[name].append(elapsed_ms(search.device, functools.partial(work, correlate)))
    medians = {name: statistics.median(times[_WARM_UP:]) for name, times in spent.items()}
    fastest = min(medians, key=medians.__getitem__)
    logger.info(
        "depth-wise correlation of %s with %s cells, %s: %s, measured to be the fastest (%s)",
        "x".join(map(str, search.shape)),
        "x".join(map(str, kernel.shape[2:])),
        str(search.dtype).removeprefix("torch."),
        fastest,
        ", ".join(f"{name} {milliseconds:.3f} ms" for name, milliseconds in medians.items()),
    )
    return fastest
