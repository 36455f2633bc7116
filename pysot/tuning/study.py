"""The study of a search in Optuna's database, which any number of processes can join, stop and go on with."""

import contextlib
import logging
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, NopPruner, WilcoxonPruner
from optuna.samplers import RandomSampler, TPESampler
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
_GRID = "grid"  # user attribute of the settings of a grid: their number
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)


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


class Study:
    """Study of a search, whose trials are settings.

    `ask` gives out settings to track, which `tell` or `give_back` end. Until then this process shows that it lives;
    settings of processes that do not are given out again.
    """

    def __init__(self, storage: RDBStorage, study: optuna.Study, space: Space, is_grid: bool) -> None:
        self.storage = storage
        self.study = study
        self.space = space
        self.is_grid = is_grid
        self.running: dict[int, Trial] = {}
        self._ended = threading.Event()
        self._beats = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._beats.start()

    def ask(self, most: int, total: int) -> list[Trial]:
        """Return at most `most` settings to track, fewer if the study has `total` settings with them."""
        fail_stale_trials(self.study)
        trials: list[Trial] = []
        while len(trials) < most:
            states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
            waiting, started = states.count(TrialState.WAITING), sum(state in _DONE for state in states)
            if not waiting and (self.is_grid or started + states.count(TrialState.RUNNING) >= total):
                break
            trial = self.study.ask(self.space.distributions())
            if self.is_grid and _GRID not in trial.user_attrs:  # another process has taken the last one in between
                self.study.tell(trial, state=TrialState.FAIL)
                break
            self.running[trial._trial_id] = trial
            self.storage.record_heartbeat(trial._trial_id)
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, value: float | None) -> None:
        """End a setting with its value, None if it was pruned."""
        del self.running[trial._trial_id]
        self.study.tell(trial, value, state=TrialState.PRUNED if value is None else TrialState.COMPLETE)

    def give_back(self) -> None:
        """Give the settings that are not ended to the next process that asks."""
        for trial in self.running.values():
            frozen = self.study.tell(trial, state=TrialState.FAIL)
            _retry()(self.study, frozen)
        self.running.clear()

    def close(self) -> None:
        """End the signs of life."""
        self._ended.set()
        self._beats.join()

    def origin(self, trial: Trial) -> int:
        """Return the number of a setting when it was first given out."""
        first = RetryHeartbeatStaleTrialCallback.retried_trial_number(self.storage.get_trial(trial._trial_id))
        return trial.number if first is None else first

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
    """Open a study, or make it: then the settings of a grid wait in it.

    `facts` say what its scores depend on. Raises ValueError if the study has other ones or another space, and OSError
    for a database that cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = {**facts, "space": space.describe(), "method": method}
    grid = space.grid() if method == "grid" else []
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
        _fill(study, storage, known, grid)
    # Each process draws numbers of its own; the first one those of the seed.
    joined = len(study.get_trials(deepcopy=False)) - len(grid)
    drawn = int(np.random.SeedSequence([seed, joined]).generate_state(1)[0])
    study.sampler = RandomSampler(seed=drawn) if grid else TPESampler(seed=drawn)
    return Study(storage, study, space, bool(grid))


def _fill(study: optuna.Study, storage: RDBStorage, facts: Mapping[str, Any], grid: list[dict[str, float]]) -> None:
    """Store the facts of a new study and the settings of its grid; an interrupt removes it."""
    try:
        study.set_user_attr("facts", facts)
        for number, params in enumerate(grid):
            study.enqueue_trial(params, user_attrs={_GRID: number})
        study.set_user_attr("ready", True)
    except BaseException:
        optuna.delete_study(study_name=study.study_name, storage=storage)
        raise


def _wait_until_ready(study: optuna.Study, url: str) -> None:
    """Wait until the process that makes a study has filled it. Raises ValueError if it does not."""
    end = time.monotonic() + _PREPARED
    while not study.user_attrs.get("ready"):
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
