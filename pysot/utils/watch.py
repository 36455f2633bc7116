"""Watching over the other processes of a run: one that dies or hangs must end the run, not leave the others waiting in a collective for half an hour.

Every process counts up in the store where the processes met. One whose count stands still for PATIENCE seconds is taken for dead; one that fails says so.
"""

import logging
import os
import threading
import time

import torch.distributed as dist

from pysot.utils.signals import StopRequest

logger = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds without a sign of life
GRACE = 5.0  # seconds between the message and the end: the launcher, or an orderly end of this process, may come first
INTERVAL = 1.0
_WHERE = "Its own log has the reason, or the kernel's (dmesg) if it was killed"
EXIT_STATUS = 3  # of a process that ends because of another one


class Watch:
    """A thread that beats for this rank and listens to the others, over a store of its own. `stop()` ends it. A request to end that another rank got is
    handed on to rank 0, which saves and ends first.
    """

    def __init__(self, store: dist.Store, rank: int, world_size: int, request: StopRequest):
        self.request = request
        self.store, self.rank, self.others = store, rank, [other for other in range(world_size) if other != rank]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self, failure: str | None = None) -> None:
        """Stop listening; `failure` tells the others that this process ends with an error."""
        self._ending.set()
        self._thread.join()
        if failure is not None:
            try:
                self.store.set(_key(self.rank), f"failed: {failure}")
            except RuntimeError:
                logger.debug("the others could not be told of %s", failure, exc_info=True)

    def explain(self) -> str | None:
        """After an error in a collective: which rank has gone, if one is silent for a few beats or has said that it failed."""
        seen: dict[int, tuple[bytes, float]] = {}
        try:
            problem = self._listen(seen)
            time.sleep(3 * INTERVAL)
            before = {rank: beat for rank, (beat, _) in seen.items()}
            problem = problem or self._listen(seen)
        except RuntimeError:
            return "the store of the run does not answer: rank 0 or the launcher has ended"
        silent = [str(rank) for rank, beat in before.items() if seen[rank][0] == beat]
        return problem or (f"rank {', '.join(silent)} has died. {_WHERE}" if silent else None)

    def _run(self) -> None:
        seen: dict[int, tuple[bytes, float]] = {}
        count = 0
        while not self._ending.wait(INTERVAL if count else 0):
            count += 1
            try:
                self.store.set(_key(self.rank), f"{count} {self.request.signum}")
                problem = self._listen(seen)
            except RuntimeError as error:
                problem = f"the store of the run does not answer ({str(error).splitlines()[0][:120]}): rank 0 or the launcher has ended"
            if problem and not self._ending.wait(GRACE):
                logger.error("rank %d ends: %s", self.rank, problem)
                for handler in logging.getLogger().handlers:
                    handler.flush()
                os._exit(EXIT_STATUS)  # the main thread may wait in a collective, where no exception reaches it

    def _listen(self, seen: dict) -> str | None:
        """What is wrong with another rank, if anything; `seen` has the last beat of each and when it came."""
        here = [rank for rank in self.others if rank in seen or self.store.check([_key(rank)])]
        beats = self.store.multi_get([_key(rank) for rank in here]) if here else []
        for rank, beat in zip(here, beats, strict=True):
            if beat.startswith(b"failed: "):
                return f"rank {rank} {beat.decode(errors='replace')}"
            signum = int(beat.split()[1])
            if signum and self.rank == 0 and not self.request.signum:
                self.request.ask(signum)
            if rank not in seen or seen[rank][0] != beat:
                seen[rank] = (beat, time.monotonic())
            elif time.monotonic() - seen[rank][1] > PATIENCE:
                return f"rank {rank} has died or hangs: no sign of life for {PATIENCE:.0f} s. {_WHERE}"
        return None


def attempt() -> str:
    """How often torchrun --max-restarts has started all ranks anew: they meet in the same store, where the words of the last attempt still are."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def _key(rank: int) -> str:
    return f"pysot/{attempt()}/alive/{rank}"
