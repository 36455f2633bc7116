"""Rounds of a search with a tracker that is not tracked: pruning, interrupts, and settings that come twice."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from toolkit_data import make_sequence

from helpers import tiny_config
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.protocols import find_protocol
from pysot.tuning.rounds import Setting, Work
from pysot.tuning.scores import split_dataset
from pysot.tuning.search import Search
from pysot.tuning.search_builder import build_space
from pysot.tuning.study import open_study, storage_errors

FRAMES, COUNT = 4, 8
TRUTH = np.array([20.0, 20, 20, 20])
ERROR = {"0.100": 2, "0.200": 14, "0.300": 15, "0.400": 0}  # pixels by LR
RANGES = {"PENALTY_K": "0.1", "WINDOW_INFLUENCE": "0.4", "LR": "0.1,0.45,0.1"}


class Bar:
    """Progress bar that can be read afterwards."""

    def __init__(self, total):
        self.total, self.done = total, 0

    def update(self, count):
        self.done += count

    def refresh(self):
        pass


class Written:
    """Lockstep whose results are the ground truth moved by the error of a setting; each sequence has its own part."""

    workers = 1

    def __init__(self, dataset, on_frames, tracked):
        self.dataset, self.on_frames, self.tracked, self.work = dataset, on_frames, tracked, Work()

    def track(self, order, settings, threads):
        for name in order:
            chosen = list(settings)
            if not chosen:
                return
            for setting in chosen:
                self.tracked.append((setting.name, name))
                error = ERROR[setting.name] + int(name[1:]) / 10
                lines = ",".join(map(str, TRUTH + [error, 0, 0, 0])) + "\n"
                (setting.folder / f"{name}.txt").write_text(lines * FRAMES)
                self.on_frames(FRAMES)
            yield name, chosen


@contextlib.contextmanager
def search(folder, method="grid", ranges=RANGES, lockstep=Written):
    """Yield a search, what it tracks in order, and its bars."""
    sequences = [make_sequence(name=f"v{i}", frames=FRAMES, truth=[TRUTH] * FRAMES) for i in range(COUNT)]
    dataset = Dataset("SET", sequences, (), None)
    tracked, bars = [], []

    def make_setting(values):
        name = f"{values.get('LR', 0.4):.3f}"
        return Setting(name, f"made of {name}", None, folder / "SET" / name)

    @contextlib.contextmanager
    def bar(_, total, description):
        bars.append(Bar(total))
        yield bars[-1]

    url, space = f"sqlite:///{folder}/s.db", build_space(tiny_config(), ranges)
    split, protocol = split_dataset(dataset, None, "0", 0), find_protocol(dataset, None)
    with storage_errors(url):
        study = open_study(url, "s", space, method, {"a": 1}, 0, True)
        try:
            made = Search(study, split, protocol, make_setting, lambda *a: lockstep(*a, tracked), folder / "u", bar)
            yield made, tracked, bars
        finally:
            study.close()


def folders(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir() if each.is_dir())


def test_a_setting_that_is_worse_leaves_in_the_middle(tmp_path):
    with search(tmp_path) as (tuned, tracked, bars):
        tuned.run(0, 2)
        assert tuned.study.count() == {"finished": 3, "pruned": 1, "under way": 0, "waiting": 0}
        assert folders(tmp_path / "SET") == ["0.100", "0.200", "0.400"]
        assert folders(tmp_path / "u") == []
        counts = {name: sum(each == name for each, _ in tracked) for name in ERROR}
        assert counts["0.100"] == counts["0.200"] == counts["0.400"] == COUNT
        assert 1 < counts["0.300"] < COUNT
        assert (
            [bar.done for bar in bars]
            == [bar.total for bar in bars]
            == [2 * COUNT * FRAMES, len(tracked[16:]) * FRAMES]
        )
        assert tuned.study.finished[0].params["TRACK.LR"] == pytest.approx(0.4)


def test_an_interrupt_gives_the_settings_back(tmp_path):
    class Interrupted(Written):
        def track(self, *args):
            for number, each in enumerate(super().track(*args)):
                if number == 3:
                    raise KeyboardInterrupt
                yield each

    with search(tmp_path, lockstep=Interrupted) as (tuned, *_), pytest.raises(KeyboardInterrupt):
        tuned.run(0, 3)
    assert len(list(tmp_path.glob("u/*/*.txt"))) == 12
    with search(tmp_path) as (tuned, *_):
        assert tuned.study.count() == {"finished": 0, "pruned": 0, "under way": 0, "waiting": 3}
        tuned.run(0, 3)
        assert tuned.study.count() == {"finished": 4, "pruned": 0, "under way": 0, "waiting": 0}
    assert folders(tmp_path / "SET") == sorted(ERROR)
    assert folders(tmp_path / "u") == []


def test_a_setting_that_is_drawn_twice_is_tracked_once(tmp_path):
    with search(tmp_path, "tpe", {**RANGES, "LR": "0.4"}) as (tuned, tracked, _):
        tuned.run(3, 3)
        assert sorted(tracked) == [("0.400", f"v{i}") for i in range(COUNT)]
        assert [trial.value for trial in tuned.study.finished] == [tuned.study.finished[0].value] * 3


def test_a_setting_that_another_process_has_finished(tmp_path):
    class Overtaken(Written):
        def track(self, order, settings, threads):
            yield from super().track(order, settings, threads)
            place = tmp_path / "SET" / "0.400"
            place.mkdir(parents=True)
            (place / "v0.txt").write_text("of the other process")

    with search(tmp_path, ranges={**RANGES, "LR": "0.4"}, lockstep=Overtaken) as (tuned, *_):
        tuned.run(0, 1)
        assert tuned.study.count()["finished"] == 1
    assert folders(tmp_path / "u") == []
    assert (tmp_path / "SET" / "0.400" / "v0.txt").read_text() == "of the other process"


def test_results_that_cannot_be_moved_stay_where_they_are(tmp_path):
    class Blocked(Written):
        def track(self, order, settings, threads):
            yield from super().track(order, settings, threads)
            (tmp_path / "SET").mkdir()
            (tmp_path / "SET" / "0.400").write_text("a file")

    with search(tmp_path, ranges={**RANGES, "LR": "0.4"}, lockstep=Blocked) as (tuned, *_):
        with pytest.raises(OSError, match="0.400"):
            tuned.run(0, 1)
        assert len(list(tmp_path.glob("u/0_0.400/*.txt"))) == COUNT
        assert tuned.study.count()["waiting"] == 1
