"""Compare what a claim needs with what is here: rows of item, expected, found and a verdict."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pysot.datasets.annotation import TrackAnnotation
from pysot.reproduction.claim import NOTHING_RECORDED, Claim, DataSet, Total
from pysot.toolkit.datasets import load_dataset, missing_frames
from pysot.toolkit.datasets.sequence import Dataset
from pysot.utils.files import file_hash
from pysot.utils.first_seen import SHA256_DIGITS, hash_record, record_hash, recorded_hash

# Verdicts on an input. `NOTED` is a difference that does not count, such as that of versions.
SAME, DIFFERS, MISSING, NOTED = "same", "differs", "missing", "noted"
_SHOWN_DIGITS = 12  # of a hash in tables


@dataclass(frozen=True)
class Row:
    """One examined input. `remedy` says what to do if it differs or is missing."""

    item: str
    expected: str
    found: str
    verdict: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """Return the row as one sentence."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.item}: expected {self.expected}, got {self.found}{remedy}"


def compare(item: str, expected: object, found: object, remedy: str = "") -> Row:
    """Return the row of two values: the same or different."""
    same = expected == found
    return Row(item, str(expected), str(found), SAME if same else DIFFERS, "" if same else remedy)


def missing_row(data_set: DataSet, kind: str) -> Row:
    """Return the row of a data set that is not here; `kind` is training set or benchmark."""
    return Row(f"{kind} {data_set.name}", "to be here", "nothing", MISSING, data_set.where)


def count_rows(data_set: DataSet, counts: Mapping[str, int]) -> Iterator[Row]:
    """Compare the counts of a data set with its totals; a count without a total is shown as not recorded."""
    totals = {total.what: total for total in data_set.totals}
    for what, count in counts.items():
        item = f"{data_set.name}: {what}"
        if what not in totals:
            yield Row(item, NOTHING_RECORDED, str(count), NOTHING_RECORDED)
        elif totals[what].is_limit:
            yield _limit_row(item, totals[what], count, data_set.where)
        else:
            expected = f"{totals[what].number} ({totals[what].source})"
            same = count == totals[what].number
            yield Row(item, expected, str(count), SAME if same else DIFFERS, "" if same else data_set.where)


def _limit_row(item: str, total: Total, count: int, where: str) -> Row:
    """Compare with a number of the raw data: more cannot be, and fewer than half is no complete set."""
    expected = f"at most {total.number} ({total.source}); how many exactly is {NOTHING_RECORDED}"
    if count > total.number or 2 * count < total.number:
        return Row(item, expected, str(count), DIFFERS, f"the set is not complete, or another one: {where}")
    return Row(item, expected, str(count), NOTHING_RECORDED)


def file_row(item: str, path: Path, known: str, remedy: str) -> Row:
    """Compare the hash of a file with the known one, or with the one that was recorded when it was first seen.

    Without either it is recorded now, beside the file.
    """
    expected, digest = recorded_hash(path, known), file_hash(path)
    if not digest.startswith(expected):
        remedy = (
            f"{path} has changed: {remedy}. If the change is meant, delete {hash_record(path)}" * (not known) or remedy
        )
        return Row(item, _short(expected), _short(digest), DIFFERS, remedy)
    if len(expected) == SHA256_DIGITS:
        return Row(item, _short(expected), _short(digest), SAME)
    try:
        record_hash(path, digest)
        state = f"first seen, stored in {hash_record(path).name}"
    except OSError as error:
        state = f"first seen; {hash_record(path).name} cannot be written ({error.strerror}), only this folder has it"
    return Row(item, NOTHING_RECORDED, f"{_short(digest)} ({state})", NOTHING_RECORDED)


def _short(digest: str) -> str:
    return f"sha256 {digest[:_SHOWN_DIGITS]}"


def training_rows(data_set: DataSet, annotation: TrackAnnotation, json_path: Path) -> list[Row]:
    """Compare a training set: its counts, what its json leaves out, and the hash of the json."""
    counts = {
        "videos": annotation.video_count,
        "tracks": annotation.track_count,
        "boxes": len(annotation.boxes),
    }
    rows = list(count_rows(data_set, counts))
    excluded = annotation.dropped["excluded"]
    if excluded:
        remedy = f"remove {json_path}.excluded.json, and repair the crops it lists"
        rows.append(compare(f"{data_set.name}: excluded boxes", 0, excluded, remedy))
    if json_path.exists():  # a pack has its own copy
        rows.append(file_row(f"{data_set.name}: {json_path.name}", json_path, data_set.sha256, data_set.where))
    return rows


def find_benchmark(name: str, folders: Iterable[Path]) -> tuple[Dataset, Path] | None:
    """Return a benchmark, and the first of the folders that has it; None if none has.

    Raises ValueError for a benchmark that is damaged.
    """
    for folder in folders:
        if any((folder / candidate).exists() for candidate in (name, f"{name}.json")):
            return load_dataset(name, folder), folder
    return None


def benchmark_rows(data_set: DataSet, dataset: Dataset, folder: Path, must_have_frames: bool = True) -> list[Row]:
    """Compare a benchmark: its counts, its frames, its ground truth, and the hash of its json if it has one."""
    name = data_set.name
    counts = {"videos": len(dataset), "frames": sum(map(len, dataset.sequences))}
    rows = list(count_rows(data_set, counts))
    without = missing_frames(dataset) if must_have_frames else []
    if without:
        found = f"none of {len(without)} videos, for example {without[0]}"
        rows.append(Row(f"{name}: frames on the disk", "all", found, MISSING, data_set.where))
    digest = truth_digest(dataset)
    if data_set.sha256:
        rows.append(compare(f"{name}: ground truth", _short(data_set.sha256), _short(digest), data_set.where))
    else:
        rows.append(Row(f"{name}: ground truth", NOTHING_RECORDED, _short(digest), NOTHING_RECORDED))
    for path in (folder / f"{name}.json", folder / name / f"{name}.json"):
        if path.is_file():
            rows.append(file_row(f"{name}: {path.name}", path, "", data_set.where))
    return rows


def truth_digest(dataset: Dataset) -> str:
    """Return the SHA-256 of all names, lengths and regions of a benchmark, of four decimals."""
    digest = hashlib.sha256()
    for sequence in dataset.sequences:
        digest.update(f"{sequence.name} {len(sequence)}\n".encode())
        for region in sequence.ground_truth:
            digest.update((",".join(f"{value:.4f}" for value in region) + "\n").encode())
    return digest.hexdigest()


def weights_row(claim: Claim, root: Path) -> Row | None:
    """Compare the file of weights below `root`; None for a claim without weights."""
    if not claim.weights:
        return None
    path = root / claim.weights
    if not path.is_file():
        return Row(f"weights {claim.weights}", "to be here", "nothing", MISSING, claim.weights_where)
    return file_row(f"weights {claim.weights}", path, claim.weights_sha256, claim.weights_where)


def config_digest(path: Path) -> str:
    """Return the SHA-256 of the parsed values of a config file; comments and order do not change it."""
    import yaml

    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def config_row(claim: Claim, root: Path) -> Row:
    """Compare the values of the config file with the recorded ones."""
    name = f"experiments/{claim.experiment}/config.yaml"
    found, remedy = config_digest(root / name), f"git checkout {name}"
    return compare(f"config {name}", _short(claim.config_sha256), _short(found), remedy)


def device_rows(claim: Claim, kind: str, cards: int, devices: int, batch: int) -> Iterator[Row]:
    """Compare kind and number of devices and the pairs of a step; `cards` is how many devices of the kind are here."""
    if not claim.device:
        return
    yield compare("kind of device", claim.device, kind, f"--device {claim.device}")
    if kind != "cpu" and cards < devices:
        yield Row(
            f"{kind} devices", str(devices), str(cards), MISSING, "use fewer with more pairs: --devices, --batch_size"
        )
    published = claim.devices * claim.batch
    expected = f"{claim.devices} x {claim.batch} = {published}"
    found = f"{devices} x {batch} = {devices * batch}"
    same = devices * batch == published
    remedy = "" if same else "choose --devices and --batch_size whose product is the published one"
    yield Row("devices x pairs of a step", expected, found, SAME if same else DIFFERS, remedy)
    if same and (devices, batch) != (claim.devices, claim.batch):
        what = "batch-norm and speed depend on the pairs of each device"
        yield Row("pairs of each device", str(claim.batch), str(batch), NOTED, what)


def code_row(commit: str, modified: Sequence[str]) -> Row:
    """Return the row of the code: the commit, and the files that differ from it."""
    if not commit:
        return Row("code", "a git checkout", "no git", NOTHING_RECORDED)
    if not modified:
        return Row("code", f"as in commit {commit[:_SHOWN_DIGITS]}", "unchanged", SAME)
    more = f" and {len(modified) - 5} more" if len(modified) > 5 else ""
    remedy = "commit or undo the changes: git status"
    return Row(
        "code", f"as in commit {commit[:_SHOWN_DIGITS]}", f"changed: {', '.join(modified[:5])}{more}", DIFFERS, remedy
    )
