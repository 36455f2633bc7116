"""A tracker of pysot behind the interface of another repository (init, update), and a network of its parts.

python wrapper_script.py <config> <weights> <folder of frames> <x,y,w,h> <output>
"""

import glob
import json
import sys

import cv2
import numpy as np
import torch

from pysot.core.config import cfg
from pysot.core.xcorr import xcorr_depthwise
from pysot.models.backbone import get_backbone
from pysot.models.backbone.mobile_v2 import mobilenetv2
from pysot.models.backbone.resnet_atrous import resnet18
from pysot.models.head import get_mask_head, get_refine_head, get_rpn_head
from pysot.models.model_builder import ModelBuilder
from pysot.models.neck import get_neck
from pysot.models.neck.neck import AdjustLayer
from pysot.tracker.siamrpn_tracker import SiamRPNTracker
from pysot.tracker.tracker_builder import build_tracker
from pysot.utils.anchor import Anchors
from pysot.utils.bbox import Center, Corner, IoU, center2corner, corner2center, cxy_wh_2_rect, rect_2_cxy_wh
from pysot.utils.distributed import dist_init, get_rank, get_world_size
from pysot.utils.model_load import load_pretrain


class Wrapper:
    name = "SiamRPN++"

    def __init__(self, config, weights):
        cfg.merge_from_file(config)
        cfg.CUDA = torch.cuda.is_available() and cfg.CUDA
        device = torch.device("cuda" if cfg.CUDA else "cpu")
        self.model = load_pretrain(ModelBuilder(), weights).eval().to(device)
        self.tracker = build_tracker(self.model)
        assert isinstance(self.tracker, SiamRPNTracker)

    def init(self, image, box):
        self.tracker.init(image, box)
        return {"confidence": 1.0, "box": list(box)}

    def update(self, image):
        outputs = self.tracker.track(image)
        corners = center2corner(Center(*(number for part in rect_2_cxy_wh(outputs["bbox"]) for number in part)))
        assert np.allclose(cxy_wh_2_rect(corner2center(corners)[:2], corner2center(corners)[2:]), outputs["bbox"])
        return {"confidence": outputs["best_score"], "box": outputs["bbox"], "corners": list(corners)}


def parts():
    """Return the parts that papers built on pysot put together anew."""
    backbone = get_backbone(cfg.BACKBONE.TYPE, **cfg.BACKBONE.KWARGS)
    neck = get_neck("AdjustLayer", in_channels=8, out_channels=4)
    rpn = get_rpn_head(cfg.RPN.TYPE, **cfg.RPN.KWARGS)
    mask = get_mask_head("MaskCorr", in_channels=256, hidden=256, out_channels=63 * 63)
    refine = get_refine_head("Refine")
    nets = [
        backbone,
        neck,
        rpn,
        mask,
        refine,
        AdjustLayer(8, 4),
        mobilenetv2(used_layers=[3]),
        resnet18(used_layers=[2]),
    ]
    return [sum(parameter.numel() for parameter in net.parameters()) for net in nets]


def main(config, weights, folder, box, output):
    rank, world_size = dist_init()
    tracker = Wrapper(config, weights)
    frames = [cv2.imread(path) for path in sorted(glob.glob(folder + "/*.jpg"))]
    start = list(map(float, box.split(",")))
    boxes = [tracker.init(frames[0], start)] + [tracker.update(frame) for frame in frames[1:]]
    anchors = Anchors(cfg.ANCHOR.STRIDE, cfg.ANCHOR.RATIOS, cfg.ANCHOR.SCALES)
    anchors.generate_all_anchors(im_c=cfg.TRAIN.SEARCH_SIZE // 2, size=5)
    overlap = IoU(Corner(0, 0, 10, 10), Corner(5, 0, 15, 10))
    correlated = xcorr_depthwise(torch.ones(1, 2, 5, 5), torch.ones(1, 2, 3, 3))
    with open(output, "w") as stream:
        json.dump(
            {
                "ranks": [rank, world_size, get_rank(), get_world_size()],
                "boxes": boxes,
                "parameters": parts(),
                "anchors": list(anchors.all_anchors[0].shape),
                "overlap": float(overlap),
                "correlated": list(correlated.shape),
            },
            stream,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
