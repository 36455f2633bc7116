"""crop511: the crop around one box that training reads.

The target is in the middle and its exemplar square (box plus context) has 127 of the 511 pixels. The mask of a crop
shows which of its pixels belong to the target. Each file is written under a hidden name and renamed, so an interrupted
command leaves only complete files. The next one adds those that are missing and replaces those made from another image,
box or mask.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pysot.datasets.augmentation import CONTEXT, warp_box
from pysot.datasets.crop_files import (
    describe_mask_origin,
    describe_origin,
    read_origin,
    remove_outdated_mask,
    write_crop,
    write_mask,
)
from pysot.datasets.raw.masks import Mask, MaskReader
from pysot.datasets.raw.video import CROP, EXEMPLAR, MASK, RawFrame, RawVideo, crop_name, present_crops
from pysot.utils.bbox import Center, Corner, center2corner
from pysot.utils.files import flush_disk
from pysot.utils.image import image_size, read_image
from pysot.utils.jpeg import WITH_RESTARTS
from pysot.utils.processes import worker_pool

logger = logging.getLogger(__name__)
EXEMPLAR_SIZE = 127
QUEUED_PER_PROCESS = 8  # submitted videos per process


@dataclass(frozen=True)
class CropResult:
    """Number of crops written and already present, and the problems, of one or several videos.

    An exemplar belongs to its crop: both are counted as one. `masks` were written, of which `empty_masks` have no
    pixel.
    """

    written: int = 0
    present: int = 0
    problems: tuple[str, ...] = ()
    masks: int = 0
    empty_masks: int = 0

    def __add__(self, other: "CropResult") -> "CropResult":
        return CropResult(
            self.written + other.written,
            self.present + other.present,
            self.problems + other.problems,
            self.masks + other.masks,
            self.empty_masks + other.empty_masks,
        )


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


def crop_mask(mask: np.ndarray, box: Sequence[float], size: int = 511) -> np.ndarray:
    """Return the mask (size, size) uint8, 0 or 1, of a crop by `crop511`, from that of the image, (H, W), 0 or 1.

    It is 0 outside of the image.
    """
    return warp_box(mask, crop_roi(box, size), size, nearest=True)


def crop_video(
    video: RawVideo, out: Path, size: int = 511, with_z: bool = False, with_masks: bool = False
) -> CropResult:
    """Write the missing crops of a video to `out/<video>`.

    `with_z` also writes the exemplar of each box, `<frame>.<track>.z.jpg` of 127 pixels, and `with_masks` its mask,
    `<frame>.<track>.m.png`. Images and masks that can't be read, and boxes outside of their image, become `problems`.
    Raises OSError when a crop can't be written.
    """
    folder = Path(out) / video.name
    kinds = (CROP, *((EXEMPLAR,) if with_z else ()), *((MASK,) if with_masks else ()))
    done = {kind: _find_current_crops(video, folder, kind) for kind in kinds}
    total = CropResult()
    for frame in video.frames:
        missing = {
            track: todo
            for track in frame.boxes
            if (todo := [kind for kind in kinds if (frame.number, track) not in done[kind]])
        }
        total += CropResult(present=len(frame.boxes) - len(missing))
        if missing:
            total += _crop_frame(frame, missing, folder, size)
    return total


def _find_current_crops(video: RawVideo, folder: Path, kind: str) -> set[tuple[int, str]]:
    """Return frame and track of the crops that exist and were made from the same image and box.

    For `kind` MASK they were made from the same mask and box.
    """
    present = set(present_crops(folder, kind))
    if not present:
        return set()
    return {
        (frame.number, track)
        for frame in video.frames
        for track, box in frame.boxes.items()
        if (name := crop_name(frame.number, track, kind)) in present
        and _has_origin(folder / name, _origin(frame, track, box, kind))
    }


def _origin(frame: RawFrame, track: str, box: Sequence[float], kind: str) -> str:
    return describe_mask_origin(_mask_of(frame, track), box) if kind == MASK else describe_origin(frame, box)


def _mask_of(frame: RawFrame, track: str) -> Mask | None:
    return (frame.masks or {}).get(track)


def _has_origin(path: Path, origin: str) -> bool:
    """Return whether a crop records this origin or none."""
    recorded = read_origin(path)
    return not recorded or recorded.startswith(origin)


def _crop_frame(frame: RawFrame, missing: dict[str, list[str]], folder: Path, size: int) -> CropResult:
    """Write the `missing` crops of an image, given as the kinds of each track."""
    needs_pixels = any(kinds != [MASK] for kinds in missing.values())
    try:
        image = read_image(frame.image) if needs_pixels else None
        width, height = image_size(frame.image) if image is None else image.shape[1::-1]
    except (OSError, ValueError) as error:
        return CropResult(problems=(str(error),))
    fill = None if image is None else cv2.mean(image)[:3]
    total, masks = CropResult(), MaskReader()
    for track, kinds in missing.items():
        box = frame.boxes[track]
        if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
            problem = (
                f"{frame.image}: box {[round(value, 1) for value in box]} is outside of the image ({width} x {height})"
            )
            total += CropResult(problems=(problem,))
            continue
        for kind in kinds:
            path, origin = folder / crop_name(frame.number, track, kind), _origin(frame, track, box, kind)
            if kind == MASK:
                mask, problems = _read_mask(frame, track, (height, width), masks)
                crop = crop_mask(mask, box, size)
                write_mask(path, crop, origin)
                total += CropResult(problems=problems, masks=1, empty_masks=int(not crop.any()))
            elif image is not None:
                write_crop(path, crop511(image, box, size if kind == CROP else EXEMPLAR_SIZE, fill), origin)
        if CROP in kinds and MASK not in kinds:
            remove_outdated_mask(folder / crop_name(frame.number, track, MASK), box)
        total += CropResult(present=1) if kinds == [MASK] else CropResult(written=1)
    return total


def _read_mask(
    frame: RawFrame, track: str, shape: tuple[int, int], masks: MaskReader
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the mask of a track, (height, width) of `shape`, and the problems because of which it is empty."""
    mask = _mask_of(frame, track)
    if mask is None:
        return np.zeros(shape, np.uint8), ()
    try:
        pixels = masks.read(mask)
        if pixels.shape != shape:
            raise ValueError(
                f"it has {pixels.shape[1]} x {pixels.shape[0]} pixels, the image has {shape[1]} x {shape[0]}"
            )
        return pixels, ()
    except (OSError, ValueError) as error:
        return np.zeros(shape, np.uint8), (f"the mask of track {track} of {frame.image}, which is now empty: {error}",)


def crop_all(
    videos: Sequence[RawVideo],
    out: Path,
    procs: int = 1,
    size: int = 511,
    progress: Callable[..., Iterable[CropResult]] | None = None,
    with_z: bool = False,
    with_masks: bool = False,
    may_be_none: bool = False,
) -> CropResult:
    """Crop all videos with `crop_video`, log each problem, and return the sums.

    `progress` wraps the results, as tqdm does. Raises ValueError if no crop exists at the end, unless there
    `may_be_none`, OSError as `crop_videos`.
    """
    total = CropResult()
    results = crop_videos(videos, out, procs, size, with_z, with_masks)
    for result in progress(results, total=len(videos)) if progress else results:
        for problem in result.problems:
            logger.warning("left out: %s", problem)
        total += result
    flush_disk()
    if total.written + total.present == 0 and not may_be_none:
        reason = total.problems[0] if total.problems else "they have no boxes"
        raise ValueError(f"no crop could be made from {len(videos)} videos: {reason}. Check the folder of the raw data")
    return total


def crop_videos(
    videos: Iterable[RawVideo],
    out: Path,
    procs: int = 1,
    size: int = 511,
    with_z: bool = False,
    with_masks: bool = False,
) -> Iterator[CropResult]:
    """Crop videos in `procs` processes and yield a result per video as they finish.

    Raises OSError when crops can't be written or a process dies.
    """
    if procs < 1 or size < EXEMPLAR_SIZE:
        raise ValueError(f"expected at least 1 process and {EXEMPLAR_SIZE} pixels, got {procs} and {size}")
    if procs == 1:
        for video in videos:
            yield crop_video(video, out, size, with_z, with_masks)
        return
    crop_one = functools.partial(crop_video, out=out, size=size, with_z=with_z, with_masks=with_masks)
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
