"""Images of a folder and the numbers in their names."""

from pathlib import Path

import pytest

from pysot.utils.names import images_for_lines, list_images, missing_images


def test_images_in_the_order_of_their_numbers(tmp_path):
    for name in ("10.jpg", "9.jpg", "2.png", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).write_text("")
    assert [path.name for path in list_images(tmp_path)] == ["2.png", "9.jpg", "10.jpg"]
    assert list_images(tmp_path / "missing") == []


def test_missing_images():
    assert missing_images(["a/0001.jpg", "a/0002.jpg", "a/0005.jpg", "a/0006.jpg"]) == ["0003.jpg", "0004.jpg"]
    assert missing_images(["1.jpg", "3.jpg", "5.jpg"]) == []  # every second one
    assert missing_images(["a.jpg", "b.jpg"]) == missing_images([]) == []


def test_part_of():
    images = [Path(f"v/{number:04d}.jpg") for number in (3, 4, 5, 7)]
    assert images_for_lines(images, 2) == images[:2] and images_for_lines(images, 2, first=4) == images[1:3]
    with pytest.raises(ValueError, match="there is no 0006.jpg in v"):
        images_for_lines(images, 3, first=4)
    with pytest.raises(ValueError, match="v has 2 images for 1 lines .* such as a.jpg and b.jpg"):
        images_for_lines([Path("v/a.jpg"), Path("v/b.jpg")], 1)
