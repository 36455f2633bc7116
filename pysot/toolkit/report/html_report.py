"""HTML report about trackers on a data set: ranking, plots, tables, and a part about each sequence.

It is one file, or a folder with a page for each sequence and its pictures as files. Nothing in it is loaded from
elsewhere; in a folder, the frames to play stay where the data set is.
"""

import logging
import os
import platform
import re
import shutil
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np

from pysot.toolkit.content.page_tables import Cell, PageTable, page_table, tracker_cell, value_cell
from pysot.toolkit.protocol import NAN, Scores
from pysot.toolkit.report import render_page
from pysot.toolkit.report.draw_page import page_figures
from pysot.toolkit.report.page_parts import PageReport
from pysot.toolkit.report.score_plots import plots_of
from pysot.toolkit.report.sequence_parts import sequence_part
from pysot.utils.files import atomic_write, publish_folder
from pysot.utils.progress import Bar, no_bar

logger = logging.getLogger(__name__)

_FILES = (".html", ".htm")  # suffixes of a report in one file
# that can be played in a report in one file: of a sequence, and of all
_MAX_FRAMES, _MOST_FRAMES = 40, 2000
_HEAVY = 30_000_000  # bytes of one file that a browser takes seconds to load
_SENTENCES = 3  # shown of the remarks on a tracker


def is_folder(path: str | os.PathLike) -> bool:
    """Return whether a report with this path is a folder: all that do not end with .html are."""
    return Path(path).suffix.lower() not in _FILES


def check_report(path: str | os.PathLike) -> None:
    """Raise FileExistsError for a folder of something else, which a report must not replace."""
    folder = Path(path)
    if not is_folder(path) or not folder.exists():
        return
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else {folder.name}
    others = sorted(names - render_page.NAMES)
    if others or (names and render_page.SCRIPT not in names):
        raise FileExistsError(
            f"--report: expected a new folder or that of a report, got other files in {folder} "
            f"({', '.join((others or sorted(names))[:3])}); choose another folder, or a file with the suffix .html"
        )


def write_report(
    path: str | os.PathLike,
    scores: Scores,
    settings: dict[str, str],
    bar: Bar = no_bar,
    official: bool = False,
) -> Path:
    """Write the report about scores with timelines. Returns its path.

    A path that ends with .html is one file, another one a folder, which replaces the report that is there.
    `settings` are listed at its end; `bar` shows the sequences; the plots of `official` scores are in the official
    arithmetic. Raises OSError as `atomic_write`, as `check_report`, and ValueError if no tracker was scored.
    """
    if not scores.scored:
        raise ValueError("nothing to report: no tracker could be scored")
    path = Path(path)
    chosen = [sequence for sequence in scores.dataset.sequences if scores.timelines(sequence.name)]
    keys, shown = _keys([sequence.name for sequence in chosen]), bar(chosen, description="report")
    if not is_folder(path):
        report = _report(scores, settings, official, {name: f"#{key}" for name, key in keys.items()})
        frames = max(1, min(_MAX_FRAMES, _MOST_FRAMES // len(chosen)))
        parts = (sequence_part(scores, each, keys[each.name], frames) for each in shown)
        with atomic_write(path) as stream:
            stream.writelines(render_page.single_page(report, parts))
        if path.stat().st_size > _HEAVY:
            text = "%s has %d MB, which a browser takes seconds to load; a folder, --report %s, has light pages"
            logger.warning(text, path, path.stat().st_size // 10**6, f"{path.with_suffix('')}/")
        return path
    check_report(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        links = {name: f"{render_page.PAGES}/{key}.html" for name, key in keys.items()}
        report = _report(scores, settings, official, links)
        writer = render_page.FolderWriter(part, path.resolve(), report)
        for sequence in shown:
            writer.write(sequence_part(scores, sequence, keys[sequence.name], None))
        part.chmod(0o755)
        _replace_folder(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return path


def _replace_folder(part: Path, folder: Path) -> None:
    """Put a complete report into the place of an older one, which is removed last."""
    if not folder.exists():
        publish_folder(part, folder)
        return
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as old:
        os.replace(folder, Path(old) / "old")
        try:
            publish_folder(part, folder)
        except BaseException:
            os.replace(Path(old) / "old", folder)
            raise


def _keys(names: list[str]) -> dict[str, str]:
    """Return an id for each sequence: letters, digits and hyphens, different for any names."""
    return {
        name: f"{number}-{re.sub(r'[^A-Za-z0-9]+', '-', name)[:40].strip('-').lower()}".rstrip("-")
        for number, name in enumerate(names, 1)
    }


def _report(scores: Scores, settings: dict[str, str], official: bool, links: dict[str, str]) -> PageReport:
    dataset, names = scores.dataset, [score.name for score in scores.scored]
    count = f"{len(names)} tracker{'s' if len(names) > 1 else ''}"
    overview = scores.protocol.report.overview(scores)
    return PageReport(
        dataset=dataset.name,
        title=f"{dataset.name}, {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}",
        heading=f"{dataset.name}: {count}, {len(dataset)} sequence{'s' if len(dataset) > 1 else ''}",
        summary=f"{sum(map(len, dataset.sequences))} frames.",
        names=tuple(names),
        tables=(*overview, *_comparison(scores, list(links)), _sequences(scores, links)),
        figures=tuple(figure for plot in plots_of(scores, official) for figure in page_figures(plot)),
        remarks=tuple(_remarks(scores)),
        settings=_settings(settings),
    )


def _remarks(scores: Scores) -> list[tuple[str, str]]:
    """List the trackers that are not completely scored, with the reasons, and the notes of the others."""
    remarks = []
    for score in scores.trackers:
        if score.problems:
            remarks.append((score.name, "is not scored: " + "; ".join(score.problems[:_SENTENCES])))
        elif score.notes:
            coverage = f"{score.coverage} " if score.coverage else ""
            remarks.append((score.name, coverage + "; ".join(score.notes[:_SENTENCES])))
    return remarks


def _comparison(scores: Scores, sequences: list[str]) -> list[PageTable]:
    """Count the sequences on which the tracker of a row has more overlap than the tracker of a column."""
    names = [score.name for score in scores.scored]
    if len(names) < 2:
        return []
    means = np.full((len(names), len(sequences)), -1.0)
    for column, sequence in enumerate(sequences):
        for name, timeline in scores.timelines(sequence).items():
            overlap = timeline.overlap[np.isfinite(timeline.overlap)]
            means[names.index(name), column] = overlap.mean() if len(overlap) else 0.0
    wins = (means[:, None] > means[None]).sum(axis=2)
    rows = [
        [
            tracker_cell(name, row),
            *(Cell("–", NAN) if row == column else int(wins[row, column]) for column in range(len(names))),
        ]
        for row, name in enumerate(names)
    ]
    note = "Sequences on which the row has more overlap than the column."
    return [page_table("Tracker against tracker", ["tracker", *names], rows, [note])]


def _sequences(scores: Scores, links: dict[str, str]) -> PageTable:
    by_video = {score.name: score.by_video for score in scores.scored}
    columns = next((list(values) for videos in by_video.values() for values in videos.values()), [])
    rows = []
    for sequence in scores.dataset.sequences:
        if sequence.name not in links:
            continue
        row: list[object] = [Cell(sequence.name, sequence.name, link=links[sequence.name]), len(sequence)]
        for videos in by_video.values():
            values = videos.get(sequence.name, {})
            for column in columns:
                row.append(value_cell(column, values.get(column, NAN)))
        rows.append(row)
    head = ["sequence", "frames", *(f"{name} {column}" for name in by_video for column in columns)]
    return page_table("Sequences", head, rows)


def _settings(settings: dict[str, str]) -> PageTable:
    rows = {
        **settings,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": f"Python {sys.version.split()[0]}, NumPy {np.__version__}, OpenCV {cv2.__version__}",
    }
    return page_table("How this was made", ["setting", "value"], rows.items())
