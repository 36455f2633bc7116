"""Training annotations in memory: which crop files exist and how large their targets are.

On disk: json `{video: {track: {frame: [x1, y1, x2, y2]}}}`, in pixels of the raw image. `[w, h]` is allowed too, since
only the size matters: the target is at the centre of its 511x511 crop. In memory: flat arrays with offsets, which
`index` maps from files. Shapes: V videos, T tracks, N boxes.
"""

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pysot.datasets.raw.video import CROP, crop_name
from pysot.utils.files import find_path

ARRAYS = ("videos", "track_offset", "tracks", "box_offset", "frames", "boxes")  # array fields of an annotation
LAYOUT = "{video: {track: {frame: [x1, y1, x2, y2]}}}"


@dataclass(frozen=True, eq=False)
class TrackAnnotation:
    """Annotation of one data set.

    The tracks of video v are track_offset[v] <= t < track_offset[v + 1]. The boxes of track t are the rows
    box_offset[t] <= b < box_offset[t + 1], ordered by frame.
    """

    name: str
    root: Path
    videos: np.ndarray  # (V,) utf-8 bytes
    track_offset: np.ndarray  # (V + 1,) int64
    tracks: np.ndarray  # (T,) utf-8 bytes
    box_offset: np.ndarray  # (T + 1,) int64
    frames: np.ndarray  # (N,) int32, rising within a track
    boxes: np.ndarray  # (N, 4) float32 xyxy
    dropped: dict[str, int]  # how many boxes, tracks and videos are left out

    def __post_init__(self) -> None:
        counts = (len(self.videos), len(self.tracks), len(self.boxes), len(self.frames))
        if (len(self.track_offset) - 1, len(self.box_offset) - 1, self.box_offset[-1], self.box_offset[-1]) != counts:
            raise ValueError(
                f"annotation of {self.name}: offsets do not fit {counts} videos, tracks, boxes and frames; read it "
                "again"
            )

    @property
    def video_count(self) -> int:
        return len(self.videos)

    @property
    def track_count(self) -> int:
        return len(self.tracks)

    def track_range(self, video: int) -> tuple[int, int]:
        """Return the first track of a video and one past its last."""
        return int(self.track_offset[video]), int(self.track_offset[video + 1])

    def box_range(self, track: int) -> tuple[int, int]:
        """Return the first box of a track and one past its last."""
        return int(self.box_offset[track]), int(self.box_offset[track + 1])

    def targets(self, boxes: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """Iterate over (video, track, box) of the given box indices."""
        tracks = np.searchsorted(self.box_offset, boxes, side="right") - 1
        videos = np.searchsorted(self.track_offset, tracks, side="right") - 1
        return zip(videos.tolist(), tracks.tolist(), boxes.tolist(), strict=True)

    def crop_path(self, video: int, track: int, box: int, kind: str = CROP) -> Path:
        """Return the path of the 511x511 crop of one box, or of its MASK."""
        name = crop_name(int(self.frames[box]), self.tracks[track].decode(), kind)
        return Path(f"{self.root}/{self.videos[video].decode()}/{name}")


def find_data_path(path: str | Path, setting: str, folder: str | Path | None = None) -> Path:
    """Find a path of a data set with `find_path`; `setting` names its config key in errors.

    The path may also lie in a folder `imagenet2015` below the folder of its set, as in vid/imagenet2015/crop511.
    """
    remedy = "Prepare the data set (training_dataset/README.md) or correct the path in the config"
    try:
        return find_path(path, setting, remedy, folder)
    except FileNotFoundError:
        with contextlib.suppress(FileNotFoundError):
            return find_path(Path(path).parent / "imagenet2015" / Path(path).name, setting, remedy, folder)
        raise


def index_annotation(
    name: str, root: str | Path, content: Any, source: str, excluded: Collection[tuple[str, str, int]] = ()
) -> TrackAnnotation:
    """Convert an annotation in the json layout to flat arrays.

    `source` names its origin in errors. The boxes `excluded`, given as (video, track, frame), are left out. Empty, NaN,
    zero and negative boxes are dropped, then tracks and videos without any box. Raises ValueError for another layout,
    or if no box is left.
    """
    if not isinstance(content, dict):
        raise ValueError(
            f"{source} must be {LAYOUT}, got a {type(content).__name__} at the top; make it again with the data set's "
            "gen_json.py"
        )
    videos: list[bytes] = []
    tracks: list[bytes] = []
    track_counts: list[int] = []
    box_counts: list[int] = []
    frames: list[np.ndarray] = []
    boxes: list[np.ndarray] = []
    dropped = {"boxes": 0, "excluded": 0, "tracks": 0, "videos": 0}
    excluded_frames = defaultdict(set)
    for video, track, frame in excluded:
        excluded_frames[video, track].add(frame)
    for video, entries in content.items():
        kept = 0
        for track, track_entries in _iterate_tracks(entries):
            numbers, rows = _track_boxes(
                track_entries, f"{source}: {video}/{track}", dropped, excluded_frames.get((video, track), ())
            )
            if len(numbers) == 0:
                dropped["tracks"] += 1
                continue
            kept += 1
            tracks.append(track.encode())
            box_counts.append(len(numbers))
            frames.append(numbers)
            boxes.append(rows)
        if kept:
            videos.append(video.encode())
            track_counts.append(kept)
        elif isinstance(entries, dict):
            dropped["videos"] += 1
    if not videos:
        raise ValueError(
            f"{source} has no usable box (dropped: {dropped}); expected {LAYOUT}. Make it again with the data set's "
            "gen_json.py"
        )
    return TrackAnnotation(
        name,
        Path(root),
        np.array(videos),
        _offsets(track_counts),
        np.array(tracks),
        _offsets(box_counts),
        np.concatenate(frames),
        np.concatenate(boxes),
        dropped,
    )


def _iterate_tracks(entries: Any) -> Iterator[tuple[str, dict]]:
    """Iterate over the entries of a video that are tracks; others, such as "meta", are notes."""
    if not isinstance(entries, dict):
        return
    for track, track_entries in entries.items():
        if isinstance(track_entries, dict):
            yield track, track_entries


def _track_boxes(
    entries: dict[str, Any], source: str, dropped: dict[str, int], excluded_frames: Collection[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the usable boxes of a track: frame numbers (n,) int32 in rising order and boxes (n, 4) float32 xyxy.

    The others are counted in `dropped`.
    """
    numbers: list[int] = []
    rows: list[Collection] = []
    for frame, value in entries.items():
        if not frame.isdecimal():
            continue
        if not value:
            dropped["boxes"] += 1
            continue
        if excluded_frames and int(frame) in excluded_frames:
            dropped["excluded"] += 1
            continue
        if not isinstance(value, list | tuple) or len(value) not in (2, 4):
            raise ValueError(
                f"{source}/{frame}: a box is [x1, y1, x2, y2] or [w, h], got {value!r}; correct the file or make it "
                "again"
            )
        numbers.append(int(frame))
        rows.append(value if len(value) == 4 else (0, 0, *value))
    try:
        frames, boxes = np.array(numbers, np.int32), np.array(rows, np.float64).reshape(-1, 4)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{source}: boxes must hold numbers and frames must be below 2**31 ({error}); correct the file or make it "
            "again"
        ) from None
    usable = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    dropped["boxes"] += int(len(usable) - usable.sum())
    order = np.argsort(frames[usable], kind="stable")
    return frames[usable][order], boxes[usable][order].astype(np.float32)


def _offsets(counts: list[int]) -> np.ndarray:
    """Return the start of each group and the total, from group sizes."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
