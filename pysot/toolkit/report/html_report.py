"""Self-contained HTML page about trackers on a data set.

It has the ranking, curves, a comparison of the trackers, and a part per sequence with the overlap over time and
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
from pysot.toolkit.report.mask_pictures import mask_keys, mask_pictures, mask_strip
from pysot.toolkit.report.overviews import count_cell
from pysot.utils.files import atomic_write
from pysot.utils.image import read_image
from pysot.utils.masks import Mask
from pysot.utils.visualize import TRUTH, draw_label, draw_outline, draw_region

STRIP_OFFSETS = (-8, -4, 0, 4)  # frames of a strip, relative to the loss
# Per sequence and tracker. VOT's sequences have fewer losses, long one-pass sequences may have hundreds.
MAX_STRIPS = 10

# {sequence: {tracker: (mean overlap, values by column)}}
Results = dict[str, dict[str, tuple[float, tuple[float, ...]]]]


def write_report(path: str | os.PathLike, scores: Scores, settings: dict[str, str], progress: Callable = iter) -> Path:
    """Write the page about scores with timelines. Returns its path.

    `settings` are listed at its end; `progress` wraps the sequences. Raises OSError as `atomic_write`, ValueError if no
    tracker was scored or if there are no timelines.
    """
    dataset = scores.dataset
    names = [score.name for score in scores.scored]
    by_video = {score.name: score.by_video for score in scores.scored}
    if not names:
        raise ValueError("nothing to report: no tracker could be scored")
    colours = {name: colour_of(index) for index, name in enumerate(names)}
    columns = next((tuple(values) for videos in by_video.values() for values in videos.values()), ())
    results: Results = {}
    sequence_parts = []
    for sequence in progress(dataset.sequences):
        if timelines := scores.timelines(sequence.name):
            values = {name: tuple(by_video[name][sequence.name].values()) for name in timelines}
            results[sequence.name] = {
                name: (_mean(timeline.overlap), values[name]) for name, timeline in timelines.items()
            }
            sequence_parts.append(_sequence_part(sequence, timelines, values, colours, columns))
    overview = scores.protocol.report.overview(scores, colours)
    trackers = f"{len(names)} tracker{'s' if len(names) > 1 else ''}"
    body = [
        f"<h1>{parts.text(dataset.name)}: {trackers}, {len(dataset)} sequences</h1>",
        f"<p class=faint>{sum(map(len, dataset.sequences))} frames. A click on a head sorts a table.</p>",
        overview,
        _remarks(scores),
        _comparison_table(results, names),
        _sequence_table(dataset, results, names, columns),
        *sequence_parts,
        _settings(settings),
    ]
    with atomic_write(path) as stream:
        stream.write(parts.page(f"{dataset.name}, {', '.join(names)}", "".join(body)))
    return Path(path)


def _remarks(scores: Scores) -> str:
    """List the trackers that are not completely scored, with the reasons, and the notes of the others."""
    items = []
    for score in scores.trackers:
        if score.problems:
            sentences = "is not scored: " + "; ".join(score.problems[:3])
        elif score.notes:
            sentences = (f"{score.coverage} " if score.coverage else "") + "; ".join(score.notes[:3])
        else:
            continue
        items.append(f"<li>{parts.text(score.name)} {parts.text(sentences)}</li>")
    return f"<h2>Remarks</h2><ul>{''.join(items)}</ul>" if items else ""


def _comparison_table(results: Results, names: list[str]) -> str:
    """Count the sequences on which the tracker of a row has more overlap than the tracker of a column."""
    if len(names) < 2:
        return ""
    means = {
        name: np.array([by_tracker[name][0] if name in by_tracker else -1.0 for by_tracker in results.values()])
        for name in names
    }
    rows = [
        [row, *("–" if row == column else int((means[row] > means[column]).sum()) for column in names)] for row in names
    ]
    caption = "<p class=faint>Sequences on which the row has more overlap than the column.</p>"
    return f"<h2>Tracker against tracker</h2>{caption}{parts.table(['tracker', *names], rows)}"


def _mean(overlap: np.ndarray) -> float:
    finite = overlap[np.isfinite(overlap)]
    return float(finite.mean()) if len(finite) else 0.0


def _sequence_table(dataset: Dataset, results: Results, names: list[str], columns: tuple[str, ...]) -> str:
    cell_of: list[Callable[[float], object]] = [count_cell if column == "losses" else float for column in columns]
    header = ["sequence", "frames", *(f"{name} {column}" for name, column in itertools.product(names, columns))]
    missing = (0.0, (NAN,) * len(columns))
    rows = []
    for sequence in dataset.sequences:
        if sequence.name not in results:
            continue
        link = f'<a href="#{parts.anchor("s", sequence.name)}">{parts.text(sequence.name)}</a>', sequence.name
        row: list[object] = [link, len(sequence)]
        for name in names:
            _, values = results[sequence.name].get(name, missing)
            row += [cell(value) for cell, value in zip(cell_of, values, strict=True)]
        rows.append(row)
    return f"<h2>Sequences</h2>{parts.table(header, rows)}"


def _sequence_part(
    sequence: Sequence,
    timelines: dict[str, Timeline],
    values: dict[str, tuple[float, ...]],
    colours: dict[str, str],
    columns: tuple[str, ...],
) -> str:
    """Return the part of a sequence: the values of each tracker, overlap by frame, and pictures of the losses."""
    lines = [
        (np.arange(1, len(timeline.overlap) + 1), timeline.overlap, colours[name])
        for name, timeline in timelines.items()
    ]
    marks = [(loss + 1, colours[name]) for name, timeline in timelines.items() for loss in timeline.losses]
    chart = parts.chart(lines, "overlap by frame; triangles are losses", marks)
    texts = []
    for name, row in values.items():
        texts.append(
            f"{name}: " + " ".join(f"{column} {value:.3g}" for column, value in zip(columns, row, strict=True))
        )
    strips = "".join(_strips(sequence, timelines, colours, name) for name in timelines)
    if strips and sequence.labels:
        strips = mask_keys(sequence.labels) + strips
    return (
        f'<details id="{parts.anchor("s", sequence.name)}">'
        f"<summary>{parts.text(sequence.name)} <span class=faint>{len(sequence)} frames</span></summary>"
        f"<p class=faint>{parts.text(', '.join(texts))}</p>{parts.keys(colours.items())}{chart}{strips}</details>"
    )


def _strips(sequence: Sequence, timelines: dict[str, Timeline], colours: dict[str, str], name: str) -> str:
    """Return the strips of a tracker's losses, and a note on further losses; of masks, a strip of all frames first."""
    losses = timelines[name].losses
    strips = mask_strip(sequence, timelines[name], name) if sequence.labels else ""
    strips += "".join(_strip(sequence, timelines, colours, name, loss) for loss in losses[:MAX_STRIPS])
    if not strips or len(losses) <= MAX_STRIPS:
        return strips
    more = f"<p class=faint>{len(losses) - MAX_STRIPS} more losses of {parts.text(name)} have no pictures here.</p>"
    return strips + more


def _strip(sequence: Sequence, timelines: dict[str, Timeline], colours: dict[str, str], name: str, loss: int) -> str:
    """Return frames around a loss with the ground truth and all trackers, "" if images are missing.

    Masks are those of the tracker that lost its objects.
    """
    frames = sorted({min(max(loss + offset, 0), len(sequence) - 1) for offset in STRIP_OFFSETS})
    if sequence.labels:
        pictures = mask_pictures(sequence, timelines[name], frames, loss)
    else:
        pictures = _region_pictures(sequence, timelines, colours, name, frames, loss)
    if not pictures:
        return ""
    lost = "all objects" if sequence.labels and len(sequence.labels.objects) > 1 else "it"
    return f"<h3>{parts.text(name)} loses {lost} at frame {loss + 1}</h3><div class=strip>{pictures}</div>"


def _region_pictures(
    sequence: Sequence,
    timelines: dict[str, Timeline],
    colours: dict[str, str],
    name: str,
    frames: list[int],
    loss: int,
) -> str:
    """Return pictures of frames with the regions of the ground truth and all trackers, "" if images are missing."""
    if not all(os.path.isfile(sequence.frame_paths[index]) for index in frames):
        return ""
    pictures = []
    for index in frames:
        try:
            image = read_image(sequence.frame_paths[index])
        except (OSError, ValueError):
            return ""
        _draw(image, sequence.masks.get(index), sequence.ground_truth[index], TRUTH, 3)
        for other, timeline in timelines.items():
            if timeline.regions is None:
                continue
            region = timeline.regions[index][np.isfinite(timeline.regions[index])]
            if len(region):
                _draw(image, timeline.masks.get(index), region, _bgr(colours[other]), 2)
        if index == loss:
            draw_label(image, "lost", (6, 0), _bgr(colours[name]))
        pictures.append(parts.picture(image, f"frame {index + 1}"))
    return "".join(pictures)


def _draw(image: np.ndarray, mask: Mask | None, region: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    """Draw the outline of a mask on an image, or without a mask a region."""
    if mask is None:
        draw_region(image, region, colour, thickness=width)
    else:
        draw_outline(image, mask, colour, width)


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def _settings(settings: dict[str, str]) -> str:
    rows = {
        **settings,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": f"Python {sys.version.split()[0]}, NumPy {np.__version__}, OpenCV {cv2.__version__}",
    }
    return f"<h2>How this was made</h2>{parts.table(['setting', 'value'], rows.items())}"
