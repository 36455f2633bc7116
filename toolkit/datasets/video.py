"""Videos with the attributes and methods of the original's `Video`.

A trajectory is a list with one list of numbers per frame: 4 or 8 of a region, or one code, `[1]` start, `[2]` lost,
`[0]` no region.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from pysot.toolkit.results.files import load_baseline, load_ope, load_run
from pysot.toolkit.results.paths import find_ope_runs, vot_file, vot_files
from pysot.toolkit.results.trajectory import TRACKED, Trajectory
from pysot.utils.image import read_image

Regions = list[list[float]]
_COLOURS = ((0, 0, 255), (255, 128, 0), (0, 200, 255), (255, 0, 255), (255, 255, 0), (160, 80, 160))  # BGR


class Video:
    """One annotated sequence, tracked in one pass.

    `gt_traj` are its regions, `img_names` the paths of its frames, `pred_trajs` {tracker: trajectory} what
    `load_tracker` has read, `attr` its attributes. `imgs` are the frames, BGR, or None if they are read when needed.
    Videos of LaSOT have `absent`, which is 1 where the target is present, as in the original.
    """

    absent: np.ndarray

    def __init__(
        self,
        name: str,
        root: str,
        video_dir: str,
        init_rect: Sequence[float],
        img_names: Sequence[str],
        gt_rect: Sequence[Sequence[float]],
        attr: Sequence[str] | None,
        load_img: bool = False,
    ) -> None:
        self.name, self.video_dir, self.init_rect, self.attr = name, video_dir, init_rect, attr
        self.gt_traj = [list(region) for region in gt_rect]
        self.img_names = [os.path.join(os.path.abspath(root), image) for image in img_names]
        self.pred_trajs: dict[str, list] = {}
        self.imgs: list[np.ndarray] | None = None
        self.size: tuple[int, int] | None = None
        if load_img:
            self.load_img()

    @property
    def width(self) -> int:
        """Width of the frames in pixels; without a size in the data set, the first frame is opened."""
        return self._known_size()[0]

    @width.setter
    def width(self, pixels: int) -> None:
        self.size = pixels, self.size[1] if self.size else 0

    @property
    def height(self) -> int:
        """Height of the frames in pixels."""
        return self._known_size()[1]

    @height.setter
    def height(self, pixels: int) -> None:
        self.size = self.size[0] if self.size else 0, pixels

    def _known_size(self) -> tuple[int, int]:
        if self.size is None or 0 in self.size:
            height, width = self[0][0].shape[:2]
            self.size = width, height
        return self.size

    def load_tracker(
        self, path: str, tracker_names: Sequence[str] | str | None = None, store: bool = True
    ) -> list | tuple | None:
        """Read the results of trackers from `path`/<tracker>, by default of all folders in it.

        They are stored in `pred_trajs`; without `store`, those of the first tracker are returned. Raises ValueError or
        OSError that names the file.
        """
        if isinstance(tracker_names, str):
            tracker_names = [tracker_names]
        for name in tracker_names or sorted(entry.name for entry in os.scandir(path) if entry.is_dir()):
            loaded = self._load(Path(path, name))
            if not store:
                return loaded
            self._store(name, loaded)
        self.tracker_names = list(self.pred_trajs)
        return None

    def _load(self, tracker_dir: Path) -> list | tuple:
        return load_ope(find_ope_runs(tracker_dir, self.name)[0], len(self)).tolist()

    def _store(self, tracker: str, loaded: list | tuple) -> None:
        self.pred_trajs[tracker] = list(loaded)

    def load_img(self) -> None:
        """Read all frames into `imgs`."""
        if self.imgs is None:
            self.imgs = [read_image(path) for path in self.img_names]

    def free_img(self) -> None:
        """Forget the frames."""
        self.imgs = None

    def __len__(self) -> int:
        return len(self.img_names)

    def __getitem__(self, idx: int) -> tuple[np.ndarray, list[float]]:
        image = read_image(self.img_names[idx]) if self.imgs is None else self.imgs[idx]
        return image, self.gt_traj[idx]

    def __iter__(self) -> Iterator[tuple[np.ndarray, list[float]]]:
        return (self[index] for index in range(len(self)))

    def draw_box(
        self,
        roi: Sequence[float],
        img: np.ndarray,
        linewidth: int,
        color: Sequence[int],
        name: str | None = None,
    ) -> np.ndarray:
        """Draw a region, 4 or 8 numbers, and a name on `img`, and return it; nothing for a code or NaN."""
        numbers = np.asarray(roi, np.float64)
        if numbers.size not in (4, 8) or np.isnan(numbers).any():
            return img
        x, y, w, h = numbers[:4]
        corners = numbers if numbers.size == 8 else np.array([x, y, x + w, y, x + w, y + h, x, y + h])
        points = corners.astype(np.int32).reshape(-1, 1, 2)
        colour = tuple(map(int, color))
        cv2.polylines(img, [points], True, colour, linewidth)
        if name:
            left, top = map(int, points[0, 0])
            cv2.putText(img, name, (left, top - 5), cv2.FONT_HERSHEY_COMPLEX_SMALL, 1, colour, 1)
        return img

    def show(
        self, pred_trajs: Mapping[str, list] | None = None, linewidth: int = 2, show_name: bool = False
    ) -> list[np.ndarray]:
        """Show the frames in a window with the ground truth, green, and trajectories, by default `pred_trajs`.

        Returns the drawn frames. Needs an OpenCV with windows (opencv-python).
        """
        shown = []
        trajectories = pred_trajs or self.pred_trajs
        cv2.namedWindow(self.name, cv2.WINDOW_NORMAL)
        for index, (frame, region) in enumerate(self):
            image = self.draw_box(region, frame.copy(), linewidth, (0, 255, 0), "gt" if show_name else None)
            for place, (name, regions) in enumerate(trajectories.items()):
                run = regions[0] if isinstance(regions[0][0], list) else regions  # the first repetition
                colour = _COLOURS[place % len(_COLOURS)]
                image = self.draw_box(run[index], image, linewidth, colour, name if show_name else None)
            cv2.imshow(self.name, image)
            cv2.waitKey(40)
            shown.append(image)
        return shown


class VOTVideo(Video):
    """Video of a supervised set. `pred_trajs` has a list of repetitions per tracker; `tags` are 0 or 1 by frame."""

    def __init__(
        self,
        name: str,
        root: str,
        video_dir: str,
        init_rect: Sequence[float],
        img_names: Sequence[str],
        gt_rect: Sequence[Sequence[float]],
        camera_motion: Sequence[int],
        illum_change: Sequence[int],
        motion_change: Sequence[int],
        size_change: Sequence[int],
        occlusion: Sequence[int],
        load_img: bool = False,
    ) -> None:
        super().__init__(name, root, video_dir, init_rect, img_names, gt_rect, None, load_img)
        annotated = {
            "camera_motion": camera_motion,
            "illum_change": illum_change,
            "motion_change": motion_change,
            "size_change": size_change,
            "occlusion": occlusion,
        }
        self.tags = {"all": [1] * len(gt_rect), **{tag: list(values) for tag, values in annotated.items()}}
        # pysot-compat: one number per annotated tag, 1 where no frame has it; see pysot.toolkit.evaluation.eao.
        # test: original/test_original_scripts.py::TestVideos::test_tags
        self.tags["empty"] = [int(not any(values)) for values in self.tags.values() if len(values)]
        self.tag_names = list(self.tags)

    def select_tag(self, tag: str, start: int = 0, end: int = 0) -> list[int]:
        """Return the values of a tag on frames start..end - 1, of `empty` all."""
        return self.tags[tag] if tag == "empty" else self.tags[tag][start:end]

    def _load(self, tracker_dir: Path) -> list[Regions]:
        return [_as_lists(load_baseline(path, len(self))) for path in vot_files(tracker_dir, self.name)]


class VOTLTVideo(Video):
    """Video of a long-term set, `[0]` where the target is absent. `confidence` is {tracker: one number per frame}."""

    def __init__(
        self,
        name: str,
        root: str,
        video_dir: str,
        init_rect: Sequence[float],
        img_names: Sequence[str],
        gt_rect: Sequence[Sequence[float]],
        load_img: bool = False,
    ) -> None:
        super().__init__(name, root, video_dir, init_rect, img_names, gt_rect, None, load_img)
        self.gt_traj = [[0] if np.isnan(region[0]) else region for region in self.gt_traj]
        self.confidence: dict[str, list[float]] = {}

    def load_tracker(
        self, path: str, tracker_names: Sequence[str] | str | None = None, store: bool = True
    ) -> list | tuple | None:
        """Read results as `Video.load_tracker` does, and return regions and confidences of the last tracker."""
        loaded = super().load_tracker(path, tracker_names, store)
        if not store:
            return loaded
        name = [tracker_names] if isinstance(tracker_names, str) else tracker_names or self.tracker_names
        return self.pred_trajs[name[-1]], self.confidence[name[-1]]

    def _load(self, tracker_dir: Path) -> tuple[Regions, list[float]]:
        path = vot_file(tracker_dir, self.name, experiment="longterm")
        run = load_run(path, len(self))
        if run.confidence is None:
            raise FileNotFoundError(f"no {path.with_suffix('')}_confidence.value: a long-term result needs confidences")
        return _as_lists(run), [float("nan"), *run.confidence[1:].tolist()]

    def _store(self, tracker: str, loaded: list | tuple) -> None:
        self.pred_trajs[tracker], self.confidence[tracker] = loaded


def _as_lists(run: Trajectory) -> Regions:
    return [
        region[~np.isnan(region)].tolist() if code == TRACKED else [float(code)]
        for code, region in zip(run.codes, run.regions, strict=True)
    ]
