"""TensorBoard files whose disk errors do not stop training: after an error there is one warning and no more output.

tensorboardX's SummaryWriter passes its values to a thread, which ends at the first error of the file system. Later
writes then block forever, at the latest at the end of the process. There are few values, so they are written
immediately, with the record writer of the same library.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event

logger = logging.getLogger(__name__)
_FLUSH_SECONDS = 30.0


class Board:
    """New TensorBoard file of values and images in `folder`. Raises OSError if it cannot be written at the start."""

    def __init__(self, folder: str):
        self.folder = folder
        self._flush_time = time.monotonic()
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._writer: EventsWriter | None = EventsWriter(str(Path(folder) / "events"))
            self._writer.flush()
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot write {folder} (TRAIN.LOG_DIR): {error.strerror}. Choose a writable folder with free space",
            ) from error

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *_: object) -> None:
        self._try(lambda writer: writer.close())
        self._writer = None

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Write a number."""
        self._add(summary.scalar(name, value), step)

    def add_image(self, name: str, picture: np.ndarray, step: int, dataformats: str) -> None:
        """Write a uint8 image with the axes `dataformats`, such as HWC."""
        self._add(summary.image(name, picture, dataformats=dataformats), step)

    def _add(self, value: object, step: int) -> None:
        self._try(lambda writer: writer.write_event(Event(wall_time=time.time(), step=step, summary=value)))
        if time.monotonic() - self._flush_time > _FLUSH_SECONDS:
            self._flush_time = time.monotonic()
            self._try(lambda writer: writer.flush())

    def _try(self, action: Callable[[EventsWriter], object]) -> None:
        """Call `action` with the writer; an OSError closes the file and logs a warning."""
        if self._writer is None:
            return
        try:
            action(self._writer)
        except OSError as error:
            writer, self._writer = self._writer, None
            with contextlib.suppress(OSError):
                writer.close()
            logger.warning(
                "TensorBoard files in %s cannot be written (%s): training continues without them; "
                "its log has the same values",
                self.folder,
                error.strerror,
            )
