"""meta.json of YouTube-VOS: the objects of each video."""

import functools
from pathlib import Path
from typing import Any

from pysot.utils.files import read_json

META = "meta.json"


def read_vos_meta(root: Path) -> dict[str, Any]:
    """Return the objects of each video in the meta.json of a folder, which is read once.

    Objects are as in the file, {number: {category, frames}}, and None for a video without. Raises FileNotFoundError if
    the file is missing, ValueError if it has another layout.
    """
    path = root / META
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
