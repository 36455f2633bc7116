"""Training and evaluation pair the images of a raw OTB video with ground truth in the same way."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pysot.datasets.raw.registry import RAW_SETS
from pysot.toolkit.datasets.folder_layout import read_folder_layout
from pysot.utils.otb import SPANS, drop_empty_files


def for_training(root: Path) -> list[tuple[str, float]] | None:
    """Return (image, x of its box) of the frames of the only video; None if it is left out."""
    try:
        (video,) = RAW_SETS["otb"].videos(root, "train", Counter())
    except ValueError:
        return None
    return [(frame.image.name, box[0]) for frame in video.frames for box in frame.boxes.values()]


def for_evaluation(root: Path) -> list[tuple[str, float]] | None:
    problems: list[str] = []
    sequences = read_folder_layout(sorted(root.iterdir()), problems)
    if problems:
        return None
    (video,) = sequences
    return [(Path(path).name, box[0]) for path, box in zip(video.frame_paths, video.ground_truth, strict=True)]


def make_video(folder: Path, images: list[int | str], lines: int, truth: str = "groundtruth_rect.txt") -> None:
    """Write empty images with these numbers or names, and ground truth; the x of a line is its index, from 0."""
    (folder / "img").mkdir(parents=True, exist_ok=True)
    for image in images:
        (folder / "img" / f"{image:0>4}.jpg").touch()
    (folder / truth).write_text("".join(f"{index},2,30,40\n" for index in range(lines)))


def numbered(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


@st.composite
def videos(draw):
    """Draw a name, images around the first or last one of the protocol, perhaps with a gap, and a number of lines."""
    name = draw(st.sampled_from([*SPANS, "David", "Tiger1", "BlurCar1", "Diving", "deer"]))
    edge = draw(st.sampled_from(SPANS.get(name.lower(), (1, 1))))
    first = max(0, edge - draw(st.integers(0, 6)))
    images = numbered(first, first + draw(st.integers(0, 12)))
    if len(images) > 1 and draw(st.booleans()):
        images.remove(draw(st.sampled_from(images)))
    return name, images, draw(st.integers(1, len(images) + 1))


@settings(derandomize=True, deadline=None, database=None, max_examples=400)
@given(video=videos())
@example(("Tiger1", numbered(1, 354), 354))
@example(("Tiger1", numbered(1, 354), 349))
@example(("David", numbered(1, 770), 471))
@example(("BlurCar1", numbered(1, 988), 742))
@example(("Diving", numbered(1, 231), 215))
@example(("Diving", numbered(1, 231), 231))
@example(("Deer", ["a", "b", "c"], 2))
@example(("Deer", numbered(1, 5), 3))
def test_both_sides_agree(video):
    name, images, lines = video
    with tempfile.TemporaryDirectory() as folder:
        make_video(Path(folder) / name, images, lines)
        pairs = for_evaluation(Path(folder))
        assert for_training(Path(folder)) == pairs, video
        if pairs is not None:
            indices = [x for _, x in pairs]
            assert indices == numbered(int(indices[0]), int(indices[-1])) and indices[-1] < lines


@pytest.mark.parametrize(
    "name, images, lines, expected",
    [
        ("David", (1, 770), 471, (300, 770)),
        ("David", (300, 770), 471, (300, 770)),
        ("tiger1", (1, 354), 354, (6, 354)),
        ("Tiger1", (1, 354), 349, (6, 354)),
        ("BlurCar1", (247, 988), 742, (247, 988)),
        ("Diving", (1, 231), 215, (1, 215)),
        ("Diving", (1, 231), 231, (1, 215)),
        ("Deer", (1, 5), 3, (1, 3)),
    ],
)
def test_images_of_the_protocol(tmp_path, name, images, lines, expected):
    make_video(tmp_path / name, numbered(*images), lines)
    assert [int(Path(image).stem) for image, _ in for_training(tmp_path)] == numbered(*expected)
    assert [int(Path(image).stem) for image, _ in for_evaluation(tmp_path)] == numbered(*expected)


def test_an_empty_file_is_no_target(tmp_path):
    """Human4 of OTB100 has an empty file for its first target."""
    make_video(tmp_path / "Human4", numbered(1, 3), 0, "groundtruth_rect.1.txt")
    make_video(tmp_path / "Human4", numbered(1, 3), 3, "groundtruth_rect.2.txt")
    assert for_training(tmp_path) == for_evaluation(tmp_path) == [("0001.jpg", 0), ("0002.jpg", 1), ("0003.jpg", 2)]
    files = sorted((tmp_path / "Human4").glob("*.txt"))
    assert (
        drop_empty_files(reversed(files)) == files[1:]
        and drop_empty_files(files[:1]) == files[:1]
        and drop_empty_files([]) == []
    )
