"""Batches of a loader whose processes may die or hang."""

from collections.abc import Iterable, Iterator

import torch

from pysot.utils.signals import keep_steps_whole, time_limit

FIRST_BATCH, BATCH = (
    180.0,
    60.0,
)  # seconds until the first batch of a process, whose loader processes start, and until any other
_LOADER = ("DataLoader worker", "Pin memory thread")  # in errors of torch's loader


class LoaderFailure(RuntimeError):
    """No batch comes any more, for no fault of the training itself."""


def fetched(loader: Iterable[dict[str, torch.Tensor]], starts: bool) -> Iterator[dict[str, torch.Tensor]]:
    """The batches. Raises LoaderFailure where a loader process dies, or none has given a batch for BATCH seconds (FIRST_BATCH for the first one, if the loader
    `starts`).
    """
    source, patience = iter(loader), FIRST_BATCH if starts else BATCH
    while True:
        try:
            with time_limit(
                patience,
                f"no batch has come for {patience:.0f} s: a loader process is stopped, or the storage of the crops does not answer",
            ):
                batch = next(source, None)
        except TimeoutError as error:
            raise LoaderFailure(str(error)) from error
        except (RuntimeError, OSError, EOFError) as error:
            if isinstance(error, RuntimeError) and not any(words in str(error) for words in _LOADER):
                raise
            raise LoaderFailure(
                f"a loader process died ({error or type(error).__name__}), often because memory or /dev/shm ran out: lower "
                "TRAIN.NUM_WORKERS"
            ) from error
        finally:
            keep_steps_whole()
        if batch is None:
            return
        yield batch
        patience = BATCH
