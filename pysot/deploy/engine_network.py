"""Network of a tracker that an engine computes: the graphs of an export."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pysot.deploy.engine import Engine, Session, compute_in_calls
from pysot.deploy.package import Package
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.frame_maths import Array
from pysot.tracker.host_step import HostStep
from pysot.tracker.network import Outputs, State, Step


class EngineNetwork:
    """See `Network`. Trackers and threads may share it.

    A graph with a fixed batch is called several times for more crops, and its last call is filled up with zeros.
    """

    static = False

    def __init__(self, package: Package, engine: Engine, provider: str, threads: int = 0) -> None:
        """Load the graphs of an export; `threads` is the number for one call, 0 the engine's own. See `Engine.open`.

        Raises ValueError for the provider int8 and an export that is not quantised.
        """
        if provider == "int8" and package.export["precision"] != "int8":
            raise ValueError(
                f"{engine.name}:int8 needs a quantised graph, those of {package.folder} are in "
                f"{package.export['precision']}: export with --precision int8"
            )
        self.package = package
        self.name = f"{engine.name}:{provider}"
        self._sessions: Mapping[str, Session] = {
            name: engine.open(package.path(name, engine.suffix), facts, provider, threads)
            for name, facts in package.graphs.items()
        }
        s = package.settings
        self._graph_of_side = {s.lost_instance_size: "track_lost"} if package.long_term else {}
        self._graph_of_side[s.instance_size] = "track"

    @property
    def masks(self) -> bool:
        return self.package.masks

    def template(self, crops: np.ndarray) -> State:
        return self._run("template", [crops])

    def track(self, state: State, crops: np.ndarray) -> Outputs:
        graph = self._graph_of_side.get(crops.shape[1])
        if graph is None:
            sides = " and ".join(map(str, sorted(self._graph_of_side)))
            raise ValueError(f"this export has search crops of {sides} pixels, got {crops.shape[1]}; export again")
        cls, loc, *features = self._run(graph, [crops, *state])
        return Outputs(cls, loc, features or None)

    def refine(self, features: Any, cells: Array) -> Array:
        return self._run("refine", [*features, cells])[0]

    def array(self, values: np.ndarray) -> Array:
        return values

    def host(self, values: Array) -> np.ndarray:
        return values

    def check_memory(self, count: int) -> None:
        """Accept any number of targets: they are computed in calls of the batch of the graph."""

    def make_step(self, slots: int, threads: CropThreads, last: Step | None) -> Step:
        return last or HostStep(self, slots, threads)

    def _run(self, graph: str, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a graph for any number of crops."""
        session, batch = self._sessions[graph], self.package.graphs[graph].batch
        return session.run(inputs) if batch is None else compute_in_calls(session.run, inputs, (batch,))
