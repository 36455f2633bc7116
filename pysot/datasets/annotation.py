"""Training annotations in memory: which crop files exist and how large their target is.

On disk: json `{video: {track: {frame: [x1, y1, x2, y2]}}}`, in pixels of the raw image; `[w, h]` is allowed too, since only the size matters (the
target is at the centre of its 511x511 crop). In memory: flat arrays with offsets, which `index` maps from files.
Shapes: V videos, T tracks, N boxes.
"""

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.utils.files import find_path

ARRAYS = ("videos", "track_offset", "tracks", "box_offset", "frames", "boxes")  # of an annotation
LAYOUT = "{video: {track: {frame: [x1, y1, x2, y2]}}}"


@dataclass(frozen=True, eq=False)
class TrackAnnotation:
    """One data set. Track t of video v is track_offset[v] <= t < track_offset[v + 1]; its boxes are the rows from box_offset[t] on, by frame."""

    name: str
    root: Path
    videos: np.ndarray  # (V,) utf-8 bytes
    track_offset: np.ndarray  # (V + 1,) int64
    tracks: np.ndarray  # (T,) utf-8 bytes
    box_offset: np.ndarray  # (T + 1,) int64
    frames: np.ndarray  # (N,) int32, rising within a track
    boxes: np.ndarray  # (N, 4) float32 xyxy
    dropped: dict[str, int]  # what was left out: boxes, tracks, videos

    def __post_init__(self):
        counts = (len(self.videos), len(self.tracks), len(self.boxes), len(self.frames))
        if (len(self.track_offset) - 1, len(self.box_offset) - 1, self.box_offset[-1], self.box_offset[-1]) != counts:
            raise ValueError(
                f"annotation of {self.name}: offsets do not fit {counts} videos, tracks, boxes and frames; read it again"
            )

    @property
    def video_count(self) -> int:
        return len(self.videos)

    @property
    def track_count(self) -> int:
        return len(self.tracks)

    def tracks_of(self, video: int) -> tuple[int, int]:
        """First track of a video and one past its last."""
        return int(self.track_offset[video]), int(self.track_offset[video + 1])

    def boxes_of(self, track: int) -> tuple[int, int]:
        """First box of a track and one past its last."""
        return int(self.box_offset[track]), int(self.box_offset[track + 1])

    def targets(self, boxes: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """Video, track and box of some boxes."""
        tracks = np.searchsorted(self.box_offset, boxes, side="right") - 1
        videos = np.searchsorted(self.track_offset, tracks, side="right") - 1
        return zip(videos.tolist(), tracks.tolist(), boxes.tolist(), strict=True)

    def crop_path(self, video: int, track: int, box: int) -> Path:
        """The 511x511 crop of one box."""
        return Path(
            f"{self.root}/{self.videos[video].decode()}/{int(self.frames[box]):06d}.{self.tracks[track].decode()}.x.jpg"
        )


def find_data_path(path: str | Path, what: str, folder: str | Path | None = None) -> Path:
    """A path of a data set, see `find_path`; a folder `imagenet2015` may lie between it and the folder of its set, as in vid/imagenet2015/crop511."""
    remedy = "Prepare the data set (training_dataset/README.md) or correct the path in the config"
    try:
        return find_path(path, what, remedy, folder)
    except FileNotFoundError:
        with contextlib.suppress(FileNotFoundError):
            return find_path(Path(path).parent / "imagenet2015" / Path(path).name, what, remedy, folder)
        raise


def index_annotation(
    name: str, root: Path, content: dict, where: str, excluded: Collection[tuple[str, str, int]] = ()
) -> TrackAnnotation:
    """Flat arrays of an annotation in the json layout; `where` names its origin in errors. `excluded` are boxes to leave out: video, track, frame.

    Empty, NaN, zero and negative boxes are dropped, then tracks and videos with nothing left. Raises ValueError for another layout, or if no box is left.
    """
    if not isinstance(content, dict):
        raise ValueError(
            f"{where} must be {LAYOUT}, got a {type(content).__name__} at the top; make it again with the data set's gen_json.py"
        )
    videos, tracks, track_counts, box_counts, frames, boxes = [], [], [], [], [], []
    dropped = {"boxes": 0, "excluded": 0, "tracks": 0, "videos": 0}
    unwanted = defaultdict(set)
    for video, track, frame in excluded:
        unwanted[video, track].add(frame)
    for video, video_tracks in content.items():
        kept = 0
        for track, entries in _dicts(video_tracks):
            numbers, rows = _track_boxes(
                entries, f"{where}: {video}/{track}", dropped, unwanted.get((video, track), ())
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
        elif isinstance(video_tracks, dict):
            dropped["videos"] += 1
    if not videos:
        raise ValueError(
            f"{where} has no usable box (dropped: {dropped}); expected {LAYOUT}. Make it again with the data set's gen_json.py"
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


def _dicts(video_tracks):
    """The entries of a video that are tracks: others, such as "meta", are somebody's notes."""
    if not isinstance(video_tracks, dict):
        return
    for track, entries in video_tracks.items():
        if isinstance(entries, dict):
            yield track, entries


def _track_boxes(entries: dict, where: str, dropped: dict, unwanted: Collection[int]) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers (n,) int32 in rising order and boxes (n, 4) float32 of one track, without the unusable ones, which are counted."""
    numbers, rows = [], []
    for frame, value in entries.items():
        if not frame.isdecimal():
            continue
        if not value:
            dropped["boxes"] += 1
            continue
        if unwanted and int(frame) in unwanted:
            dropped["excluded"] += 1
            continue
        if not isinstance(value, list | tuple) or len(value) not in (2, 4):
            raise ValueError(
                f"{where}/{frame}: a box is [x1, y1, x2, y2] or [w, h], got {value!r}; correct the file or make it again"
            )
        numbers.append(int(frame))
        rows.append(value if len(value) == 4 else (0, 0, *value))
    try:
        numbers, rows = np.array(numbers, np.int32), np.array(rows, np.float64).reshape(-1, 4)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{where}: boxes must hold numbers and frames must be below 2**31 ({error}); correct the file or make it again"
        ) from None
    good = np.isfinite(rows).all(axis=1) & (rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])
    dropped["boxes"] += int(len(good) - good.sum())
    order = np.argsort(numbers[good], kind="stable")
    return numbers[good][order], rows[good][order].astype(np.float32)


def _offsets(counts: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
