"""Answer questions about vot-toolkit as a line of JSON. The toolkit's interpreter executes this file, which needs
nothing of this package: `asked.py describe STACK`, or `asked.py try FOLDER TRACKER`, where FOLDER has a trackers.ini.
"""

import importlib.metadata
import json
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

SIZE, FRAMES = (160, 120), 3


def version_of(package: str) -> str:
    """Return the version of an installed package, "" if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def describe(stack: str) -> dict[str, Any]:
    """Return the version, the names of all stacks, and the content of `stack`, a name or an absolute path."""
    answer: dict[str, Any] = {"version": version_of("vot-toolkit")}
    try:
        import yaml
        from vot.stack import list_integrated_stacks, resolve_stack

        answer["stacks"] = sorted(list_integrated_stacks())
        path = resolve_stack(stack)
        # All values as text, as the toolkit reads them itself.
        text = Path(path).read_text(encoding="utf-8") if path else ""
        answer["stack"] = yaml.load(text, Loader=yaml.BaseLoader) if path else None
    except Exception as error:  # noqa: BLE001 - whatever an old or broken toolkit raises is the answer
        answer["error"] = f"{type(error).__name__}: {error}"
    return answer


def try_tracker(folder: str, name: str) -> dict[str, Any]:
    """Start a tracker as the toolkit does and track a few frames; return the seconds, or the error and its log."""
    from vot.tracker import ObjectStatus, Registry, TrackerException

    begin = time.perf_counter()
    try:
        runtime = Registry([folder])[name].runtime(log=False)
        with tempfile.TemporaryDirectory() as images, runtime:
            frames = [_Frame(Path(images) / f"{number}.png") for number in range(FRAMES)]
            runtime.initialize(frames[0], [ObjectStatus(_start(), {})])
            started = time.perf_counter()
            for frame in frames[1:]:
                runtime.update(frame, [])
    except TrackerException as error:
        return {"error": " ".join(map(str, error.args)), "log": error.log or ""}
    except Exception:  # noqa: BLE001 - as above
        return {"error": traceback.format_exc(limit=-1), "log": ""}
    return {"start": started - begin, "track": time.perf_counter() - started}


def _start() -> Any:
    from vot.region import Rectangle

    return Rectangle(60, 40, 40, 40)


class _Frame:
    """Grey frame with the methods that the toolkit's protocols call."""

    def __init__(self, path: Path) -> None:
        import numpy as np
        from PIL import Image

        noise = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        Image.fromarray(noise).save(path)
        self.path = str(path)

    def filename(self, channel: str | None = None) -> str:
        return self.path

    def channels(self) -> list[str]:
        return ["color"]


if __name__ == "__main__":
    kind, *words = sys.argv[1:]
    reply = describe(*words) if kind == "describe" else try_tracker(*words)
    sys.stdout.write("\n" + json.dumps(reply) + "\n")
