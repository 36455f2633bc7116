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
from pysot.toolkit.evaluation.evaluate_runs import RunScores
from pysot.toolkit.evaluation.official import DIFFERENCE
from pysot.toolkit.evaluation.one_pass import OpeScores
from pysot.toolkit.evaluation.ope import DISTANCES, NORMALISED, OVERLAPS
from pysot.toolkit.evaluation.scoring import AnyScores
from pysot.toolkit.evaluation.supervised import Scores
from pysot.toolkit.evaluation.tracks import Track, expected_overlap_curves, heads, load_tracks, scored_folders
from pysot.toolkit.report import html_parts as parts
from pysot.toolkit.report.canvas import colour_of
from pysot.toolkit.report.report_ope import FIELDS, NAMES, official_fields
from pysot.toolkit.report.report_runs import ABOVE_ONE, HEADS
from pysot.toolkit.report.report_runs import DIFFERENCE as RUNS_DIFFERENCE
from pysot.toolkit.report.summary import TELLINGS, tag_values
from pysot.utils.files import atomic_write
from pysot.utils.image import read_image
from pysot.utils.visualize import TRUTH, draw_label, draw_region

AROUND = (-8, -4, 0, 4)  # frames of a strip, counted from the loss
STRIPS = 10              # at most, per sequence and tracker: VOT's sequences have fewer losses, long ones of one pass may have hundreds


def write_report(
    path: str | os.PathLike, dataset: Dataset, folders: list, scores: AnyScores, settings: dict[str, str], progress: Callable = iter,
    experiment: str | None = None,
) -> Path:
    """Write the page. `settings` are told at its end; `progress` wraps the sequences. Raises OSError as `atomic_write`, ValueError if no tracker was scored."""
    where = scored_folders(folders, scores)
    names = list(where)
    if not names:
        raise ValueError("nothing to report: no tracker could be scored")
    colours = {name: colour_of(place) for place, name in enumerate(names)}
    columns, experiment = heads(scores), dataset.experiment(experiment)
    found, sequence_parts = {}, []
    for sequence in progress(dataset.sequences):
        if tracks := load_tracks(dataset, sequence, where, scores, experiment):
            found[sequence.name] = {name: (_mean(track.overlap), track.numbers) for name, track in tracks.items()}
            sequence_parts.append(_sequence_part(sequence, tracks, colours, columns))
    overview = OVERVIEWS[type(scores)](scores, colours, dataset, where, experiment)
    body = [f"<h1>{parts.text(dataset.name)}: {len(names)} tracker{'s' * (len(names) > 1)}, {len(dataset)} sequences</h1>",
            f"<p class=faint>{sum(map(len, dataset.sequences))} frames. A click on a head sorts a table.</p>", overview, _remarks(scores),
            _against(found, names), _sequence_table(dataset, found, names, columns), *sequence_parts, _settings(settings)]
    with atomic_write(path) as stream:
        stream.write(parts.page(f"{dataset.name}, {', '.join(names)}", "".join(body)))
    return Path(path)


def _supervised_overview(scores: Scores, colours: dict[str, str], dataset: Dataset, where: dict[str, Path], experiment: str) -> str:
    curves = expected_overlap_curves(dataset, where, experiment)
    scored = [score for score in scores.trackers if not score.problems]
    official = any(score.official for score in scored)
    head = ["tracker", "EAO", "accuracy", "robustness", "losses", *(["EAO vot", "accuracy vot", "robustness vot"] if official else [])]
    rows = [[_named(score.name, colours), score.eao["all"], score.accuracy, score.robustness, _count(score.lost),
             *([score.official.eao, score.official.accuracy, score.official.robustness] if score.official else [])] for score in scored]
    accuracies, losses = ({score.name: {tag: pair[place] for tag, pair in score.tags.items()} for score in scored} for place in (0, 1))
    tags = _attributes(scores, colours) + _by_name("Accuracy by tag", accuracies, colours) + _by_name("Losses by tag", losses, colours, _count)
    lines = [(np.arange(len(curve)), curve, colours[name]) for name, curve in curves.items()]
    low, high = dataset.settings.low, dataset.settings.high
    label = f"expected overlap by length in frames; EAO is the mean from {low} to {high}, marked below"
    chart = parts.chart(lines, label, [(low, "#5b6570"), (high, "#5b6570")], 240)
    note = f"<p class=faint>{parts.text(DIFFERENCE)}.</p>" if official else ""
    return (f"<h2>Ranking</h2>{parts.table(head, rows)}{note}<h2>Expected overlap</h2>{parts.keys(colours.items())}{chart}"
            f"<h2>Accuracy and robustness</h2>{_accuracy_robustness(scored, colours)}{tags}")


def _accuracy_robustness(scored: list, colours: dict[str, str]) -> str:
    """Each tracker that has an accuracy as a dot: accuracy upwards, losses per 100 frames to the right."""
    width, height, most = parts.WIDTH, 220, max(score.robustness for score in scored) * 1.1 or 1.0
    axes = f'<path fill=none stroke="#d5dae0" d="M0 0V{height}H{width}"/>'
    dots = "".join(f'<circle cx="{score.robustness / most * width:.1f}" cy="{(1 - score.accuracy) * height:.1f}" r=6 fill="{colours[score.name]}"><title>'
                   f"{parts.text(score.name)}</title></circle>" for score in scored if score.accuracy == score.accuracy)
    label = "accuracy from 0 to 1 upwards, losses per 100 frames to the right up to:"
    return parts.keys(colours.items()) + parts.drawing(axes + dots, height, label, f"{most:.2f}")


def _one_pass_overview(scores: OpeScores, colours: dict[str, str], *_) -> str:
    scored, theirs = [score for score in scores.trackers if score.all], official_fields(scores)
    head = ["tracker", *(NAMES[what] for what in FIELDS), *(f"{NAMES[what]} official" for what in theirs)]
    rows = [[_named(score.name, colours), *(getattr(score.all, what) for what in FIELDS), *(score.official.numbers[what] for what in theirs)]
            for score in scored]
    remarks = [*scores.remarks, *([scores.difference] if theirs else [])]
    notes = "".join(f"<p class=faint>{parts.text(remark)}.</p>" for remark in remarks)
    curves = (("success", OVERLAPS, "success: share of frames above an overlap"), ("precision", DISTANCES, "precision: share of frames within pixels"),
              ("norm_precision", NORMALISED, "normalised precision: share of frames within a part of the target's size"))
    charts = "".join(parts.chart([(axis, getattr(score.all, what), colours[score.name]) for score in scored], label, height=200)
                     for what, axis, label in curves)
    told = "<p class=faint>In the arithmetic of pysot.</p>" if theirs else ""
    return f"<h2>Ranking</h2>{parts.table(head, rows)}{notes}<h2>Curves</h2>{told}{parts.keys(colours.items())}{charts}{_attributes(scores, colours)}"


def _attributes(scores: AnyScores, colours: dict[str, str]) -> str:
    """What is told of the trackers by tag or attribute."""
    return _by_name(TELLINGS[type(scores)].titles["attributes"], tag_values(scores), colours)


def _by_name(title: str, values: dict[str, dict[str, float]], colours: dict[str, str], cell: Callable = float) -> str:
    """A table of {tracker: {name: value}}, nothing without names."""
    names = list(dict.fromkeys(name for row in values.values() for name in row))
    rows = [[_named(tracker, colours), *(cell(row.get(name, float("nan"))) for name in names)] for tracker, row in values.items()]
    return f"<h2>{title}</h2>{parts.table(['tracker', *names], rows)}" if names else ""


def _runs_overview(scores: RunScores, colours: dict[str, str], *_) -> str:
    scored = [score for score in scores.trackers if not score.problems]
    names = list(scored[0].numbers)
    official = any(score.official for score in scored)
    head = ["tracker", *(HEADS[name] for name in names), *(f"{HEADS[name]} vot" for name in names if official)]
    rows = [[_named(score.name, colours), *score.numbers.values(), *score.official.values()] for score in scored]
    chart = parts.chart([(score.at, score.curve, colours[score.name]) for score in scored], scores.axes, height=240, least=1.0)
    note = "".join(f"<p class=faint>{parts.text(told)}.</p>" for told in (RUNS_DIFFERENCE, ABOVE_ONE) if official)
    return f"<h2>Ranking</h2>{parts.table(head, rows)}{note}<h2>Curves</h2>{parts.keys(colours.items())}{chart}{_attributes(scores, colours)}"


OVERVIEWS = {Scores: _supervised_overview, OpeScores: _one_pass_overview, RunScores: _runs_overview}


def _count(number: float) -> tuple[str, float]:
    """A number that is most often whole, as a cell."""
    return f"{number:g}", number


def _named(name: str, colours: dict[str, str]) -> tuple[str, str]:
    return f'<i class=key style="background:{colours[name]}"></i>{parts.text(name)}', name


def _remarks(scores: AnyScores) -> str:
    """Which trackers are not scored, or not in full, and why, and what was repaired or simulated of others."""
    told = [(score, "is not scored: ", score.problems) if score.problems else (score, f"{score.covers} " if score.covers else "", score.notes)
            for score in scores.trackers if score.problems or score.notes]
    items = "".join(f"<li>{parts.text(score.name)} {parts.text(begin + '; '.join(sentences[:3]))}</li>" for score, begin, sentences in told)
    return f"<h2>Remarks</h2><ul>{items}</ul>" if items else ""


def _against(found: dict, names: list[str]) -> str:
    """On how many sequences the tracker of a row has more overlap than that of a column."""
    if len(names) < 2:
        return ""
    means = {name: np.array([per[name][0] if name in per else -1.0 for per in found.values()]) for name in names}
    rows = [[row, *("–" if row == column else int((means[row] > means[column]).sum()) for column in names)] for row in names]
    told = "<p class=faint>Sequences on which the row has more overlap than the column.</p>"
    return f"<h2>Tracker against tracker</h2>{told}{parts.table(['tracker', *names], rows)}"


def _mean(overlap: np.ndarray) -> float:
    known = overlap[np.isfinite(overlap)]
    return float(known.mean()) if len(known) else 0.0


def _sequence_table(dataset: Dataset, found: dict, names: list[str], columns: tuple[str, ...]) -> str:
    cells = [_count if column == "losses" else float for column in columns]
    head, rows = ["sequence", "frames", *(f"{name} {what}" for name, what in itertools.product(names, columns))], []
    for sequence in dataset.sequences:
        if sequence.name not in found:
            continue
        link = f'<a href="#{parts.anchor("s", sequence.name)}">{parts.text(sequence.name)}</a>', sequence.name
        values = [found[sequence.name].get(name, (0, (float("nan"),) * len(columns)))[1] for name in names]
        rows.append([link, len(sequence), *(cell(number) for row in values for cell, number in zip(cells, row, strict=True))])
    return f"<h2>Sequences</h2>{parts.table(head, rows)}"


def _sequence_part(sequence: Sequence, tracks: dict[str, Track], colours: dict[str, str], columns: tuple[str, ...]) -> str:
    lines = [(np.arange(1, len(track.overlap) + 1), track.overlap, colours[name]) for name, track in tracks.items()]
    marks = [(loss + 1, colours[name]) for name, track in tracks.items() for loss in track.losses]
    chart = parts.chart(lines, "overlap by frame; triangles are losses", marks)
    numbers = {name: " ".join(f"{column} {number:.3g}" for column, number in zip(columns, track.numbers, strict=True)) for name, track in tracks.items()}
    facts = ", ".join(f"{name}: {told}" for name, told in numbers.items())
    strips = "".join(_strips(sequence, tracks, colours, name) for name in tracks)
    return (f'<details id="{parts.anchor("s", sequence.name)}"><summary>{parts.text(sequence.name)} <span class=faint>{len(sequence)} frames</span></summary>'
            f"<p class=faint>{parts.text(facts)}</p>{parts.keys(colours.items())}{chart}{strips}</details>")


def _strips(sequence: Sequence, tracks: dict[str, Track], colours: dict[str, str], name: str) -> str:
    """The strips of a tracker's losses, and how many more there are."""
    losses = tracks[name].losses
    strips = "".join(_strip(sequence, tracks, colours, name, loss) for loss in losses[:STRIPS])
    more = f"<p class=faint>{len(losses) - STRIPS} more losses of {parts.text(name)} have no pictures here.</p>"
    return strips + (more if strips and len(losses) > STRIPS else "")


def _strip(sequence: Sequence, tracks: dict[str, Track], colours: dict[str, str], name: str, loss: int) -> str:
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
        for other, track in tracks.items():
            if track.regions[index] is not None:
                draw_region(image, track.regions[index], _bgr(colours[other]))
        if index == loss:
            draw_label(image, "lost", (6, 0), _bgr(colours[name]))
        figures.append(parts.picture(image, f"frame {index + 1}"))
    return f"<h3>{parts.text(name)} loses it at frame {loss + 1}</h3><div class=strip>{''.join(figures)}</div>"


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def _settings(settings: dict[str, str]) -> str:
    made = {**settings, "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "machine": f"{platform.system()} {platform.machine()}",
            "versions": f"Python {sys.version.split()[0]}, NumPy {np.__version__}, OpenCV {cv2.__version__}"}
    return f"<h2>How this was made</h2>{parts.table(['setting', 'value'], made.items())}"
