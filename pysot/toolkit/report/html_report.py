"""One self-contained HTML page about trackers on a data set: ranking, curves, tracker against tracker, and a part per sequence with the overlap over time and
pictures around the losses.
"""

import itertools
import os
import platform
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.protocol import NAN, Scores, Timeline
from pysot.toolkit.report import html_parts as parts
from pysot.toolkit.report.canvas import colour_of
from pysot.toolkit.report.overviews import count_cell
from pysot.utils.files import atomic_write
from pysot.utils.image import read_image
from pysot.utils.visualize import TRUTH, draw_label, draw_region

AROUND = (-8, -4, 0, 4)  # frames of a strip, counted from the loss
STRIPS = (
    10  # at most, per sequence and tracker: VOT's sequences have fewer losses, long ones of one pass may have hundreds
)


def write_report(path: str | os.PathLike, scores: Scores, settings: dict[str, str], progress: Callable = iter) -> Path:
    """Write the page about scores with timelines. `settings` are told at its end; `progress` wraps the sequences. Raises OSError as `atomic_write`, ValueError if
    no tracker was scored, or without timelines.
    """
    dataset, names, numbers = (
        scores.dataset,
        [score.name for score in scores.scored],
        {score.name: score.by_video for score in scores.scored},
    )
    if not names:
        raise ValueError("nothing to report: no tracker could be scored")
    colours = {name: colour_of(place) for place, name in enumerate(names)}
    columns = next((tuple(video) for videos in numbers.values() for video in videos.values()), ())
    found, sequence_parts = {}, []
    for sequence in progress(dataset.sequences):
        if timelines := scores.timelines(sequence.name):
            values = {name: tuple(numbers[name][sequence.name].values()) for name in timelines}
            found[sequence.name] = {
                name: (_mean(timeline.overlap), values[name]) for name, timeline in timelines.items()
            }
            sequence_parts.append(_sequence_part(sequence, timelines, values, colours, columns))
    overview = scores.protocol.report.overview(scores, colours)
    body = [
        f"<h1>{parts.text(dataset.name)}: {len(names)} tracker{'s' * (len(names) > 1)}, {len(dataset)} sequences</h1>",
        f"<p class=faint>{sum(map(len, dataset.sequences))} frames. A click on a head sorts a table.</p>",
        overview,
        _remarks(scores),
        _against(found, names),
        _sequence_table(dataset, found, names, columns),
        *sequence_parts,
        _settings(settings),
    ]
    with atomic_write(path) as stream:
        stream.write(parts.page(f"{dataset.name}, {', '.join(names)}", "".join(body)))
    return Path(path)


def _remarks(scores: Scores) -> str:
    """Which trackers are not scored, or not in full, and why, and what was repaired or simulated of others."""
    told = [
        (score, "is not scored: ", score.problems)
        if score.problems
        else (score, f"{score.covers} " if score.covers else "", score.notes)
        for score in scores.trackers
        if score.problems or score.notes
    ]
    items = "".join(
        f"<li>{parts.text(score.name)} {parts.text(begin + '; '.join(sentences[:3]))}</li>"
        for score, begin, sentences in told
    )
    return f"<h2>Remarks</h2><ul>{items}</ul>" if items else ""


def _against(found: dict, names: list[str]) -> str:
    """On how many sequences the tracker of a row has more overlap than that of a column."""
    if len(names) < 2:
        return ""
    means = {name: np.array([per[name][0] if name in per else -1.0 for per in found.values()]) for name in names}
    rows = [
        [row, *("–" if row == column else int((means[row] > means[column]).sum()) for column in names)] for row in names
    ]
    told = "<p class=faint>Sequences on which the row has more overlap than the column.</p>"
    return f"<h2>Tracker against tracker</h2>{told}{parts.table(['tracker', *names], rows)}"


def _mean(overlap: np.ndarray) -> float:
    known = overlap[np.isfinite(overlap)]
    return float(known.mean()) if len(known) else 0.0


def _sequence_table(dataset: Dataset, found: dict, names: list[str], columns: tuple[str, ...]) -> str:
    cells = [count_cell if column == "losses" else float for column in columns]
    head, rows = ["sequence", "frames", *(f"{name} {what}" for name, what in itertools.product(names, columns))], []
    for sequence in dataset.sequences:
        if sequence.name not in found:
            continue
        link = f'<a href="#{parts.anchor("s", sequence.name)}">{parts.text(sequence.name)}</a>', sequence.name
        values = [found[sequence.name].get(name, (0, (NAN,) * len(columns)))[1] for name in names]
        rows.append(
            [link, len(sequence), *(cell(number) for row in values for cell, number in zip(cells, row, strict=True))]
        )
    return f"<h2>Sequences</h2>{parts.table(head, rows)}"


def _sequence_part(
    sequence: Sequence,
    timelines: dict[str, Timeline],
    values: dict[str, tuple],
    colours: dict[str, str],
    columns: tuple[str, ...],
) -> str:
    lines = [
        (np.arange(1, len(timeline.overlap) + 1), timeline.overlap, colours[name])
        for name, timeline in timelines.items()
    ]
    marks = [(loss + 1, colours[name]) for name, timeline in timelines.items() for loss in timeline.losses]
    chart = parts.chart(lines, "overlap by frame; triangles are losses", marks)
    numbers = {
        name: " ".join(f"{column} {number:.3g}" for column, number in zip(columns, row, strict=True))
        for name, row in values.items()
    }
    facts = ", ".join(f"{name}: {told}" for name, told in numbers.items())
    strips = "".join(_strips(sequence, timelines, colours, name) for name in timelines)
    return (
        f'<details id="{parts.anchor("s", sequence.name)}"><summary>{parts.text(sequence.name)} <span class=faint>{len(sequence)} frames</span></summary>'
        f"<p class=faint>{parts.text(facts)}</p>{parts.keys(colours.items())}{chart}{strips}</details>"
    )


def _strips(sequence: Sequence, timelines: dict[str, Timeline], colours: dict[str, str], name: str) -> str:
    """The strips of a tracker's losses, and how many more there are."""
    losses = timelines[name].losses
    strips = "".join(_strip(sequence, timelines, colours, name, loss) for loss in losses[:STRIPS])
    more = f"<p class=faint>{len(losses) - STRIPS} more losses of {parts.text(name)} have no pictures here.</p>"
    return strips + (more if strips and len(losses) > STRIPS else "")


def _strip(sequence: Sequence, timelines: dict[str, Timeline], colours: dict[str, str], name: str, loss: int) -> str:
    """Frames around a loss with the ground truth and all trackers; nothing where there are no images."""
    shown = sorted({min(max(loss + offset, 0), len(sequence) - 1) for offset in AROUND})
    if not all(os.path.isfile(sequence.frame_paths[index]) for index in shown):
        return ""
    figures = []
    for index in shown:
        try:
            image = read_image(sequence.frame_paths[index])
        except (OSError, ValueError):
            return ""
        draw_region(image, sequence.ground_truth[index], TRUTH, thickness=3)
        for other, timeline in timelines.items():
            region = None if timeline.regions is None else timeline.regions[index][np.isfinite(timeline.regions[index])]
            if region is not None and len(region):
                draw_region(image, region, _bgr(colours[other]))
        if index == loss:
            draw_label(image, "lost", (6, 0), _bgr(colours[name]))
        figures.append(parts.picture(image, f"frame {index + 1}"))
    return f"<h3>{parts.text(name)} loses it at frame {loss + 1}</h3><div class=strip>{''.join(figures)}</div>"


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def _settings(settings: dict[str, str]) -> str:
    made = {
        **settings,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": f"Python {sys.version.split()[0]}, NumPy {np.__version__}, OpenCV {cv2.__version__}",
    }
    return f"<h2>How this was made</h2>{parts.table(['setting', 'value'], made.items())}"
