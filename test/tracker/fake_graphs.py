"""Graphs for the CPU: a recorder of operators, and their repetition on the same tensors."""

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pysot.engine import frozen
from pysot.utils import graphs

# Operators that read the device, or copy a number to it, and wait.
WAITING = ("aten._local_scalar_dense", "aten.nonzero", "aten.where.Scalar")


def storages(values):
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor) and not leaf.is_mkldnn]
    return {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}


class Recorder(TorchDispatchMode):
    """Recorder of operators. A real capture computes nothing: `undo` restores the tensors from before it."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.own = {}
        self.before = {}

    def undo(self):
        for storage, content in self.before.values():
            storage.copy_(content)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if str(function).startswith(WAITING):
            raise RuntimeError(f"{function}: operation not permitted when stream is capturing")
        given = storages((args, kwargs))
        for pointer, storage in given.items():
            if pointer not in self.own and pointer not in self.before:
                self.before[pointer] = storage, storage.clone()
        result = function(*args, **kwargs)
        if function.namespace == "profiler":
            return result
        made = storages(result)
        self.own |= {pointer: storage for pointer, storage in made.items() if pointer not in given}
        is_view = not function._schema.is_mutable and made.keys() & given.keys()
        if not is_view or function.namespace == "c10d":
            self.calls.append((function, args, kwargs, result))
        return result

    @torch.inference_mode()
    def repeat(self):
        for function, args, kwargs, result in self.calls:
            again = function(*args, **kwargs)
            if function.namespace == "c10d":  # a collective, whose end other work waits for
                [leaf.wait() for leaf in tree_leaves(again) if hasattr(leaf, "wait")]
            if not function._schema.is_mutable:
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, torch.Tensor):  # a gradient that is not needed is None
                        old.copy_(new)


class FakeGraph:
    def replay(self):
        FakeModule.replays += 1
        self.recorder.repeat()


class FakeModule:
    """Module of a device with graphs, such as torch.cuda. `captures` and `replays` count; `fail_at` fails a capture.

    `pools` and `streams` are those of the captures, `running` how many there are at the moment.
    """

    CUDAGraph = FakeGraph
    captures = replays = running = handles = 0
    pools: list = []
    streams: list = []
    fail_at = None
    current = "the stream of the caller"

    @classmethod
    def reset(cls):
        cls.captures, cls.replays, cls.fail_at, cls.current = 0, 0, None, "the stream of the caller"
        cls.running, cls.handles, cls.pools, cls.streams = 0, 0, [], []

    class Stream:
        def __init__(self, device):
            pass

        def wait_stream(self, other):
            pass

    @classmethod
    def current_stream(cls, device):
        return cls.Stream(device)

    @classmethod
    def set_stream(cls, stream):
        cls.current = "the stream of the caller"

    @staticmethod
    def stream(stream):
        return contextlib.nullcontext()

    @staticmethod
    def device(device):
        return contextlib.nullcontext()

    @staticmethod
    def current_device():
        return 3

    @classmethod
    def graph_pool_handle(cls):
        cls.handles += 1
        return cls.handles

    @classmethod
    @contextlib.contextmanager
    def graph(cls, graph, pool, stream, capture_error_mode):
        cls.captures += 1
        cls.current = "the stream of the capture"
        cls.pools.append(pool)
        cls.streams.append(stream)
        assert cls.running == 0 and capture_error_mode == "thread_local"
        if cls.fail_at == cls.captures:
            raise RuntimeError("CUDA error: out of memory\nmore lines")
        graph.recorder = Recorder()
        cls.running += 1
        try:
            with graph.recorder:
                yield
        finally:
            graph.recorder.undo()
            cls.running -= 1


class Clock:
    """Clock by which a call of the host takes the seconds given, by whether a graph was repeated in it."""

    def __init__(self, fake, seconds_by_graph, seconds_by_operators):
        self.fake, self.seconds = fake, {True: seconds_by_graph, False: seconds_by_operators}
        self.now, self.replays = 0.0, 0

    def perf_counter(self):
        self.now += self.seconds[self.fake.replays > self.replays]
        self.replays = self.fake.replays
        return self.now


def use_fake_graphs(monkeypatch):
    """Give the CPU graphs; return their module."""
    FakeModule.reset()
    monkeypatch.setattr(graphs, "device_module", lambda device: FakeModule)
    monkeypatch.setitem(graphs._TYPES, "cpu", "CUDAGraph")
    monkeypatch.setattr(frozen, "PackedParts", lambda module: module)  # the form of a CPU, which reads values
    return FakeModule
