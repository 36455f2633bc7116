"""Agreement of two results: first difference, overlap, losses, and what is compared after restarts."""

import numpy as np
import pytest
from toolkit_data import box_sequence, make_sequence, moving_polygons, save_baseline, trajectory

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.evaluation.agreement import Agreement, compare_results, compare_runs, region_distance
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.report.agreement_text import agreement_text
from pysot.toolkit.results.files import save_ope, save_vot
from pysot.toolkit.results.paths import vot_file
from pysot.toolkit.results.trajectory import Trajectory

SEQUENCE = box_sequence(30)


def vot_set(*names) -> Dataset:
    return Dataset("SET", [box_sequence(30, name=name) for name in names], ("all",), VotSettings(2, 9, 5))


def moved(run: Trajectory, frame: int, by) -> Trajectory:
    """Return a run whose region on a frame, from 0, is moved."""
    regions = run.regions.copy()
    regions[frame, :4] += by
    return Trajectory(run.codes, regions)


def test_equal_runs():
    run = trajectory(30, lost=[10])
    assert compare_runs(SEQUENCE, run, run, restarts=True) == Agreement("clip", 23, 1.0, losses=(1, 1))


@pytest.mark.parametrize("by", [(0.06, 0, 0, 0), (0, -0.06, 0, 0), (0, 0, 0.06, 0), (0, 0, 0, -0.06)])
def test_the_first_frame_that_differs(by):
    """Each of the four numbers counts; frames count from 1. Smaller differences are none."""
    run = trajectory(30)
    row = compare_runs(SEQUENCE, run, moved(moved(run, 7, by), 20, (5, 0, 0, 0)), restarts=True)
    assert row.first_difference == 8 and row.frames == 29 and row.end is None
    assert compare_runs(SEQUENCE, run, moved(run, 7, np.array(by) * 0.8), restarts=True).first_difference is None
    assert compare_runs(SEQUENCE, run, moved(run, 7, by), restarts=True, tolerance=0.07).first_difference is None


def test_the_overlap_is_that_of_both_runs():
    """Not that with the ground truth: half of the frames overlap by half."""
    run = trajectory(21)
    other = run
    for frame in range(1, 11):
        other = moved(other, frame, (0, 0, -10, 0))  # 20 pixel columns become 10
    assert compare_runs(box_sequence(21), run, other, restarts=True).overlap == pytest.approx(0.75)


def test_regions_outside_of_the_frame_overlap_too():
    """Equal boxes overlap completely wherever they are; boxes without a pixel have no overlap."""
    for box in ((-60, -50, 20, 20), (190, 20, 30, 30), (400, 300, 20, 20)):
        run = Trajectory.from_frames([1] + [list(box)] * 4)
        assert compare_runs(box_sequence(5), run, run, restarts=True).overlap == 1.0
    far = Trajectory.from_frames([1] + [[-400, 300, 20, 20]] * 4)
    assert compare_runs(box_sequence(5), run, far, restarts=True).overlap == 0.0


def test_a_loss_of_one_run():
    """Its frames without a region are not compared, and none from its next start on."""
    row = compare_runs(SEQUENCE, trajectory(30), trajectory(30, lost=[10]), restarts=True)
    # frames 2 to 10 are compared; frame 11 is lost in one; frame 16 is its start
    assert row == Agreement("clip", 9, 1.0, first_difference=11, end=16, losses=(0, 1))
    swapped = compare_runs(SEQUENCE, trajectory(30, lost=[10]), trajectory(30), restarts=True)
    assert swapped == Agreement("clip", 9, 1.0, first_difference=11, end=16, losses=(1, 0))


def test_losses_at_different_frames():
    row = compare_runs(SEQUENCE, trajectory(30, lost=[10, 20]), trajectory(30, lost=[10, 22]), restarts=True)
    assert (row.frames, row.first_difference, row.end, row.losses) == (9 + 4, 21, 26, (2, 2))


def test_a_loss_near_the_end_leaves_nothing_out():
    row = compare_runs(SEQUENCE, trajectory(30), trajectory(30, lost=[27]), restarts=True)
    assert (row.frames, row.first_difference, row.end) == (26, 28, None)


def test_runs_without_restarts():
    """There are no losses; a start code and a region on the first frame are no difference, an absent target is one."""
    whole = Trajectory.from_frames([[20, 20, 19, 19]] * 10)
    coded = Trajectory.from_frames([1] + [[20, 20, 19, 19]] * 9)
    assert compare_runs(box_sequence(10), whole, coded, restarts=False) == Agreement("clip", 9, 1.0)
    absent = Trajectory.from_frames([1] + [[20, 20, 19, 19]] * 5 + [0] + [[20, 20, 19, 19]] * 3)
    row = compare_runs(box_sequence(10), coded, absent, restarts=False)
    assert row == Agreement("clip", 8, 1.0, first_difference=7)


def test_no_frame_with_both():
    lost = Trajectory.from_frames([1, 2, 0])
    row = compare_runs(box_sequence(3), lost, lost, restarts=True)
    assert row.frames == 0 and row.overlap != row.overlap and row.first_difference is None


def test_polygons_are_compared_as_regions():
    """Whichever corner is the first, and whichever way they go around; a box has the corners of its polygon."""
    polygon = np.array(moving_polygons(1)[0])
    corners = polygon.reshape(4, 2)
    others = [np.roll(order, shift, 0) for order in (corners, corners[::-1]) for shift in range(4)]
    table = np.stack([other.ravel() for other in others])
    assert region_distance(np.tile(polygon, (8, 1)), table).max() < 1e-5
    far = region_distance(np.tile(polygon, (8, 1)), table + [0, 0, 0, 0.5, 0, 0, 0, 0])
    np.testing.assert_allclose(far, 0.5, atol=1e-4)
    box = np.array([[10, 20, 30, 40, *[np.nan] * 4]])
    np.testing.assert_allclose(region_distance(box, np.array([[40, 60.25, 40, 20, 10, 20, 10, 60.25]])), 0.25)
    assert len(region_distance(box[:0], box[:0])) == 0


def test_results_of_polygons(tmp_path):
    truth = moving_polygons(12)
    data = Dataset("SET", [make_sequence(truth=truth)], ("all",), VotSettings(2, 9, 5))
    save_baseline(tmp_path / "a", "clip", Trajectory.from_frames([1, *truth[1:]]))
    rolled = [np.roll(region, 2) for region in truth]
    rolled[8] = rolled[8] + 1.0
    save_baseline(tmp_path / "b", "clip", Trajectory.from_frames([1, *rolled[1:]]))
    (row,) = compare_results(data, tmp_path / "a", tmp_path / "b", find_protocol(data))
    assert row.first_difference == 9 and row.frames == 11 and 0.97 < row.overlap < 1


def test_files_that_cannot_be_compared(tmp_path):
    """Each is a sentence on its sequence; the others are compared, also those in binary form or spelt differently."""
    data = vot_set("good-1", "gone", "short", "damaged", "binary", "mine")
    own, published = tmp_path / "own", tmp_path / "published"
    for sequence in data.sequences:
        save_baseline(own, sequence.name, trajectory(30))
        save_baseline(published, sequence.name, trajectory(30))
    (published / "baseline" / "good-1").rename(published / "baseline" / "good_1")
    vot_file(published, "gone").unlink()
    save_baseline(published, "short", trajectory(29))
    vot_file(published, "damaged").write_text("1\nx\n")
    save_vot(vot_file(published, "binary").with_suffix(".bin"), trajectory(30))
    vot_file(own, "mine").unlink()
    rows = {row.name: row for row in compare_results(data, own, published, find_protocol(data))}
    assert rows["good-1"] == Agreement("good-1", 29, 1.0, losses=(0, 0)) and rows["binary"].frames == 29
    assert rows["gone"].problem == f"no result {vot_file(published, 'gone')}"
    assert "short_001.txt has 29 frames, short has 30" in rows["short"].problem
    assert "damaged_001.txt line 2" in rows["damaged"].problem
    assert rows["mine"].problem == f"no result {vot_file(own, 'mine')}"


def test_one_pass_results(tmp_path):
    """A published box with NaN is none. The boxes count from the first frame on."""
    data = Dataset("SET", [box_sequence(10, name=name) for name in "ab"], (), None, "one pass")
    boxes = np.tile([20.0, 20, 19, 19], (10, 1))
    for folder in ("own", "published"):
        for name in "ab":
            save_ope(tmp_path / folder, name, boxes)
    lines = (tmp_path / "published" / "b.txt").read_text().splitlines()
    lines[4] = "nan,nan,nan,nan"
    (tmp_path / "published" / "b.txt").write_text("\n".join(lines))
    rows = compare_results(data, tmp_path / "own", tmp_path / "published", find_protocol(data))
    assert rows == [Agreement("a", 10, 1.0), Agreement("b", 9, 1.0, first_difference=5)]


def test_folders_and_sets_that_cannot_be_compared(tmp_path):
    data = vot_set("a")
    with pytest.raises(FileNotFoundError, match="no folder of published results .*gone; expected that of one tracker"):
        compare_results(data, tmp_path, tmp_path / "gone", find_protocol(data))
    starts = Dataset("SET", [box_sequence(8, anchors=((0, False),))], (), VotSettings(2, 9, 5), "multistart")
    with pytest.raises(ValueError, match=r"one run on each sequence.*SET \(multistart\) has others; leave out --check"):
        compare_results(starts, tmp_path, tmp_path, find_protocol(starts))


def test_the_text():
    rows = [
        Agreement("a", 20, 1.0, losses=(0, 0)),
        Agreement("b", 10, 0.7, first_difference=5, end=17, losses=(2, 1)),
        Agreement("c", problem="no result c.txt"),
    ]
    lines = agreement_text(rows, "mine", "theirs").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert "mine against theirs" in lines[0] and "0.05 pixels" in lines[0]
    assert cells == [
        ["Sequence", "Frames", "Compared Before", "First Difference", "Overlap", "Lost", "Published Lost"],
        ["a", "20", "-", "-", "1.0000", "0", "0"],
        ["b", "10", "17", "5", "0.7000", "2", "1"],
        ["all", "30", "-", "in 1 of 2", "0.9000", "2", "1"],
    ]
    assert lines[-2:] == [
        "  - Compared Before: the frame at which only one of both starts again",
        "  - c was not compared: no result c.txt",
    ]
    text = agreement_text(rows[2:], "mine", "theirs")
    assert "nothing was compared. Is it the folder of one tracker" in text and "|" not in text
    single = agreement_text([Agreement("a", 0)], "mine", "theirs").splitlines()
    assert single[4].replace(" ", "") == "|a|0|-|-|-|-|-|" and len(single) == 6
