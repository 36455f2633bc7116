"""Reading lines of numbers."""

import numpy as np
import pytest

from pysot.utils.numbers import listed_names, number_lines, parse_lines, split_numbers


@pytest.mark.parametrize("line", ["1,5;2,5;3,5;4,5", "1,5 2,5", "1,5\t2,5", "1,2;3", "1 2,3"])
def test_a_comma_beside_other_separators_is_refused_with_file_and_line(tmp_path, line):
    """1,5;2,5 may be two numbers or four."""
    (tmp_path / "gt.txt").write_text(f"1,2,3,4\n{line}\n")
    with pytest.raises(ValueError, match=r"gt.txt line 2 needs decimal points and one kind of separator, got '1"):
        number_lines(tmp_path / "gt.txt")


@pytest.mark.parametrize(
    "line",
    [
        "1,2.5,nan",
        "1\t2.5\tNaN",
        "1 2.5  nan",
        " 1 , 2.5,\tnan ",
        "1;2.5;nan",
        "1; 2.5 nan",
        "1,2.5,nan,",
        "1;2.5;nan ;",
    ],
)
def test_separators(line):
    np.testing.assert_array_equal(split_numbers(line), [1, 2.5, np.nan])


@pytest.mark.parametrize("line", ["", ",", "1,,2", "1,2,,", ",1", "one", "1;;2"])
def test_what_is_no_line_of_numbers(line):
    with pytest.raises(ValueError, match="needs numbers"):
        split_numbers(line)


def test_byte_order_mark_line_ends_and_empty_lines_at_the_end(tmp_path):
    (tmp_path / "gt.txt").write_bytes("\ufeff1,2\r\n3\r\n\r\n \t\n".encode())
    assert [row.tolist() for row in number_lines(tmp_path / "gt.txt")] == [[1, 2], [3]]
    (tmp_path / "gt.txt").write_bytes(b"\n")
    assert number_lines(tmp_path / "gt.txt") == []


def test_empty_lines_between_others(tmp_path):
    (tmp_path / "gt.txt").write_text("1,2\n \n3\n\n")
    with pytest.raises(ValueError, match="gt.txt line 2 needs numbers, got ''"):
        number_lines(tmp_path / "gt.txt")
    assert [row.tolist() for row in number_lines(tmp_path / "gt.txt", allow_blank=True)] == [[1, 2], [], [3]]


def test_files_that_are_no_text_are_named(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe1\n")
    for read in (number_lines, listed_names, lambda path: parse_lines(path, str)):
        with pytest.raises(ValueError, match="list.txt is not UTF-8 text .* at byte 0"):
            read(tmp_path / "list.txt")
        with pytest.raises(FileNotFoundError, match="missing.txt"):
            read(tmp_path / "missing.txt")


def test_listed_names(tmp_path):
    (tmp_path / "list.txt").write_text("\ufeffb\r\n\n a \n", encoding="utf-8")
    assert listed_names(tmp_path / "list.txt") == ["b", "a"]
