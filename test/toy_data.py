"""Small synthetic training sets: crops with their config, and raw videos."""

import json

import cv2
import numpy as np
import torch
from yacs.config import CfgNode

from pysot.datasets.augmentation import centred_box
from pysot.datasets.crop_files import write_mask
from pysot.datasets.raw.video import RawFrame, RawVideo

VIDEOS, FRAMES = 4, 5


def make_crops(folder, videos=VIDEOS, frames=FRAMES, options=()):
    """Write crop511 and train.json: bright boxes on dark noise whose shape and brightness change with the frame.

    `options` are those of cv2.imwrite; the crops have no restart markers by default, as those of earlier versions.
    """
    rng, content = np.random.default_rng(0), {}
    for video in range(videos):
        track = content.setdefault(f"v{video}", {}).setdefault("00", {})
        (folder / "crop511" / f"v{video}").mkdir(parents=True)
        for frame in range(frames):
            image = cv2.resize(rng.integers(0, 60, (32, 32, 3), dtype=np.uint8), (511, 511))
            box = [100, 50, 150 + 25 * frame, 110]
            x1, y1, x2, y2 = np.round(centred_box(image.shape, box)).astype(int)
            image[y1 : y2 + 1, x1 : x2 + 1] = min(255, 130 + 6 * (video * frames + frame))
            cv2.imwrite(str(folder / "crop511" / f"v{video}" / f"{frame:06d}.00.x.jpg"), image, options)
            track[f"{frame:06d}"] = box
    (folder / "train.json").write_text(json.dumps(content))


def add_masks(folder):
    """Write the mask of each crop of `make_crops`: its bright box."""
    for path in folder.rglob("*.x.jpg"):
        bright = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 95).astype(np.uint8)
        write_mask(path.with_name(path.name.replace(".x.jpg", ".m.png")), bright)


def make_config(folder, **changes):
    augmentation = {"SHIFT": 4, "SCALE": 0.05, "BLUR": 0.0, "FLIP": 0.0, "COLOR": 1.0}
    cfg = CfgNode(
        {
            "TRAIN": {
                "THR_HIGH": 0.6,
                "THR_LOW": 0.3,
                "NEG_NUM": 16,
                "POS_NUM": 16,
                "TOTAL_NUM": 64,
                "EXEMPLAR_SIZE": 127,
                "SEARCH_SIZE": 255,
                "OUTPUT_SIZE": 25,
                "BATCH_SIZE": 4,
                "NUM_WORKERS": 0,
            },
            "DATASET": {
                "TEMPLATE": dict(augmentation),
                "SEARCH": {**augmentation, "SHIFT": 64, "SCALE": 0.18, "BLUR": 0.2},
                "NEG": 0.2,
                "GRAY": 0.1,
                "NAMES": ["TOY"],
                "VIDEOS_PER_EPOCH": 24,
                "TOY": {
                    "ROOT": str(folder / "crop511"),
                    "ANNO": str(folder / "train.json"),
                    "FRAME_RANGE": 2,
                    "NUM_USE": -1,
                    "MASKS": False,
                },
            },
            "MASK": {"MASK": False},
            "BAN": {"BAN": False},
            "POINT": {"STRIDE": 8},
            "ANCHOR": {"STRIDE": 8, "RATIOS": [0.33, 0.5, 1, 2, 3], "SCALES": [8]},
        }
    )
    for key, value in changes.items():
        cfg.merge_from_list([key.replace("__", "."), value])
    return cfg


def load_items(loader, epoch):
    loader.batch_sampler.set_epoch(epoch)
    return [{key: value[i] for key, value in batch.items()} for batch in loader for i in range(len(batch["bbox"]))]


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(torch.as_tensor(a[key]), torch.as_tensor(b[key])) for key in a)


def square_image(box, shape=(240, 320)):
    image = np.zeros((*shape, 3), np.uint8)
    image[:] = (10, 20, 30)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def make_video(folder, name="clip", frames=4, tracks=1):
    """Write images of a moving white square and return them as a RawVideo."""
    raw_frames = []
    for number in range(frames):
        box = (40 + 10 * number, 60, 90 + 10 * number, 100)
        path = folder / name / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), square_image(box))
        raw_frames.append(RawFrame(path, number, {f"{track:02d}": tuple(map(float, box)) for track in range(tracks)}))
    return RawVideo(name, tuple(raw_frames))


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
