"""Readers of results and data sets on arbitrary bytes.

They return the written values or raise an error that names the file, and they read back what was written.
"""

import json
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toolkit_data import save_baseline

from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.region.raster import region_table
from pysot.toolkit.results.files import (
    LOST,
    START,
    ResultError,
    Trajectory,
    load_baseline,
    load_ope,
    load_run,
    save_ope,
    save_vot,
)
from pysot.utils.masks import Mask
from pysot.utils.numbers import number_lines

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=100)
settings.load_profile("repeatable")

words = st.one_of(
    st.sampled_from(
        [
            "0",
            "1",
            "2",
            "1,2,3,4",
            "1,2,3,4,5,6,7,8",
            "1;2\t3 4",
            "1,2,-3,4",
            "1,2,3",
            "nan",
            "inf,1,1,1",
            "1e999",
            "1_0",
            "٣",
            "-0",
            ",",
            "",
            " ",
            "\ufeff",
            "\x00",
            "x",
        ]
    ),
    st.text(max_size=6),
)
line_ends = st.sampled_from(["\n", "\n", "\r\n", "\r", "\x0b", "\x1c", "\u2028"])
lines = st.lists(st.tuples(words, line_ends), max_size=7).map(lambda parts: "".join(map("".join, parts)).encode())
supervised_lines = lines.map(lambda rest: b"1\n" + rest)
files = st.one_of(st.binary(max_size=40), lines, supervised_lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


@pytest.mark.parametrize("load", [load_baseline, load_ope, load_run, number_lines])
@settings(max_examples=250)
@given(data=files)
@example(b"1\n" + b"9" * 5000 + b",1,1,1\n")
@example(b"\xff\xfe1\n")
def test_a_damaged_file_is_an_error_that_names_it(folder, load, data):
    path = folder / "damaged_001.txt"
    path.write_bytes(data)
    try:
        loaded = load(path)
    except ValueError as error:
        assert str(path) in str(error) and (load is number_lines or isinstance(error, ResultError))
        return
    if load in (load_baseline, load_run):
        assert np.isfinite(loaded.regions[:, :4]).all(axis=1).sum() == (loaded.codes == 3).sum()
    elif load is load_ope:
        assert loaded.shape[1] == 4 and np.isfinite(loaded).all() and (loaded[:, 2:] >= 0).all()
    else:
        assert all(numbers.ndim == 1 and len(numbers) for numbers in loaded)


@settings(max_examples=250)
@given(
    data=st.one_of(
        st.binary(max_size=60),
        st.tuples(st.integers(1, 4), st.binary(max_size=60)).map(lambda part: struct.pack("<hI", 1, part[0]) + part[1]),
    )
)
@example(struct.pack("<hIBhhHHHH", 1, 1, 3, 0, 0, 65535, 65535, 1, 9))
@example(struct.pack("<hI", 1, 2**32 - 1))
def test_a_damaged_binary_file_is_an_error_that_names_it(folder, data):
    path = folder / "damaged_001.bin"
    path.write_bytes(data)
    try:
        loaded = load_run(path)
    except ResultError as error:
        assert str(path) in str(error)
    else:
        assert np.isfinite(loaded.regions[:, :4]).all(axis=1).sum() == (loaded.codes == 3).sum()


@pytest.mark.parametrize("load", [load_baseline, load_ope, load_run, number_lines])
def test_a_missing_file_is_an_error_that_names_it(folder, load):
    with pytest.raises((ResultError, FileNotFoundError), match="missing_001.txt"):
        load(folder / "missing_001.txt")


numbers = st.floats(-1e5, 1e5)
sizes = st.floats(0, 1e5)
any_region = st.one_of(st.tuples(numbers, numbers, sizes, sizes), st.lists(numbers, min_size=8, max_size=8)).map(
    np.array
)


@st.composite
def trajectories(draw):
    """Draw a supervised run: tracked segments, each but the last followed by a loss and by skipped frames."""
    entries = [0] * draw(st.integers(0, 2))
    segments = draw(st.lists(st.lists(any_region, max_size=4), min_size=1, max_size=4))
    for index, segment in enumerate(segments):
        entries += [START, *segment]
        if index < len(segments) - 1:
            entries += [LOST] + [0] * draw(st.integers(0, 4))
    return Trajectory.from_frames(entries, draw(st.none() | st.just(np.ones(len(entries)))))


@given(trajectory=trajectories())
def test_a_supervised_result_is_read_as_it_was_written(folder, trajectory):
    """Numbers are written as float32 with four digits, as in the original."""
    read = load_baseline(save_baseline(folder / "model", "v", trajectory), len(trajectory))
    np.testing.assert_array_equal(read.codes, trajectory.codes)
    np.testing.assert_allclose(read.regions, trajectory.regions, atol=5.1e-5, rtol=1e-7)


masks = st.builds(
    lambda x, y, rows: Mask(x, y, np.array(rows, bool)),
    st.integers(-99, 99),
    st.integers(-99, 99),
    st.integers(1, 5).flatmap(
        lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1)
    ),
)


@pytest.mark.parametrize("suffix", [".txt", ".bin"])
@given(frames=st.lists(st.one_of(st.just(0), any_region, masks), max_size=6))
def test_a_run_with_masks_is_read_as_it_was_written(folder, suffix, frames):
    """A binary file keeps float32; a mask is the same in its smallest window."""
    trajectory = Trajectory.from_frames([START, *frames])
    read = load_run(save_vot(folder / f"v_00000000{suffix}", trajectory), len(trajectory))
    np.testing.assert_array_equal(read.codes, trajectory.codes)
    exact = np.float32(trajectory.regions).astype(float)
    np.testing.assert_allclose(read.regions, exact, atol=5.1e-5 if suffix == ".txt" else 0, rtol=0)
    assert {frame: mask.text() for frame, mask in read.masks.items()} == {
        frame: mask.tight().text() for frame, mask in trajectory.masks.items()
    }


@given(
    boxes_xywh=st.lists(st.tuples(numbers, numbers, sizes, sizes), min_size=1, max_size=5).map(np.array),
    nested=st.booleans(),
)
def test_a_one_pass_result_is_read_as_it_was_written(folder, boxes_xywh, nested):
    np.testing.assert_allclose(
        load_ope(save_ope(folder / "ope", "v", boxes_xywh, nested=nested), len(boxes_xywh)), boxes_xywh, atol=5.1e-5
    )


@given(rows=st.lists(any_region, min_size=1, max_size=5), data=st.data())
def test_the_dialect_of_a_file_does_not_matter(folder, rows, data):
    """Separators, line ends, byte order mark, blanks and empty lines at the end mix freely.

    Only commas and other separators do not mix on one line.
    """
    kinds = st.sampled_from([[",", ", ", "\t,"], [";", "\t", " ", " ;\t", "  "]])
    ends, blanks = st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", " ", "\t"])
    lines = []
    for row in rows:
        separators = st.sampled_from(data.draw(kinds))
        lines.append(
            "".join(f"{data.draw(separators) if index else ''}{float(number)!r}" for index, number in enumerate(row))
        )
    body = "".join(data.draw(blanks) + line + data.draw(blanks) + data.draw(ends) for line in lines)
    mark = data.draw(st.sampled_from(["", "\ufeff"]))
    tail = data.draw(st.sampled_from(["", "\n", "\r\n\r\n", " \n\t\n"]))
    path = folder / "dialect.txt"
    path.write_bytes((mark + body + tail).encode())
    for read, row in zip(number_lines(path), rows, strict=True):
        np.testing.assert_array_equal(read, row)
    if all(len(row) == 4 for row in rows):
        np.testing.assert_array_equal(load_ope(path, len(rows)), rows)
    path.write_bytes((mark + "1" + data.draw(ends) + body + tail).encode())
    np.testing.assert_array_equal(load_baseline(path, len(rows) + 1).regions[1:], region_table(rows))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from([10**400, "1234", "..", "\x00", "a" * 5000]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=10,
)
GOOD = {
    "video_dir": "v",
    "img_names": ["v/1.jpg"],
    "gt_rect": [[1, 2, 3, 4]],
    "width": 9,
    "height": 9,
    "init_rect": [1, 2, 3, 4],
    "attr": ["Blur"],
    "absent": [1],
    "occlusion": [1],
}
rects = st.lists(st.lists(scalars, min_size=4, max_size=4), min_size=1, max_size=1)
videos = st.dictionaries(st.sampled_from(sorted(GOOD)), values | rects, max_size=2).map(lambda broken: GOOD | broken)
names = st.text(max_size=3)
sets = st.one_of(
    values, st.dictionaries(names, values | videos, min_size=1, max_size=2), st.dictionaries(names, videos, max_size=2)
)
texts = st.one_of(
    sets.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=20),
    st.integers(0, 200).map(lambda end: json.dumps({"v": GOOD}).encode()[:end]),
)


@pytest.mark.parametrize("name", ["VOT2018", "OTB100"])
@settings(max_examples=400)
@given(text=texts)
@example(json.dumps({"v": GOOD | {"gt_rect": ["1234"]}}).encode())
@example(json.dumps({"v": GOOD | {"gt_rect": [[[1], [2], [3], [4]]]}}).encode())
@example(json.dumps({"v": GOOD | {"gt_rect": [[1, 2, 3, 10**400]]}}).encode())
@example(b'{"v": ' + b"9" * 5000 + b"}")
@example(json.dumps({"v": GOOD | {"video_dir": "a" * 5000}}).encode())
@example(b"[" * 100_000)
def test_a_damaged_data_set_is_an_error_that_names_it(folder, name, text):
    path = folder / f"{name}.json"
    path.write_bytes(text)
    try:
        dataset = load_dataset(name, folder)
    except ValueError as error:
        assert str(path) in str(error)
        return
    for sequence in dataset.sequences:
        assert all(region.shape in ((4,), (8,)) for region in sequence.ground_truth) and len(
            sequence.ground_truth
        ) == len(sequence.frame_paths)
