"""Write annotated videos as a raw VOT set, so that `tools/test.py` can track and score them.

Layout: list.txt, <sequence>/color/%08d.<suffix> (links to the images), and <sequence>/groundtruth.txt with x,y,w,h or
nan,nan,nan,nan per frame.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pysot.datasets.raw.video import Box, RawFrame, RawVideo
from pysot.utils.files import atomic_write, publish_folder
from pysot.utils.numbers import listed_names


def export_vot(videos: Iterable[RawVideo], out: str | os.PathLike) -> list[str]:
    """Add one sequence per track of the videos to the set in folder `out`; return the names of all its sequences.

    The names have the order of list.txt. Existing sequences are kept. A sequence appears completely or not at all.
    Frames before a track's first box are left out, since a tracker cannot start there. Raises OSError if the folder
    cannot be written, ValueError if two sequences would have the same name.
    """
    out = Path(out)
    names = listed_names(out / "list.txt") if (out / "list.txt").exists() else []
    source: dict[str, str] = {}  # sequence name -> video name
    for video in videos:
        tracks = sorted({track for frame in video.frames for track in frame.boxes})
        for track in tracks:
            name = video.name.replace("/", "_") + (f"_{track}" if len(tracks) > 1 else "")
            if source.setdefault(name, video.name) != video.name:
                raise ValueError(f"the videos {source[name]} and {video.name} would both be called {name}; rename one")
            if not (out / name).exists():
                _write_sequence(video.frames, track, out, name)
            if name not in names:
                names.append(name)
    with atomic_write(out / "list.txt") as stream:
        stream.writelines(f"{name}\n" for name in names)
    return names


def _write_sequence(frames: tuple[RawFrame, ...], track: str, out: Path, name: str) -> None:
    building = out / f".{name}.tmp"
    shutil.rmtree(building, ignore_errors=True)
    (building / "color").mkdir(parents=True)
    first = next(index for index, frame in enumerate(frames) if track in frame.boxes)
    lines = []
    for number, frame in enumerate(frames[first:], 1):
        (building / "color" / f"{number:08d}{frame.image.suffix.lower()}").symlink_to(frame.image.resolve())
        lines.append(_format_region(frame.boxes.get(track)))
    (building / "groundtruth.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    publish_folder(building, out / name)


def _format_region(box: Box | None) -> str:
    """Return the line x,y,w,h of an xyxy box."""
    if box is None:
        return "nan,nan,nan,nan"
    x1, y1, x2, y2 = box
    return f"{x1:.4f},{y1:.4f},{x2 - x1:.4f},{y2 - y1:.4f}"
