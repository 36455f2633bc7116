"""Parts of a data set that several machines have tracked, `--part I/N` of tools/test.py.

`parts/<experiment>.<I>-of-<N>.json` in a tracker's folder says that a part is finished, by which network, and on which
videos. The folders of several machines can therefore be copied together: results of different networks are found, and
a part that is missing is named.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.results.claims import claimed_network
from pysot.utils.files import write_json
from pysot.utils.parts import command_of, command_template, find_records, part_file, read_record

FORM = 1  # of a record
_FIELDS = ("network", "videos", "command")
_FOLDER = "parts"
_SHOWN = 12  # digits of a hash


def record_part(
    tracker_dir: Path,
    dataset: Dataset,
    experiment: str,
    part: tuple[int, int],
    fingerprint: str,
    arguments: Sequence[str],
) -> None:
    """Record that `part`, (number, count), of a data set is tracked, by the command line `arguments`.

    Raises OSError as `atomic_write`.
    """
    record = {
        "form": FORM,
        "part": list(part),
        "network": fingerprint,
        "videos": _describe(dataset),
        "command": command_template(arguments, *part),
    }
    write_json(part_file(tracker_dir / _FOLDER, _job(experiment), *part), record)


def _job(experiment: str) -> str:
    return experiment or "one_pass"


def _describe(dataset: Dataset) -> dict[str, Any]:
    names = sorted(f"{sequence.name} {len(sequence)}" for sequence in dataset.sequences)
    return {"number": len(names), "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest()}


@dataclass(frozen=True)
class TrackedParts:
    """Records of a tracker's finished parts by (count, number), and their folder."""

    folder: Path
    records: Mapping[tuple[int, int], Mapping[str, Any]]

    def mixture(self) -> str:
        """Return the reason why the results cannot be scored together, empty if there is none."""
        networks = {f"part {number} of {count}": r["network"] for (count, number), r in self.records.items()}
        if networks and (claimed := claimed_network(self.folder)):
            networks["network.json"] = claimed
        if len(set(networks.values())) <= 1:
            return ""
        listed = ", ".join(f"{source}: {_brief(network)}" for source, network in networks.items())
        return (
            f"{self.folder} has results of different networks, settings or devices ({listed}); score each in a folder "
            "of its own, or track the wrong parts again, each after its results and its file in parts/ are removed"
        )

    def explain(self, dataset: Dataset, problems: Mapping[str, str], missing: Collection[str]) -> list[str]:
        """Return problems by video as sentences; the videos of a part that is missing share one.

        `missing` are the videos without any result.
        """
        if not self.records:
            return list(problems.values())
        other = [
            record["videos"]["number"] for record in self.records.values() if record["videos"] != _describe(dataset)
        ]
        if other:
            note = (
                f"parts in {self.folder} were tracked on another list of videos: {other[0]}, not these {len(dataset)}"
            )
            return [*problems.values(), note]
        sentences, explained = [], set[str]()
        counts = Counter(count for count, _ in self.records)
        count = max(counts, key=lambda count: (counts[count], count))
        for number in range(1, count + 1):
            part = dataset.part(number, count)
            lost = [sequence.name for sequence in part.sequences if sequence.name in missing] if part else []
            if part and lost:
                sentences.append(self._sentence(number, count, lost, part))
                explained.update(lost)
        return [*sentences, *(text for name, text in problems.items() if name not in explained)]

    def _sentence(self, number: int, count: int, lost: list[str], part: Dataset) -> str:
        label, some = f"part {number} of {count}", next(iter(self.records.values()))
        record = self.records.get((count, number))
        command = command_of((record or some)["command"], number, count)
        if record is None:
            state = "missing" if len(lost) == len(part) else "not finished"
            return f"{label} is {state}, {len(lost)} of its {len(part)} videos have no result; run: {command}"
        return (
            f"{label} was tracked, but {len(lost)} of its {len(part)} videos have no result here (such as {lost[0]}); "
            f"copy the results of its machine, or run: {command}"
        )


def _brief(fingerprint: str) -> str:
    network, _, arithmetic = fingerprint.partition(" ")
    return f"{network[:_SHOWN]} {arithmetic}".strip()


def read_parts(tracker_dir: str | os.PathLike, experiment: str) -> TrackedParts:
    """Read the records of an experiment. Raises ValueError for a damaged one."""
    paths = find_records(Path(tracker_dir) / _FOLDER, _job(experiment))
    remedy = "remove it (its results stay) and track that part again"
    records = {key: read_record(path, key, FORM, _FIELDS, remedy) for key, path in paths.items()}
    return TrackedParts(Path(tracker_dir), records)
