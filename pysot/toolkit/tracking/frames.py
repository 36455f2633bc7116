"""Frames of sequences, decoded ahead of the tracker by a few threads; OpenCV decodes without Python's lock."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.utils.image import read_image

_THREADS = 4  # more do not help: a frame is decoded faster than it is tracked
_AHEAD = 2  # frames of each sequence


@dataclass
class _Frame:
    """Frame that is decoded, and how many readers want it."""

    image: Future[np.ndarray]
    readers: int = 0


class FrameDecoder:
    """Threads that decode frames ahead; they end with this context. With `ahead` false, nothing is decoded ahead.

    A frame that several readers want is decoded once, and they get the same array.
    """

    def __init__(self, ahead: bool = True) -> None:
        self.ahead = _AHEAD if ahead else 0
        self.threads = ThreadPoolExecutor(_THREADS, "frames")
        self._frames: dict[str, _Frame] = {}

    def request(self, path: str) -> Future[np.ndarray]:
        """Return the image of a file, which is decoded until it is released."""
        if path not in self._frames:
            self._frames[path] = _Frame(self.threads.submit(read_image, path))
        self._frames[path].readers += 1
        return self._frames[path].image

    def release(self, path: str) -> None:
        """Drop the image of a file for one of its readers."""
        frame = self._frames[path]
        frame.readers -= 1
        if not frame.readers:
            frame.image.cancel()
            del self._frames[path]

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
        self._drop(self.pending.keys() - {*wanted})
        for frame in wanted:
            if frame not in self.pending:
                self.pending[frame] = self.decoder.request(self.sequence.frame_paths[frame])

    def read(self, index: int) -> np.ndarray:
        """Return a frame (H, W, 3) uint8 BGR.

        Raises ValueError or FileNotFoundError that names sequence and frame, for this frame only.
        """
        self.expect(index)
        try:
            return self.pending[index].result()
        except (OSError, ValueError) as error:
            error_type = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            raise error_type(f"sequence {self.sequence.name}, frame {index + 1}: {error}") from error

    def close(self) -> None:
        """Drop all frames."""
        self._drop(list(self.pending))

    def _drop(self, frames: Iterable[int]) -> None:
        for frame in frames:
            del self.pending[frame]
            self.decoder.release(self.sequence.frame_paths[frame])
