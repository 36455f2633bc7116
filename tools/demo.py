"""Track one object or several in a video, a camera or a stream.

A checkpoint that training here has written needs no --config; an exported tracker comes with
--engine FOLDER instead, and needs no torch. Writes annotated.mp4, boxes.json and boxes.txt, lines
of the MOT challenge.
"""

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
import _demo
import _engine_tracking
import _torch_import
from pysot.tracker.batch_tracker import BatchTracker
from pysot.utils.latency import LatencyMeter
from pysot.utils.live import LiveSource, arrivals, open_source
from pysot.utils.signals import Interrupted, stop_on_signals
from pysot.utils.start_box import check_boxes, draw_boxes, parse_boxes

EXAMPLES = (
    "python tools/demo.py --snapshot quickstart/trained.pth --video_name clip.mp4 --init 120,80,60,90 --output demo",
    "python tools/demo.py --engine exported --video_name 0 --show",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("--snapshot", type=Path, metavar="FILE", help="checkpoint of the network")
    _engine_tracking.add_arguments(parser)
    add("--video_name", default="", metavar="NAME", help="video file, folder of images, camera (its number, "
        "/dev/video0) or stream (rtsp://..., http://...) (default: camera 0)")  # fmt: skip
    add("--init", metavar="[NAME=]X,Y,W,H", action="append", default=[], help="box of an object in the first frame, in "
        "pixels, once for each object (default: draw them in a window; Enter takes a box, Esc ends)")  # fmt: skip
    add("--output", metavar="FOLDER", help="default: results/demo/<name of the video>")
    add("--show", action="store_true", help="show the frames in a window; q or Esc ends")
    add("--reconnect", metavar="SECONDS", type=_arguments.whole_number(0), default=30, help="wait so long for a stream "
        "that stops (default: 30; 0: it ends)")  # fmt: skip
    _arguments.add_config_arguments(parser, from_snapshot=True)
    arguments = sys.argv[1:]
    for index in reversed(range(len(arguments) - 1)):  # argparse would read a value -5,10,30,30 as an option
        if arguments[index] == "--init":
            arguments[index : index + 2] = [f"--init={arguments[index + 1]}"]
    return parser.parse_args(arguments)


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging()
    boxes = parse_boxes(args.init)
    build = load_tracker(args)
    with contextlib.ExitStack() as stack:
        request = stack.enter_context(stop_on_signals("its files stay under temporary names"))

        def is_stopped() -> bool:
            return request.signum != 0

        source = open_source(args.video_name, args.reconnect, is_stopped)
        if isinstance(source, LiveSource):
            stack.enter_context(source)
        frames = arrivals(source)
        first = next(frames)
        boxes = boxes or draw_boxes(first.image)
        check_boxes(boxes, first.image)
        tracker = build(len(boxes))
        tracker.start(range(len(boxes)), [first.image] * len(boxes), list(boxes.values()))
        if isinstance(source, LiveSource):
            source.restart()  # frames that came while objects were chosen do not count as dropped
        folder = Path(args.output or Path("results") / "demo" / source.name)
        recording = _demo.Recording(folder, source.fps, list(boxes), source.name if args.show else "")
        latency, start = LatencyMeter(), time.perf_counter()
        request.saves = True
        try:
            with recording:
                _demo.follow(tracker, source, boxes, first, frames, recording, latency, is_stopped)
        finally:
            print(_demo.summary(recording, latency, time.perf_counter() - start, source))
    if request.signum:
        raise Interrupted(request.signum, f"ended by {signal.Signals(request.signum).name}; the files are complete")


def load_tracker(args: argparse.Namespace) -> Callable[[int], BatchTracker]:
    """Load the tracker of the arguments; return build(slots), which returns it for so many targets."""
    _engine_tracking.check_arguments(args)
    if args.engine is not None:
        return _engine_tracking.demo_tracker(args)
    if args.snapshot is None:
        raise ValueError("expected --snapshot, a checkpoint, or --engine, an exported tracker; got neither")
    with _torch_import.explained():
        from _torch_tracking import demo_tracker
    return demo_tracker(args)


if __name__ == "__main__":
    _cli.run(main)
