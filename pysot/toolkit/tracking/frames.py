"""Frames of sequences, decoded ahead of the tracker by a few threads; OpenCV decodes without Python's lock."""

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.utils.image import read_image

_THREADS = 4  # more do not help: a frame is decoded faster than it is tracked
_AHEAD = 2  # frames of each sequence


class FrameDecoder:
    """Threads that decode frames ahead; they end with this context. With `ahead` false, nothing is decoded ahead."""

    def __init__(self, ahead: bool = True) -> None:
        self.ahead = _AHEAD if ahead else 0
        self.threads = ThreadPoolExecutor(_THREADS, "frames")

    def __enter__(self) -> "FrameDecoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.threads.shutdown(cancel_futures=True)


class FrameReader:
    """Frames of one sequence, from 0. Frames may be left out; going back is possible, but decodes again."""

    def __init__(self, decoder: FrameDecoder, sequence: Sequence) -> None:
        self.decoder = decoder
        self.sequence = sequence
        self.pending: dict[int, Future[np.ndarray]] = {}

    def expect(self, index: int) -> None:
        """Decode a frame and those after it, and drop the others."""
        wanted = range(index, min(index + self.decoder.ahead + 1, len(self.sequence)))
        for other in self.pending.keys() - {*wanted}:
            self.pending.pop(other).cancel()
        for frame in wanted:
            if frame not in self.pending:
                self.pending[frame] = self.decoder.threads.submit(_read_frame, self.sequence, frame)

    def read(self, index: int) -> np.ndarray:
        """Return a frame (H, W, 3) uint8 BGR.

        Raises ValueError or FileNotFoundError that names sequence and frame, for this frame only.
        """
        self.expect(index)
        return self.pending[index].result()

    def close(self) -> None:
        """Drop all frames."""
        for frame in self.pending.values():
            frame.cancel()
        self.pending.clear()


def _read_frame(sequence: Sequence, index: int) -> np.ndarray:
    try:
        return read_image(sequence.frame_paths[index])
    except (OSError, ValueError) as error:
        error_type = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise error_type(f"sequence {sequence.name}, frame {index + 1}: {error}") from error
