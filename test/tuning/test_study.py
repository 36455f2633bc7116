"""Studies: what they give out, several processes, those that die, and databases that cannot be used."""

import contextlib
import resource
import sqlite3
import time

import optuna
import pytest

from helpers import tiny_config
from pysot.tuning import study as study_module
from pysot.tuning.search_builder import build_space
from pysot.tuning.study import open_study, storage_errors

SMALL = {"PENALTY_K": "0.1,0.35,0.1", "WINDOW_INFLUENCE": "0.4", "LR": "0.2,0.45,0.1"}
FACTS = {"network": "a network", "data set": "a set"}


@contextlib.contextmanager
def opened(tmp_path, method="tpe", ranges=SMALL, seed=0, prune=True, **facts):
    url = f"sqlite:///{tmp_path}/study.db"
    space = build_space(tiny_config(), ranges)
    with storage_errors(url):
        study = open_study(url, "name", space, method, FACTS | facts, seed, prune)
        try:
            yield study
        finally:
            study.close()


def params(trials):
    return [trial.params for trial in trials]


def end(study, trials, value=0.5):
    for trial in trials:
        study.tell(trial, value)


def test_settings_until_the_total(tmp_path):
    with opened(tmp_path) as study:
        trials = study.ask(4, total=6)
        assert len(trials) == 4
        end(study, trials)
        assert len(study.ask(4, total=6)) == 2
        assert study.ask(4, total=6) == []
        assert study.count() == {"finished": 4, "pruned": 0, "under way": 2, "waiting": 0}


def test_a_grid_is_given_out_once(tmp_path):
    """Two processes share it, and none of its settings is drawn."""
    with opened(tmp_path, "grid") as first, opened(tmp_path, "grid") as second:
        grid = first.space.grid()
        assert len(grid) == 9
        trials = first.ask(4, total=1), second.ask(4, total=1), first.ask(4, total=1)
        assert [len(part) for part in trials] == [4, 4, 1]
        given = [each for part in trials for each in params(part)]
        assert sorted(map(str, given)) == sorted(map(str, grid))
        assert second.ask(4, total=100) == []


def test_the_seed_draws_the_settings(tmp_path):
    drawn = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        with opened(tmp_path / name, seed=seed) as study:
            drawn.append(params(study.ask(3, total=9)))
    assert drawn[0] == drawn[1] != drawn[2]


def test_two_processes_draw_different_settings(tmp_path):
    with opened(tmp_path) as first:
        drawn = params(first.ask(3, total=9))
        with opened(tmp_path) as second:
            assert not [each for each in params(second.ask(3, total=9)) if each in drawn]


def test_settings_that_are_given_back_come_again(tmp_path):
    with opened(tmp_path) as study:
        drawn = params(study.ask(3, total=3))
        study.give_back()
        assert study.count() == {"finished": 0, "pruned": 0, "under way": 0, "waiting": 3}
        again = study.ask(3, total=3)
        assert params(again) == drawn
        end(study, again)
        assert study.ask(3, total=3) == []


def test_a_grid_after_settings_were_given_back(tmp_path):
    """Those that come again do not take the places of others."""
    with opened(tmp_path, "grid") as study:
        study.ask(3, total=9)
        study.give_back()
        again = params(study.ask(5, total=9) + study.ask(9, total=9))
        assert sorted(map(str, again)) == sorted(map(str, study.space.grid()))


def test_settings_of_a_process_that_died_come_again(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "BEAT", 1)
    monkeypatch.setattr(study_module, "GRACE", 2)
    with opened(tmp_path, "grid") as dead:
        drawn = params(dead.ask(9, total=9))
        dead.close()
        with opened(tmp_path, "grid") as alive:
            assert alive.ask(9, total=9) == []
            time.sleep(3)
            assert params(alive.ask(9, total=9)) == drawn
            time.sleep(3)  # the signs of life of the second process
            with opened(tmp_path, "grid") as third:
                assert third.ask(9, total=9) == []


@pytest.mark.parametrize("method", ["tpe", "grid"])
def test_a_process_that_was_killed_while_it_asked(tmp_path, monkeypatch, method):
    """It has left trials without parameters and signs of life; two processes find them."""
    with opened(tmp_path, method) as first, opened(tmp_path, method) as second:
        end(first, first.ask(2, total=9))
        for _ in range(2):
            first.study.ask()
        end(first, first.ask(9, total=9))
        assert second.ask(9, total=9) == []
        assert second.count() == {"finished": 7, "pruned": 0, "under way": 2, "waiting": 0}
        monkeypatch.setattr(study_module, "GRACE", 0)  # as if that time had passed
        again = first.ask(9, total=9)
        assert len(again) == 2
        assert second.ask(9, total=9) == []
        end(first, again)
        assert second.count() == {"finished": 9, "pruned": 0, "under way": 0, "waiting": 0}
        if method == "grid":
            given = [trial.params for trial in first.finished]
            assert sorted(map(str, given)) == sorted(map(str, first.space.grid()))


def test_processes_that_ask_at_once_do_not_exceed_the_total(tmp_path, monkeypatch):
    """Each has seen that three settings are left when the other one took them."""
    with opened(tmp_path) as first, opened(tmp_path) as second:
        end(first, first.ask(3, total=6))
        read, seen = second.study.get_trials, second.study.get_trials(deepcopy=False)
        views = iter([[], seen])  # those that run, and all
        monkeypatch.setattr(second.study, "get_trials", lambda *a, **b: next(views, None) or read(*a, **b))
        end(first, first.ask(3, total=6))
        assert second.ask(3, total=6) == []
        assert second.count() == {"finished": 6, "pruned": 0, "under way": 0, "waiting": 0}


def test_the_settings_of_a_grid_are_not_read_before_they_are_given_out(tmp_path):
    with opened(tmp_path, "grid") as study:
        assert study.study.get_trials() == []
        study.ask(2, total=9)
        assert len(study.study.get_trials()) == 2


def test_pruned_settings(tmp_path):
    with opened(tmp_path) as study:
        best, worse = study.ask(2, total=2)
        for index in range(8):
            best.report(0.8, index)
        study.tell(best, 0.8)
        decisions = []
        for index in range(8):
            worse.report(0.1 + index / 100, index)
            decisions.append(worse.should_prune())
        assert not decisions[0]
        assert decisions[-1]
        study.tell(worse, None)
        assert study.count()["pruned"] == 1
        assert [trial.number for trial in study.finished] == [best.number]


def test_without_pruning(tmp_path):
    with opened(tmp_path, prune=False) as study:
        best, worse = study.ask(2, total=2)
        for trial, score in ((best, 0.8), (worse, 0.1)):
            for index in range(8):
                trial.report(score, index)
        study.tell(best, 0.8)
        assert not worse.should_prune()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranges": {**SMALL, "LR": "0.2,0.5,0.1"}}, r"of another space: it has .*0.45.* this search has .*0.5"),
        ({"method": "grid"}, "of another method: it has tpe, this search has grid"),
        ({"network": "another"}, "of another network: it has a network, this search has another"),
    ],
)
def test_a_study_of_another_search(tmp_path, change, message):
    with opened(tmp_path):
        pass
    with pytest.raises(ValueError, match=message), opened(tmp_path, **change):
        pass


def test_a_grid_that_cannot_be_made_leaves_no_study(tmp_path):
    """The same command with the range mended is not one of another space."""
    with pytest.raises(ValueError, match="STEP"), opened(tmp_path, "grid", {**SMALL, "LR": "0.2,0.45"}):
        pass
    with opened(tmp_path, "grid"):
        pass


def test_a_study_whose_maker_was_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "_PREPARED", 0.1)
    optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db", study_name="name", direction="maximize")
    with pytest.raises(ValueError, match="is not complete: the process that made it was killed"), opened(tmp_path):
        pass


def test_a_locked_database(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "_LOCKED", 0.2)
    with opened(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "study.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="database is locked.*end the program that locks it"), opened(tmp_path):
            pass


def test_a_full_disk(tmp_path):
    with opened(tmp_path) as study:
        size = (tmp_path / "study.db").stat().st_size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
            with pytest.raises(OSError, match="cannot be read or written.*free its disk"), storage_errors("the url"):
                for _ in range(200):
                    study.ask(1, total=1000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with opened(tmp_path) as study:
        assert study.count()["finished"] == 0


def test_no_database(tmp_path):
    path = tmp_path / "study.db"
    path.write_text("no database" * 100)
    with pytest.raises(OSError, match="file is not a database"), opened(tmp_path):
        pass
    with pytest.raises(OSError, match="unable to open database file"), opened(tmp_path / "missing"):
        pass
