"""Functions that worker processes of tests import and call."""

import os
import signal
import time


def pid_and_square(item: int) -> tuple[int, int]:
    return os.getpid(), item * item


def return_number(number: int):
    def call() -> int:
        time.sleep(0.2)  # long enough that each of two processes gets a call
        return number

    return call


def fail_to_start(number: int):
    raise FileNotFoundError("no such snapshot")


def dies(item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def make_sleeper(number: int):
    return time.sleep


def announce(folder: str) -> None:
    open(os.path.join(folder, f"pid{os.getpid()}"), "w").close()
    time.sleep(120)
