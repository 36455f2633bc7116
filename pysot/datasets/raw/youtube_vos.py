"""YouTube-VOS: `JPEGImages/<video>/*.jpg`, `Annotations/<video>/*.png` and `meta.json`, or these in a folder `train`.

Each number of a palette image is an object, which meta.json describes at videos/<video>/objects/<number>, with the
frames it is annotated in. An object is the track of its number, and its box is the bounds of its pixels. Images without
an annotation (four of five in the set of all frames) do not belong to a video.
"""

import logging
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from pysot.datasets.raw.masks import LabelMask, read_frame_labels
from pysot.datasets.raw.sequences import SequenceSet
from pysot.datasets.raw.video import RawFrame, track_name
from pysot.utils.names import list_images
from pysot.utils.vos_meta import META, read_vos_meta

logger = logging.getLogger(__name__)
_UNKNOWN_OBJECTS = "boxes of objects that meta.json does not have"  # keys of `counts`
_MISSING_FRAMES = "frames that meta.json names, without an image or an annotation"


def _find_folders(root: Path) -> list[Path]:
    """Return the image folders of the annotated videos. Raises the errors of `read_vos_meta`."""
    root = root if (root / "JPEGImages").is_dir() else root / "train"
    if not (root / "JPEGImages").is_dir():
        return []
    read_vos_meta(root)
    return sorted(path for path in (root / "JPEGImages").iterdir() if (root / "Annotations" / path.name).is_dir())


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    """Read a video. Raises ValueError if meta.json does not describe it."""
    root = folder.parents[1]
    objects = read_vos_meta(root).get(folder.name)
    if not isinstance(objects, dict) or not all(
        isinstance(item, dict) and isinstance(item.get("frames", []), list) for item in objects.values()
    ):
        raise ValueError(f"{root / META} does not have the objects of video {folder.name}; download both again")
    mask_folder = root / "Annotations" / folder.name
    pairs = [(image, mask) for image in list_images(folder) if (mask := mask_folder / f"{image.stem}.png").is_file()]
    _count_missing_frames(folder.name, objects, {mask.stem for _, mask in pairs}, counts)
    are_numbers = all(mask.stem.isdecimal() for _, mask in pairs)
    frames = (
        _read_frame(image, mask, int(mask.stem) if are_numbers else index, objects, counts)
        for index, (image, mask) in enumerate(pairs)
    )
    return [frame for frame in frames if frame.boxes]


def _read_frame(image: Path, mask: Path, number: int, objects: Collection[str], counts: Counter) -> RawFrame:
    """Return a frame with the boxes of its known objects; it has none if its mask cannot be used."""
    labels = read_frame_labels(mask, image, counts, needs_palette=True)
    boxes = {} if labels is None else labels.boxes()
    unknown = [label for label in boxes if str(label) not in objects]
    if unknown and not counts[_UNKNOWN_OBJECTS]:
        logger.warning(
            "%s has object %d, but meta.json has only %s: it is left out, and so are others, which are counted",
            mask,
            unknown[0],
            ", ".join(sorted(objects)) or "none",
        )
    counts[_UNKNOWN_OBJECTS] += len(unknown)
    known = {track_name(label): label for label in boxes if label not in unknown}
    return RawFrame(
        image,
        number,
        {track: boxes[label] for track, label in known.items()},
        {track: LabelMask(mask, label) for track, label in known.items()},
    )


def _count_missing_frames(video: str, objects: dict[str, dict], present: Collection[str], counts: Counter) -> None:
    """Count and log the frames that meta.json names but that are not `present`."""
    named = {str(frame) for item in objects.values() for frame in item.get("frames", [])}
    missing = sorted(named.difference(present))
    counts[_MISSING_FRAMES] += len(missing)
    if missing:
        logger.warning(
            "video %s: %d of %d frames that meta.json names have no image or no annotation, the first: %s",
            video,
            len(missing),
            len(named),
            missing[0],
        )


YOUTUBE_VOS = SequenceSet(
    "youtube_vos",
    _find_folders,
    _read_frames,
    "JPEGImages/<video>/*.jpg, Annotations/<video>/*.png and meta.json",
    frame_range=20,
    has_masks=True,
)
