"""Engine ONNX Runtime: on a CPU, on a GPU (CUDA, TensorRT), on an Ascend NPU (CANN)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pysot.deploy.engine import Engine, Session, graph_inputs
from pysot.deploy.package import GraphFacts

# Execution providers by their names here, the package that has them, and their options. By default, CUDA rounds the
# inputs of products to TF32.
_PROVIDERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", "onnxruntime", {}),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu", {"use_tf32": "0"}),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu", {}),
    "cann": ("CANNExecutionProvider", "onnxruntime-cann", {}),
}


class _Session:
    """See `Session`."""

    def __init__(self, session: Any, facts: GraphFacts) -> None:
        self._session, self._facts = session, facts
        self._names = [tensor.name for tensor in facts.outputs]

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self._session.run(self._names, graph_inputs(inputs, self._facts))


def open_onnxruntime(path: Path, facts: GraphFacts, provider: str, threads: int) -> Session:
    """Load a graph, see `Engine.open`."""
    import onnxruntime

    name, package, values = _PROVIDERS[provider]
    if name not in onnxruntime.get_available_providers():
        raise ValueError(
            f"this onnxruntime {onnxruntime.__version__} has no provider {provider}: pip install {package} (instead of "
            "the one that is installed), or use onnxruntime:cpu"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; its warnings are about the speed of single operators
    if threads:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[(name, values)])
    except Exception as error:  # its errors have no common class of their own
        raise RuntimeError(_refusal(path, onnxruntime.__version__, error)) from None
    if session.get_providers()[0] != name:
        raise RuntimeError(
            f"onnxruntime cannot start its provider {provider} (a driver or library is missing, see its message "
            "above); use onnxruntime:cpu"
        )
    return _Session(session, facts)


def _refusal(path: Path, version: str, error: Exception) -> str:
    text = f"onnxruntime {version} refuses {path}: {str(error).strip().splitlines()[0]}"
    if "opset" in str(error) or "IR version" in str(error):
        return f"{text}. Install a newer onnxruntime, or export with a lower --opset"
    return text


ONNXRUNTIME = Engine(
    "onnxruntime", tuple(_PROVIDERS), ".onnx", "onnxruntime", "pip install onnxruntime", open_onnxruntime
)
