"""Versions of vot-toolkit: which experiments each of them can run with any tracker, and over which protocols."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OLDEST, NEWEST = "0.7.3", "0.9.0"  # that were tried, see tools/README.md, "VOT challenges"
RECOMMENDED = "0.7.4"
INSTALL = f"pip install vot-toolkit=={RECOMMENDED} 'attributee<0.1.10'"
_TYPES = ("supervised", "multistart", "unsupervised")


@dataclass(frozen=True)
class Experiment:
    """Experiment of a stack: how it runs trackers, in the words of the stack's file."""

    name: str
    type: str
    realtime: bool = False
    multiobject: bool = False
    transformers: tuple[str, ...] = ()


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the first three numbers of a version, (0, 7, 4) of 0.7.4."""
    return tuple(map(int, (re.findall(r"\d+", version) + ["0", "0", "0"])[:3]))


def check_version(version: str) -> None:
    """Raise ValueError for a version of vot-toolkit that does not run."""
    if version_numbers(version) < version_numbers(OLDEST):
        raise ValueError(
            f"vot-toolkit {version} does not run with today's Python packages; expected {OLDEST} to {NEWEST}. In the "
            f"toolkit's environment: {INSTALL}"
        )


def has_python_protocol(version: str) -> bool:
    """Return whether this version of vot-toolkit has its Python protocol."""
    return version_numbers(version) >= (0, 8, 0)


def read_experiments(stack: Mapping[str, Any]) -> list[Experiment]:
    """Return the experiments of a stack's file. Raises ValueError if it has none."""
    found = stack.get("experiments")
    if not isinstance(found, dict) or not found:
        raise ValueError("the stack has no experiments; expected `experiments:` with one entry or more in its file")
    return [
        Experiment(
            name=str(name),
            type=str(entry.get("type", "")),
            realtime="realtime" in entry,
            multiobject=str(entry.get("multiobject", "")).lower() in ("true", "yes", "1", "on"),
            transformers=tuple(str(each.get("type", "")) for each in entry.get("transformers") or ()),
        )
        for name, entry in found.items()
    ]


def reason_against(version: str, stack: str, experiment: Experiment) -> str:
    """Return why a version of vot-toolkit cannot run an experiment with a tracker of this package; "" if it can."""
    if "redetection" in experiment.transformers:
        return f"vot-toolkit {OLDEST} to {NEWEST} fails on the transformer `redetection` with every tracker"
    if experiment.type not in _TYPES or stack.endswith("/point"):
        return "it starts on points or words, the trackers here on boxes, polygons and masks"
    of_new = version_numbers("0.8.0") <= version_numbers(version) <= version_numbers(NEWEST)
    if of_new and (experiment.type != "unsupervised" or experiment.realtime):
        kind = "realtime" if experiment.realtime else experiment.type
        return f"vot-toolkit 0.8.0 to {NEWEST} fails on {kind} experiments with every tracker; {RECOMMENDED} runs them"
    return ""


def left_out(version: str, stack: str, experiments: Iterable[Experiment]) -> dict[str, str]:
    """Return the experiments that cannot be run, by name, with the reasons. Raises ValueError if none can be run."""
    reasons = {experiment.name: reason_against(version, stack, experiment) for experiment in experiments}
    if all(reasons.values()):
        details = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ValueError(f"vot-toolkit {version} can run no experiment of {stack} ({details})")
    return {name: reason for name, reason in reasons.items() if reason}
