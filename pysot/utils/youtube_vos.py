"""The meta.json of YouTube-VOS, which describes the objects of each video."""

import functools
from pathlib import Path
from typing import Any

from pysot.utils.files import read_json

META = "meta.json"


def read_video_objects(path: Path) -> dict[str, Any]:
    """Return the objects of each video in a meta.json, which is read once.

    Raises FileNotFoundError if it is missing, ValueError if it has another layout.
    """
    return _read_version(path, path.stat().st_mtime_ns if path.is_file() else 0)


@functools.lru_cache(maxsize=1)
def _read_version(path: Path, time: int) -> dict[str, Any]:
    """Read the version of a meta.json that was changed at `time`."""
    content = read_json(path, "objects of YouTube-VOS")
    videos = content.get("videos") if isinstance(content, dict) else None
    if not isinstance(videos, dict) or not all(isinstance(video, dict) for video in videos.values()):
        raise ValueError(
            f'{path} must have "videos" with "objects" for each of them, as that of YouTube-VOS; download it again'
        )
    return {name: video.get("objects") for name, video in videos.items()}
