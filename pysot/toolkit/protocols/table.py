"""Table of protocols. A new one is a file beside this one, and a line here."""

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.protocol import Protocol
from pysot.toolkit.protocols.longterm import LONG_TERM
from pysot.toolkit.protocols.multistart import MULTI_START
from pysot.toolkit.protocols.objects import OBJECTS
from pysot.toolkit.protocols.one_pass import ONE_PASS
from pysot.toolkit.protocols.realtime import REALTIME_MULTI_START, REALTIME_SUPERVISED
from pysot.toolkit.protocols.supervised import SUPERVISED
from pysot.toolkit.protocols.unsupervised import UNSUPERVISED

PROTOCOLS: tuple[Protocol, ...] = (
    SUPERVISED,
    MULTI_START,
    LONG_TERM,
    ONE_PASS,
    OBJECTS,
    REALTIME_SUPERVISED,
    REALTIME_MULTI_START,
    UNSUPERVISED,
)


def find_protocol(dataset: Dataset, experiment: str | None = None) -> Protocol:
    """Return the protocol of an experiment of a data set, of its default experiment if None.

    Raises ValueError for an experiment that the set does not have, and for a set that does not fit its protocol.
    """
    known = [protocol for protocol in PROTOCOLS if dataset.protocol in protocol.dataset_protocols]
    if not known:
        names = ", ".join(dict.fromkeys(name for protocol in PROTOCOLS for name in protocol.dataset_protocols))
        raise ValueError(f"data set {dataset.name}: unknown protocol {dataset.protocol!r}, expected one of {names}")
    if experiment:
        matching = [protocol for protocol in known if protocol.experiment == experiment]
    else:
        matching = [protocol for protocol in known if protocol.is_default]
    if not matching:
        listed = ", ".join(protocol.experiment or "one pass only" for protocol in known)
        raise ValueError(f"{dataset.name} has no experiment {experiment!r}; it has {listed}")
    chosen = matching[0]
    if chosen.check:
        chosen.check(dataset)
    return chosen


def experiments() -> list[str]:
    """Return the names of all experiments, in the order of the table."""
    return list(dict.fromkeys(protocol.experiment for protocol in PROTOCOLS if protocol.experiment))
