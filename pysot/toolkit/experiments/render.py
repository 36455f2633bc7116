"""Drawing of a result on its frames."""

import os
from collections.abc import Callable
from pathlib import Path

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.results.files import LOST, START, TRACKED, Trajectory
from pysot.utils.image import read_image
from pysot.utils.visualize import FrameWriter, annotate

_STATES = {START: "start", LOST: "lost"}


def render(
    sequence: Sequence, trajectory: Trajectory, path: str | os.PathLike, on_frame: Callable[[], None] | None = None
) -> Path:
    """Write the frames with ground truth and tracked region to a video or folder `path`, see visualize.FrameWriter.

    Returns the written path.
    """
    with FrameWriter(path) as writer:
        for index, (frame_path, truth) in enumerate(zip(sequence.frame_paths, sequence.ground_truth, strict=True)):
            code = int(trajectory.codes[index])
            region = trajectory.regions[index]
            region = region[region == region] if code == TRACKED else None
            caption = f"{sequence.name} {index + 1} {_STATES.get(code, '')}".rstrip()
            writer.write(annotate(read_image(frame_path), region, truth, caption=caption))
            if on_frame:
                on_frame()
    return writer.path
