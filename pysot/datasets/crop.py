"""crop511: the picture around one box, as training reads it.

The target sits in the middle and its exemplar square (box plus context) has 127 of the 511 pixels. Each crop is written under a hidden name and
renamed, so a run that was stopped at any moment leaves only whole crops, and the next run adds what is missing, and makes anew what was made from another
image or box.
"""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pysot.datasets.augmentation import CONTEXT, warp_box
from pysot.datasets.raw.video import RawFrame, RawVideo, crop_name, present_crops
from pysot.utils.bbox import Center, center2corner
from pysot.utils.files import flush_disk
from pysot.utils.image import read_image
from pysot.utils.processes import worker_pool

logger = logging.getLogger(__name__)
EXEMPLAR_SIZE = 127
_HEAD, _COMMENT = (
    20,
    b"\xff\xfe",
)  # bytes of a JPEG before its first part, and the mark of a comment; its length, in two bytes, and its text follow
AHEAD = 8  # videos per process that wait for their turn


@dataclass(frozen=True)
class CropResult:
    """What became of the boxes of one or several videos."""

    written: int = 0
    present: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "CropResult") -> "CropResult":
        return CropResult(self.written + other.written, self.present + other.present, self.problems + other.problems)


def crop_roi(box, size: int = 511):
    """The square of the image that becomes a crop of `size` pixels, as Corner: centre of the box, side = exemplar square * size / 127."""
    w, h = box[2] - box[0], box[3] - box[1]
    context = CONTEXT * (w + h)
    side = np.sqrt((w + context) * (h + context)) * size / EXEMPLAR_SIZE
    return center2corner(Center((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, side, side))


def crop511(image: np.ndarray, box, size: int = 511, fill=None) -> np.ndarray:
    """The crop (size, size, 3) uint8 around a box xyxy. Beyond the border is `fill`, by default the mean of each channel.

    The left side of the square lands on pixel 0 and the right one on size - 1, as in the original, so a crop is 1/511 tighter than 511/127 says.
    """
    return warp_box(image, crop_roi(box, size), size, cv2.mean(image)[:3] if fill is None else fill)


def crop_video(video: RawVideo, out: Path, size: int = 511, with_z: bool = False) -> CropResult:
    """Write the crops of a video that are not there yet to `out/<video>`, and with_z also the exemplar of each box alone, `<frame>.<track>.z.jpg` of 127
    pixels. Images that can't be read, and boxes outside of them, become `problems`.

    Raises OSError when a crop can't be written.
    """
    folder = Path(out) / video.name
    wanted = {
        crop_name(frame.number, track): _origin(frame, box)
        for frame in video.frames
        for track, box in frame.boxes.items()
    }
    done = _done(folder, wanted, with_z)
    written, present, problems = 0, len(done), []
    for frame in video.frames:
        missing = {
            name: box for track, box in frame.boxes.items() if (name := crop_name(frame.number, track)) not in done
        }
        if missing:
            count, problem = _crop_frame(frame, missing, folder, size, with_z)
            written += count
            problems += problem
    return CropResult(written, present, tuple(problems))


def _done(folder: Path, wanted: dict[str, str], with_z: bool) -> set[str]:
    """Which of the wanted crops are there and were made from the same image and box."""
    kinds = (".x.jpg", ".z.jpg") if with_z else (".x.jpg",)
    return set.intersection(
        *(
            {
                name
                for path in present_crops(folder, kind)
                if (name := f"{path[:-6]}.x.jpg") in wanted and _is_made_from(folder / path, wanted[name])
            }
            for kind in kinds
        )
    )


def _is_made_from(path: Path, wanted: str) -> bool:
    found = read_origin(path)
    return not found or found.startswith(wanted)


def _origin(frame: RawFrame, box) -> str:
    """What a crop is made from, as its file says it: the end of the path of its image, the box, and the bytes of the image where it is there."""
    told = f"{'/'.join(frame.image.parts[-3:])} {' '.join(f'{float(value):.3f}' for value in box)}"
    with contextlib.suppress(OSError):  # crops stay of use when their images are gone
        told += f" {frame.image.stat().st_size} bytes"
    return told


def read_origin(path: Path) -> str:
    """What the file of a crop says of its origin, in a comment at its beginning; "" for crops of earlier versions, which say nothing."""
    with open(path, "rb") as stream:
        head = stream.read(_HEAD + 4)
        if head[_HEAD : _HEAD + 2] != _COMMENT:
            return ""
        return stream.read(int.from_bytes(head[_HEAD + 2 :], "big") - 2).decode("utf-8", errors="replace")


def _crop_frame(frame: RawFrame, missing: dict, folder: Path, size: int, with_z: bool) -> tuple[int, list[str]]:
    try:
        image = read_image(frame.image)
    except (OSError, ValueError) as error:
        return 0, [str(error)]
    height, width = image.shape[:2]
    fill, problems = cv2.mean(image)[:3], []
    for name, box in missing.items():
        if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
            problems.append(
                f"{frame.image}: box {[round(value, 1) for value in box]} is outside of the image ({width} x {height})"
            )
        else:
            write_crop(folder / name, crop511(image, box, size, fill), _origin(frame, box))
            if with_z:
                write_crop(folder / f"{name[:-6]}.z.jpg", crop511(image, box, EXEMPLAR_SIZE, fill), _origin(frame, box))
    return len(missing) - len(problems), problems


def write_crop(path: Path, crop: np.ndarray, origin: str = "") -> None:
    """Write a JPEG that says its `origin`, whole or not at all. Crops come in millions: `crop_all` flushes them at its end."""
    part = path.with_name(f".{path.name}.part")
    data, told = cv2.imencode(".jpg", crop)[1].tobytes(), origin.encode()[:60000]
    if told:
        data = data[:_HEAD] + _COMMENT + (len(told) + 2).to_bytes(2, "big") + told + data[_HEAD:]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"cannot write {path}: {error.strerror or error}. Make room or choose another --out, and run the same command "
                "again: finished crops are kept",
            ) from error
        raise


def crop_all(
    videos: Sequence[RawVideo],
    out: Path,
    procs: int = 1,
    size: int = 511,
    progress: Callable | None = None,
    with_z: bool = False,
) -> CropResult:
    """Crop all videos, see `crop_video`, name each problem in the log, and return the sums. `progress` wraps the results, as tqdm does.

    Raises ValueError when there is no crop at the end, OSError as `crop_videos`.
    """
    total = CropResult()
    results = crop_videos(videos, out, procs, size, with_z)
    for result in progress(results, total=len(videos)) if progress else results:
        for problem in result.problems:
            logger.warning("left out: %s", problem)
        total += result
    flush_disk()
    if total.written + total.present == 0:
        reason = total.problems[0] if total.problems else "they have no boxes"
        raise ValueError(
            f"not one crop could be made of {len(videos)} videos: {reason}. Check the folder of the raw data"
        )
    return total


def crop_videos(
    videos: Iterable[RawVideo], out: Path, procs: int = 1, size: int = 511, with_z: bool = False
) -> Iterator[CropResult]:
    """Crop videos in `procs` processes, a result per video as they finish. Raises OSError when crops can't be written or a process dies."""
    if procs < 1 or size < EXEMPLAR_SIZE:
        raise ValueError(f"expected at least 1 process and {EXEMPLAR_SIZE} pixels, got {procs} and {size}")
    if procs == 1:
        for video in videos:
            yield crop_video(video, out, size, with_z)
        return
    running: dict = {}
    try:
        with worker_pool(
            procs, functools.partial(on_one_thread, functools.partial(crop_video, out=out, size=size, with_z=with_z))
        ) as submit:
            for video in videos:
                running[submit(video)] = video.name
                if len(running) >= AHEAD * procs:
                    yield from _finished(running)
            while running:
                yield from _finished(running)
    except BrokenProcessPool:
        lost = [name for future, name in running.items() if not future.done() or future.exception()][:procs]
        raise ChildProcessError(
            f"a cropping process was killed while working on {' or '.join(lost)}. Most often memory ran out: use fewer "
            "processes. Run the same command again: finished crops are kept"
        ) from None


def crop_bytes(videos: Sequence[RawVideo], sample: int = 32) -> float:
    """Mean bytes of a crop, from boxes spread over the videos; 0 if no image can be read."""
    frames = [frame for video in videos[:: max(1, len(videos) // sample)] for frame in video.frames[:1]]
    sizes = []
    for frame in frames[:sample]:
        with contextlib.suppress(OSError, ValueError):
            sizes.append(
                len(cv2.imencode(".jpg", crop511(read_image(frame.image), next(iter(frame.boxes.values()))))[1])
            )
    return float(np.mean(sizes)) if sizes else 0.0


def _finished(running: dict) -> Iterator[CropResult]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        result = future.result()
        del running[future]
        yield result


def on_one_thread(function: Callable, number: int) -> Callable:
    """In a worker process: the function, once OpenCV keeps to one thread."""
    cv2.setNumThreads(0)
    return function
