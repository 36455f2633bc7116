"""Networks of trackers compiled by torch.compile; on a CPU with weights as constants, and only where that is faster."""

import logging
import os
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import cast

import torch

from pysot.models.siammask import SiamMask
from pysot.models.siamrpn import SiamRPN

logger = logging.getLogger(__name__)
_REPEATS = 7

Match = Callable[[list[torch.Tensor], torch.Tensor], tuple]  # cls, loc, and the features of masks if there are any


def can_compile(kind: str) -> bool:
    """Return whether torch.compile works on a kind of device: not on an NPU, on a CPU with a C++ compiler."""
    return kind != "npu" and (kind != "cpu" or shutil.which(os.environ.get("CXX", "g++")) is not None)


def compile_match(
    network: SiamRPN,
    eager: SiamRPN,
    template: torch.Tensor,
    search: torch.Tensor,
    counts: Sequence[int],
    masks: bool = False,
) -> Match:
    """Return `match` of a folded `network`, or with `masks` its `match_masks`, compiled.

    On a CPU it is compiled for calls with `counts` search crops like `search` (1, 3, H, H). Calls with a count for
    which the compiled form is not the faster one, and all other calls, are left to `eager`; this is measured here, and
    logged. Raises ValueError for an NPU, and RuntimeError if torch.compile fails, as without a C++ compiler.
    """
    kind = template.device.type
    if kind == "npu":
        raise ValueError("TRACK.COMPILE true is not for an NPU, which torch.compile does not support; set it to false")
    if kind != "cpu":
        return _compile(match_of(network, masks))
    from torch._inductor import config  # torch loads it at the first compilation

    faster: dict[torch.Size, Match] = {}
    eager_match = match_of(eager, masks)
    with torch.inference_mode():  # compiled code depends on this mode
        kernels = network.kernels(template.clone())
        for count in counts:
            images = search.expand(count, -1, -1, -1).clone(memory_format=torch.channels_last)
            state = _copies([kernel.expand(count, *kernel.shape[1:]) for kernel in kernels])
            compiled = _compile(match_of(network, masks))
            try:
                # Among the options of torch.compile, it would come too late: weights would be inputs, not constants.
                with config.patch(freezing=True):
                    compiled(state, images)
            except RuntimeError as error:
                reason = str(error).partition("\n")[0]
                raise RuntimeError(
                    f"TRACK.COMPILE is true, but torch.compile fails ({reason}): install a C++ compiler such as g++, "
                    "or set it to false"
                ) from error
            compiled_seconds, eager_seconds = _seconds([compiled, eager_match], state, images)
            is_faster = compiled_seconds < eager_seconds
            if is_faster:
                faster[images.shape] = compiled
            logger.info(
                "a call with %d crop%s: %.1f ms compiled, %.1f ms operator by operator; %s",
                count,
                "s" if count > 1 else "",
                1000 * compiled_seconds,
                1000 * eager_seconds,
                "it is compiled" if is_faster else "it is not compiled",
            )

    def match(state: list[torch.Tensor], images: torch.Tensor) -> tuple:
        compiled = faster.get(images.shape)
        return eager_match(state, images) if compiled is None else compiled(_copies(state), images)

    return match


def match_of(network: SiamRPN, masks: bool) -> Match:
    """Return `match` of a network, or with `masks` the `match_masks` of a SiamMask."""
    return cast(SiamMask, network).match_masks if masks else network.match


def _copies(state: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return copies of kernels in one memory layout and in the mode of this call: others would be compiled anew."""
    return [kernel.clone(memory_format=torch.channels_last) for kernel in state]


def _compile(eager: Match) -> Match:
    """Return a `match` compiled for each shape; with freezing, its weights are constants, in oneDNN's layout."""

    def match(state: list[torch.Tensor], images: torch.Tensor) -> tuple:
        return eager(state, images)

    # torch.compile counts the forms of a code object, of all networks together, and gives up after eight.
    own = FunctionType(match.__code__.replace(), match.__globals__, closure=match.__closure__)
    return torch.compile(own, dynamic=False)


def _seconds(ways: Sequence[Match], state: list[torch.Tensor], images: torch.Tensor) -> list[float]:
    """Return the median seconds of each way; the first call of each is not counted."""
    seconds: list[list[float]] = [[] for _ in ways]
    for repeat in range(_REPEATS + 1):
        for way, times in zip(ways, seconds, strict=True):
            began = time.perf_counter()
            way(state, images)
            if repeat:
                times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in seconds]
