"""A small VOT set tracked between epochs of training, its sequences spread over the processes of the run."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import torch

from pysot.toolkit.claims import claim_tracker_dir
from pysot.toolkit.runner import run_dataset
from pysot.toolkit.scoring import score_trackers
from pysot.toolkit.sequence import Dataset
from pysot.utils.device import one_thread
from pysot.utils.distributed import Rank, barrier
from pysot.utils.signals import Interrupted, StopRequest


class Validation:
    """Call it in all processes with the path of a checkpoint. Results lie in `folder`/<set>/<checkpoint>, as those of tools/test.py.

    `load(path)` gives a tracker with the weights of a checkpoint and the fingerprint of its results. `bar(None, total, description)` may show progress; `stop`
    is asked after each frame. Raises ValueError if the set has no EAO.
    """

    def __init__(self, dataset: Dataset, load: Callable[[Path], tuple], folder: Path, me: Rank, device: torch.device, stop: StopRequest | None = None,
                 bar: Callable | None = None):
        if dataset.protocol != "supervised":
            raise ValueError(f"TRAIN.VAL.DATASET: {dataset.name} is no set of the supervised protocol ({dataset.protocol}); choose a VOT set from 2013 to 2019")
        longest = max(map(len, dataset.sequences))
        if longest < dataset.settings.low:
            raise ValueError(f"TRAIN.VAL: EAO of {dataset.name} averages over lengths from {dataset.settings.low} frames on, the longest video chosen has "
                             f"{longest}; choose longer ones with TRAIN.VAL.VIDEOS")
        self.dataset, self.load, self.folder, self.me, self.device = dataset, load, Path(folder), me, device
        self.stop, self.bar = stop or StopRequest(), bar

    def __call__(self, snapshot: Path) -> dict[str, float]:
        """Accuracy, robustness and EAO in process 0, nothing in the others. Finished videos are kept if it is called again. Raises RuntimeError for a video
        that cannot be tracked, and Interrupted in process 0 if the run is to end.
        """
        tracker, fingerprint = self.load(snapshot)
        results = self.folder / self.dataset.name / snapshot.stem
        if self.me.is_main:
            claim_tracker_dir(results, fingerprint, replace=True)
        barrier()
        part = self.dataset.part(self.me.rank + 1, self.me.world_size)
        with one_thread(self.device):
            failed = self._track(tracker, part, results) if part else {}
        if failed:
            raise RuntimeError("validation failed: " + "; ".join(f"{name}: {reason}" for name, reason in failed.items()))
        barrier()
        if not self.me.is_main:
            return {}
        score = score_trackers(self.dataset, [results]).trackers[0]
        return {"accuracy": score.accuracy, "robustness": score.robustness, "EAO": score.eao["all"]}

    def _track(self, tracker, part: Dataset, results: Path) -> dict[str, str]:
        with contextlib.ExitStack() as stack:
            total = sum(map(len, part.sequences))
            bar = stack.enter_context(self.bar(None, total=total, description=f"{part.name}, {results.name}")) if self.bar and self.me.is_main else None

            def on_frame(sequence, step) -> None:
                if bar is not None:
                    bar.update()
                if self.stop.signum and self.me.is_main:
                    raise Interrupted(self.stop.signum, f"ended by signal {self.stop.signum} within a validation; TRAIN.RESUME auto goes on with it")

            return run_dataset(tracker, part, results, on_frame).failed
