"""Verify the folder of a finished run: its files, its scores, its speeds and its table."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pysot.reproduction.claim import Claim
from pysot.reproduction.folder import TABLE, RunRecord, compare_files, read_manifest, read_record
from pysot.reproduction.inputs import truth_digest
from pysot.reproduction.scores import Measured, measure, written_scores
from pysot.reproduction.steps import Plan
from pysot.reproduction.table import result_markdown
from pysot.toolkit.datasets.sequence import Dataset

_TOLERANCE = 1e-6  # scores of the same files on another machine differ by rounding only


@dataclass(frozen=True)
class Verification:
    """What was found: problems, notes that are none, and the recomputed values (None if they cannot be)."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    measured: Measured | None


def verify_folder(folder: Path, claim: Claim, plan: Plan, datasets: dict[str, Dataset], commit: str) -> Verification:
    """Compare the files of a run with its manifest, and compute its scores and its table again.

    `claim` is the measured one, `commit` that of the code here: another version may print another table.
    Raises FileNotFoundError or ValueError for a folder without a finished run.
    """
    manifest, record = read_manifest(folder), read_record(folder)
    problems, left_out = compare_files(folder)
    problems += _truth_problems(manifest.get("ground_truth", {}), datasets)
    notes = [f"{name} was left out; the manifest has its hash" for name in left_out]
    measured = None
    try:
        measured = measure(plan, datasets, folder, record.trials)
    except ValueError as error:
        problems.append(str(error))
    if measured is not None:
        problems += _value_problems(manifest, measured)
        problems += _written_problems(plan, measured, folder)
        is_same_version = commit == record.commit
        (problems if is_same_version else notes).extend(_table_problems(folder, claim, record, measured))
    return Verification(tuple(problems), tuple(notes), measured)


def truth_digests(datasets: dict[str, Dataset]) -> dict[str, str]:
    """Return the hash of the ground truth of each benchmark."""
    return {name: truth_digest(dataset) for name, dataset in datasets.items()}


def _truth_problems(recorded: dict[str, str], datasets: dict[str, Dataset]) -> Iterator[str]:
    for name, digest in truth_digests(datasets).items():
        if recorded.get(name) != digest:
            yield f"the ground truth of {name} here is another one than in the run: its scores cannot be compared"


def _value_problems(manifest: dict, measured: Measured) -> Iterator[str]:
    """Compare the values of the manifest with those that were computed again."""
    content = measured.to_json()
    for kind, key in (("scores", "value"), ("speeds", "mean"), ("speeds", "spread")):
        if len(manifest[kind]) != len(content[kind]):
            yield f"the manifest has {len(manifest[kind])} {kind}, the files give {len(content[kind])}"
            continue
        for before, now in zip(manifest[kind], content[kind], strict=True):
            if not _equal(before.get(key), now[key]):
                words = ", ".join(f"{name} {value}" for name, value in now.items() if name != key)
                yield f"{kind[:-1]} ({words}): {key} is {before.get(key)} in the manifest, the files give {now[key]}"
    if not _equal(manifest.get("tuned"), content["tuned"]):
        yield f"the tuned score is {manifest.get('tuned')} in the manifest, the files give {content['tuned']}"


def _written_problems(plan: Plan, measured: Measured, folder: Path) -> Iterator[str]:
    """Compare the scores files of the run with the scores that were computed again."""
    for result in plan.results:
        try:
            written = written_scores(result, folder)
        except (ValueError, FileNotFoundError) as error:
            yield str(error)
            continue
        for score in measured.scores:
            if (score.seed, score.epoch, score.benchmark) == (result.seed, result.epoch, result.benchmark):
                value = written.get(score.measure)
                if not _equal(value, score.value):
                    tracker = Path(result.folder).name
                    yield f"{result.scores}: {score.measure} of {tracker} is {value}, the results give {score.value}"


def _table_problems(folder: Path, claim: Claim, record: RunRecord, measured: Measured) -> Iterator[str]:
    path = folder / TABLE
    if path.is_file() and path.read_text(encoding="utf-8") != result_markdown(claim, record, measured):
        yield f"{TABLE} is not the table that the results give here (the run is of commit {record.commit or 'unknown'})"


def _equal(before: object, now: object) -> bool:
    if not isinstance(before, int | float) or not isinstance(now, int | float):
        return before is None and now is None
    return (math.isnan(before) and math.isnan(now)) or math.isclose(before, now, rel_tol=0, abs_tol=_TOLERANCE)
