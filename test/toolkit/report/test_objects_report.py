"""Report on masks of objects: tables, figures, and the pictures of the HTML page, whose pixels are checked."""

import base64
import json
import re

import cv2
import numpy as np
import pytest
from toolkit_data import objects_sequence, save_labels, two_squares

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocol import Timeline
from pysot.toolkit.report.figures import write_figures
from pysot.toolkit.report.html_report import write_report
from pysot.toolkit.report.mask_pictures import draw_masks
from pysot.toolkit.report.summary import full_text, rows_of

RED, GREEN = (0, 0, 171), (0, 171, 0)  # objects 1 and 2, BGR


def make_set(folder, names=("a", "b"), with_frames=True):
    sequences = []
    for name in names:
        save_labels(folder / name, two_squares())
        (folder / "frames" / name).mkdir(parents=True, exist_ok=True)
        frames = [str(folder / "frames" / name / f"{index:05d}.png") for index in range(12)]
        for path in frames if with_frames else ():
            cv2.imwrite(path, np.full((60, 90, 3), 60, np.uint8))
        sequences.append(objects_sequence(folder / name, frames=frames))
    return Dataset("DAVIS", sequences, (), None, "objects")


def scores_of(folder, dataset, **results):
    """Return the scores of trackers by name; a tracker's label images are the same on every sequence."""
    for tracker, images in results.items():
        for sequence in dataset.sequences:
            save_labels(folder / tracker / sequence.name, images)
    return score_trackers(dataset, [folder / name for name in results], with_timelines=True)


def lost_from(frame):
    return [np.zeros_like(image) if index >= frame else image for index, image in enumerate(two_squares())]


def test_tables(tmp_path):
    scores = scores_of(tmp_path, make_set(tmp_path), bad=lost_from(6), good=two_squares())
    tables = rows_of(scores, "both")
    assert tables[""][0] == [
        "Tracker Name",
        "J&F",
        *(f"{side} {name}" for side in "JF" for name in ("mean", "recall", "decay")),
    ]
    assert tables[""][1] == ["good", *["1.000"] * 3, "0.000", "1.000", "1.000", "0.000"]
    assert tables[""][2] == ["bad", "0.500", "0.500", "0.500", "1.000", "0.500", "0.500", "1.000"]
    assert tables["videos"][:2] == [
        ["Video", *(f"{tracker} {name}" for tracker in ("good", "bad") for name in tables[""][0][1:])],
        ["a", *tables[""][1][1:], *tables[""][2][1:]],
    ]
    assert [row[0] for row in tables["objects"]] == ["Object", "a_1", "a_2", "b_1", "b_2"]
    assert list(rows_of(scores, "pysot", details=False)) == [""]
    text = full_text(scores, "pysot", True)
    assert "Per object" in text and "Per video" in text and full_text(scores, "official", True) == text


def test_values_are_in_their_columns(tmp_path):
    scores = scores_of(tmp_path, make_set(tmp_path), low=two_squares(shift=2))
    tables, score = rows_of(scores, "pysot"), scores.trackers[0].to_json()
    rows = {"": (1, score), "videos": (1, score["videos"]["a"]), "objects": (2, score["objects"]["a_2"])}
    for name, (row, values) in rows.items():
        expected = [values["J&F"], *values["J"].values(), *values["F"].values()]
        assert tables[name][row][1:] == [f"{value:.3f}" for value in expected]
        assert len({*expected[:2], expected[4]}) == 3


def test_figures(tmp_path):
    pytest.importorskip("matplotlib")
    scores = scores_of(tmp_path, make_set(tmp_path), bad=lost_from(6), good=two_squares())
    written = write_figures(tmp_path / "figures", scores, "svg")
    assert [path.name for path in written] == ["DAVIS_scores.svg", "DAVIS_timelines"]
    text = written[0].read_text()
    for words in ("good [1.000]", "bad [0.500]", "threshold of J", "threshold of F"):
        assert words in text


def pictures(page):
    """Return (caption, image) of all pictures of a page."""
    found = re.findall(r'base64,([^"]+)"><figcaption>([^<]*)', page)
    return [
        (caption, cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR))
        for data, caption in found
    ]


def test_page(tmp_path):
    dataset = make_set(tmp_path)
    page = write_report(
        tmp_path / "out.html", scores_of(tmp_path, dataset, bad=lost_from(6), good=two_squares()), {}
    ).read_text()
    for words in (
        "Ranking",
        "frames above a threshold of J",
        "Objects",
        "a_2",
        "object 1",
        "bad loses all objects at frame 7",
        "J&amp;F",
    ):
        assert words in page
    # six frames through each sequence of each tracker, and four frames at the loss of one
    found = pictures(page)
    assert len(found) == 2 * (6 + 6 + 4) and page.count('height="160"') == len(found)
    captions = [caption for caption, _ in found]
    assert captions[:6] == [
        "frame 1",
        "frame 3, J 1.00",
        "frame 5, J 1.00",
        "frame 8, J 1.00",
        "frame 10, J 1.00",
        "frame 12",
    ]
    assert captions[12:16] == ["frame 1", "frame 3, J 1.00", "frame 7, J 0.00, lost", "frame 11, J 0.00"]
    assert found[0][1].shape == (160, 240, 3)
    assert page.count("Ground truth is tinted") == 2


def test_a_page_without_frames_and_with_masks_of_one_object(tmp_path):
    dataset = make_set(tmp_path, names=("a",), with_frames=False)
    one = Dataset("DAVIS", [objects_sequence(tmp_path / "a", {1: 0}, joined=True)], (), None, "objects")
    page = write_report(tmp_path / "out.html", scores_of(tmp_path, one, m=lost_from(3)), {}).read_text()
    assert len(pictures(page)) == 6 + 3 and "m loses it at frame 4" in page and "a_1" in page
    scores = scores_of(tmp_path, dataset, m=lost_from(3))
    for path in [*(tmp_path / "a").iterdir(), *(tmp_path / "m" / "a").iterdir()]:
        path.unlink()  # after they were scored
    assert pictures(write_report(tmp_path / "out.html", scores, {}).read_text()) == []


def test_masks_are_played_as_outlines(tmp_path):
    dataset = make_set(tmp_path, names=("a",))
    (tmp_path / "m" / "a").mkdir(parents=True)
    scores = scores_of(tmp_path, dataset, m=two_squares(shift=6))
    (tmp_path / "a" / "00003.png").write_bytes(b"damaged after it was scored")
    page = write_report(tmp_path / "out.html", scores, {}).read_text()
    values = json.loads(re.search(r'"application/json">({"numbers".*?)</script>', page)[1])
    assert values["size"] == [90, 60] and len(values["frames"]) == 12
    truth, results = (each["outlines"] for each in values["outlines"])
    assert [len(polygons) for polygons in truth] == [2, 2, 2, 0] + [2] * 8
    rows, columns = np.nonzero(two_squares(shift=6)[5] == 1)
    corners = {(x, y) for x in (columns.min(), columns.max()) for y in (rows.min(), rows.max())}
    assert {tuple(point) for point in np.reshape(results[5][0], (-1, 2)).tolist()} == corners


def timeline_of(folder, images) -> Timeline:
    save_labels(folder, images)
    return Timeline(np.ones(12), [], None, objects_sequence(folder).labels)


def is_near(pixel, colour) -> bool:
    """Return whether a pixel has a colour, mixed with some of the white edge around an outline."""
    return np.abs(pixel.astype(int) - colour).max() < 60


def test_outlines_lie_on_the_edges_of_the_masks(tmp_path):
    """The truth is tinted, the result, 6 pixels lower, is an outline, each in the colour of its object."""
    sequence = make_set(tmp_path).sequences[0]
    image = draw_masks(sequence, timeline_of(tmp_path / "m", two_squares(shift=6)).labels, 3)
    for number, colour in ((1, RED), (2, GREEN)):
        rows, columns = np.nonzero(two_squares(shift=6)[3] == number)
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        for row, column in ((top, left + 8), (bottom, left + 8), (top + 8, left), (top + 8, right)):
            assert is_near(image[row, column], colour), (number, row, column)
        tint = np.rint(0.55 * 60 + 0.45 * np.array(colour))
        for row in (top + 5, top - 4):  # of both masks, of the truth alone
            assert np.abs(image[row, left + 8] - tint).max() <= 1
        assert (image[bottom - 4, left + 8] == 60).all()  # of the result alone
    assert (image[2, 80] == 60).all()


@pytest.mark.parametrize("kind", ["missing", "other size", "damaged"])
def test_masks_are_on_grey_without_a_frame_of_their_size(tmp_path, kind):
    sequence = make_set(tmp_path).sequences[0]
    if kind == "missing":
        sequence.frame_paths[3] = str(tmp_path / "none.png")
    elif kind == "other size":
        cv2.imwrite(sequence.frame_paths[3], np.full((30, 45, 3), 60, np.uint8))
    else:
        open(sequence.frame_paths[3], "wb").close()
    image = draw_masks(sequence, timeline_of(tmp_path / "m", two_squares()).labels, 3)
    assert image.shape == (60, 90, 3) and (image[2, 80] == 128).all()


def test_missing_and_damaged_masks_are_left_out(tmp_path):
    sequence, timeline = make_set(tmp_path).sequences[0], timeline_of(tmp_path / "m", two_squares())
    (tmp_path / "m" / "00003.png").write_bytes(b"x")
    image = draw_masks(sequence, timeline.labels, 3)
    assert tuple(image[10, 12]) == (33, 33, 110)  # the truth, whose upper row has no outline
    sequence.labels.paths[3] = None
    assert draw_masks(sequence, timeline.labels, 3) is None and draw_masks(sequence, timeline.labels, 4) is not None
    sequence.labels.paths[4] = None
    assert is_near(draw_masks(sequence, timeline.labels, 4)[10, 13], RED)  # the result alone
