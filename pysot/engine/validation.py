"""Validation between epochs of training: a small VOT set is tracked, with its sequences spread over the processes.

The processes may have no common disk: the main process reads the checkpoint and sends its weights to all, and all send
it their results.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.results.claims import claim_tracker_dir
from pysot.utils.device import one_thread
from pysot.utils.distributed import Rank, barrier, from_all, from_main
from pysot.utils.files import write_bytes
from pysot.utils.model_load import read_checkpoint
from pysot.utils.signals import Interrupted, StopRequest
from pysot.utils.watchdog import FIRST_STEP, Heartbeat


class Validation:
    """Validation of checkpoints, called in all processes with the path of a checkpoint on the main process.

    Results are in `folder`/<set>/<checkpoint>, as those of tools/test.py. `load_tracker(state_dict, path)` returns a
    tracker with the weights of a checkpoint, and the fingerprint of its results. `bar(None, total, description)` may
    show progress; `stop` is checked after each frame. Raises ValueError if the set has no EAO.
    """

    def __init__(
        self,
        dataset: Dataset,
        load_tracker: Callable[[dict, Path], tuple[Any, str]],
        folder: Path,
        rank: Rank,
        device: torch.device,
        stop: StopRequest | None = None,
        bar: Callable[..., Any] | None = None,
        heartbeat: Heartbeat | None = None,
    ):
        if not find_protocol(dataset).restarts:
            raise ValueError(
                f"TRAIN.VAL.DATASET: {dataset.name} is not a set of the supervised protocol ({dataset.protocol}); "
                "choose a VOT set from 2013 to 2019"
            )
        assert dataset.settings is not None  # every set with restarts has settings
        longest = max(map(len, dataset.sequences))
        if longest < dataset.settings.low:
            raise ValueError(
                f"TRAIN.VAL: EAO of {dataset.name} averages over lengths from {dataset.settings.low} frames on, "
                f"but the longest selected video has {longest}; choose longer ones with TRAIN.VAL.VIDEOS"
            )
        self.dataset = dataset
        self.load_tracker = load_tracker
        self.folder = Path(folder)
        self.rank = rank
        self.device = device
        self.stop = stop or StopRequest()
        self.bar = bar
        self.heartbeat = heartbeat or Heartbeat()

    def __call__(self, snapshot: Path) -> dict[str, float]:
        """Return accuracy, robustness and EAO on the main process, and an empty dict on the others.

        A repeated call keeps the results of finished videos. Raises RuntimeError for a video that cannot be tracked,
        and Interrupted on the main process if training must end.
        """
        self.heartbeat.beat("loads a checkpoint to validate", FIRST_STEP)
        tracker, fingerprint = self.load_tracker(from_main(lambda: read_checkpoint(snapshot)["state_dict"]), snapshot)
        results = self.folder / self.dataset.name / snapshot.stem
        claim_tracker_dir(results, fingerprint, replace=True)
        barrier()
        part = self.dataset.part(self.rank.index + 1, self.rank.world_size)
        with one_thread(self.device):
            failed = self._track(tracker, part, results) if part else {}
        if failed:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            raise RuntimeError(f"validation failed: {reasons}")
        self.heartbeat.beat("waits for the others in a validation")
        received = from_all(_read_files(results, part) if part and not self.rank.is_main else {})
        self.heartbeat.beat("scores a validation", FIRST_STEP)
        if not self.rank.is_main:
            return {}
        for name, data in {name: data for files in received for name, data in files.items()}.items():
            if not (results / name).exists() or (results / name).read_bytes() != data:
                write_bytes(results / name, data)
        score = score_trackers(self.dataset, [results]).trackers[0]
        assert isinstance(score, SupervisedScore)
        return {"accuracy": score.accuracy, "robustness": score.robustness, "EAO": score.rank_by}

    def _track(self, tracker: Any, part: Dataset, results: Path) -> dict[str, str]:
        """Track the sequences of this process; return the reasons of failed videos by name."""
        with contextlib.ExitStack() as stack:
            total = sum(map(len, part.sequences))
            bar = None
            if self.bar and self.rank.is_main:
                bar = stack.enter_context(self.bar(None, total=total, description=f"{part.name}, {results.name}"))

            def on_frame(sequence: object, step: object) -> None:
                self.heartbeat.beat("tracks in a validation", FIRST_STEP)
                if bar is not None:
                    bar.update()
                if self.stop.signum and self.rank.is_main:
                    raise Interrupted(
                        self.stop.signum,
                        f"ended by signal {self.stop.signum} within a validation; TRAIN.RESUME auto continues it",
                    )

            return run_dataset(tracker, part, results, on_frame).failed


def _read_files(results: Path, part: Dataset) -> dict[str, bytes]:
    """Read the result files of the sequences in `part`, by their path in the folder of results."""
    names = {sequence.name for sequence in part.sequences}
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.parent.name in names and path.is_file()
    }
