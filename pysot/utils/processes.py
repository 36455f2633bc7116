"""Worker processes that get their function once, then arguments, and do not outlive their parent."""

import collections
import contextlib
import functools
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, NoReturn

from pysot.utils.signals import die_with_parent, end_helpers

_QUEUED_PER_WORKER = 4


@contextlib.contextmanager
def worker_pool(
    count: int, make_function: Callable[[int], Callable[..., Any]]
) -> Iterator[Callable[..., "Future[Any]"]]:
    """Start `count` processes that call a function; yield submit(*arguments), which returns the Future of a call.

    Each process calls `make_function(number)` with its number from 0 and keeps the function that it returns: data that
    all calls share is sent once. Processes are spawned, since a fork copies the threads of BLAS and of progress bars in
    a state that they cannot leave. So `make_function` and the arguments must be picklable. An exception of
    `make_function` is raised by each call; a process that dies gives BrokenProcessPool. An exception in the context
    ends the processes at once.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _initialize_worker, (make_function, context.Value("i", 0))) as executor:
        try:
            yield functools.partial(executor.submit, _call)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            end_helpers()
            raise


def map_in_processes(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Iterator[Any]:
    """Yield function(item) of each item, in order, computed by `workers` processes if there are more than one.

    The processes start at once. Items are read as they are needed. Raises as `worker_pool`.
    """
    if workers <= 1:
        return map(function, items)
    results = _results(function, items, workers)
    next(results)
    return results


def _results(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Iterator[Any]:
    """Yield None when the processes have started, then the results."""
    remaining = iter(items)
    pending: collections.deque[Future[Any]] = collections.deque()
    with worker_pool(workers, functools.partial(_return_function, function)) as submit:
        for item in itertools.islice(remaining, _QUEUED_PER_WORKER * workers):
            pending.append(submit(item))
        yield None
        while pending:
            result = pending.popleft().result()
            pending.extend(map(submit, itertools.islice(remaining, 1)))
            yield result


def _return_function(function: Callable[[Any], Any], number: int) -> Callable[[Any], Any]:
    """`make_function` of a pool whose processes all use the same function."""
    return function


_worker_function: list[Callable[..., Any]] = []  # one element, in a worker process


def _initialize_worker(make_function: Callable[[int], Callable[..., Any]], next_number: Any) -> None:
    die_with_parent()
    with next_number.get_lock():
        number = next_number.value
        next_number.value += 1
    try:
        _worker_function[:] = [make_function(number)]
    except Exception as error:  # an executor does not report what ended its processes, so each call does
        _worker_function[:] = [functools.partial(_raise, error)]


def _raise(error: Exception, *_: Any) -> NoReturn:
    raise error


def _call(*arguments: Any) -> Any:
    return _worker_function[0](*arguments)
