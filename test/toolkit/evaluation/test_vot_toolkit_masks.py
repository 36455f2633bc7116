"""Results with masks, as text and as binary files, against vot-toolkit itself where it is installed."""

from functools import partial

import numpy as np
import pytest
from toolkit_data import ask_vot_toolkit, make_sequence, needs_vot_toolkit

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.experiments.scoring import evaluate_tracker
from pysot.toolkit.protocols.multistart import load_starts
from pysot.toolkit.results.files import TRACKED, Trajectory, load_run, save_vot
from pysot.toolkit.results.paths import anchor_file, vot_file
from pysot.utils.masks import Mask, parse_mask, region_lines

pytestmark = needs_vot_toolkit
FORMS = [".txt", ".bin"]
SIZE, SETTINGS = (150, 120), VotSettings(low=20, high=60, peak=20)
EMPTY = Mask(40, 50, np.zeros((3, 4), bool))
# Thin masks: one column, one row, one pixel; each in the smallest window and in a larger one.
THIN = [
    Mask(30, 40, np.pad(np.ones(shape, bool), padding))
    for shape in ((5, 1), (1, 5), (1, 1))
    for padding in (0, 2, ((0, 3), (0, 2)))
]


def blob(rng, centre, size):
    """Return a mask of random pixels around a point, with holes."""
    w, h = np.maximum(2, np.rint(size)).astype(int).tolist()
    x, y = np.rint(np.asarray(centre) - [w / 2, h / 2]).astype(int).tolist()
    return Mask(x, y, rng.random((h, w)) < 0.8)


def plain(run):
    """Return the entries of a run as `plain` of ask_vot_toolkit.py, masks in their smallest window."""
    entries = []
    for index, (code, region) in enumerate(zip(run.codes.tolist(), run.regions, strict=True)):
        if index in run.masks:
            entries.append(run.masks[index].tight().text())
        else:
            entries.append(region[np.isfinite(region)].tolist() if code == TRACKED else code)
    return entries


def tight(entries):
    return [parse_mask(entry).tight().text() if isinstance(entry, str) else entry for entry in entries]


def assert_same(entries, expected):
    for entry, other in zip(entries, expected, strict=True):
        assert entry == (pytest.approx(other, abs=1e-6) if isinstance(other, list) else other)


@pytest.mark.parametrize("form", FORMS)
def test_vot_toolkit_reads_what_is_written(tmp_path, form):
    """A run of more than 65535 pixels, masks that leave the frame, thin and empty ones, boxes, polygons and codes."""
    rng = np.random.default_rng(0)
    frames = [1, np.array([1.5, 2.25, 30, 41.125]), np.arange(8) + 0.5, 0, Mask(-50, -60, np.ones((400, 300), bool))]
    frames += [EMPTY, *THIN, *(blob(rng, rng.uniform(-10, 160, 2), rng.uniform(1, 60, 2)) for _ in range(30))]
    path = save_vot(tmp_path / f"a_00000000{form}", Trajectory.from_frames(frames))
    read = ask_vot_toolkit(tmp_path, "files", written={}, read=[str(path)])[str(path)]
    masks = [frame.tight().text() if isinstance(frame, Mask) else None for frame in frames]
    for entries in (plain(load_run(path, len(frames))), tight(read)):
        assert [entry if isinstance(entry, str) else None for entry in entries] == masks
    assert_same(plain(load_run(path, len(frames))), tight(read))


@pytest.mark.parametrize("form", FORMS)
def test_what_vot_toolkit_writes_is_read_as_it_reads_it(tmp_path, form):
    rng = np.random.default_rng(1)
    masks = [EMPTY, *THIN, *(blob(rng, rng.uniform(-10, 160, 2), rng.uniform(1, 60, 2)) for _ in range(30))]
    masks.append(Mask(-7, 3, np.pad(np.ones((300, 400), bool), 5)))
    entries = [1, [1.5, 2.25, 30.0, 41.125], [value + 0.5 for value in range(8)], *(mask.text() for mask in masks)]
    path = str(tmp_path / f"a_00000000{form}")
    read = ask_vot_toolkit(tmp_path, "files", written={path: entries}, read=[path])[path]
    assert_same(plain(load_run(path, len(entries))), tight(read))


def mask_set(seed):
    """Yield sequences whose ground truth has masks, thin and empty ones, boxes and absent targets."""
    rng = np.random.default_rng(seed)
    for number in range(4):
        frames = int(rng.integers(60, 110))
        centres = rng.uniform(20, 90, 2) + np.cumsum(rng.normal(0, 1.5, (frames, 2)), axis=0)
        truth = [blob(rng, centre, rng.uniform(10, 40, 2)) for centre in centres]
        for frame in rng.choice(range(1, frames - 1), 24, replace=False).tolist():
            if frame != frames // 2:
                x, y = np.rint(centres[frame]).astype(int).tolist()
                truth[frame] = [0, EMPTY, Mask(x, y, THIN[frame % 9].pixels), [x, y, 20, 15.5]][frame % 4]
        yield f"s{number}", truth, centres


def text_of(entry):
    return entry.text() if isinstance(entry, Mask) else ",".join(map(str, np.atleast_1d(entry)))


def load_set(folder, seed):
    """Write ground truth files, and return the data set that is read from them, and the files."""
    sequences, files = [], []
    for name, truth, _ in mask_set(seed):
        lines = [
            entry.text() if isinstance(entry, Mask) else ",".join(map(str, np.atleast_1d(entry))) for entry in truth
        ]
        files.append(folder / f"{name}.txt")
        files[-1].write_text("\n".join(lines) + "\n")
        regions, masks = region_lines(files[-1])
        anchors = ((0, False), (len(truth) // 2, False), (len(truth) - 1, True))
        more = {"truth": regions, "width": SIZE[0], "height": SIZE[1], "anchors": anchors, "masks": masks}
        sequences.append(make_sequence(name, **more))
    return Dataset("VOT2020", sequences, (), SETTINGS, "multistart"), files


def tracked(rng, truth, centres):
    """Return the entries of a result: masks near the target, far away for a while, boxes, no region, empty masks."""
    frames = [blob(rng, centre + rng.normal(0, 4, 2), rng.uniform(10, 40, 2)) for centre in centres]
    away = int(rng.integers(10, len(frames) - 12))
    for frame in range(1, len(frames)):
        x, y = np.rint(centres[frame]).astype(int).tolist()
        choice = rng.integers(0, 12)
        if away <= frame < away + rng.integers(5, 14):
            frames[frame] = blob(rng, (140, 115), (30, 20))
        elif choice < 2 or not isinstance(truth[frame], Mask) or not truth[frame].pixels.any():
            others = [0, EMPTY, np.zeros(4), np.array([x - 8.0, y - 7, 16, 13]), Mask(x, y, THIN[frame % 9].pixels)]
            frames[frame] = others[rng.integers(0, 5)]
    return [1, *frames[1:]]


def part(content, frame, backwards):
    return content[frame::-1] if backwards else content[frame:]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_scores_of_masks(tmp_path, form, seed):
    """Of many starts and of one run from the first frame, with every kind of region against every other."""
    dataset, truth_files = load_set(tmp_path, seed)
    rng, starts, runs = np.random.default_rng(seed + 10), [], []
    for number, (name, truth, centres) in enumerate(mask_set(seed)):
        sequence, folder = dataset.sequences[number], tmp_path / "m"
        lines = truth_files[number].read_text().splitlines(keepends=True)
        for frame, backwards in sequence.anchors:
            of_run = partial(part, frame=frame, backwards=backwards)
            path = anchor_file(folder, name, frame).with_suffix(form)
            save_vot(path, Trajectory.from_frames(tracked(rng, of_run(truth), of_run(centres))))
            truth_path = tmp_path / f"{name}_{frame}.txt"
            truth_path.write_text("".join(of_run(lines)))
            case = {"size": SIZE, "truth": str(truth_path), "result": str(path)}
            starts.append({**case, "number": number, "frames": len(truth)})
        path = vot_file(folder, name, experiment="unsupervised").with_suffix(form)
        save_vot(path, Trajectory.from_frames(tracked(rng, truth, centres)))
        runs.append({"size": SIZE, "truth": str(truth_files[number]), "result": str(path)})
    expected = ask_vot_toolkit(tmp_path, "multistart", cases=starts, low=20, high=60)
    loaded = [run for sequence in dataset.sequences for run in load_starts(dataset, sequence, tmp_path / "m", [])]
    for run, overlaps in zip(loaded, expected.pop("overlaps"), strict=True):
        np.testing.assert_allclose(run.overlap, overlaps, atol=1e-9)
    assert evaluate_tracker(dataset, tmp_path / "m").numbers == pytest.approx(expected, abs=1e-6)
    expected = ask_vot_toolkit(tmp_path, "unsupervised", cases=runs, burn_in=1)
    assert evaluate_tracker(dataset, tmp_path / "m", "unsupervised").numbers == pytest.approx(expected, abs=1e-6)
