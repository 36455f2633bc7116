"""crop511: the crop around one box that training reads.

The target is in the middle and its exemplar square (box plus context) has 127 of the 511 pixels. Each crop is written
under a hidden name and renamed, so an interrupted command leaves only complete crops. The next one adds the missing
crops and replaces those made from another image or box.
"""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pysot.datasets.augmentation import CONTEXT, warp_box
from pysot.datasets.raw.video import RawFrame, RawVideo, crop_name, present_crops
from pysot.utils.bbox import Center, Corner, center2corner
from pysot.utils.files import flush_disk
from pysot.utils.image import read_image
from pysot.utils.jpeg import WITH_RESTARTS
from pysot.utils.processes import worker_pool

logger = logging.getLogger(__name__)
EXEMPLAR_SIZE = 127
_JPEG_HEADER_BYTES = 20  # bytes of a JPEG before its first segment
_COMMENT_MARKER = b"\xff\xfe"  # of a JPEG comment; its length in two bytes and its text follow
QUEUED_PER_PROCESS = 8  # submitted videos per process


@dataclass(frozen=True)
class CropResult:
    """Number of crops written and already present, and the problems, of one or several videos."""

    written: int = 0
    present: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "CropResult") -> "CropResult":
        return CropResult(self.written + other.written, self.present + other.present, self.problems + other.problems)


def crop_roi(box: Sequence[float], size: int = 511) -> Corner:
    """Return the square of the image that becomes a crop of `size` pixels.

    It has the centre of the box xyxy, and the side of the exemplar square * size / 127.
    """
    w, h = box[2] - box[0], box[3] - box[1]
    context = CONTEXT * (w + h)
    side = np.sqrt((w + context) * (h + context)) * size / EXEMPLAR_SIZE
    return center2corner(Center((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, side, side))


def crop511(
    image: np.ndarray, box: Sequence[float], size: int = 511, fill: Sequence[float] | None = None
) -> np.ndarray:
    """Return the crop (size, size, 3) uint8 around a box xyxy.

    Pixels outside of the image are `fill`, by default the mean of each channel. The left side of the square lands on
    pixel 0 and the right one on size - 1, as in the original, so a crop is 1/511 tighter than the ratio 511/127.
    """
    return warp_box(image, crop_roi(box, size), size, cv2.mean(image)[:3] if fill is None else fill)


def crop_video(video: RawVideo, out: Path, size: int = 511, with_z: bool = False) -> CropResult:
    """Write the missing crops of a video to `out/<video>`.

    `with_z` also writes the exemplar of each box, `<frame>.<track>.z.jpg` of 127 pixels. Images that can't be read, and
    boxes outside of their image, become `problems`. Raises OSError when a crop can't be written.
    """
    folder = Path(out) / video.name
    origins = {
        crop_name(frame.number, track): _describe_origin(frame, box)
        for frame in video.frames
        for track, box in frame.boxes.items()
    }
    done = _find_current_crops(folder, origins, with_z)
    written, present = 0, len(done)
    problems: list[str] = []
    for frame in video.frames:
        missing = {
            name: box for track, box in frame.boxes.items() if (name := crop_name(frame.number, track)) not in done
        }
        if missing:
            frame_written, frame_problems = _crop_frame(frame, missing, folder, size, with_z)
            written += frame_written
            problems += frame_problems
    return CropResult(written, present, tuple(problems))


def _find_current_crops(folder: Path, origins: dict[str, str], with_z: bool) -> set[str]:
    """Return the names of the crops that exist and were made from the same image and box."""
    kinds = (".x.jpg", ".z.jpg") if with_z else (".x.jpg",)
    return set.intersection(
        *(
            {
                name
                for path in present_crops(folder, kind)
                if (name := f"{path[:-6]}.x.jpg") in origins and _has_origin(folder / path, origins[name])
            }
            for kind in kinds
        )
    )


def _has_origin(path: Path, origin: str) -> bool:
    """Return whether a crop records this origin or none."""
    recorded = read_origin(path)
    return not recorded or recorded.startswith(origin)


def _describe_origin(frame: RawFrame, box: Sequence[float]) -> str:
    """Return the text that a crop's file records: the end of the image's path, the box, and the size of the image."""
    origin = f"{'/'.join(frame.image.parts[-3:])} {' '.join(f'{float(value):.3f}' for value in box)}"
    with contextlib.suppress(OSError):  # crops stay valid after their images are removed
        origin += f" {frame.image.stat().st_size} bytes"
    return origin


def read_origin(path: Path) -> str:
    """Return the origin that a crop's file records in a comment at its beginning; "" for crops of earlier versions."""
    with open(path, "rb") as stream:
        head = stream.read(_JPEG_HEADER_BYTES + 4)
        if head[_JPEG_HEADER_BYTES : _JPEG_HEADER_BYTES + 2] != _COMMENT_MARKER:
            return ""
        length = int.from_bytes(head[_JPEG_HEADER_BYTES + 2 :], "big")
        return stream.read(length - 2).decode("utf-8", errors="replace")


def _crop_frame(
    frame: RawFrame, missing: dict[str, tuple[float, float, float, float]], folder: Path, size: int, with_z: bool
) -> tuple[int, list[str]]:
    """Write the `missing` crops of an image, given as crop name -> box; return their number and the problems."""
    try:
        image = read_image(frame.image)
    except (OSError, ValueError) as error:
        return 0, [str(error)]
    height, width = image.shape[:2]
    fill = cv2.mean(image)[:3]
    problems = []
    for name, box in missing.items():
        if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
            problems.append(
                f"{frame.image}: box {[round(value, 1) for value in box]} is outside of the image ({width} x {height})"
            )
            continue
        origin = _describe_origin(frame, box)
        write_crop(folder / name, crop511(image, box, size, fill), origin)
        if with_z:
            write_crop(folder / f"{name[:-6]}.z.jpg", crop511(image, box, EXEMPLAR_SIZE, fill), origin)
    return len(missing) - len(problems), problems


def write_crop(path: Path, crop: np.ndarray, origin: str = "") -> None:
    """Write a JPEG that records its `origin` and of which regions can be decoded, atomically.

    It is not flushed to disk one by one, since there are millions of crops: `crop_all` flushes all at its end.
    """
    part = path.with_name(f".{path.name}.part")
    data = cv2.imencode(".jpg", crop, WITH_RESTARTS)[1].tobytes()
    comment = origin.encode()[:60000]
    if comment:
        header, rest = data[:_JPEG_HEADER_BYTES], data[_JPEG_HEADER_BYTES:]
        data = header + _COMMENT_MARKER + (len(comment) + 2).to_bytes(2, "big") + comment + rest
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
                f"cannot write {path}: {error.strerror or error}. Free some space or choose another --out, and run the "
                "same command again: finished crops are kept",
            ) from error
        raise


def crop_all(
    videos: Sequence[RawVideo],
    out: Path,
    procs: int = 1,
    size: int = 511,
    progress: Callable[..., Iterable[CropResult]] | None = None,
    with_z: bool = False,
) -> CropResult:
    """Crop all videos with `crop_video`, log each problem, and return the sums.

    `progress` wraps the results, as tqdm does. Raises ValueError if no crop exists at the end, OSError as
    `crop_videos`.
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
        raise ValueError(f"no crop could be made from {len(videos)} videos: {reason}. Check the folder of the raw data")
    return total


def crop_videos(
    videos: Iterable[RawVideo], out: Path, procs: int = 1, size: int = 511, with_z: bool = False
) -> Iterator[CropResult]:
    """Crop videos in `procs` processes and yield a result per video as they finish.

    Raises OSError when crops can't be written or a process dies.
    """
    if procs < 1 or size < EXEMPLAR_SIZE:
        raise ValueError(f"expected at least 1 process and {EXEMPLAR_SIZE} pixels, got {procs} and {size}")
    if procs == 1:
        for video in videos:
            yield crop_video(video, out, size, with_z)
        return
    crop_one = functools.partial(crop_video, out=out, size=size, with_z=with_z)
    running: dict[Future[CropResult], str] = {}
    try:
        with worker_pool(procs, functools.partial(single_threaded, crop_one)) as submit:
            for video in videos:
                running[submit(video)] = video.name
                if len(running) >= QUEUED_PER_PROCESS * procs:
                    yield from _pop_finished(running)
            while running:
                yield from _pop_finished(running)
    except BrokenProcessPool:
        lost = [name for future, name in running.items() if not future.done() or future.exception()][:procs]
        raise ChildProcessError(
            f"a cropping process was killed while working on {' or '.join(lost)}. Usually memory ran out: use fewer "
            "processes. Run the same command again: finished crops are kept"
        ) from None


def estimate_crop_bytes(videos: Sequence[RawVideo], sample: int = 32) -> float:
    """Estimate the mean size of a crop file in bytes, from boxes spread over the videos; 0 if no image can be read."""
    frames = [frame for video in videos[:: max(1, len(videos) // sample)] for frame in video.frames[:1]]
    sizes = []
    for frame in frames[:sample]:
        with contextlib.suppress(OSError, ValueError):
            crop = crop511(read_image(frame.image), next(iter(frame.boxes.values())))
            sizes.append(len(cv2.imencode(".jpg", crop, WITH_RESTARTS)[1]))
    return float(np.mean(sizes)) if sizes else 0.0


def _pop_finished(running: dict[Future[CropResult], str]) -> Iterator[CropResult]:
    """Wait for at least one running call and yield the results of those that finished, removing them from `running`."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        result = future.result()
        del running[future]
        yield result


def single_threaded(function: Callable, number: int) -> Callable:
    """Limit OpenCV to one thread in a worker process and return the function; `number` is the worker's index."""
    cv2.setNumThreads(0)
    return function
