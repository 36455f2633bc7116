"""Table of the engines, and the choice of one."""

import importlib.util

from pysot.deploy.engine import Engine
from pysot.deploy.om_engine import OM
from pysot.deploy.onnxruntime_engine import ONNXRUNTIME
from pysot.deploy.openvino_engine import OPENVINO
from pysot.utils.registry import lookup

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (ONNXRUNTIME, OPENVINO, OM)}
AUTO = "auto"
# What AUTO takes, the first that is installed; the measurements are in test/benchmarks/README.md.
_FASTEST = ("openvino:fp32", "onnxruntime:cpu")


def engine_names() -> list[str]:
    """Return all names of engines with their providers, as they are asked for."""
    return [f"{engine.name}:{provider}" for engine in ENGINES.values() for provider in engine.providers]


def choose_engine(name: str = AUTO) -> tuple[Engine, str]:
    """Return an engine and its provider: ENGINE, ENGINE:PROVIDER, or with AUTO the fastest on a CPU that is installed.

    Raises ValueError for a name that does not exist, ImportError for an engine that is not installed.
    """
    if name == AUTO:
        installed = [each for each in _FASTEST if _is_installed(ENGINES[each.partition(":")[0]])]
        name = installed[0] if installed else _FASTEST[-1]
    kind, _, provider = name.partition(":")
    engine = lookup(ENGINES, kind, key="engine")
    provider = provider or engine.providers[0]
    lookup(dict.fromkeys(engine.providers), provider, key=f"provider of {kind}")
    if not _is_installed(engine):
        raise ImportError(f"the engine {kind} needs the package {engine.package}: {engine.install}")
    return engine, provider


def _is_installed(engine: Engine) -> bool:
    return importlib.util.find_spec(engine.package) is not None
