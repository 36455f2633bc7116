"""The commands that measure a claim, and where they leave results and speeds, by the kind of the claim."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pysot.reproduction.claim import SPEED, Claim
from pysot.reproduction.settings import SMALL_OPTS, SMALL_SEQUENCES, Place, Settings, is_made_here

TUNED = "tuned"  # folder of results of the search of tracker settings


@dataclass(frozen=True)
class Step:
    """A command. Its output is appended to logs/<name>.log."""

    name: str
    command: tuple[str, ...]

    @property
    def log(self) -> str:
        """Return the path of its log in the run folder."""
        return f"logs/{self.name}.log"


@dataclass(frozen=True)
class ResultSet:
    """Results of one snapshot on a benchmark: the tracker's folder, and the file with its scores.

    Paths are relative to the run folder.
    """

    benchmark: str
    folder: str
    scores: str
    seed: int
    epoch: int
    snapshot: str


@dataclass(frozen=True)
class Plan:
    """The steps of a run, the results they leave, and the log with the training speed of each seed."""

    steps: tuple[Step, ...]
    results: tuple[ResultSet, ...]
    speeds: tuple[tuple[int, str], ...]


def data_steps(claim: Claim, settings: Settings, place: Place) -> tuple[Step, ...]:
    """Return the steps that make the data of a claim; none if they must be there."""
    if not (is_made_here(claim) and place.data == place.folder / "data"):
        return ()
    sequences, crops = place.data / "made" / "sequences", place.data / "training_dataset" / "quickstart"
    few = ["--sequences", SMALL_SEQUENCES] if settings.is_small else []
    test = place.benchmarks / "VOT-QUICKSTART"
    return (
        _tool("data", place, "make_quickstart_data.py", "--train", sequences, "--test", test, *few),
        _tool("crops", place, "prepare_data.py", "vot", sequences, "--out", crops),
    )


def make_plan(claim: Claim, settings: Settings, place: Place, trials: int = 0) -> Plan:
    """Return the plan of a claim; with `trials`, tracker settings are searched on the benchmark afterwards."""
    plan = KINDS[claim.kind](claim, settings, place)
    if not trials:
        return plan
    last = plan.results[-1]
    arguments = ["--cfg", _config(claim, place), "--snapshot", place.folder / last.snapshot, "--hold-out", 0]
    arguments += [*_benchmark(last.benchmark, place), "--trials", trials, "--results_dir", place.folder / TUNED]
    step = _tool("tune", place, "hp_search.py", *arguments, "--device", settings.device, *_opts(settings))
    return Plan((*plan.steps, step), plan.results, plan.speeds)


def _tool(name: str, place: Place, tool: str, *arguments: object) -> Step:
    return Step(name, (sys.executable, str(place.repository / "tools" / tool), *map(str, arguments)))


def _script(name: str, place: Place, script: str, *arguments: str) -> Step:
    return Step(name, ("bash", str(place.repository / "test" / script), *arguments))


def _config(claim: Claim, place: Place) -> Path:
    return place.repository / "experiments" / claim.experiment / "config.yaml"


def _benchmark(name: str, place: Place) -> list[object]:
    return ["--dataset", name, "--datasetdir", place.benchmarks]


def _opts(settings: Settings, *more: object) -> list[object]:
    opts = [*more, *(SMALL_OPTS if settings.is_small else ())]
    return ["--opts", *opts] if opts else []


def _launch(claim: Claim, settings: Settings, place: Place) -> Plan:
    """Train on eight devices and track the benchmark with a range of snapshots, by the launch script."""
    assert claim.epochs is not None
    first, last = claim.epochs
    name, steps, results = claim.benchmarks[0].name, [], []
    for seed in settings.seeds:
        more = [f"--epochs={first}-{last}", f"--dataset={name}", f"--dataset_path={place.benchmarks}"]
        if settings.is_small:
            more.append(f"--train_epochs={last}")
        steps.append(_launch_step("train_full_8p.sh", claim, settings, place, seed, more))
        for epoch in range(first, last + 1):
            tracker, snapshot = f"checkpoint_e{epoch}", f"seed_{seed}/snapshot_8p/checkpoint_e{epoch}.pth"
            folder = f"seed_{seed}/0/results_8p/{name}/{tracker}"
            results.append(ResultSet(name, folder, f"seed_{seed}/0/scores.json", seed, epoch, snapshot))
    return Plan(tuple(steps), tuple(results), _speeds(steps, settings))


def _speed(claim: Claim, settings: Settings, place: Place) -> Plan:
    """Measure the training speed on one device, by the launch script."""
    few = ["--max_steps=8"] if settings.is_small else []
    steps = [_launch_step("train_performance_1p.sh", claim, settings, place, seed, few) for seed in settings.seeds]
    return Plan(tuple(steps), (), _speeds(steps, settings))


def _launch_step(script: str, claim: Claim, settings: Settings, place: Place, seed: int, more: list[str]) -> Step:
    card = settings.device.partition(":")[2] or "0"
    arguments = [f"--output_path={place.folder / f'seed_{seed}'}", f"--seed={seed}", f"--device={settings.device_kind}"]
    arguments += ["--device_id=0" if claim.kind == "launch" else f"--device_id={card}", *more]
    if place.data is not None:
        arguments.append(f"--data_path={place.data}")
    arguments += [f"--rank_size={settings.devices}", f"--batch_size={settings.batch}"]
    if settings.is_small:
        arguments += [f"--config={_config(claim, place)}", "--workers=0", f"--opts={' '.join(SMALL_OPTS)}"]
    return _script(f"train_seed_{seed}", place, script, *arguments)


def _train(claim: Claim, settings: Settings, place: Place) -> Plan:
    """Train, track and score, with the commands of the README."""
    name, steps, results = claim.benchmarks[0].name, [], []
    config, device = _config(claim, place), ["--device", settings.device]
    for seed in settings.seeds:
        own = place.folder / f"seed_{seed}"
        training = ["--cfg", config, "--seed", seed, *device]
        training += ["--data_path", place.data] if place.data is not None else []
        training += ["--train_epochs", claim.last_epoch] if settings.is_small else []
        opts = ["TRAIN.RESUME", "auto", "TRAIN.SNAPSHOT_DIR", own / "snapshot", "TRAIN.LOG_DIR", own / "logs"]
        if settings.is_small:
            opts += ["TRAIN.BATCH_SIZE", settings.batch, "TRAIN.NUM_WORKERS", 0]
        steps.append(_tool(f"train_seed_{seed}", place, "train.py", *training, *_opts(settings, *opts)))
        snapshot = f"seed_{seed}/snapshot/checkpoint_e{claim.last_epoch}.pth"
        result = ResultSet(name, f"seed_{seed}/results/{name}/checkpoint_e{claim.last_epoch}",
                           f"seed_{seed}/scores.json", seed, 0, snapshot)  # fmt: skip
        steps += _track_steps(result, config, settings, place, f"seed_{seed}")
        results.append(result)
    return Plan(tuple(steps), tuple(results), ())


def _track(claim: Claim, settings: Settings, place: Place) -> Plan:
    """Track and score with published weights."""
    name, snapshot = claim.benchmarks[0].name, place.repository / claim.weights
    result = ResultSet(name, f"tracked/results/{name}/{snapshot.stem}", "tracked/scores.json", 0, 0, str(snapshot))
    steps = _track_steps(result, _config(claim, place), settings, place, "tracked")
    return Plan(tuple(steps), (result,), ())


def _track_steps(result: ResultSet, config: Path, settings: Settings, place: Place, folder: str) -> list[Step]:
    benchmark = _benchmark(result.benchmark, place)
    results = place.folder / folder / "results"
    tracking = ["--config", config, "--snapshot", place.folder / result.snapshot, *benchmark]
    tracking += ["--results_dir", results, "--device", settings.device, *_opts(settings)]
    scoring = ["--tracker_path", results, *benchmark, "--json", place.folder / result.scores]
    return [
        _tool(f"track_{folder}", place, "test.py", *tracking),
        _tool(f"score_{folder}", place, "eval.py", *scoring),
    ]


def _speeds(steps: list[Step], settings: Settings) -> tuple[tuple[int, str], ...]:
    return tuple((seed, step.log) for seed, step in zip(settings.seeds, steps, strict=True))


KINDS: dict[str, Callable[[Claim, Settings, Place], Plan]] = {
    "launch": _launch,
    SPEED: _speed,
    "train": _train,
    "track": _track,
}
