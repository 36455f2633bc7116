"""The table of a run: published, measured, difference, verdict; as text and as markdown."""

import math
import statistics
from collections.abc import Sequence

from pysot.reproduction.claim import SPEED, Claim, Figure
from pysot.reproduction.folder import RunRecord
from pysot.reproduction.inputs import Row
from pysot.reproduction.scores import Measured
from pysot.reproduction.verdict import (
    Judgement,
    deviation,
    judge_by_epochs,
    judge_by_seeds,
    judge_speed,
    judge_without_spread,
)
from pysot.toolkit.report.text_tables import table

_HEAD = ["figure", "published", "measured", "difference", "may differ by", "verdict"]
_SEEDS_HEAD = "recorded seeds"
_ALIASES = {"success": "AUC"}


def inputs_text(rows: Sequence[Row]) -> str:
    """Return the table of examined inputs."""
    head = ["input", "expected", "found", "verdict"]
    return table([head, *([row.item, row.expected, row.found, row.verdict] for row in rows)])


def result_rows(claim: Claim, record: RunRecord, measured: Measured) -> list[list[str]]:
    """Return the rows of the table; the first is the head."""
    rows = [[*_HEAD[:2], *([_SEEDS_HEAD] if claim.kind == "train" else []), *_HEAD[2:]]]
    for figure in claim.figures:
        values = _values(figure, measured)
        judgement = _judge(claim, figure, values, measured)
        rows.append(_row(claim, figure, values, judgement, record, measured))
    if measured.tuned is not None:
        name = f"{claim.benchmarks[0].name}, tuned on the benchmark itself"
        blank = [""] if claim.kind == "train" else []
        rows.append([name, "-", *blank, _number(measured.tuned, 3), "", "", "not comparable"])
    return rows


def _values(figure: Figure, measured: Measured) -> list[float]:
    """Return the measured values of a figure, by seed."""
    if figure.measure == SPEED:
        return [speed.mean for speed in measured.speeds]
    name = _ALIASES.get(figure.measure, figure.measure)
    return [s.value for s in measured.scores if (s.measure, s.epoch) == (name, figure.epoch)]


def _judge(claim: Claim, figure: Figure, values: list[float], measured: Measured) -> Judgement:
    mean = statistics.fmean(values) if values else math.nan
    if math.isnan(mean):
        return Judgement("not measured")
    if figure.measure == SPEED:
        return judge_speed(figure, mean, statistics.fmean(speed.spread for speed in measured.speeds))
    if claim.epochs is not None:
        return judge_by_epochs(figure, mean, over_epochs(claim, figure.measure, measured))
    if claim.kind == "train":
        seeds = claim.seeds.get(figure.measure)
        return Judgement("no recorded seeds") if seeds is None else judge_by_seeds(seeds, values)
    return judge_without_spread(figure, mean)


def over_epochs(claim: Claim, measure: str, measured: Measured) -> list[float]:
    """Return the mean over the seeds of a measure for each epoch."""
    assert claim.epochs is not None
    first, last = claim.epochs
    found = [[s.value for s in measured.scores if (s.measure, s.epoch) == (measure, e)] for e in range(first, last + 1)]
    return [statistics.fmean(values) if values else math.nan for values in found]


def _row(
    claim: Claim, figure: Figure, values: list[float], judgement: Judgement, record: RunRecord, measured: Measured
) -> list[str]:
    digits, mean = figure.decimals, statistics.fmean(values) if values else math.nan
    spread = f" ± {_number(deviation(values), digits)} ({len(values)} seeds)" if len(values) > 1 else ""
    reference, seeds_cell = figure.value, []
    if claim.kind == "train":
        seeds = claim.seeds.get(figure.measure)
        text = "not recorded"
        if seeds is not None:
            reference = seeds.mean
            text = f"{seeds.mean:.{digits}f} ± {seeds.deviation:.{digits}f} ({seeds.runs} seeds)"
        seeds_cell = [text]
    verdict = judgement.verdict
    if record.deviations:
        verdict = f"not comparable: {len(record.deviations)} deviation{'s' if len(record.deviations) > 1 else ''}"
    if figure.measure == SPEED and not math.isnan(mean):
        ratio = f"{mean / figure.value:.3f} x"
        others = record.settings.device_kind != claim.device
        verdict = f"{ratio}, {'other devices' if others else verdict}"
    limit = _number(judgement.limit, digits)
    difference = _number(mean - reference, digits, sign=True)
    measured_cell = _number(mean, digits) + spread
    return [figure.label, f"{figure.value:.{digits}f}", *seeds_cell, measured_cell, difference, limit, verdict]


def _number(value: float, digits: int, sign: bool = False) -> str:
    return "-" if math.isnan(value) else f"{value:{'+' if sign else ''}.{digits}f}"


def meaning(claim: Claim) -> str:
    """Return the sentence that says what the verdict means."""
    if claim.epochs is not None:
        first, last = claim.epochs
        return (
            f"Reproduced: the difference is at most two standard deviations of the measure over epochs {first} to "
            f"{last} of this run; for the speed, over its steps."
        )
    if claim.kind == "train" and not claim.seeds:
        return "Nothing is judged: no training runs with other seeds are recorded."
    if claim.kind == "train":
        return (
            "Reproduced: the value lies in the 95 % prediction interval of the recorded seeds; the difference is that "
            "from their mean. A repetition with another seed falls outside in one case of twenty."
        )
    if claim.kind == "track":
        return "Reproduced: equal after rounding to the published digits; no spread is recorded."
    return "Reproduced: the difference is at most two standard deviations of the speed over the steps."


def result_text(claim: Claim, record: RunRecord, measured: Measured) -> str:
    """Return the final table for the terminal, with the deviations below it."""
    return "\n".join([table(result_rows(claim, record, measured)), *_deviation_lines(claim, record)])


def result_markdown(claim: Claim, record: RunRecord, measured: Measured) -> str:
    """Return the content of table.md: the result, every deviation, and what was examined."""
    settings, machine = record.settings, record.machine
    seeds = f", seeds {', '.join(map(str, settings.seeds))}" if claim.trains else ""
    devices = ", ".join(machine.get("devices", [])) or machine.get("system", {}).get("processor", "")
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in ("torch", "numpy", "opencv") if machine)
    lines = [
        f"# {claim.name}",
        "",
        f"Published: {claim.source}" + (f", with {claim.made_with}" if claim.made_with else "") + ".",
        f"Measured: {settings.device} ({devices}){seeds}; {versions}; commit {record.commit or 'unknown'}.",
        "",
        *_markdown(result_rows(claim, record, measured)),
        "",
        *_deviation_lines(claim, record),
        "",
        "## Inputs",
        "",
        *_markdown(
            [["input", "expected", "found", "verdict"]]
            + [[r.item, r.expected, r.found, r.verdict] for r in record.inputs]
        ),
    ]
    return "\n".join(lines) + "\n"


def _deviation_lines(claim: Claim, record: RunRecord) -> list[str]:
    if not record.deviations:
        return [meaning(claim), "No deviations from what is recorded."]
    first = "Deviations, so that this neither reproduces nor refutes the published values:"
    return [first, *(f"- {row.sentence}" for row in record.deviations)]


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
