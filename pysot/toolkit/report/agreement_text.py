"""Text of the agreement of a tracker's results with published ones."""

from collections.abc import Sequence

import numpy as np

from pysot.toolkit.evaluation.agreement import TOLERANCE, Agreement
from pysot.toolkit.protocol import NAN
from pysot.toolkit.report.text_tables import number, table


def agreement_text(rows: Sequence[Agreement], tracker: str, published: str) -> str:
    """Return a table of the sequences that were compared, and sentences on the others."""
    compared = [row for row in rows if not row.problem]
    problems = [f"{row.name} was not compared: {row.problem}" for row in rows if row.problem]
    title = f"{tracker} against {published}; regions differ by more than {TOLERANCE:g} pixels"
    if not compared:
        return "\n  - ".join(
            [f"{title}: nothing was compared. Is it the folder of one tracker on this set?", *problems]
        )
    lines = [["Sequence", "Frames", "Compared Before", "First Difference", "Overlap", "Lost", "Published Lost"]]
    for row in compared:
        first, end = (str(frame or "-") for frame in (row.first_difference, row.end))
        lines.append([row.name, str(row.frames), end, first, *_values(row)])
    if len(compared) > 1:
        lines.append(_sum(compared))
    notes = (
        ["Compared Before: the frame at which only one of both starts again"] if any(r.end for r in compared) else []
    )
    return "\n  - ".join([f"{title}\n{table(lines)}", *notes, *problems])


def _values(row: Agreement) -> list[str]:
    losses = ("-", "-") if row.losses is None else map(str, row.losses)
    return [number(row.overlap, 4), *losses]


def _sum(rows: Sequence[Agreement]) -> list[str]:
    """Return the line of all sequences; the overlap is the mean over their frames."""
    frames = sum(row.frames for row in rows)
    overlap = float(np.nansum([row.overlap * row.frames for row in rows]) / frames) if frames else NAN
    losses = [row.losses for row in rows if row.losses]
    both = (sum(own for own, _ in losses), sum(other for _, other in losses)) if losses else None
    differing = f"in {sum(row.first_difference is not None for row in rows)} of {len(rows)}"
    return ["all", str(frames), "-", differing, *_values(Agreement("all", overlap=overlap, losses=both))]
