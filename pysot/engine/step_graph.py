"""The training step as a graph of the device, where it can be captured and is measured to be faster.

A graph contains the numbers of the host, such as the learning rate, and the addresses of its tensors: inputs are copied
to tensors of its own, while the next batch is already on its way, and gradients stay allocated.
"""

import logging
import statistics
import time
from collections.abc import Callable

import torch

from pysot.engine.optimizer import trained_parameters
from pysot.engine.train_step import Batch, TrainStep, Values
from pysot.utils.device import synchronize
from pysot.utils.distributed import any_over_ranks, mean_over_ranks
from pysot.utils.graphs import CaptureError, Graphs
from pysot.utils.packed_tensors import Layout, PackedTensors

logger = logging.getLogger(__name__)
WARM_UP = 2  # steps in which kernels are loaded and chosen
# DDP rebuilds its buckets in its first steps, and prepares the statistics of its logger until the tenth.
DDP_WARM_UP = 11
MEASURED = 5  # steps in each of the two ways


class StepGraph:
    """Training step that takes its first steps operator by operator and then as a graph, and keeps the faster way.

    All of them are steps of the training run: the results are those of `step` up to rounding, whichever is faster. With
    several processes all of them must call it, and all take the same decision.
    """

    def __init__(self, step: TrainStep, graphs: Graphs) -> None:
        self.step = step
        self.graphs = graphs
        self.is_settled = False  # whether the faster way is known
        self._use_graph = True
        self._is_parallel = step.rank.world_size > 1
        self._eager_calls = (DDP_WARM_UP if self._is_parallel else WARM_UP) + MEASURED
        self._calls = 0
        self._seconds: dict[bool, list[float]] = {False: [], True: []}  # as a graph or not
        self._inputs: Batch | None = None
        self._outputs: torch.Tensor | None = None
        self._names: list[str] = []
        self._gradients: list[torch.Tensor | None] = []
        self._replay: Callable[[], None] | None = None
        self._warned_of_shape = False
        with graphs.on_stream():  # DDP remembers the stream, and a capture cannot wait for another one
            step.wrap()

    @property
    def calls_until_settled(self) -> int:
        """Number of calls after which the faster way is known."""
        return self._eager_calls + 1 + MEASURED

    @property
    def is_used(self) -> bool:
        """True if the steps are known to be graphs from now on."""
        return self.is_settled and self._use_graph

    def renew(self) -> None:
        """Capture again at the next call, since a number has changed that the graph contains: the learning rate.

        That call takes a step operator by operator first, which needs the memory of the graph.
        """
        self._replay = self._outputs = None
        self._gradients = []
        self.graphs.release()

    def __call__(self, batch: Batch) -> Values:
        """Train on a batch on the device, see `TrainStep`."""
        if self.is_settled:
            return self._by_graph(batch) if self._use_graph else self._by_operators(batch)
        self._calls += 1
        as_graph = self._calls > self._eager_calls
        synchronize(self.step.device)
        began = time.perf_counter()
        values = self._by_graph(batch) if as_graph else self._by_operators(batch)
        synchronize(self.step.device)
        if self._calls != self._eager_calls + 1:  # the call that captures
            self._seconds[as_graph].append(time.perf_counter() - began)
        if self._calls == self.calls_until_settled or not self._use_graph:
            self._settle()
        return values

    def _settle(self) -> None:
        self.is_settled = True
        if not self._use_graph:
            return
        medians = [statistics.median(self._seconds[as_graph][-MEASURED:]) for as_graph in (False, True)]
        named = {"eager": torch.tensor(medians[0]), "graph": torch.tensor(medians[1])}
        means, _ = mean_over_ranks(
            {name: value.to(self.step.device) for name, value in named.items()},
            torch.zeros(0, device=self.step.device),
        )
        self._use_graph = means["graph"] < means["eager"]
        logger.info(
            "a training step takes %.1f ms operator by operator, %.1f ms as a graph: %s",
            1000 * means["eager"],
            1000 * means["graph"],
            "it is a graph from now on" if self._use_graph else "it stays operator by operator",
        )
        if not self._use_graph:
            self._release()

    def _by_operators(self, batch: Batch) -> Values:
        with self.graphs.on_stream():
            return self.step(batch)

    def _capture(self, batch: Batch) -> Values:
        """Train on a batch operator by operator, and capture the step for the next ones."""
        if self._inputs is not None and _layout(batch) != _layout(self._inputs):
            self._warn_of_shape(batch)
            values, problem = self._by_operators(batch), "a batch of another shape came first"
            if not self._is_parallel:
                return values  # the next batch is captured
        else:
            values, problem = self._try_to_capture(batch)
        if self._is_parallel and any_over_ranks(torch.tensor(bool(problem), device=self.step.device))():
            problem = problem or "another process could not"
        if problem:
            self._give_up(problem)
        return values

    def _try_to_capture(self, batch: Batch) -> tuple[Values, str]:
        """Return the values of a step, and why it could not be captured, or ''."""
        if self._inputs is None:
            self._inputs = _clone(batch)
        _copy(batch, self._inputs)
        inputs = self._inputs
        values: list[Values] = []
        gradients: list[list[torch.Tensor | None]] = []

        def work() -> None:
            values.append(self.step(inputs))
            gradients.append([parameter.grad for parameter in trained_parameters(self.step.optimizer)])
            self._outputs = torch.stack([value.float() for value in values[-1].values()])

        try:
            self._replay = self.graphs.capture(work)
        except CaptureError as error:
            self.step.abandon()
            return values[0], str(error).partition("\n")[0]
        self._names = list(values[0])
        self._gradients = gradients[1]
        for computed, captured in zip(*gradients, strict=True):
            if computed is not None and captured is not None and captured is not computed:
                captured.copy_(computed)  # the capture has computed nothing: the log of gradients reads it
        return values[0], ""

    def _give_up(self, problem: str) -> None:
        logger.warning(
            "the training step cannot be captured as a graph (%s): it is computed operator by operator, as with "
            "TRAIN.GRAPH off",
            problem,
        )
        self._use_graph = False
        self._release()
        if self._is_parallel:  # the capture may have ended between two parts of DDP's work
            with self.graphs.on_stream():
                self.step.wrap()

    def _release(self) -> None:
        self.renew()
        self._inputs = None

    def _by_graph(self, batch: Batch) -> Values:
        if self._replay is None:
            return self._capture(batch)
        assert self._inputs is not None
        if _layout(batch) != _layout(self._inputs):
            self._warn_of_shape(batch)
            values = self._by_operators(batch)
            for parameter, gradient in zip(trained_parameters(self.step.optimizer), self._gradients, strict=True):
                parameter.grad = gradient  # that of the graph: the log of gradients reads it
            return values
        _copy(batch, self._inputs)
        self._replay()
        assert self._outputs is not None
        return dict(zip(self._names, self._outputs.clone().unbind(), strict=True))

    def _warn_of_shape(self, batch: Batch) -> None:
        if not self._warned_of_shape and self._inputs is not None:
            self._warned_of_shape = True
            logger.warning(
                "a batch has the shapes %s, the graph of the training step has %s: it is computed operator by operator",
                _layout(batch),
                _layout(self._inputs),
            )


def _layout(batch: Batch) -> Layout:
    if isinstance(batch, PackedTensors):
        return batch.layout
    return Layout({name: (tuple(value.shape), value.dtype) for name, value in batch.items()})


def _clone(batch: Batch) -> Batch:
    if isinstance(batch, PackedTensors):
        return PackedTensors(batch.buffer.clone(), batch.layout)
    return {name: value.clone() for name, value in batch.items()}


def _copy(source: Batch, target: Batch) -> None:
    """Copy a batch to another one of the same layout: packed tensors at once."""
    if isinstance(source, PackedTensors) and isinstance(target, PackedTensors):
        target.buffer.copy_(source.buffer)
        return
    for name, value in target.items():
        value.copy_(source[name])
