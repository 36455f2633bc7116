"""Score a tracker of another repository: here MIL of OpenCV, which has init and update like many of them.

python tools/examples/other_tracker.py DATASET [FOLDER [VIDEO ...]]
  DATASET  such as VOT2018, or the path of its folder; it lies in FOLDER (default: testing_dataset)
  VIDEO    these videos only
"""

import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # not needed where pysot is installed
from pysot import report, run  # noqa: E402


class OpenCVTracker:
    """What pysot asks for is `init(frame, box)` and `track(frame)`; the rest is the other repository's."""

    def init(self, frame: np.ndarray, box: list[float]) -> None:
        """Start on a frame, uint8 (H, W, 3) BGR, and a box x, y, width, height in pixels."""
        cv2.setRNGSeed(0)  # MIL draws samples
        self.tracker = cv2.TrackerMIL.create()
        self.tracker.init(frame, [round(number) for number in box])
        self.box = box

    def track(self, frame: np.ndarray) -> list[float]:
        """Return the box in the next frame; the last one where the tracker has none."""
        found, box = self.tracker.update(frame)
        self.box = list(box) if found else self.box
        return self.box


def main(dataset: str, root: str = "testing_dataset", *videos: str) -> None:
    """Track the data set, write the official result files to results/, and print the scores."""
    run(OpenCVTracker(), dataset, root=root, name="MIL", videos=videos)
    print(report("MIL", dataset, root=root, videos=videos))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
