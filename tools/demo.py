"""Track one object.

python tools/demo.py --config FILE --snapshot model.pth --video_name clip.mp4 --init 120,80,60,90 --output DIR

Writes DIR/annotated.mp4 and DIR/boxes.json, a list of {frame, bbox [x, y, w, h], score}.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import _cli

_cli.prepare_process()

import numpy as np

from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.tracker.siamrpn_tracker import SiamRPNTracker
from pysot.tracker.tracker_builder import build_tracker
from pysot.utils.device import seed_everything
from pysot.utils.files import write_json
from pysot.utils.frames import open_frames
from pysot.utils.model_load import load_pretrain
from pysot.utils.start_box import start_box
from pysot.utils.visualize import FrameWriter, annotate

logger = logging.getLogger("demo")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshot", required=True, help="checkpoint of the network")
    parser.add_argument(
        "--video_name",
        default="",
        help="video file, folder of images, camera (its number, /dev/video0) or stream (rtsp://..., http://...); "
        "default: camera 0",
    )
    parser.add_argument(
        "--init",
        metavar="X,Y,W,H",
        help="box of the object in the first frame, in pixels; without it, draw the box in a window",
    )
    parser.add_argument("--output", help="folder for the results (default: results/demo/<name of the video>)")
    _cli.add_config_arguments(parser)
    arguments = sys.argv[1:]
    if "--init" in arguments[:-1]:  # argparse would read a value -5,10,30,30 as an option
        index = arguments.index("--init")
        arguments[index : index + 2] = [f"--init={arguments[index + 1]}"]
    return parser.parse_args(arguments)


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging()
    cfg = load_config(args.config, args.opts)
    seed_everything(0)
    device = _cli.open_device(args, cfg)
    tracker = build_tracker(load_pretrain(build_model(cfg), args.snapshot).to(device).eval(), cfg)
    source = open_frames(args.video_name)
    output = Path(args.output or Path("results") / "demo" / source.name)
    boxes: list[dict[str, Any]] = []
    with FrameWriter(output / "annotated.mp4", source.fps) as writer:
        try:
            for frame in _cli.progress_bar(source.frames, total=source.count, description=source.name):
                outputs = tracker.track(frame) if boxes else start_tracking(tracker, frame, args.init)
                boxes.append(result_entry(len(boxes), outputs))
                writer.write(annotate(frame, outputs.get("polygon", outputs["bbox"]), confidence=outputs["best_score"]))
        finally:
            if boxes:
                write_json(output / "boxes.json", boxes)
    print(f"{len(boxes)} frames: {writer.path}, {output / 'boxes.json'}")


def start_tracking(tracker: SiamRPNTracker, frame: np.ndarray, init: str | None) -> dict[str, Any]:
    """Initialise the tracker on the first frame; return outputs as of `tracker.track`."""
    box = start_box(frame, init)
    tracker.init(frame, box)
    return {"bbox": box, "best_score": 1.0}


def result_entry(index: int, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of boxes.json for one frame."""
    result = {
        "frame": index,
        "bbox": [float(value) for value in outputs["bbox"]],
        "score": float(outputs["best_score"]),
    }
    if outputs.get("polygon") is not None:
        result["polygon"] = [float(value) for value in np.ravel(outputs["polygon"])]
    return result


if __name__ == "__main__":
    _cli.run(main)
