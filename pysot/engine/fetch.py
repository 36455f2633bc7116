"""Batches of a loader whose processes may die or hang."""

from collections.abc import Iterable, Iterator

from pysot.utils.packed_tensors import Batch
from pysot.utils.signals import defer_loader_errors, time_limit

# Seconds to wait for the first batch of a process, while its loader processes start, and for any other batch.
FIRST_BATCH_TIMEOUT = 180.0
BATCH_TIMEOUT = 60.0
_LOADER_ERRORS = ("DataLoader worker", "Pin memory thread")  # in error messages of torch's loader


class LoaderFailure(RuntimeError):
    """Failure of the loader: it returns no more batches, for a reason outside of training."""


def fetch_batches(loader: Iterable[Batch], is_starting: bool) -> Iterator[Batch]:
    """Yield the batches of `loader`.

    Raises LoaderFailure if a loader process dies, or if no batch comes within BATCH_TIMEOUT seconds. For the first
    batch of a loader that `is_starting` the limit is FIRST_BATCH_TIMEOUT.
    """
    batches = iter(loader)
    timeout = FIRST_BATCH_TIMEOUT if is_starting else BATCH_TIMEOUT
    while True:
        try:
            with time_limit(
                timeout,
                f"no batch has come for {timeout:.0f} s: a loader process is stopped, "
                "or the storage of the crops does not respond",
            ):
                batch = next(batches, None)
        except TimeoutError as error:
            raise LoaderFailure(str(error)) from error
        except (RuntimeError, OSError, EOFError) as error:
            if isinstance(error, RuntimeError) and not any(words in str(error) for words in _LOADER_ERRORS):
                raise
            raise LoaderFailure(
                f"a loader process died ({error or type(error).__name__}), often because memory or /dev/shm is full: "
                "lower TRAIN.NUM_WORKERS"
            ) from error
        finally:
            defer_loader_errors()
        if batch is None:
            return
        yield batch
        timeout = BATCH_TIMEOUT
