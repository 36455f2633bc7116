"""Worker processes: each gets its function once, then arguments, and none outlives its parent."""

import collections
import contextlib
import functools
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from pysot.utils.signals import die_with_parent, end_helpers

_AHEAD = 4  # items per process that wait for their turn


@contextlib.contextmanager
def worker_pool(count: int, make: Callable[[int], Callable]) -> Iterator[Callable[..., Future]]:
    """`count` processes for the calls of a function; yields submit(*arguments), which returns the Future of a call.

    Each process calls make(number), its number from 0, and keeps the function that it returns: what all calls share is sent once. Processes are spawned,
    since a fork copies the threads of BLAS and of progress bars in a state they can't leave, so `make` and the arguments must be picklable. What `make` raises
    is raised by each call; a process that dies gives BrokenProcessPool. An exception in the body ends the processes at once.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _begin, (make, context.Value("i", 0))) as executor:
        try:
            yield functools.partial(executor.submit, _call)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            end_helpers()
            raise


def map_in_processes(function: Callable, items: Iterable, workers: int) -> Iterator:
    """function(item) of each item, in order, computed by `workers` processes if more than one, which begin at once; errors as `worker_pool`. Items are taken as
    they are needed.
    """
    if workers <= 1:
        return map(function, items)
    results = _results(function, items, workers)
    next(results)
    return results


def _results(function: Callable, items: Iterable, workers: int) -> Iterator:
    """None once the processes are at work, then the results."""
    left, waiting = iter(items), collections.deque()
    with worker_pool(workers, functools.partial(_same, function)) as submit:
        for item in itertools.islice(left, _AHEAD * workers):
            waiting.append(submit(item))
        yield None
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(map(submit, itertools.islice(left, 1)))
            yield result


def _same(function: Callable, number: int) -> Callable:
    return function


_calls: list[Callable] = []  # in a worker: the function that its calls are for


def _begin(make: Callable[[int], Callable], numbers) -> None:
    die_with_parent()
    with numbers.get_lock():
        number = numbers.value
        numbers.value += 1
    try:
        _calls[:] = [make(number)]
    except Exception as error:  # an executor does not tell what ended its processes, so each call does
        _calls[:] = [functools.partial(_raise, error)]


def _raise(error: Exception, *_) -> None:
    raise error


def _call(*arguments):
    return _calls[0](*arguments)
