"""The tracker as vot-toolkit calls it: by its Python protocol, or over TraX as a server.

trackers.ini, which tools/vot_workspace.py writes, names `pysot.vot:Tracker` for the Python protocol, and
tools/vot_server.py, which calls `serve`, for TraX. Both give the results of tools/test.py.

A region is 4 numbers x, y, width, height, the x and y of the corners of a polygon, or a `Mask`; in pixels.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pysot.load import PathLike, load_network, read_config
from pysot.toolkit.protocol import BatchTracker
from pysot.tracker.tracker_builder import build_batch_tracker
from pysot.utils.bbox import init_box_from_region
from pysot.utils.device import one_thread, seed_everything
from pysot.utils.device_builder import open_device
from pysot.utils.files import find_path
from pysot.utils.image import read_image
from pysot.utils.masks import Mask
from pysot.utils.model_load import read_checkpoint
from pysot.utils.registry import lookup

Region = np.ndarray | Mask
_MOST_SLOTS = 8  # of a batch: more targets come in further batches, so that large ones fit into memory
_FORMS = ("auto", "box")


class Found(NamedTuple):
    """Region and confidence (in [0, 1]) of a target on a frame."""

    region: Region
    confidence: float


class _Group(NamedTuple):
    """Targets of a batch tracker, in its first slots, and whether each has started on a mask."""

    tracker: BatchTracker
    on_mask: list[bool]


class VideoTracker:
    """Tracker of the targets of one video after another; the network stays loaded.

    build(slots) returns a batch tracker. `form` is "auto", which answers with masks where a target has started on one
    and else with polygons, if the tracker has masks, or "box", for long-term sets. `computing` returns the context of
    each call.
    """

    def __init__(
        self,
        build: Callable[[int], BatchTracker],
        form: str = "auto",
        computing: Callable[[], AbstractContextManager] = nullcontext,
    ):
        if form not in _FORMS:
            raise ValueError(f"form of regions: expected {' or '.join(_FORMS)}, got {form!r}")
        self._build, self._form, self._computing = build, form, computing
        self._groups: list[_Group] = []
        self._free: dict[int, list[BatchTracker]] = {}

    def warm_up(self) -> None:
        """Track a grey frame: the first call of a network is slow, and a toolkit may measure the time of each."""
        grey = np.full((128, 128, 3), 127, np.uint8)
        with self._computing():
            tracker = self._build(1)
            tracker.start([0], [grey], [[40, 40, 32, 32]])
            tracker.track([grey])
        self._free.setdefault(1, []).append(tracker)

    def start(self, image_path: PathLike, regions: Sequence[Region]) -> list[Found]:
        """Start a video with its first targets; those of the video before end. Returns the given regions.

        Raises ValueError for a region on which no tracker can start, and the errors of `read_image`.
        """
        for group in self._groups:
            group.tracker.stop(range(len(group.on_mask)))
            self._free.setdefault(group.tracker.slots, []).append(group.tracker)
        self._groups = []
        return self._add(read_image(image_path), regions)

    def track(self, image_path: PathLike, new: Sequence[Region] = ()) -> list[Found]:
        """Find all targets on the next frame, in the order in which they started, and start `new` ones on it.

        Raises RuntimeError before `start` and if a target cannot be tracked, ValueError as `start`, and the errors of
        `read_image`.
        """
        if not self._groups:
            raise RuntimeError("track needs a target; start a video first")
        image = read_image(image_path)
        with self._computing():
            found = [target for group in self._groups for target in self._track_group(group, image)]
        return found + self._add(image, new)

    def _add(self, image: np.ndarray, regions: Sequence[Region]) -> list[Found]:
        """Start targets, in batches of at most `_MOST_SLOTS`."""
        boxes = [start_box(region) for region in regions]
        for first in range(0, len(boxes), _MOST_SLOTS):
            part = boxes[first : first + _MOST_SLOTS]
            free = self._free.get(len(part), [])
            with self._computing():
                tracker = free.pop() if free else self._build(len(part))
                tracker.start(range(len(part)), [image] * len(part), part)
            on_mask = [isinstance(region, Mask) for region in regions[first : first + _MOST_SLOTS]]
            self._groups.append(_Group(tracker, on_mask))
        return [Found(region, 1.0) for region in regions]

    def _track_group(self, group: _Group, image: np.ndarray) -> Iterable[Found]:
        boxes, confidences = group.tracker.track([image] * len(group.on_mask))
        for slot, error in group.tracker.failures.items():
            raise RuntimeError(f"target {slot + 1} of {len(group.on_mask)} cannot be tracked: {error}")
        masks = getattr(group.tracker, "masks", {}) if self._form == "auto" else {}
        for slot, on_mask in enumerate(group.on_mask):
            region: Region = np.asarray(boxes[slot], np.float64)
            if slot in masks:
                mask = masks[slot].region().tight()
                if not on_mask:
                    region = masks[slot].polygon()
                elif mask.pixels.any():
                    region = mask
            yield Found(region, float(confidences[slot]))


def start_box(region: Region) -> np.ndarray:
    """Return the box xywh (4,) on which tools/test.py starts a tracker, given an annotated region.

    Raises ValueError for a mask without a pixel, and for a region of fewer than three corners.
    """
    if isinstance(region, Mask):
        if not region.pixels.any():
            raise ValueError("the mask of a target has no pixel, and no tracker can start on it")
        return init_box_from_region(region.box)
    numbers = np.asarray(region, np.float64).ravel()
    if len(numbers) in (4, 8):
        return init_box_from_region(numbers)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"expected a box of 4 numbers or a polygon of 3 corners or more, got {numbers.tolist()}")
    x, y = numbers[0::2], numbers[1::2]
    return init_box_from_region([x.min(), y.min(), np.ptp(x), np.ptp(y)])


def load_video_tracker(
    snapshot: PathLike,
    config: PathLike | None = None,
    device: str = "auto",
    form: str = "auto",
    opts: Sequence[str] = (),
) -> VideoTracker:
    """Return the tracker of a snapshot, warmed up.

    Without a config, it is the one that the snapshot knows; `opts` are KEY, VALUE, ... Raises FileNotFoundError for
    missing files, and as `read_config`, `open_device` and `load_network`.
    """
    path = find_path(snapshot, "snapshot", "Name an existing file")
    cfg = read_config(config, [path], opts)
    seed_everything(0)
    opened = open_device(device, cfg)
    model = load_network(cfg, read_checkpoint(path), path).to(opened).eval()
    tracker = VideoTracker(partial(build_batch_tracker, model, cfg), form, partial(one_thread, opened))
    tracker.warm_up()
    return tracker


class Tracker:
    """Tracker of vot-toolkit's Python protocol (0.8 and later), in trackers.ini `command = pysot.vot:Tracker`.

    The arguments are the lines arg_snapshot, arg_config, arg_device, arg_opts (KEY VALUE ..., quoted as for a shell),
    arg_multiobject and arg_masks (yes or no) of trackers.ini. With `multiobject`, regions come and go as lists. Answers
    are boxes, also of a tracker of masks: the protocol of vot-toolkit 0.8 and 0.9 fails on polygons, and on masks to
    start on. With `masks`, the toolkit passes the boxes around them (convert = rectangle), by their corner pixels.
    """

    def __init__(
        self,
        snapshot: str,
        config: str = "",
        device: str = "auto",
        opts: str = "",
        multiobject: str = "no",
        masks: str = "no",
    ):
        """Load the tracker. Raises RuntimeError with the reason: the toolkit waits in vain after other errors."""
        self.multiobject = _explained(partial(_read_switch, "arg_multiobject", multiobject))
        self._from_masks = _explained(partial(_read_switch, "arg_masks", masks))
        load = partial(load_video_tracker, snapshot, config or None, device, "box", shlex.split(opts))
        self._tracker = _explained(load)

    def init(self, frame: Any, new: Any, properties: Mapping[str, Any]) -> Any:
        """Start a video on the file of its first frame with regions of the toolkit; return their boxes."""
        return _explained(partial(self._answer, self._tracker.start, frame, new))

    def update(self, frame: Any, new: Any, properties: Mapping[str, Any]) -> Any:
        """Return the boxes on the next frame; targets on the regions `new` start on it."""
        return _explained(partial(self._answer, self._tracker.track, frame, new))

    def _answer(self, step: Callable[[PathLike, list[Region]], list[Found]], frame: Any, new: Any) -> Any:
        path = frame if isinstance(frame, str) else frame["color"]
        states = new if isinstance(new, list) else [new]
        regions = [_decoded(region) for region, _ in states]
        found = step(path, list(map(_around_corner_pixels, regions)) if self._from_masks else regions)
        answers = [(_box(target.region), {"confidence": target.confidence}) for target in found]
        return answers if self.multiobject else answers[0]


def _explained(call: Callable[[], Any]) -> Any:
    """Return what a call returns. An error becomes a RuntimeError: vot-toolkit reports few kinds of errors."""
    try:
        return call()
    except RuntimeError:
        raise
    except Exception as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _read_switch(name: str, text: str) -> bool:
    return lookup({"yes": True, "no": False}, text, key=name)


def _around_corner_pixels(region: Region) -> Region:
    """Return the box xywh whose corner pixels are those of a polygon; other regions as they are."""
    if isinstance(region, Mask) or len(region) == 4:
        return region
    x, y = region[0::2], region[1::2]
    return np.array([x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1])


def _decoded(value: Any) -> Region:
    """Return a region of the Python protocol: a mask of the frame, a box or the corners of a polygon."""
    if isinstance(value, np.ndarray):
        return Mask(0, 0, value.astype(bool)).tight()
    return _as_written(np.asarray(value, np.float64).ravel())


def _box(region: Region) -> tuple[float, ...]:
    """Return the upright box of a region, of which only the ones to start on are no boxes."""
    return tuple(map(float, region if isinstance(region, np.ndarray) and len(region) == 4 else start_box(region)))


def _as_written(numbers: np.ndarray) -> np.ndarray:
    """Return the numbers of a file of ground truth, given what the toolkit has stored of them, in float32."""
    return np.array([float(str(number)) for number in numbers.astype(np.float32)])


def serve(tracker: VideoTracker) -> None:
    """Answer a TraX client over standard input and output until it says goodbye. Needs the package vot-trax.

    Raises RuntimeError if the connection breaks, and as `VideoTracker`; the client is told the reason.
    """
    from trax import TraxException, TraxStatus
    from trax.image import Image
    from trax.region import Region as TraxRegion
    from trax.server import Server

    forms = [TraxRegion.RECTANGLE, TraxRegion.POLYGON, TraxRegion.MASK]
    try:
        server = Server(forms, [Image.PATH], tracker_name="pysot", multiobject=True)
    except TraxException as error:
        raise RuntimeError(
            f"no TraX client answers ({error}); vot-toolkit starts this program, see tools/vot_workspace.py"
        ) from error
    try:
        while (request := server.wait()).type != TraxStatus.QUIT:
            regions = [_of_trax(region) for region, _ in request.objects or ()]
            step = tracker.start if request.type == TraxStatus.INITIALIZE else tracker.track
            found = step(request.image["color"].path(), regions)
            server.status([(_to_trax(target.region), {"confidence": target.confidence}) for target in found])
    except TraxException as error:
        raise RuntimeError(f"the TraX client has gone: {error}") from error
    except Exception as error:
        server.quit(f"{type(error).__name__}: {error}")
        raise


def _of_trax(region: Any) -> Region:
    """Return a region of TraX."""
    if region.type == "mask":
        (x, y), has_pixels = region.offset(), min(region.size()) > 0
        return Mask(x, y, region.array().astype(bool) if has_pixels else np.zeros((0, 0), bool)).tight()
    return _as_written(np.array(region.bounds() if region.type == "rectangle" else list(region), np.float64).ravel())


def _to_trax(region: Region) -> Any:
    """Return a region for TraX."""
    from trax.region import Mask as TraxMask
    from trax.region import Polygon, Rectangle

    if isinstance(region, Mask):
        return TraxMask.create(np.ascontiguousarray(region.pixels, np.uint8), region.x, region.y)
    if len(region) == 4:
        return Rectangle.create(*map(float, region))
    return Polygon.create([(float(x), float(y)) for x, y in region.reshape(-1, 2)])
