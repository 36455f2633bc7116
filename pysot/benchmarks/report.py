"""Report of a device check: lines for a terminal, Markdown for test/benchmarks, JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from pysot.benchmarks.record import Check, Measurement
from pysot.benchmarks.supervise import Outcome


def _format(value: float) -> str:
    """Return the value with four significant digits, or as an integer from 1000 on."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _with_unit(value: float, unit: str) -> str:
    return f"{_format(value)} {unit}".rstrip()


def _check_text(check: Check) -> str:
    """Return the error and the allowed one."""
    return f"{_with_unit(check.error, check.unit)} (allowed {_format(check.allowed)})"


def _measurement_text(measurement: Measurement) -> str:
    """Return the value with its unit and its target."""
    text = _with_unit(measurement.value, measurement.unit)
    return text if measurement.target is None else f"{text} (target {_format(measurement.target)})"


def verdict(outcomes: Sequence[Outcome]) -> str:
    """Return a sentence with the number of right checks, the steps that did not pass, and those without time left."""
    checks = [check for outcome in outcomes for check in outcome.findings.checks]
    wrong = sum(not check.right for check in checks)
    bad_steps = [outcome.step.name for outcome in outcomes if not outcome.passed]
    unmeasured = [outcome.step.name for outcome in outcomes if outcome.state == "no time left"]
    sentence = f"{len(checks) - wrong} of {len(checks)} checks are right"
    if bad_steps:
        sentence += f"; look at: {', '.join(bad_steps)}"
    if unmeasured:
        sentence += f"; no time was left for: {', '.join(unmeasured)}"
    return sentence


def text(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield lines for a terminal: notes and measurements, checks, steps. Failures stand near the end."""
    for outcome in outcomes:
        if outcome.findings.measurements or outcome.findings.notes:
            yield f"== {outcome.step.name}"
            yield from (f"   {note}" for note in outcome.findings.notes)
            yield from (f"   {each.name:<66} {_measurement_text(each)}" for each in outcome.findings.measurements)
    yield "== checks"
    for outcome in outcomes:
        for check in outcome.findings.checks:
            mark, end = ("  ", "") if check.right else ("!!", " WRONG")
            yield f"{mark} {check.name:<66} {_check_text(check)}{end}"
    yield "== steps"
    for outcome in outcomes:
        mark = "  " if outcome.passed else "!!"
        yield f"{mark} {outcome.step.name:<34} {outcome.state:<12} {outcome.seconds:6.1f} s  {outcome.reason}"
    yield verdict(outcomes)


def markdown(outcomes: Sequence[Outcome], title: str) -> str:
    """Return the report as a Markdown page for test/benchmarks."""
    lines = [
        f"# {title}",
        "",
        f"Written by `tools/check_device.py`. {verdict(outcomes)}.",
        "",
        "| step | | seconds | |",
        "|---|---|---|---|",
    ]
    for outcome in outcomes:
        lines.append(f"| {outcome.step.name} | {outcome.state} | {outcome.seconds:.1f} | {_cell(outcome.reason)} |")
    lines += ["", "| check | found | allowed | |", "|---|---|---|---|"]
    for outcome in outcomes:
        for check in outcome.findings.checks:
            error, mark = _with_unit(check.error, check.unit), "" if check.right else "**WRONG**"
            lines.append(f"| {check.name} | {error} | {_format(check.allowed)} | {mark} |")
    for outcome in outcomes:
        if outcome.findings.notes:
            lines += ["", f"## {outcome.step.name}", "", "```", *outcome.findings.notes, "```"]
        elif outcome.findings.measurements:
            lines += ["", f"## {outcome.step.name}"]
        if outcome.findings.measurements:
            lines += ["", "| | | target |", "|---|---|---|"]
        for measurement in outcome.findings.measurements:
            value = _with_unit(measurement.value, measurement.unit)
            target = "" if measurement.target is None else _format(measurement.target)
            lines.append(f"| {measurement.name} | {value} | {target} |")
    return "\n".join(lines) + "\n"


def as_json(outcomes: Sequence[Outcome], device: str, seconds: float) -> dict[str, object]:
    """Return the report as JSON values; non-finite numbers are text."""
    return {
        "device": device,
        "seconds": round(seconds, 1),
        "passed": all(outcome.passed for outcome in outcomes),
        "verdict": verdict(outcomes),
        "steps": [
            {
                "name": outcome.step.name,
                "state": outcome.state,
                "seconds": round(outcome.seconds, 1),
                "reason": outcome.reason,
                "notes": outcome.findings.notes,
                "figures": [_row(measurement) for measurement in outcome.findings.measurements],
                "checks": [_row(check) | {"right": check.right} for check in outcome.findings.checks],
            }
            for outcome in outcomes
        ],
    }


def _row(finding: Measurement | Check) -> dict[str, object]:
    return {
        key: str(value) if isinstance(value, float) and value - value != 0 else value
        for key, value in asdict(finding).items()
    }


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
