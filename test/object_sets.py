"""Small sets of object masks in the layouts of DAVIS and YouTube-VOS, and trackers of masks for them."""

import json
from pathlib import Path

import cv2
import numpy as np

from pysot.toolkit.results.soft_masks import SoftMask
from pysot.utils.label_images import encode_label_image

WIDTH, HEIGHT = 160, 96


def drift(frame: int, number: int) -> np.ndarray:
    """Return the box xywh of an object on a frame: object 1 moves to the right, object 2 to the left."""
    return np.array([10 + 4 * frame, 20, 30, 24] if number == 1 else [110 - 4 * frame, 30, 24, 30])


def draw_labels(frame: int, numbers=(1, 2)) -> np.ndarray:
    """Return the label image (H, W) uint8 of a frame; later numbers cover earlier ones."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number in numbers:
        x, y, w, h = drift(frame, number)
        labels[y : y + h, x : x + w] = number
    return labels


def write_labels(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_label_image(labels))


def write_frame(path: Path, frame: int) -> None:
    """Write a grey frame whose upper left pixel is the number of the frame; png data under any suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[0, 0] = frame
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def make_davis(root: Path, videos=("alpha", "beta"), frames=8, year=2017) -> Path:
    """Write a set in the layout of DAVIS with two objects in each video; of 2016, one, in grey images."""
    for video in videos:
        for frame in range(frames):
            write_frame(root / "JPEGImages" / "480p" / video / f"{frame:05d}.jpg", frame)
            path = root / "Annotations" / "480p" / video / f"{frame:05d}.png"
            write_labels(path, draw_labels(frame))
            if year == 2016:
                cv2.imwrite(str(path), (draw_labels(frame) > 0) * np.uint8(255))
    (root / "ImageSets" / str(year)).mkdir(parents=True)
    (root / "ImageSets" / str(year) / "val.txt").write_text("".join(f"{video}\n" for video in videos))
    return root


def make_youtube_vos(root: Path, frames=6, step=5, with_meta=True) -> Path:
    """Write a validation set of YouTube-VOS: video 00a has object 1 from the first frame on, object 2 from the third.

    `step` is 5 in the set, and 1 in that of all frames, whose masks have the same names.
    """
    stems = [f"{5 * index:05d}" for index in range(frames)]
    for number in range(0, 5 * frames, step):
        write_frame(root / "JPEGImages" / "00a" / f"{number:05d}.jpg", number // 5)
    write_labels(root / "Annotations" / "00a" / f"{stems[0]}.png", draw_labels(0, [1]))
    write_labels(root / "Annotations" / "00a" / f"{stems[2]}.png", draw_labels(2))
    if with_meta:
        objects = {
            "1": {"category": "fish", "frames": stems},
            "2": {"category": "cat", "frames": stems[2:]},
        }
        (root / "meta.json").write_text(json.dumps({"videos": {"00a": {"objects": objects}}}))
    return root


class SureMask:
    """Mask of a target as a tracker gives it: the same probability in a box."""

    threshold = 0.3
    is_wanted = False

    def __init__(self, box, probability):
        self.window = int(box[0]), int(box[1]), np.full((int(box[3]), int(box[2])), probability)


class MaskTracker:
    """Tracker that finds the box of `drift`, and its mask with a probability for each object."""

    def __init__(self, probabilities=None):
        self.probabilities = probabilities
        self.starts = []

    def init(self, image, box_xywh):
        frame = int(image[0, 0, 0])
        distances = [np.abs(drift(frame, number) - box_xywh).sum() for number in (1, 2)]
        self.number = int(np.argmin(distances)) + 1
        self.starts.append((frame, self.number))

    def track(self, image):
        box = drift(int(image[0, 0, 0]), self.number)
        outputs = {"bbox": box.astype(float), "best_score": 0.9 - 0.2 * self.number}
        if self.probabilities:
            outputs["target_mask"] = SureMask(box, self.probabilities[self.number])
        return outputs


def soft_box(box, probability=0.9) -> SoftMask:
    """Return a soft mask that fills a box xywh of whole pixels."""
    return SoftMask.of_tracker(int(box[0]), int(box[1]), np.full((int(box[3]), int(box[2])), probability))
