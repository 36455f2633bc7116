"""TensorBoard files that cannot stop a run: an error of their disk costs the rest of them, and a sentence.

tensorboardX's SummaryWriter hands its values to a thread, which ends at the first error of the file system; whoever writes on then waits for ever, at the end
of the process at the latest. Values are few here, so they are written at once, with the same library's record writer.
"""

import contextlib
import logging
import time
from pathlib import Path

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event

logger = logging.getLogger(__name__)
_FLUSH = 30.0  # seconds


class Board:
    """A new file of values and pictures for TensorBoard in `folder`. Raises OSError if it can't be written at the start."""

    def __init__(self, folder: str):
        self.folder, self._flushed = folder, time.monotonic()
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._writer: EventsWriter | None = EventsWriter(str(Path(folder) / "events"))
            self._writer.flush()
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot write {folder} (TRAIN.LOG_DIR): {error.strerror}. Choose a folder you may write to, with free space",
            ) from error

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *_) -> None:
        self._try(lambda writer: writer.close())
        self._writer = None

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Write a number."""
        self._add(summary.scalar(name, value), step)

    def add_image(self, name: str, picture, step: int, dataformats: str) -> None:
        """Write a picture, uint8 with its axes as `dataformats` says, such as HWC."""
        self._add(summary.image(name, picture, dataformats=dataformats), step)

    def _add(self, value, step: int) -> None:
        self._try(lambda writer: writer.write_event(Event(wall_time=time.time(), step=step, summary=value)))
        if time.monotonic() - self._flushed > _FLUSH:
            self._flushed = time.monotonic()
            self._try(lambda writer: writer.flush())

    def _try(self, action) -> None:
        if self._writer is None:
            return
        try:
            action(self._writer)
        except OSError as error:
            writer, self._writer = self._writer, None
            with contextlib.suppress(OSError):
                writer.close()
            logger.warning(
                "TensorBoard's files in %s cannot be written (%s): the run goes on without them; its log has the same numbers",
                self.folder,
                error.strerror,
            )
