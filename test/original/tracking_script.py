"""Track a VOT set with restarts as scripts of the original package do: its loop, its files.

python tracking_script.py <config> <weights> <data sets> <name of the set> <results>
"""

import os
import sys

import cv2
import torch

from pysot.core.config import cfg
from pysot.models.model_builder import ModelBuilder
from pysot.tracker.tracker_builder import build_tracker
from pysot.utils.bbox import get_axis_aligned_bbox
from pysot.utils.model_load import load_pretrain
from toolkit.datasets import DatasetFactory
from toolkit.utils.region import vot_float2str, vot_overlap


def track_video(tracker, video):
    frame_counter, regions = 0, []
    for idx, (img, gt_bbox) in enumerate(video):
        if len(gt_bbox) == 4:
            x, y, w, h = gt_bbox
            gt_bbox = [x, y, x, y + h - 1, x + w - 1, y + h - 1, x + w - 1, y]
        if idx == frame_counter:
            cx, cy, w, h = get_axis_aligned_bbox(gt_bbox)
            tracker.init(img, [cx - (w - 1) / 2, cy - (h - 1) / 2, w, h])
            regions.append(1)
        elif idx > frame_counter:
            outputs = tracker.track(img)
            pred_bbox = outputs["polygon"] if cfg.MASK.MASK else outputs["bbox"]
            if vot_overlap(pred_bbox, gt_bbox, (img.shape[1], img.shape[0])) > 0:
                regions.append(pred_bbox)
            else:
                regions.append(2)
                frame_counter = idx + 5
        else:
            regions.append(0)
    return regions


def write(path, regions):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as stream:
        for region in regions:
            if isinstance(region, int):
                stream.write("{:d}\n".format(region))
            else:
                stream.write(",".join([vot_float2str("%.4f", number) for number in region]) + "\n")


def main(config, weights, root, name, results):
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    cfg.merge_from_file(config)
    model = load_pretrain(ModelBuilder(), weights).eval()
    tracker = build_tracker(model)
    dataset = DatasetFactory.create_dataset(name=name, dataset_root=os.path.join(root, name), load_img=False)
    for video in dataset:
        folder = os.path.join(results, name, "script", "baseline", video.name)
        write(os.path.join(folder, "{}_001.txt".format(video.name)), track_video(tracker, video))


if __name__ == "__main__":
    main(*sys.argv[1:])
