"""Sequences, trackers and result folders for the evaluation tests."""

import json
import os
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from pysot.toolkit.datasets.label_files import LabelFiles
from pysot.toolkit.datasets.sequence import Dataset, Sequence, VotSettings
from pysot.toolkit.evaluation.eao import expected_average_overlap, expected_overlap
from pysot.toolkit.results.files import Trajectory, save_vot
from pysot.toolkit.results.paths import vot_file
from pysot.utils.image import image_size
from pysot.utils.label_images import encode_label_image


def moving_polygons(frames: int, tilt: float = 0.3) -> list[np.ndarray]:
    """Return a tilted rectangle of about 40 x 24 pixels that drifts to the right and down."""
    shape = np.array([[-20, -12], [20, -12], [20, 12], [-20, 12]], float)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    return [(shape @ turn + [50 + 0.7 * i, 45 + 0.4 * i]).ravel() for i in range(frames)]


def make_sequence(name="clip", frames=20, width=200, height=150, truth=None, tags=None, **more) -> Sequence:
    """Return a sequence whose frames are not on the disk."""
    truth = moving_polygons(frames) if truth is None else truth
    return Sequence(
        name, [f"{name}/{i + 1:08d}.jpg" for i in range(len(truth))], truth, width, height, tags or {}, **more
    )


def box_sequence(frames=30, **kwargs) -> Sequence:
    """Return a sequence of a box of 20 x 20 pixels that does not move."""
    return make_sequence(truth=[np.array([20.0, 20, 19, 19])] * frames, **kwargs)


def trajectory(frames=30, lost=(), box=(20, 20, 19, 19)) -> Trajectory:
    """Return a trajectory that starts at 0 and 5 frames after each loss; `box` on other frames."""
    entries = [1] + [list(box)] * (frames - 1)
    for frame in lost:
        entries[frame : frame + 6] = [2, 0, 0, 0, 0, 1][: frames - frame]
    return Trajectory.from_frames(entries)


def eao_of(runs, tags, settings) -> dict[str, float]:
    """Return the EAO per tag of runs."""
    return expected_average_overlap(expected_overlap(runs, tags, settings), tags, settings)


def save_labels(folder: Path, images) -> list[Path]:
    """Write label images (H, W) uint8 as 00000.png, ...; None leaves a frame out. Return the paths of all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:05d}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        if image is not None:
            path.write_bytes(encode_label_image(image))
    return paths


def objects_sequence(folder: Path, objects=None, joined=False, frames=None) -> Sequence:
    """Return a sequence of objects whose label images lie in `folder`: 1 and 2 from the first frame by default.

    Frames are on the disk if their paths are given.
    """
    paths = sorted(folder.glob("*.png"))
    labels = LabelFiles(list(paths), joined, objects or {1: 0, 2: 0})
    size = image_size(paths[0])
    frames = frames or [f"{folder.name}/{path.stem}.jpg" for path in paths]
    return Sequence(folder.name, frames, [np.full(4, np.nan)] * len(paths), *size, labels=labels)


def two_squares(frames=12, shift=0, size=(60, 90)) -> list[np.ndarray]:
    """Return label images of two squares of 16 pixels that drift to the right, `shift` pixels further down."""
    images = []
    for index in range(frames):
        image = np.zeros(size, np.uint8)
        image[10 + shift : 26 + shift, 5 + index : 21 + index] = 1
        image[34 + shift : 50 + shift, 40 + index : 56 + index] = 2
        images.append(image)
    return images


class ShakingTracker:
    """Tracker that returns the bounds of the truth, moved by `shift` pixels; on the frames in `lose` a box far away."""

    def __init__(self, truth, shift=2.0, lose=()):
        self.truth = truth
        self.shift = shift
        self.lose = set(lose)
        self.calls = 0
        self.starts = []

    def init(self, image, box_xywh):
        self.starts.append((int(image[0, 0, 0]), np.asarray(box_xywh)))

    def track(self, image):
        frame = int(image[0, 0, 0])
        region = np.asarray(self.truth[frame], float)
        if len(region) == 8:
            xs, ys = region[0::2], region[1::2]
        else:
            xs, ys = region[[0]] + [0, region[2]], region[[1]] + [0, region[3]]
        self.calls += 1
        if frame in self.lose:
            return {"bbox": [xs.max() + 30, ys.max() + 30, 10, 10], "best_score": 0.1}
        return {"bbox": [xs.min() + self.shift, ys.min(), np.ptp(xs), np.ptp(ys)], "best_score": 0.9}


class TrackerInProcess(ShakingTracker):
    """Tracker for sequences of the same polygons.

    It writes its process number to `folder`, and by `mode` cannot start, fails or dies on sequences that are marked
    green.
    """

    def __init__(self, folder, mode, number):
        super().__init__(moving_polygons(20), lose=[6])
        self.folder = folder
        self.mode = mode
        if mode == "cannot start":
            raise FileNotFoundError("no such snapshot")
        (folder / f"process{number}").touch()

    def init(self, image, box_xywh):
        super().init(image, box_xywh)
        if image[0, 0, 1] == 255:
            if self.mode == "fails":
                raise KeyError("weights")
            if self.mode == "dies":
                time.sleep(1)
                os._exit(9)


class WanderingTracker:
    """Tracker whose boxes depend on its start and on the frame: the start box, moved; far away on some frames."""

    def init(self, image, box_xywh):
        self.start = (int(image[0, 0, 0]), np.array(box_xywh))

    def track(self, image):
        first, box = self.start
        number = (37 * first + 101 * int(image[0, 0, 0]) + int(box[0])) % 97
        shift = 500 if number < 6 else 2 * np.sin(number)
        return {"bbox": box + [shift, 0, 0.1 * number, 0], "best_score": number / 97}


class TrackerOfSlots:
    """Batch tracker: a tracker of one target in each slot. A NaN box or an exception of one fails its slot."""

    def __init__(self, slots, make_tracker=WanderingTracker):
        self.slots = slots
        self.make_tracker = make_tracker
        self.failures = {}
        self.trackers = {}
        self.starts = []  # slots of each call
        self.steps = []  # targets of each call

    def start(self, slots, frames, boxes_xywh):
        self.starts.append(list(slots))
        if any(box[2] > 1000 for box in boxes_xywh):
            raise ValueError("a box is too large")
        for slot, frame, box in zip(slots, frames, boxes_xywh, strict=True):
            self.trackers[slot] = self.make_tracker()
            self.trackers[slot].init(frame, box)

    def track(self, frames):
        assert {slot for slot, frame in enumerate(frames) if frame is not None} == self.trackers.keys()
        self.steps.append(len(self.trackers))
        self.failures = {}
        boxes, confidences = np.full((self.slots, 4), np.nan), np.full(self.slots, np.nan)
        for slot, tracker in list(self.trackers.items()):
            outputs = tracker.track(frames[slot])
            boxes[slot], confidences[slot] = outputs["bbox"], outputs["best_score"]
            if not np.isfinite(boxes[slot]).all():
                self.failures[slot] = ValueError("NaN from the network")
                del self.trackers[slot]
        return boxes, confidences

    def stop(self, slots):
        for slot in slots:
            self.trackers.pop(slot, None)


def slots_in_process(slots, number):
    """Build the batch tracker of a worker process; with one slot, its tracker of one target."""
    return TrackerOfSlots(slots) if slots > 1 else WanderingTracker()


def write_frames(folder, count, width=200, height=150):
    """Write grey PNG frames with the names of the raw VOT layout; pixel (0, 0) holds the frame number."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = np.full((height, width, 3), 90, np.uint8)
        image[0, 0] = index
        cv2.imwrite(str(folder / f"{index + 1:08d}.png"), image)


def sequence_on_disk(folder, name, truth) -> Sequence:
    """Return a sequence whose frames are in a folder `name`."""
    write_frames(folder / name, len(truth))
    paths = [str(folder / name / f"{index + 1:08d}.png") for index in range(len(truth))]
    return Sequence(name, paths, truth, 200, 150)


def make_raw_set(root):
    """Write a raw VOT folder: `slow` (12 frames, polygons, a short tag) and `boxes` (8 frames, 4 numbers)."""
    polygons = moving_polygons(12)
    boxes = [np.array([30.0 + i, 40, 25, 20]) for i in range(8)]
    for name, truth, color in (("slow", polygons, "color"), ("boxes", boxes, ".")):
        write_frames(root / name / color, len(truth))
        (root / name / "groundtruth.txt").write_text(
            "".join(",".join(f"{v:.4f}" for v in region) + "\n" for region in truth)
        )
    (root / "slow" / "occlusion.tag").write_text("0\n1\n1\n")
    (root / "slow" / "camera_motion.label").write_text("1\n" * 12)
    (root / "list.txt").write_text("slow\nboxes\n\n")
    return root


def write_json_set(path, sequences):
    meta = {
        s.name: {
            "video_dir": s.name,
            "init_rect": s.ground_truth[0].tolist(),
            "img_names": s.frame_paths,
            "width": s.width,
            "height": s.height,
            "gt_rect": [region.tolist() for region in s.ground_truth],
            **{tag: flags.astype(int).tolist() for tag, flags in s.tags.items()},
        }
        for s in sequences
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(meta))


def save_baseline(tracker_dir, video, trajectory, repetition=1):
    """Write a result of the supervised protocol to its file."""
    return save_vot(vot_file(tracker_dir, video, repetition), trajectory)


needs_vot_toolkit = pytest.mark.skipif(
    not os.environ.get("VOT_TOOLKIT_PYTHON"), reason="VOT_TOOLKIT_PYTHON does not name a Python with vot-toolkit"
)


def ask_vot_toolkit(folder, experiment, **content):
    """Return the scores that the functions of vot-toolkit compute from the content."""
    (folder / "cases.json").write_text(json.dumps({"experiment": experiment, **content}))
    command = [
        os.environ["VOT_TOOLKIT_PYTHON"],
        Path(__file__).with_name("toolkit") / "evaluation" / "ask_vot_toolkit.py",
        folder / "cases.json",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class SlowTracker(ShakingTracker):
    """Tracker that writes its process id to `folder` and needs minutes for a sequence."""

    def __init__(self, folder, number):
        super().__init__(moving_polygons(20))
        (folder / f"pid{os.getpid()}").touch()

    def track(self, image):
        time.sleep(10)
        return super().track(image)


def slow_set(folder) -> Dataset:
    """Return a data set of two sequences of 20 frames on the disk."""
    sequences = [sequence_on_disk(folder, name, moving_polygons(20)) for name in "ab"]
    return Dataset("SET", sequences, ("all",), VotSettings(2, 9, 5))


class SeenBar:
    """Bar that keeps the number of items of each description, in the order in which they were taken."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []

    def __call__(self, items, total=None, description=""):
        taken = []
        for item in items:
            taken.append(item)
            yield item
        assert total in (None, len(taken))
        self.taken.append((description, len(taken)))
