"""A small VOT set tracked between epochs of training, its sequences spread over the processes of the run.

Processes may have no disk in common: process 0 reads the checkpoint and hands its weights to all, and all hand it their results.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

import torch

from pysot.toolkit.datasets.sequence import Dataset
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
    """Call it in all processes with the path of a checkpoint that process 0 has. Results lie in `folder`/<set>/<checkpoint>, as those of tools/test.py.

    `load(state_dict, path)` gives a tracker with the weights of a checkpoint and the fingerprint of its results. `bar(None, total, description)` may show
    progress; `stop` is asked after each frame. Raises ValueError if the set has no EAO.
    """

    def __init__(
        self,
        dataset: Dataset,
        load: Callable[[dict, Path], tuple],
        folder: Path,
        rank: Rank,
        device: torch.device,
        stop: StopRequest | None = None,
        bar: Callable | None = None,
        heartbeat: Heartbeat | None = None,
    ):
        if not find_protocol(dataset).restarts:
            raise ValueError(
                f"TRAIN.VAL.DATASET: {dataset.name} is no set of the supervised protocol ({dataset.protocol}); choose a VOT set from 2013 to 2019"
            )
        longest = max(map(len, dataset.sequences))
        if longest < dataset.settings.low:
            raise ValueError(
                f"TRAIN.VAL: EAO of {dataset.name} averages over lengths from {dataset.settings.low} frames on, the longest video chosen has "
                f"{longest}; choose longer ones with TRAIN.VAL.VIDEOS"
            )
        self.dataset, self.load, self.folder, self.rank, self.device = dataset, load, Path(folder), rank, device
        self.stop, self.bar, self.heartbeat = stop or StopRequest(), bar, heartbeat or Heartbeat()

    def __call__(self, snapshot: Path) -> dict[str, float]:
        """Accuracy, robustness and EAO in process 0, nothing in the others. Finished videos are kept if it is called again. Raises RuntimeError for a video
        that cannot be tracked, and Interrupted in process 0 if the run is to end.
        """
        self.heartbeat.beat("loads a checkpoint to validate", FIRST_STEP)
        tracker, fingerprint = self.load(from_main(lambda: read_checkpoint(snapshot)["state_dict"]), snapshot)
        results = self.folder / self.dataset.name / snapshot.stem
        claim_tracker_dir(results, fingerprint, replace=True)
        barrier()
        part = self.dataset.part(self.rank.index + 1, self.rank.world_size)
        with one_thread(self.device):
            failed = self._track(tracker, part, results) if part else {}
        if failed:
            raise RuntimeError(
                "validation failed: " + "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            )
        self.heartbeat.beat("waits for the others in a validation")
        found = from_all(_files(results, part) if part and not self.rank.is_main else {})
        self.heartbeat.beat("scores a validation", FIRST_STEP)
        if not self.rank.is_main:
            return {}
        for name, data in {name: data for files in found for name, data in files.items()}.items():
            if not (results / name).exists() or (results / name).read_bytes() != data:
                write_bytes(results / name, data)
        score = score_trackers(self.dataset, [results]).trackers[0]
        return {"accuracy": score.accuracy, "robustness": score.robustness, "EAO": score.rank_by}

    def _track(self, tracker, part: Dataset, results: Path) -> dict[str, str]:
        with contextlib.ExitStack() as stack:
            total = sum(map(len, part.sequences))
            bar = (
                stack.enter_context(self.bar(None, total=total, description=f"{part.name}, {results.name}"))
                if self.bar and self.rank.is_main
                else None
            )

            def on_frame(sequence, step) -> None:
                self.heartbeat.beat("tracks in a validation", FIRST_STEP)
                if bar is not None:
                    bar.update()
                if self.stop.signum and self.rank.is_main:
                    raise Interrupted(
                        self.stop.signum,
                        f"ended by signal {self.stop.signum} within a validation; TRAIN.RESUME auto goes on with it",
                    )

            return run_dataset(tracker, part, results, on_frame).failed


def _files(results: Path, part: Dataset) -> dict[str, bytes]:
    """The result files of some sequences, by their path in the folder of results."""
    names = {sequence.name for sequence in part.sequences}
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.parent.name in names and path.is_file()
    }
