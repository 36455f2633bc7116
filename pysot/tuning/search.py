"""A search: rounds of settings that a study proposes, and the score of the winner on sequences that are kept aside."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from optuna.trial import Trial

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.protocol import Protocol
from pysot.toolkit.results.claims import claim_tracker_dir
from pysot.tuning.rounds import Lockstep, Setting, Stopped, Work
from pysot.tuning.scores import Split, rank_score, sequence_score
from pysot.tuning.study import Study

logger = logging.getLogger(__name__)
_LOOK = 1.0  # seconds between looks at the settings of other processes


@dataclass(frozen=True)
class Scored:
    """A setting, its values of TRACK, and its scores: on the sequences to tune on, and on those kept aside, if any."""

    setting: Setting
    values: Mapping[str, float]
    tuned: float
    held_out: float | None


class Search:
    """Search for the values of TRACK with the best score on `split.tune`.

    make_setting(values) returns a setting, without values that of the config; its results are in its folder when it has
    finished, before that below `unfinished`. make_lockstep(dataset, on_frames) returns what tracks a data set.
    bar(None, total=frames, description=text) returns a progress bar. When is_stopped() is true, the search ends with
    the exception Stopped.
    """

    def __init__(
        self,
        study: Study,
        split: Split,
        protocol: Protocol,
        make_setting: Callable[[Mapping[str, float]], Setting],
        make_lockstep: Callable[[Dataset, Callable[[int], None]], Lockstep],
        unfinished: Path,
        bar: Callable[..., Any],
        seed: int = 0,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.study, self.split, self.protocol = study, split, protocol
        self.make_setting, self.make_lockstep = make_setting, make_lockstep
        self.unfinished, self.bar, self.seed = unfinished, bar, seed
        self.is_stopped = is_stopped
        self.work = Work()

    def run(self, total: int, together: int) -> None:
        """Track rounds of `together` settings until the study has `total` ones, of a grid until none is left.

        An exception, also an interrupt, gives the settings under way back to the study; their written results stay. At
        the end, it waits as long for settings under way in other processes as it takes to see that one has died.
        """
        try:
            end = math.inf
            while time.monotonic() < end:
                if trials := self.study.ask(together, total):
                    self._round(trials)
                    end = math.inf
                elif not self.study.count()["under way"]:
                    return
                elif self.is_stopped():
                    raise Stopped
                else:
                    end = min(end, time.monotonic() + self.study.patience)
                    time.sleep(_LOOK)
        finally:
            self.study.give_back()

    def _round(self, trials: Sequence[Trial]) -> None:
        """Track the settings of trials on all sequences; those that are pruned leave in between."""
        tune = self.split.tune
        places = [self.make_setting(self.study.space.values(trial.params)) for trial in trials]
        first = {place.name: trial for place, trial in zip(reversed(places), reversed(trials), strict=True)}
        by_name = {place.name: (first[place.name], self._at_work(first[place.name], place)) for place in places}
        alive = [setting for _, setting in by_name.values()]
        order, frames = self._order(tune, trials[0].number), self._frames(tune, alive[0])
        text = f"settings {trials[0].number + 1} to {trials[-1].number + 1}"
        with self.bar(None, total=sum(frames.values()) * len(alive), description=text) as bar:
            lockstep = self.make_lockstep(tune, bar.update)
            with ThreadPoolExecutor(lockstep.workers, "lockstep") as threads:
                for name, chosen in lockstep.track(order, alive, threads):
                    del frames[name]
                    for setting in chosen:
                        if setting in alive and self._is_pruned(by_name[setting.name][0], setting, name):
                            alive.remove(setting)
                            bar.total -= sum(frames.values())
                            bar.refresh()
        self.work.add(lockstep.work)
        folders = {place.name: place.folder for place in places}
        values = {each.name: self._finish(by_name[each.name][0], each, folders[each.name]) for each in alive}
        for trial, place in zip(trials, places, strict=True):
            if trial is not first[place.name]:  # drawn twice
                self.study.tell(trial, values.get(place.name))
        self._log_best()

    def _at_work(self, trial: Trial, place: Setting) -> Setting:
        """Return a setting whose results are where it is tracked: apart from those of other trials until it is done."""
        folder = place.folder
        if not folder.exists():
            folder = self.unfinished / f"{self.study.origin(trial)}_{place.name}"
        claim_tracker_dir(folder, place.fingerprint)
        return replace(place, folder=folder)

    def _log_best(self) -> None:
        best, counts = self.study.finished[0], self.study.count()
        values = self.study.space.values(best.params)
        text = "%d finished, %d pruned; best %.4f with %s"
        logger.info(text, counts["finished"], counts["pruned"], best.values[0], values)

    def _order(self, dataset: Dataset, number: int) -> list[str]:
        """Return the names of the sequences, shuffled anew for each round."""
        names = [sequence.name for sequence in dataset.sequences]
        return [names[index] for index in np.random.default_rng([self.seed, number]).permutation(len(names))]

    def _frames(self, dataset: Dataset, setting: Setting) -> dict[str, int]:
        """Return the frames that a setting tracks, by sequence."""
        return {
            sequence.name: sum(len(task.sequence) for task in self.protocol.tasks(dataset, sequence, setting.folder))
            for sequence in dataset.sequences
        }

    def _is_pruned(self, trial: Trial, setting: Setting, name: str) -> bool:
        """Report the score of a sequence; if the setting is worse than the best one, end it and remove its results."""
        tune = self.split.tune
        (index,) = (index for index, sequence in enumerate(tune.sequences) if sequence.name == name)
        trial.report(sequence_score(tune, tune.sequences[index], setting.folder, self.protocol), index)
        if not trial.should_prune():
            return False
        self.study.tell(trial, None)
        if setting.folder.parent == self.unfinished:
            shutil.rmtree(setting.folder)
        return True

    def _finish(self, trial: Trial, setting: Setting, place: Path) -> float:
        """Score a setting that has tracked all sequences, and move its results to their place; return its value."""
        value = rank_score(self.split.tune, setting.folder, self.protocol)
        if setting.folder != place:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                setting.folder.replace(place)
            except OSError:
                if not place.is_dir():
                    raise
                shutil.rmtree(setting.folder)  # another process has drawn the same setting
        self.study.tell(trial, value)
        return value

    def check_winner(self) -> list[Scored]:
        """Return the scores of the best setting, and of the config's own one, on both parts of the set."""
        winner = self.study.space.values(self.study.finished[0].params)
        own, best = self.make_setting({}), self.make_setting(winner)
        settings = [own, best] if own.name != best.name else [best]
        for setting in settings:
            claim_tracker_dir(setting.folder, setting.fingerprint)
        parts = [part for part in (self.split.tune, self.split.hold_out) if part is not None]
        scores: list[list[float]] = []
        for part in parts:
            total = sum(self._frames(part, own).values()) * len(settings)
            with self.bar(None, total=total, description=f"the best and the config's, {len(part)} sequences") as bar:
                lockstep = self.make_lockstep(part, bar.update)
                with ThreadPoolExecutor(lockstep.workers, "lockstep") as threads:
                    for _ in lockstep.track([each.name for each in part.sequences], settings, threads):
                        pass
            scores.append([rank_score(part, setting.folder, self.protocol) for setting in settings])
        values = [{}, winner] if len(settings) == 2 else [winner]
        return [
            Scored(setting, values[row], scores[0][row], scores[1][row] if len(scores) > 1 else None)
            for row, setting in enumerate(settings)
        ]
