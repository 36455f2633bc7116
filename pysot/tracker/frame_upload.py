"""Upload of a step: the frames of all targets as bytes, and the numbers of the targets, in one copy to the device."""

import numpy as np
import torch

from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.network import Group
from pysot.utils.device import needs_pinned_memory
from pysot.utils.meter import free_memory
from pysot.utils.streams import CopyStream

_NUMBERS = 8  # of a target: 1 if it follows the step before, centre x, y, width, height, blue, green, red
_PLACES = 4  # of a target: first pixel, width and height of its frame, 1 if it has a frame
_ALIGNMENT = 16  # bytes
_COPIES = 3  # of the frames on the device: the buffer, and the uploads of two frames in flight


class FrameUpload:
    """Buffer on a device for the frames and numbers of up to `slots` targets.

    `numbers` (slots, 8) in the type of the maths, `places` (slots, 4) int32 and `pixels` (P, 3) uint8 are views of the
    buffer, and None before the first `send`. A larger buffer replaces it if frames need more; others stay where they
    are. Raises MemoryError if that does not fit.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, slots: int, threads: CropThreads) -> None:
        self.device, self.dtype, self.slots, self.threads = device, dtype, slots, threads
        self._number_bytes = slots * _NUMBERS * dtype.itemsize
        header = self._number_bytes + slots * _PLACES * 4
        self._header = -(-header // _ALIGNMENT) * _ALIGNMENT
        self._buffer = torch.empty(0, dtype=torch.uint8)
        self._free: list[torch.Tensor] = []
        self._copies = CopyStream(device)
        self.numbers: torch.Tensor | None = None
        self.places: torch.Tensor | None = None
        self.pixels: torch.Tensor | None = None

    def send(self, rows: list[int], group: Group) -> torch.Tensor:
        """Send a group; its slots `rows` become the first rows of the buffer.

        Returns memory of the host that must not change before the copy has ended; give it back with `release` then.
        """
        frames = {id(image): image for image in group.images.values()}
        sizes = [image.shape[0] * image.shape[1] for image in frames.values()]
        starts = dict(zip(frames, np.cumsum([0, *sizes]).tolist(), strict=False))
        used = self._header + 3 * sum(sizes)
        staging = self._take(used)
        memory = staging.numpy()
        numbers, places = self._views(staging)
        numbers[: len(rows)] = torch.from_numpy(
            np.column_stack([np.full(len(rows), group.follows), group.targets[rows], group.colours[rows]])
        )
        found = [group.images.get(slot) for slot in rows]
        places[: len(rows)] = torch.tensor(
            [(0, 1, 1, 0) if each is None else (starts[id(each)], each.shape[1], each.shape[0], 1) for each in found]
        )

        def copy(key: int) -> None:
            image, first = frames[key], self._header + 3 * starts[key]
            np.copyto(memory[first : first + image.size].reshape(image.shape), image)

        self.threads.map(copy, frames)
        if len(self._buffer) < used:
            self._grow(used)
        self._buffer[:used].copy_(self._copies.copy({"bytes": staging[:used]})["bytes"])
        return staging

    def release(self, staging: torch.Tensor) -> None:
        """Take back memory that `send` returned."""
        self._free.append(staging)

    def _take(self, count: int) -> torch.Tensor:
        """Return `count` bytes of the host or more."""
        staging = self._free.pop() if self._free else None
        if staging is None or len(staging) < count:
            staging = torch.empty(_padded(count, self._header), dtype=torch.uint8)
            staging = staging.pin_memory() if needs_pinned_memory(self.device) else staging
        return staging

    def _grow(self, count: int) -> None:
        count = _padded(count, self._header)
        free = free_memory(self.device)
        if free is not None and _COPIES * count > free:
            raise MemoryError(
                f"the frames of a step need about {_COPIES * count / 2**30:.1f} GiB on {self.device}, "
                f"{free / 2**30:.1f} GiB are free: track fewer targets, or targets on the same or on smaller frames"
            )
        self._buffer = torch.empty(count, dtype=torch.uint8, device=self.device)
        self.numbers, self.places = self._views(self._buffer)
        self.pixels = self._buffer[self._header :].view(-1, 3)

    def _views(self, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        end = self._number_bytes
        numbers = memory[:end].view(self.dtype).view(self.slots, _NUMBERS)
        return numbers, memory[end : end + self.slots * _PLACES * 4].view(torch.int32).view(self.slots, _PLACES)


def _padded(count: int, header: int) -> int:
    """Return the size of a buffer for `count` bytes, with a quarter more for larger frames that may come."""
    pixels = (count - header) // 3
    return header + 3 * (pixels + pixels // 4)
