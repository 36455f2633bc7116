"""The study of a search in Optuna's database, which any number of processes can join, stop and go on with."""

import contextlib
import logging
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, NopPruner, WilcoxonPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from pysot.tuning.space import Space

logger = logging.getLogger(__name__)

METHODS = ("tpe", "grid")
BEAT = 20  # seconds between two signs of life of a process
GRACE = 90  # seconds without a sign after which its settings are given to others
_LOCKED = 120  # seconds to wait for a database that another process writes
_PREPARED = 60  # seconds that the process which makes a study may take to fill it


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn the errors of a database in this context into an OSError that says what to do."""
    try:
        with warnings.catch_warnings():
            # Heartbeats and this pruner are said to be experimental, and this module asks and tells itself.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
            yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        raise OSError(
            f"the study in {url} cannot be read or written ({reason}): free its disk, end the program that locks it, "
            "or name another one, --storage; finished settings are kept, and the same command goes on"
        ) from error


def _retry() -> RetryHeartbeatStaleTrialCallback:
    """Return what gives a setting out again."""
    return RetryHeartbeatStaleTrialCallback()


def _origin(trial: FrozenTrial) -> int:
    """Return the number of a setting when it was first given out."""
    first = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    return trial.number if first is None else first


def _place(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """Return how many settings of a study, by all its trials, were given out before this one was for the first time."""
    number = _origin(trial)
    return sum(_origin(each) == each.number for each in trials[:number])


class _GridSampler(BaseSampler):
    """Gives out the settings of a grid in their order; none of them has to wait in the database, which reads those."""

    def __init__(self, grid: Sequence[Mapping[str, float]], distributions: dict[str, BaseDistribution]) -> None:
        self.grid, self.distributions = grid, distributions

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        place = _place(trial, study.get_trials(deepcopy=False))
        return dict(self.grid[min(place, len(self.grid) - 1)])  # `Study.ask` ends one that is beyond the last

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, *name: Any) -> Any:
        raise AssertionError("all parameters of a grid are sampled together")


class Study:
    """Study of a search, whose trials are settings.

    `ask` gives out settings to track, which `tell` or `give_back` end. Until then this process shows that it lives;
    settings of processes that do not are given out again.
    """

    def __init__(self, storage: RDBStorage, study: optuna.Study, space: Space, grid_size: int | None) -> None:
        self.storage = storage
        self.study = study
        self.space = space
        self.grid_size = grid_size
        self.running: dict[int, Trial] = {}
        self._incomplete: dict[int, float] = {}  # trials without parameters, and when they were first seen
        self._ended = threading.Event()
        self._beats = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._beats.start()

    def ask(self, most: int, total: int) -> list[Trial]:
        """Return at most `most` settings to track, fewer if the study has `total` settings with them.

        A grid has as many as it has; `total` does not matter.
        """
        total = total if self.grid_size is None else self.grid_size
        fail_stale_trials(self.study)
        self._repeat_incomplete()
        known = self.study.get_trials(deepcopy=False)
        waiting = sum(trial.state == TrialState.WAITING for trial in known)
        new = max(0, total - sum(_origin(trial) == trial.number for trial in known))
        trials: list[Trial] = []
        for _ in range(min(most, waiting + new)):
            trial = self.study.ask(self.space.distributions())
            if trial.number >= total and self._place(trial) >= total:  # other processes have taken the last ones
                self.study.tell(trial, state=TrialState.FAIL)
                break
            self.running[trial._trial_id] = trial
            self.storage.record_heartbeat(trial._trial_id)
            trials.append(trial)
        return trials

    def _place(self, trial: Trial) -> int:
        return _place(self.storage.get_trial(trial._trial_id), self.study.get_trials(deepcopy=False))

    def _repeat_incomplete(self) -> None:
        """Give out again what a process was asking for when it was killed, before its first sign of life."""
        count = len(self.space.distributions())
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        incomplete = {trial._trial_id: trial for trial in running if len(trial.params) < count}
        now = time.monotonic()
        self._incomplete = {number: self._incomplete.get(number, now) for number in incomplete}
        for number, seen in self._incomplete.items():
            if now - seen > GRACE:
                with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):  # another process did the same
                    self.storage.set_trial_state_values(number, TrialState.FAIL)
                    _retry()(self.study, incomplete[number])

    def tell(self, trial: Trial, value: float | None) -> None:
        """End a setting with its value, None if it was pruned."""
        del self.running[trial._trial_id]
        self.study.tell(trial, value, state=TrialState.PRUNED if value is None else TrialState.COMPLETE)

    def give_back(self) -> None:
        """Give the settings that are not ended to the next process that asks."""
        for trial in self.running.values():
            _retry()(self.study, self.study.tell(trial, state=TrialState.FAIL))
        self.running.clear()

    def close(self) -> None:
        """End the signs of life."""
        self._ended.set()
        self._beats.join()

    def origin(self, trial: Trial) -> int:
        """Return the number of a setting when it was first given out."""
        return _origin(self.storage.get_trial(trial._trial_id))

    @property
    def patience(self) -> float:
        """Seconds after which the settings of a process that has died are given out again, at the latest."""
        return BEAT + GRACE

    @property
    def finished(self) -> list[FrozenTrial]:
        """Finished settings, the best first."""
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return sorted(trials, key=lambda trial: (-trial.values[0], trial.number))

    def count(self) -> dict[str, int]:
        """Return how many settings are finished, pruned, under way and waiting."""
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        return {
            "finished": states.count(TrialState.COMPLETE),
            "pruned": states.count(TrialState.PRUNED),
            "under way": states.count(TrialState.RUNNING),
            "waiting": states.count(TrialState.WAITING),
        }

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            for number in list(self.running):
                try:
                    self.storage.record_heartbeat(number)
                except Exception as error:  # the next write of the search reports a database that is gone
                    logger.debug("no sign of life: %s", error)


def open_study(
    url: str, name: str, space: Space, method: str, facts: Mapping[str, Any], seed: int, prune: bool
) -> Study:
    """Open a study, or make it.

    `facts` say what its scores depend on. Raises ValueError if the study has other ones or another space, for a grid
    that cannot be made, and OSError for a database that cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = {**facts, "space": space.describe(), "method": method}
    grid = space.grid() if method == "grid" else None  # before the study exists: its ranges may be invalid
    engine = {"connect_args": {"timeout": _LOCKED}} if url.startswith("sqlite:") else {}
    storage = RDBStorage(
        url, engine, heartbeat_interval=BEAT, grace_period=GRACE, heartbeat_stale_trial_callback=_retry()
    )
    pruner: BasePruner = WilcoxonPruner() if prune else NopPruner()
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize", pruner=pruner)
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name, pruner=pruner)
        _wait_until_ready(study, url)
        _check_same(study, known, url)
    else:
        _fill(study, storage, known)
    if grid is not None:
        study.sampler = _GridSampler(grid, space.distributions())
        return Study(storage, study, space, len(grid))
    # Each process draws numbers of its own; the first one those of the seed.
    joined = len(study.get_trials(deepcopy=False))
    study.sampler = TPESampler(seed=int(np.random.SeedSequence([seed, joined]).generate_state(1)[0]))
    return Study(storage, study, space, None)


def _fill(study: optuna.Study, storage: RDBStorage, facts: Mapping[str, Any]) -> None:
    """Store the facts of a new study; an interrupt removes it."""
    try:
        study.set_user_attr("facts", facts)
    except BaseException:
        optuna.delete_study(study_name=study.study_name, storage=storage)
        raise


def _wait_until_ready(study: optuna.Study, url: str) -> None:
    """Wait until the process that makes a study has filled it. Raises ValueError if it does not."""
    end = time.monotonic() + _PREPARED
    while not study.user_attrs.get("facts"):
        if time.monotonic() > end:
            raise ValueError(
                f"the study {study.study_name} in {url} is not complete: the process that made it was killed. Name "
                "another one, --study, or remove the database"
            )
        time.sleep(0.5)


def _check_same(study: optuna.Study, known: Mapping[str, Any], url: str) -> None:
    """Raise ValueError that names what a study differs in from the facts of this search."""
    stored = study.user_attrs["facts"]
    for key, value in known.items():
        if stored.get(key) != value:
            raise ValueError(
                f"the study {study.study_name} in {url} is of another {key}: it has {_short(stored.get(key))}, this "
                f"search has {_short(value)}. Use the arguments that it was made with, or name another one: --study"
            )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}..."
