"""Engine om: graphs that ATC has compiled for an Ascend chip, computed by InferSession of ais_bench.

The chip is the first that is visible; ASCEND_RT_VISIBLE_DEVICES chooses another.
"""

import functools
import math
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pysot.deploy.ascend import BATCHES, SCRIPT, om_origin
from pysot.deploy.engine import CROP, Engine, Session, check_inputs, compute_in_calls
from pysot.deploy.package import GraphFacts
from pysot.utils.files import file_hash

_DEVICE = 0
_AGAIN = f"compile it again with {SCRIPT} of the export"
_INSTALL = "build the wheels ais_bench and aclruntime from the sources of Ascend's msit, and install both"


class _Session:
    """See `Session`. Its chip computes one call at a time."""

    def __init__(self, session: Any, facts: GraphFacts) -> None:
        self._session, self._facts = session, facts
        self._lock = threading.Lock()
        weakref.finalize(self, session.free_resource)

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        check_inputs(inputs, self._facts)
        if self._facts.batch is not None:
            return self._infer(inputs, "static")
        return compute_in_calls(functools.partial(self._infer, mode="dymbatch"), inputs, BATCHES)

    def _infer(self, inputs: Sequence[np.ndarray], mode: str) -> list[np.ndarray]:
        feeds = [np.ascontiguousarray(value) for value in inputs]
        with self._lock:
            self._session.set_context()  # of this thread, which may be a new one
            outputs = self._session.infer(feeds, mode=mode)
        expected = [((len(feeds[0]), *tensor.shape[1:]), tensor.dtype) for tensor in self._facts.outputs]
        found = [(output.shape, output.dtype.name) for output in outputs]
        if found != expected:
            raise RuntimeError(f"the .om of {self._facts.file} gave {found}, expected {expected}; {_AGAIN}")
        return outputs


def open_om(path: Path, facts: GraphFacts, provider: str, threads: int) -> Session:
    """Load a graph, see `Engine.open`; the chip has no use for `threads`.

    Raises FileNotFoundError without the .om, and ValueError for one of another export or without AIPP.
    """
    _check_origin(path, facts)
    try:
        from ais_bench.infer.interface import InferSession
    except ImportError as error:
        raise ImportError(
            f"the engine om needs ais_bench and aclruntime, and CANN in this shell (source its set_env.sh): {error}. "
            f"To install: {_INSTALL}"
        ) from None
    try:
        session = InferSession(_DEVICE, str(path))
    except Exception as error:  # its errors have no common class of their own
        raise RuntimeError(
            f"ais_bench cannot load {path}: {error}. Compile it for the chip of this machine (`npu-smi info`), and see "
            "that the chip is free"
        ) from None
    _check_inputs(path, facts, session.get_inputs())
    return _Session(session, facts)


def _check_origin(path: Path, facts: GraphFacts) -> None:
    """Raise an error unless an .om is there, complete, and made of the ONNX graph of this export."""
    origin = om_origin(path)
    if not path.is_file() or not origin.is_file():
        missing = origin if path.is_file() else path
        raise FileNotFoundError(
            f"{missing} is missing: export with --format om, and run {SCRIPT} of the export on a machine with CANN"
        )
    found = {tuple(line.split()) for line in origin.read_text(encoding="utf-8").splitlines()}
    if not {(facts.sha256, facts.file), (file_hash(path), path.name)} <= found:
        raise ValueError(f"{path} was not made of the {facts.file} of this export, or is incomplete: {_AGAIN}")


def _check_inputs(path: Path, facts: GraphFacts, found: Sequence[Any]) -> None:
    """Raise ValueError unless the inputs of an .om are those of its graph; a crop is uint8, in the layout of AIPP."""
    kinds = [("uint8" if tensor.name == CROP else tensor.dtype, math.prod(tensor.shape[1:])) for tensor in facts.inputs]
    got = [(each.datatype.name, math.prod(each.shape[1:])) for each in found]
    if got != kinds:
        hint = "; it was compiled without its AIPP file" if got and got[0][0] != kinds[0][0] == "uint8" else ""
        raise ValueError(f"{path} takes {got} (type, values of a row), expected {kinds}{hint}: {_AGAIN}")


OM = Engine("om", ("ascend",), ".om", "ais_bench", _INSTALL, open_om)
