"""Watching over the other processes of a run: one that dies or hangs must end the run, not leave the others waiting in a collective for half an hour.

Every process writes two counts into the store where the processes met. A thread raises the first one every second: where it stands still for PATIENCE
seconds, the process is taken for dead. The main thread raises the second one with every step that ends, and says how long the next may take (`Heartbeat`): where
that stands still for longer, the process hangs. One that fails says so.
"""

import json
import logging
import math
import os
import threading
import time

import torch.distributed as dist

from pysot.utils.signals import StopRequest, end_process

logger = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds without a sign of life
START = 1800.0  # seconds for all that comes before the first step: an index is made, networks are loaded
FIRST_STEP = 600.0  # seconds for a step in which operators may be compiled, and for a checkpoint
STEP = 60.0  # seconds for any other step
SLOWER = 10.0  # ... and as many times the longest one so far
GRACE = 5.0  # seconds between the message and the end: the launcher, or an orderly end of this process, may come first
INTERVAL = 1.0
_WHERE = "Its own log has the reason, or the kernel's (dmesg) if it was killed"
EXIT_STATUS = 3  # of a process that ends because of another one


class Heartbeat:
    """What the main thread does, told by itself: `beat` when something has ended and the next thing begins."""

    def __init__(self):
        self.count, self.doing, self.patience = 0, "starts", START
        self._longest, self._since = 0.0, time.monotonic()

    def beat(self, doing: str, patience: float = math.inf) -> None:
        """Begin to do something that takes at most `patience` seconds; without a limit, where this process waits for others, which have one."""
        self.doing, self.patience, self._since = doing, patience, time.monotonic()
        self.count += 1

    def step(self, number: int, first: bool) -> None:
        """Begin step `number` when the one before has ended; the `first` ones of an epoch may take long."""
        if not first:
            self._longest = max(self._longest, time.monotonic() - self._since)
        self.beat(f"is in step {number}", FIRST_STEP if first else max(STEP, SLOWER * self._longest))


class Watchdog:
    """A thread that beats for this rank and listens to the others, over a store of its own, and another one for the case that the store, which is rank 0's or
    the launcher's, does not answer. `stop()` ends both. A request to end that another rank got is handed on to rank 0, which saves and ends first.

    Time is counted in turns of these threads, so that it stands still while the whole run is stopped, as by Ctrl-Z.
    """

    def __init__(self, store: dist.Store, rank: int, world_size: int, request: StopRequest, heartbeat: Heartbeat):
        self.request, self.heartbeat = request, heartbeat
        self.store, self.rank, self.others = store, rank, [other for other in range(world_size) if other != rank]
        self._ending, self._turns = threading.Event(), 0
        self._threads = [
            threading.Thread(target=work, name="watchdog", daemon=True) for work in (self._run, self._guard)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, failure: str | None = None) -> None:
        """Stop listening; `failure` tells the others that this process ends with an error."""
        self._ending.set()
        telling = threading.Thread(target=self._tell, args=(failure,), daemon=True)
        telling.start()
        telling.join(GRACE)  # a store that does not answer must not keep this process

    def explain(self) -> str | None:
        """After an error in a collective: which rank has gone, if one is silent for a few beats or has said that it failed."""
        seen = _Seen()
        try:
            problem = self._listen(seen)
            time.sleep(3 * INTERVAL)
            before = dict(seen.lives)
            problem = problem or self._listen(seen)
        except RuntimeError:
            return "the store of the run does not answer: rank 0 or the launcher has ended"
        silent = [str(rank) for rank, life in before.items() if rank != self.rank and seen.lives[rank][0] == life[0]]
        return problem or (f"rank {', '.join(silent)} has died. {_WHERE}" if silent else None)

    def _tell(self, failure: str | None) -> None:
        self._threads[0].join()
        if failure is not None:
            try:
                self.store.set(_key(self.rank), json.dumps({"failed": failure}))
            except RuntimeError:
                logger.debug("the others could not be told of %s", failure, exc_info=True)

    def _guard(self) -> None:
        """End this process if the other thread has waited for the store for longer than PATIENCE."""
        turns, waited = self._turns, 0.0
        while not self._ending.wait(INTERVAL):
            turns, waited = (turns, waited + INTERVAL) if turns == self._turns else (self._turns, 0.0)
            if waited > PATIENCE:
                end_process(
                    EXIT_STATUS,
                    f"(rank {self.rank}) ends: rank 0 or the launcher, which has the store of the run, gives no answer for "
                    f"{PATIENCE:.0f} s. {_WHERE}",
                )

    def _run(self) -> None:
        seen = _Seen()
        while not self._ending.wait(INTERVAL if self._turns else 0):
            self._turns += 1
            try:
                self.store.set(_key(self.rank), self._beat(self._turns))
                problem = self._listen(seen)
            except RuntimeError as error:
                problem = f"the store of the run does not answer ({str(error).splitlines()[0][:120]}): rank 0 or the launcher has ended"
            if problem and not self._ending.wait(GRACE):
                end_process(
                    EXIT_STATUS, f"(rank {self.rank}) ends: {problem}"
                )  # the main thread may wait in a collective, where no exception reaches it

    def _beat(self, count: int) -> str:
        heartbeat = self.heartbeat
        return json.dumps(
            {
                "alive": count,
                "signum": self.request.signum,
                "count": heartbeat.count,
                "doing": heartbeat.doing,
                "patience": heartbeat.patience,
            }
        )

    def _listen(self, seen: "_Seen") -> str | None:
        """What is wrong with a rank, if anything: with this one too, whose main thread may hang while this thread goes on."""
        here = [rank for rank in (self.rank, *self.others) if rank in seen.lives or self.store.check([_key(rank)])]
        beats = self.store.multi_get([_key(rank) for rank in here]) if here else []
        for rank, text in zip(here, beats, strict=True):
            beat = json.loads(text)
            if "failed" in beat:
                return f"rank {rank} failed: {beat['failed']}"
            if beat["signum"] and self.rank == 0:
                self.request.pass_on(beat["signum"])
            seen.take(rank, beat)
        return seen.turn()


class _Seen:
    """When each rank was last heard of, and when its main thread last got on, by the turns of this process."""

    def __init__(self):
        self.now = 0.0
        self.lives: dict[int, tuple[int, float]] = {}
        self.beats: dict[int, tuple[dict, float]] = {}

    def take(self, rank: int, beat: dict) -> None:
        """Note what a rank says of itself."""
        if rank not in self.lives or self.lives[rank][0] != beat["alive"]:
            self.lives[rank] = beat["alive"], self.now
        if rank not in self.beats or self.beats[rank][0]["count"] != beat["count"]:
            self.beats[rank] = beat, self.now

    def turn(self) -> str | None:
        """End a turn: what is wrong, if anything."""
        self.now += INTERVAL
        now = self.now
        for rank, (_, since) in self.lives.items():
            if now - since > PATIENCE:
                return f"rank {rank} has died or hangs: no sign of life for {PATIENCE:.0f} s. {_WHERE}"
        if any(now - since > beat["patience"] for beat, since in self.beats.values()):
            doing = "; ".join(
                f"rank {rank} {beat['doing']} (for {now - since:.0f} s)"
                for rank, (beat, since) in sorted(self.beats.items())
            )
            return f"a rank hangs: {doing}. One that is a step behind, or does what the others do not, is the one; its log may have the reason"
        return None


def attempt() -> str:
    """How often torchrun --max-restarts has started all ranks anew: they meet in the same store, where the words of the last attempt still are."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def launch() -> str:
    """A name for this launch of torchrun, the same in all its attempts; "" without torchrun."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return f"{name} {os.getppid()}" if name == "none" else name


def _key(rank: int) -> str:
    return f"pysot/{attempt()}/alive/{rank}"
