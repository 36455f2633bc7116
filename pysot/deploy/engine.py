"""Interface of the engines: programs that compute the graphs of an export.

An engine is named ENGINE or ENGINE:PROVIDER, such as onnxruntime:cpu. The engines are in the table of `engines`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pysot.deploy.package import GraphFacts, TensorFacts

CROP = "crop"  # name of the input that is an image


class Session(Protocol):
    """Graph that an engine has loaded. Several threads may use it at a time."""

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of the graph for its inputs, both in the order of `GraphFacts`.

        A crop is uint8 (N, H, H, 3) BGR as it was cut; the session brings it into the form of its graph. Raises
        ValueError for inputs that the graph does not take.
        """


# open(path of the graph, its facts, provider, threads on the host or 0 for the engine's own number) loads a graph.
Open = Callable[[Path, GraphFacts, str, int], Session]


@dataclass(frozen=True)
class Engine:
    """Program that computes graphs.

    providers   names of its ways to compute, the default first
    suffix      of the files that it reads: .onnx or .om
    package     Python package that has to be installed
    install     what to type, or to do, to install it
    open        see `Open`; raises ImportError without the package, ValueError for a provider that is missing here, and
                RuntimeError if the engine refuses the graph
    """

    name: str
    providers: tuple[str, ...]
    suffix: str
    package: str
    install: str
    open: Open


def check_inputs(inputs: Sequence[np.ndarray], facts: GraphFacts) -> None:
    """Raise ValueError unless `inputs` have the number, shapes and types of a graph's inputs, and one batch size."""
    if len(inputs) != len(facts.inputs):
        raise ValueError(f"{facts.file} takes {len(facts.inputs)} inputs, got {len(inputs)}")
    batch = len(inputs[0])
    for value, tensor in zip(inputs, facts.inputs, strict=True):
        shape, kind = _expected(tensor)
        wanted = (batch if shape[0] == "N" else shape[0], *shape[1:])
        if value.shape != wanted or value.dtype != kind:
            sizes = " x ".join(map(str, shape))
            hint = "; export with --batch dynamic to allow any" if value.shape[1:] == wanted[1:] else ""
            raise ValueError(
                f"{facts.file} takes {tensor.name} as {kind} {sizes}, got {value.dtype} "
                f"{' x '.join(map(str, value.shape))}{hint}"
            )


def _expected(tensor: TensorFacts) -> tuple[tuple[int | str, ...], str]:
    """Return shape and type in which a session takes an input."""
    if tensor.name != CROP:
        return tensor.shape, tensor.dtype
    batch, channels, height, width = tensor.shape
    return (batch, height, width, channels), "uint8"


def as_images(crops: np.ndarray) -> np.ndarray:
    """Return crops uint8 (N, H, H, 3) as float32 (N, 3, H, H), the input of an ONNX graph."""
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)


def graph_inputs(inputs: Sequence[np.ndarray], facts: GraphFacts) -> dict[str, np.ndarray]:
    """Return the inputs of an ONNX graph by name, checked; crops are converted."""
    check_inputs(inputs, facts)
    return {
        tensor.name: as_images(value) if tensor.name == CROP else value
        for value, tensor in zip(inputs, facts.inputs, strict=True)
    }


def compute_in_calls(
    compute: Callable[[Sequence[np.ndarray]], list[np.ndarray]], inputs: Sequence[np.ndarray], batches: Sequence[int]
) -> list[np.ndarray]:
    """Return the outputs for any number of rows, from calls with the `batches` (rising) that a graph takes.

    A call takes at most batches[-1] rows, and is filled up with zeros to the next batch.
    """
    parts = []
    for first in range(0, len(inputs[0]), batches[-1]):
        rows = [value[first : first + batches[-1]] for value in inputs]
        count = len(rows[0])
        missing = next(batch for batch in batches if batch >= count) - count
        if missing:
            rows = [np.concatenate([part, np.zeros_like(part, shape=(missing, *part.shape[1:]))]) for part in rows]
        parts.append([output[:count] for output in compute(rows)])
    return parts[0] if len(parts) == 1 else [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
