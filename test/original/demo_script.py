"""A demo with a window, as people write it for the original package: frames, a box drawn by hand, boxes or masks.

python demo_script.py --config CONFIG --snapshot WEIGHTS --video_name VIDEO
"""

import argparse
import os
from glob import glob

import cv2
import numpy as np
import torch

from pysot.core.config import cfg
from pysot.models.model_builder import ModelBuilder
from pysot.tracker.tracker_builder import build_tracker

torch.set_num_threads(1)


def frames_of(video_name):
    if video_name.endswith(("avi", "mp4")):
        capture = cv2.VideoCapture(video_name)
        while True:
            is_read, frame = capture.read()
            if not is_read:
                return
            yield frame
    else:
        for path in sorted(glob(os.path.join(video_name, "*.jp*"))):
            yield cv2.imread(path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config")
    parser.add_argument("--snapshot")
    parser.add_argument("--video_name")
    args = parser.parse_args()
    cfg.merge_from_file(args.config)
    cfg.CUDA = torch.cuda.is_available() and cfg.CUDA
    device = torch.device("cuda" if cfg.CUDA else "cpu")

    model = ModelBuilder()
    model.load_state_dict(torch.load(args.snapshot, map_location=lambda storage, loc: storage.cpu()))
    model.eval().to(device)
    tracker = build_tracker(model)

    is_first = True
    name = args.video_name.split("/")[-1].split(".")[0]
    cv2.namedWindow(name, cv2.WND_PROP_FULLSCREEN)
    for frame in frames_of(args.video_name):
        if is_first:
            tracker.init(frame, cv2.selectROI(name, frame, False, False))
            is_first = False
            continue
        outputs = tracker.track(frame)
        if "polygon" in outputs:
            polygon = np.array(outputs["polygon"]).astype(np.int32)
            cv2.polylines(frame, [polygon.reshape((-1, 1, 2))], True, (0, 255, 0), 3)
            mask = (outputs["mask"] > cfg.TRACK.MASK_THERSHOLD) * 255
            mask = np.stack([mask, mask * 255, mask]).transpose(1, 2, 0).astype(np.uint8)
            frame = cv2.addWeighted(frame, 0.77, mask, 0.23, -1)
        else:
            x, y, w, h = list(map(int, outputs["bbox"]))
            cv2.rectangle(frame, (x, y), (x + w, y + h), (0, 255, 0), 3)
        cv2.imshow(name, frame)
        cv2.waitKey(40)


if __name__ == "__main__":
    main()
