"""Print the overlap of a SiamMask tracker's masks with true ones, beside those of its boxes and of ellipses in them.

    python experiments/score_masks.py --config CONFIG --snapshot SNAPSHOT --frames FOLDER --masks FOLDER [--draw FOLDER]

The tracker starts on the bounds of the first mask and runs to the end. The first frame and frames with an empty mask do
not count. Masks are pngs with the names of the frames, of which all pixels but 0 are target, as in DAVIS-2016.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.tracker.tracker_builder import build_tracker
from pysot.utils.image import read_image
from pysot.utils.masks import Mask
from pysot.utils.model_load import load_pretrain
from pysot.utils.names import list_images
from pysot.utils.visualize import annotate


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return intersection over union of two masks (H, W) bool."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def box_mask(box: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels (H, W) bool whose centres lie in a box xywh."""
    x, y = np.arange(shape[1]) + 0.5, np.arange(shape[0])[:, None] + 0.5
    return (abs(x - box[0] - box[2] / 2) <= box[2] / 2) & (abs(y - box[1] - box[3] / 2) <= box[3] / 2)


def ellipse_mask(box: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels (H, W) bool whose centres lie in the ellipse that fills a box xywh."""
    x, y = np.arange(shape[1]) + 0.5, np.arange(shape[0])[:, None] + 0.5
    across, down = (x - box[0] - box[2] / 2) / (box[2] / 2), (y - box[1] - box[3] / 2) / (box[3] / 2)
    return across**2 + down**2 <= 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--snapshot", required=True)
    parser.add_argument("--frames", required=True)
    parser.add_argument("--masks", required=True)
    parser.add_argument("--draw", help="folder for frames with the outline")
    parser.add_argument("--opts", nargs="+", default=[], help="config values, see tools/test.py")
    args = parser.parse_args()
    config = load_config(args.config, args.opts)
    tracker = build_tracker(load_pretrain(build_model(config), args.snapshot).eval(), config)
    pairs = [(path, Path(args.masks) / f"{path.stem}.png") for path in list_images(Path(args.frames))]
    scores: dict[str, list[float]] = {"mask": [], "box": [], "ellipse": [], "true box": [], "true ellipse": []}
    for index, (frame_path, mask_path) in enumerate(pairs):
        frame, truth = read_image(frame_path), cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) > 0
        true_box = Mask(0, 0, truth).box
        if index == 0:
            tracker.init(frame, true_box)
            continue
        outputs = tracker.track(frame)
        region = outputs["target_mask"].region()
        found = np.zeros_like(truth)
        height, width = region.pixels.shape
        found[region.y : region.y + height, region.x : region.x + width] = region.pixels
        if args.draw:
            Path(args.draw).mkdir(parents=True, exist_ok=True)
            picture = annotate(frame, outputs["polygon"], None, outputs["best_score"], mask=region)
            cv2.imwrite(str(Path(args.draw) / f"{frame_path.stem}.jpg"), picture)
        if truth.any():
            box = np.array(outputs["bbox"])
            scores["mask"].append(overlap(found, truth))
            scores["box"].append(overlap(box_mask(box, truth.shape), truth))
            scores["ellipse"].append(overlap(ellipse_mask(box, truth.shape), truth))
            scores["true box"].append(overlap(box_mask(true_box, truth.shape), truth))
            scores["true ellipse"].append(overlap(ellipse_mask(true_box, truth.shape), truth))
    for name, values in scores.items():
        print(f"{name}: {np.mean(values):.3f} ({len(values)} frames)")


if __name__ == "__main__":
    main()
