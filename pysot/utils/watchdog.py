"""Watch the other processes of a run, so that one that dies or hangs ends the run.

Without this, the others would wait in a collective for half an hour. Each process writes two counts into the store in
which the processes met. A thread raises the first count every second: if it stands still for PATIENCE seconds, the
process is considered dead. The main thread raises the second count after every step, and writes how long the next step
may take (`Heartbeat`): if it stands still for longer, the process hangs. A process that fails writes that as well.
"""

import json
import logging
import math
import os
import threading
import time
from typing import Any

import torch.distributed as dist

from pysot.utils.signals import StopRequest, end_process

logger = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds without a sign of life
START = 1800.0  # seconds for everything before the first step: making an index, loading networks
FIRST_STEP = 600.0  # seconds for a step in which operators may be compiled, and for a checkpoint
STEP = 60.0  # seconds for any other step
STEP_FACTOR = 10.0  # ... or this multiple of the longest step so far, whichever is more
GRACE = 5.0  # seconds between message and end: the launcher, or an orderly end of this process, may come first
INTERVAL = 1.0
_HINT = "Its own log has the reason, or the kernel's (dmesg) if it was killed"
EXIT_STATUS = 3  # of a process that ends because of another one


class Heartbeat:
    """Activity of the main thread, as it reports it: it calls `beat` at the start of each activity."""

    def __init__(self) -> None:
        self.count = 0
        self.doing = "starts"
        self.patience = START
        self._longest = 0.0
        self._since = time.monotonic()

    def beat(self, doing: str, patience: float = math.inf) -> None:
        """Begin an activity that takes at most `patience` seconds.

        There is no limit for waiting for other processes, which have limits themselves.
        """
        self.doing, self.patience, self._since = doing, patience, time.monotonic()
        self.count += 1

    def step(self, number: int, first: bool) -> None:
        """Begin step `number` after the previous one has ended; the `first` steps of an epoch may take long."""
        if not first:
            self._longest = max(self._longest, time.monotonic() - self._since)
        self.beat(f"is in step {number}", FIRST_STEP if first else max(STEP, STEP_FACTOR * self._longest))


class Watchdog:
    """Threads that report this rank and check the others.

    One thread reports and checks over a store connection that no other code uses. The other one ends the process if
    that store, which belongs to rank 0 or the launcher, does not answer. `stop()` ends both. A request to stop that
    another rank received is passed on to rank 0, which saves and ends first.

    Time is counted in rounds of these threads, so that it stands still while the entire run is suspended, as by Ctrl-Z.
    """

    def __init__(
        self, store: dist.Store, rank: int, world_size: int, request: StopRequest, heartbeat: Heartbeat
    ) -> None:
        self.request = request
        self.heartbeat = heartbeat
        self.store = store
        self.rank = rank
        self.others = [other for other in range(world_size) if other != rank]
        self._ending = threading.Event()
        self._rounds = 0
        self._threads = [
            threading.Thread(target=loop, name="watchdog", daemon=True) for loop in (self._run, self._guard_store)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, failure: str | None = None) -> None:
        """Stop watching; `failure` is the error with which this process ends, reported to the others."""
        self._ending.set()
        reporter = threading.Thread(target=self._report_failure, args=(failure,), daemon=True)
        reporter.start()
        reporter.join(GRACE)  # a store that does not answer must not block this process

    def diagnose(self) -> str | None:
        """Return which rank has ended, if one is silent for a few intervals or has reported a failure.

        Called after an error in a collective.
        """
        history = _History()
        try:
            problem = self._check_ranks(history)
            time.sleep(3 * INTERVAL)
            before = dict(history.alive)
            problem = problem or self._check_ranks(history)
        except RuntimeError:
            return "the store of the run does not answer: rank 0 or the launcher has ended"
        silent = [
            str(rank) for rank, (count, _) in before.items() if rank != self.rank and history.alive[rank][0] == count
        ]
        return problem or (f"rank {', '.join(silent)} has died. {_HINT}" if silent else None)

    def _report_failure(self, failure: str | None) -> None:
        self._threads[0].join()
        if failure is not None:
            try:
                self.store.set(_key(self.rank), json.dumps({"failed": failure}))
            except RuntimeError:
                logger.debug("could not report to the other ranks: %s", failure, exc_info=True)

    def _guard_store(self) -> None:
        """End this process if the other thread has waited for the store for longer than PATIENCE."""
        rounds, waited = self._rounds, 0.0
        while not self._ending.wait(INTERVAL):
            rounds, waited = (rounds, waited + INTERVAL) if rounds == self._rounds else (self._rounds, 0.0)
            if waited > PATIENCE:
                end_process(
                    EXIT_STATUS,
                    f"(rank {self.rank}) ends: rank 0 or the launcher, which has the store of the run, gives no answer "
                    f"for {PATIENCE:.0f} s. {_HINT}",
                )

    def _run(self) -> None:
        history = _History()
        while not self._ending.wait(INTERVAL if self._rounds else 0):
            self._rounds += 1
            try:
                self.store.set(_key(self.rank), self._report(self._rounds))
                problem = self._check_ranks(history)
            except RuntimeError as error:
                reason = str(error).splitlines()[0][:120]
                problem = f"the store of the run does not answer ({reason}): rank 0 or the launcher has ended"
            if problem and not self._ending.wait(GRACE):
                # The main thread may wait in a collective, where no exception reaches it.
                end_process(EXIT_STATUS, f"(rank {self.rank}) ends: {problem}")

    def _report(self, count: int) -> str:
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

    def _check_ranks(self, history: "_History") -> str | None:
        """Return the problem of a rank, if any; also of this one, whose main thread may hang while this thread runs."""
        ranks = [rank for rank in (self.rank, *self.others) if rank in history.alive or self.store.check([_key(rank)])]
        reports = self.store.multi_get([_key(rank) for rank in ranks]) if ranks else []
        for rank, text in zip(ranks, reports, strict=True):
            report = json.loads(text)
            if "failed" in report:
                return f"rank {rank} failed: {report['failed']}"
            if report["signum"] and self.rank == 0:
                self.request.pass_on(report["signum"])
            history.add(rank, report)
        return history.end_round()


class _History:
    """Last change of each rank's two counts, in time counted by the rounds of this process."""

    def __init__(self) -> None:
        self.now = 0.0
        self.alive: dict[int, tuple[int, float]] = {}  # the thread's count of each rank, and when it changed
        self.beats: dict[int, tuple[dict[str, Any], float]] = {}  # the report with the main thread's count, likewise

    def add(self, rank: int, report: dict[str, Any]) -> None:
        """Take in the report of a rank."""
        if rank not in self.alive or self.alive[rank][0] != report["alive"]:
            self.alive[rank] = report["alive"], self.now
        if rank not in self.beats or self.beats[rank][0]["count"] != report["count"]:
            self.beats[rank] = report, self.now

    def end_round(self) -> str | None:
        """End a round and return the problem, if any."""
        self.now += INTERVAL
        now = self.now
        for rank, (_, since) in self.alive.items():
            if now - since > PATIENCE:
                return f"rank {rank} has died or hangs: no sign of life for {PATIENCE:.0f} s. {_HINT}"
        if any(now - since > report["patience"] for report, since in self.beats.values()):
            activities = "; ".join(
                f"rank {rank} {report['doing']} (for {now - since:.0f} s)"
                for rank, (report, since) in sorted(self.beats.items())
            )
            return (
                f"a rank hangs: {activities}. It is the one that is a step behind or does something else than the "
                "others; its log may have the reason"
            )
        return None


def attempt() -> str:
    """Return how often torchrun --max-restarts has restarted all ranks.

    They meet in the same store, which still holds the entries of the previous attempt.
    """
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def launch() -> str:
    """Return a name for this launch of torchrun, the same in all its attempts; "" without torchrun."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return f"{name} {os.getppid()}" if name == "none" else name


def _key(rank: int) -> str:
    return f"pysot/{attempt()}/alive/{rank}"
