"""Parts of reproduce.py: settings and folders of its arguments, the order of a run, and its verification."""

import argparse
import contextlib
import importlib.util
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from pysot.reproduction.claim import SPEED, Claim
from pysot.reproduction.claims import CLAIMS
from pysot.reproduction.folder import (
    MANIFEST,
    TABLE,
    RunRecord,
    open_folder,
    read_manifest,
    read_record,
    write_manifest,
    write_record,
)
from pysot.reproduction.inputs import DIFFERS, MISSING, Row, find_benchmark
from pysot.reproduction.machine import describe_machine, git_state, kind_of_device
from pysot.reproduction.run import run_steps
from pysot.reproduction.scores import measure
from pysot.reproduction.settings import Place, Settings, is_made_here, small_form
from pysot.reproduction.steps import Plan, data_steps, make_plan
from pysot.reproduction.table import inputs_text, result_markdown, result_text
from pysot.reproduction.verify import truth_digests, verify_folder
from pysot.toolkit.datasets.sequence import Dataset
from pysot.utils.files import REPO_ROOT, atomic_write, file_hash
from pysot.utils.registry import lookup
from pysot.utils.signals import Interrupted


def list_claims() -> None:
    """Print every claim in one line."""
    width = max(map(len, CLAIMS))
    for claim in CLAIMS.values():
        print(f"{claim.name:{width}}  {claim.headline} [{claim.source}{'; ' * bool(claim.made_with)}{claim.made_with}]")


def reproduce(args: argparse.Namespace, default_seed: int) -> None:
    """Examine the inputs of a claim, measure it, and print the table."""
    claim = lookup(CLAIMS, args.name, key="NAME")
    measured = small_form(claim) if args.small else claim
    check_options(args, claim)
    kind, cards = kind_of_device(args.device)
    device = args.device if args.device.startswith(kind) else kind
    seeds = (args.seeds or (default_seed,)) if claim.trains else ()
    settings = Settings(claim.name, device, seeds, args.devices or measured.devices, args.batch_size or measured.batch,
                        args.small)  # fmt: skip
    default = Path("reproductions") / (f"{claim.name}-small" if args.small else claim.name)
    place = find_place(measured, (args.out or default).resolve(), args.data_path)
    examination = Examination(claim, measured, settings, place, cards)
    steps, plan = data_steps(measured, settings, place), make_plan(measured, settings, place, args.tune)
    if not steps:  # nothing is written before the inputs are examined
        examination.accept(args)
    if args.check and not steps:
        return
    with open_folder(place.folder, settings) as record, interruptible():
        if not all(record.is_done(step.name, step.command) for step in plan.steps):
            run_steps(steps, record, place.folder, REPO_ROOT, say)
            rows = examination.accept(args)
            if args.check:
                return
            begin(record, rows, examination.code, args.tune)
            write_record(place.folder, record)
            (place.folder / MANIFEST).unlink(missing_ok=True)  # of a finished run that more steps are added to
            run_steps(plan.steps, record, place.folder, REPO_ROOT, say)
        conclude(measured, plan, record, place)


def check_options(args: argparse.Namespace, claim: Claim) -> None:
    """Check options that not every claim takes. Raises ValueError."""
    is_launched = claim.kind in ("launch", SPEED)
    for name, value, may in (
        ("--seeds", args.seeds, claim.trains),
        ("--devices", args.devices, claim.kind == "launch"),
        ("--batch_size", args.batch_size, is_launched),
        ("--tune", args.tune, bool(claim.benchmarks)),
    ):
        if value and not may:
            raise ValueError(f"{name}: expected a claim that uses it, got {claim.name}; leave out {name}")
    if args.tune and importlib.util.find_spec("optuna") is None:
        raise ValueError("--tune needs optuna, which is not installed: pip install '.[tune]'")


def find_place(claim: Claim, folder: Path, data_path: Path | None) -> Place:
    """Return the folders of a run; data that can be made are made in its folder if no --data_path is given.

    Raises FileNotFoundError for a --data_path that does not exist.
    """
    if data_path is None and is_made_here(claim):
        return Place(REPO_ROOT, folder, folder / "data", folder / "data" / "testing_dataset")
    if data_path is not None and not data_path.is_dir():
        raise FileNotFoundError(f"--data_path: expected a folder, there is no {data_path}")
    data = None if data_path is None else data_path.resolve()
    folders = [*([] if data is None else [data / "testing_dataset", data]), REPO_ROOT / "testing_dataset"]
    names = [benchmark.name for benchmark in claim.benchmarks]
    have = [f for f in folders if all((f / name).exists() or (f / f"{name}.json").exists() for name in names)]
    return Place(REPO_ROOT, folder, data, (have or folders)[0])


class Examination:
    """The examination of a claim's inputs, made once."""

    def __init__(self, claim: Claim, measured: Claim, settings: Settings, place: Place, cards: int) -> None:
        self.code = git_state(place.repository)
        self._arguments = (claim, measured, settings, place, cards, self.code)
        self._is_small = settings.is_small
        self._rows: list[Row] | None = None

    def accept(self, args: argparse.Namespace) -> list[Row]:
        """Print and return the rows.

        Raises ValueError for missing inputs, and for those that differ unless that is asked for.
        """
        if self._rows is not None:
            return self._rows
        from pysot.reproduction.input_builder import examine_inputs

        self._rows = examine_inputs(*self._arguments)
        print(inputs_text(self._rows))
        missing = [row.sentence for row in self._rows if row.verdict == MISSING]
        if missing:
            raise ValueError("missing:\n" + "\n".join(f"- {sentence}" for sentence in missing))
        differing = [row.sentence for row in self._rows if row.verdict == DIFFERS]
        if differing and not (self._is_small or args.with_deviations):
            listed = "\n".join(f"- {sentence}" for sentence in differing)
            raise ValueError(
                f"{len(differing)} inputs differ from those of the published result:\n{listed}\nCorrect them, or go on "
                "with --with-deviations: the table then says that the values are not comparable"
            )
        return self._rows


def begin(record: RunRecord, rows: list[Row], code: tuple[str, list[str]], trials: int) -> None:
    """Write inputs, machine and code into the record; when a run goes on, what differs now is added to what it had."""
    commit, modified = code
    if record.commit and record.commit != commit:
        words = f"commit {record.commit[:12]}, with which the run began", f"commit {commit[:12]}"
        rows = [*rows, Row("code of the whole run", *words, DIFFERS, "go on with that commit")]
    known = {row.item for row in record.inputs}
    added = [row for row in rows if row.item not in known or (row.verdict == DIFFERS and row not in record.inputs)]
    record.inputs = [*record.inputs, *added]
    record.commit, record.modified = record.commit or commit, sorted({*record.modified, *modified})
    record.machine, record.trials = record.machine or describe_machine(), max(record.trials, trials)


def conclude(claim: Claim, plan: Plan, record: RunRecord, place: Place) -> None:
    """Score the results, write table and manifest, and print the table. A finished run is only printed again."""
    datasets = load_benchmarks(claim, place)
    measured = measure(plan, datasets, place.folder, record.trials)
    if not (place.folder / MANIFEST).exists():
        with atomic_write(place.folder / TABLE) as stream:
            stream.write(result_markdown(claim, record, measured))
        write_record(place.folder, record)
        write_manifest(
            place.folder, {"claim": claim.name, "ground_truth": truth_digests(datasets), **measured.to_json()}
        )
    print(result_text(claim, record, measured))
    print(f"{place.folder}: sha256 of {MANIFEST} {file_hash(place.folder / MANIFEST)}; check it with --verify")


def load_benchmarks(claim: Claim, place: Place) -> dict[str, Dataset]:
    """Return the benchmarks of a claim by name. Raises FileNotFoundError that says where to get one."""
    datasets = {}
    for benchmark in claim.benchmarks:
        found = find_benchmark(benchmark.name, [place.benchmarks])
        if found is None:
            raise FileNotFoundError(
                f"benchmark {benchmark.name}: expected it in {place.benchmarks}, got nothing; {benchmark.where}, or "
                "name its folder with --data_path"
            )
        datasets[benchmark.name] = found[0]
    return datasets


def verify(folder: Path, data_path: Path | None) -> None:
    """Verify the folder of a finished run and print its table. Raises ValueError that names every problem."""
    read_manifest(folder)
    record = read_record(folder)
    claim = lookup(CLAIMS, record.settings.claim, key=f"the claim of {folder}")
    measured_claim = small_form(claim) if record.settings.is_small else claim
    place = find_place(measured_claim, folder, data_path)
    plan = make_plan(measured_claim, record.settings, place, record.trials)
    found = verify_folder(folder, measured_claim, plan, load_benchmarks(measured_claim, place), git_state(REPO_ROOT)[0])
    for note in found.notes:
        print(f"note: {note}")
    if found.measured is not None:
        print(result_text(measured_claim, record, found.measured))
    if found.problems:
        listed = "\n".join(f"- {problem}" for problem in found.problems)
        raise ValueError(f"{folder} is not as its run left it, {len(found.problems)} problem(s):\n{listed}")
    print(f"verified: files, scores, speeds and table of {folder}; sha256 of {MANIFEST} {file_hash(folder / MANIFEST)}")


def say(line: str) -> None:
    """Print a line of a step on stderr, where it does not mix with the table."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM interrupt in this context as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise Interrupted(signum, "interrupted; finished work is kept, the same command goes on")
