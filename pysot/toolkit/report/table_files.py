"""Write tables of scores to files for spreadsheets, papers and web pages."""

import csv
import os
import re
from pathlib import Path

from pysot.toolkit.report.text_tables import Rows
from pysot.utils.files import atomic_write

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_"},
}


def write_table(path: str | os.PathLike, rows: Rows) -> Path:
    """Write rows as .csv, .tex (a tabular without bold values) or .md, by the file's suffix. Returns the path.

    Raises ValueError for another suffix, OSError as `atomic_write`.
    """
    path = Path(path)
    check_suffix(path)
    with atomic_write(path) as stream:
        if path.suffix == ".csv":
            csv.writer(stream, lineterminator="\n").writerows([_as_text(cell) for cell in row] for row in rows)
        elif path.suffix == ".tex":
            lines = [" & ".join(map(_latex, row)) + r" \\" for row in rows]
            begin = rf"\begin{{tabular}}{{l{'r' * (len(rows[0]) - 1)}}}"
            stream.write(
                "\n".join([begin, r"\hline", lines[0], r"\hline", *lines[1:], r"\hline", r"\end{tabular}", ""])
            )
        else:
            header, *others = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
            stream.write("\n".join([header, "|---" + "|---:" * (len(rows[0]) - 1) + "|", *others, ""]))
    return path


def check_suffix(path: str | os.PathLike) -> None:
    """Raise ValueError for a file name without the suffix of a table format."""
    if Path(path).suffix not in (".csv", ".tex", ".md"):
        raise ValueError(f"a table is a .csv, .tex or .md file, got {Path(path).name}")


def _as_text(cell: str) -> str:
    """Return the cell, with a text mark before it if a spreadsheet would interpret it as a formula.

    Numbers and dashes stay as they are.
    """
    return f"'{cell}" if re.match(r"[=+@\t\r]|-(?![\d.]*$)", cell) else cell


def _latex(cell: str) -> str:
    return re.sub(r"[\\{}~^&%$#_]", lambda sign: _LATEX[sign[0]], cell)
