"""Write the boxes of tracked targets while tracking: as JSON, and as text of the MOT challenge."""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from pysot.utils.files import atomic_write


class BoxWriter:
    """Context that writes `boxes.json` and `boxes.txt` into a folder, in constant memory.

    boxes.json is a list with one entry per frame and target, {"frame": from 0, "target": name, "bbox": [x, y, w, h],
    "score": confidence}, without "target" for a target whose name is "". boxes.txt has the lines of the MOT challenge,
    frame (from 1), id (from 1), x, y, w, h, confidence, -1, -1, -1. Both get their names when the context ends, also
    with an error, and are complete then.
    """

    def __init__(self, folder: str | os.PathLike, names: Sequence[str]) -> None:
        self.json_path, self.text_path = Path(folder, "boxes.json"), Path(folder, "boxes.txt")
        self._names = names
        self._files = contextlib.ExitStack()
        self._is_empty = True

    def __enter__(self) -> "BoxWriter":
        with self._files:
            self._json = self._files.enter_context(atomic_write(self.json_path))
            self._text = self._files.enter_context(atomic_write(self.text_path))
            self._files = self._files.pop_all()
        return self

    def write(self, frame: int, boxes_xywh: np.ndarray, confidences: np.ndarray) -> None:
        """Add a frame (from 0) with boxes (N, 4) and confidences (N,) of all targets. Boxes with NaN are left out.

        Raises OSError if the disk is full.
        """
        entries, lines = [], []
        for number, (name, box, confidence) in enumerate(zip(self._names, boxes_xywh, confidences, strict=True), 1):
            if np.isfinite(box).all():
                target = {"target": name} if name else {}
                bbox = [float(value) for value in box]
                entry = {"frame": frame, **target, "bbox": bbox, "score": float(confidence)}
                entries.append(json.dumps(entry, ensure_ascii=False))
                x, y, w, h = bbox
                lines.append(f"{frame + 1},{number},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{confidence:.4f},-1,-1,-1\n")
        if entries:
            self._json.write(("[\n" if self._is_empty else ",\n") + ",\n".join(entries))
            self._is_empty = False
        self._text.write("".join(lines))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._files:  # without the error: what was written so far is complete
            self._json.write("[]\n" if self._is_empty else "\n]\n")
