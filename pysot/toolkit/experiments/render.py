"""Drawing of a result on its frames."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.report.mask_pictures import draw_masks
from pysot.toolkit.results.files import LOST, START, TRACKED, Trajectory
from pysot.toolkit.results.label_results import result_labels
from pysot.utils.image import read_image
from pysot.utils.masks import Mask
from pysot.utils.visualize import FrameWriter, annotate, draw_label

_STATES = {START: "start", LOST: "lost"}


def render(
    sequence: Sequence,
    trajectory: Trajectory,
    path: str | os.PathLike,
    on_frame: Callable[[], None] | None = None,
    masks: Mapping[int, Mask] | None = None,
) -> Path:
    """Write the frames with ground truth and tracked region to a video or folder `path`, see visualize.FrameWriter.

    `masks` of the target, by frame, are drawn as outlines, and masks that are regions of the result. Returns the
    written path.
    """
    masks = {**(masks or {}), **trajectory.masks}
    with FrameWriter(path) as writer:
        for index, (frame_path, truth) in enumerate(zip(sequence.frame_paths, sequence.ground_truth, strict=True)):
            code = int(trajectory.codes[index])
            region = trajectory.regions[index]
            region = region[region == region] if code == TRACKED else None
            caption = f"{sequence.name} {index + 1} {_STATES.get(code, '')}".rstrip()
            writer.write(annotate(read_image(frame_path), region, truth, None, caption, masks.get(index)))
            if on_frame:
                on_frame()
    return writer.path


def render_objects(
    sequence: Sequence, folder: Path, path: str | os.PathLike, on_frame: Callable[[], None] | None = None
) -> Path:
    """Write the frames with the masks of the ground truth, and those in the result `folder`, as `render` does.

    Raises ValueError for a frame without either.
    """
    results = result_labels(folder, sequence)
    with FrameWriter(path) as writer:
        for index in range(len(sequence)):
            image = draw_masks(sequence, results, index)
            if image is None:
                raise ValueError(
                    f"{sequence.name}: no mask to draw on frame {index + 1}, expected {results.paths[index]}"
                )
            writer.write(draw_label(image, f"{sequence.name} {index + 1}", (6, 0), (255, 255, 255)))
            if on_frame:
                on_frame()
    return writer.path
