"""Engine OpenVINO, on a CPU: in float32, in bfloat16 (fast with amx_bf16), or as the graph says (int8)."""

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pysot.deploy.engine import Engine, Session, graph_inputs
from pysot.deploy.package import GraphFacts

# Precisions of what a graph leaves in float32. A graph that is quantised computes the rest in int8 in any case.
_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


class _Session:
    """See `Session`. Each thread has a request of its own."""

    def __init__(self, model: Any, facts: GraphFacts) -> None:
        self._model, self._facts = model, facts
        self._local = threading.local()

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not hasattr(self._local, "request"):
            self._local.request = self._model.create_infer_request()
        outputs = self._local.request.infer(graph_inputs(inputs, self._facts), share_inputs=True)
        return [outputs[tensor.name] for tensor in self._facts.outputs]


def open_openvino(path: Path, facts: GraphFacts, provider: str, threads: int) -> Session:
    """Load a graph, see `Engine.open`."""
    import openvino

    core = _core()
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _PRECISIONS[provider]}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise RuntimeError(
            f"OpenVINO {openvino.__version__} refuses {path}: {reason}. A graph with --xcorr shift and --opset 17 is "
            "accepted, or use onnxruntime:cpu"
        ) from None
    return _Session(compiled, facts)


@functools.cache
def _core() -> Any:
    """Return OpenVINO's object that loads graphs: one for the process, until that ends.

    On x86 each gives its thread a memory for signal handlers, and of two that are dropped one after the other the last
    leaves the thread with the memory that the first has freed. The next signal, such as Ctrl-C, ends the process then.
    """
    import openvino

    return openvino.Core()


OPENVINO = Engine("openvino", tuple(_PRECISIONS), ".onnx", "openvino", "pip install openvino", open_openvino)
