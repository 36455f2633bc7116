"""What a device check found, as a table for a terminal, as Markdown for test/benchmarks, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from pysot.benchmarks.record import Check, Figure
from pysot.benchmarks.supervise import Outcome


def number(value: float) -> str:
    """Four digits, as a person writes them."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def check_line(check: Check) -> str:
    """What was found and what is allowed."""
    return f"{number(check.error)} {check.unit}".rstrip() + f" (allowed {number(check.allowed)})"


def figure_line(figure: Figure) -> str:
    """A value, its unit, and what is aimed at."""
    return f"{number(figure.value)} {figure.unit}".rstrip() + (
        f" (target {number(figure.target)})" if figure.target is not None else ""
    )


def verdict(outcomes: Sequence[Outcome]) -> str:
    """A sentence: what speaks against the device, and what nobody looked at."""
    checks = [check for outcome in outcomes for check in outcome.told.checks]
    wrong, bad = sum(not check.right for check in checks), [outcome for outcome in outcomes if not outcome.passed]
    left = [outcome.step.name for outcome in outcomes if outcome.state == "no time left"]
    said = f"{len(checks) - wrong} of {len(checks)} checks are right" + (
        f"; look at: {', '.join(outcome.step.name for outcome in bad)}" if bad else ""
    )
    return said + (f"; no time was left for: {', '.join(left)}" if left else "")


def text(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Lines for a terminal: notes and figures, then checks, then how each step ended, so that what is wrong stands last."""
    for outcome in outcomes:
        if outcome.told.figures or outcome.told.notes:
            yield f"== {outcome.step.name}"
            yield from (f"   {note}" for note in outcome.told.notes)
            yield from (f"   {figure.name:<66} {figure_line(figure)}" for figure in outcome.told.figures)
    yield "== checks"
    yield from (
        f"{'  ' if check.right else '!!'} {check.name:<66} {check_line(check)}{'' if check.right else ' WRONG'}"
        for outcome in outcomes
        for check in outcome.told.checks
    )
    yield "== steps"
    yield from (
        f"{'  ' if outcome.passed else '!!'} {outcome.step.name:<34} {outcome.state:<12} {outcome.seconds:6.1f} s  {outcome.reason}"
        for outcome in outcomes
    )
    yield verdict(outcomes)


def markdown(outcomes: Sequence[Outcome], title: str) -> str:
    """The same as a file for test/benchmarks."""
    lines = [
        f"# {title}",
        "",
        f"Written by `tools/check_device.py`. {verdict(outcomes)}.",
        "",
        "| step | | seconds | |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {outcome.step.name} | {outcome.state} | {outcome.seconds:.1f} | {_cell(outcome.reason)} |"
        for outcome in outcomes
    ]
    lines += ["", "| check | found | allowed | |", "|---|---|---|---|"]
    lines += [
        f"| {check.name} | {f'{number(check.error)} {check.unit}'.strip()} | {number(check.allowed)} | {'' if check.right else '**WRONG**'} |"
        for outcome in outcomes
        for check in outcome.told.checks
    ]
    for outcome in outcomes:
        if outcome.told.notes:
            lines += ["", f"## {outcome.step.name}", "", "```", *outcome.told.notes, "```"]
        elif outcome.told.figures:
            lines += ["", f"## {outcome.step.name}"]
        if outcome.told.figures:
            lines += ["", "| | | target |", "|---|---|---|"]
            lines += [
                f"| {figure.name} | {f'{number(figure.value)} {figure.unit}'.strip()} | {'' if figure.target is None else number(figure.target)} |"
                for figure in outcome.told.figures
            ]
    return "\n".join(lines) + "\n"


def as_json(outcomes: Sequence[Outcome], device: str, seconds: float) -> dict:
    """Everything, with plain names and values; a value that is no number is text."""
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
                "notes": outcome.told.notes,
                "figures": [_row(figure) for figure in outcome.told.figures],
                "checks": [_row(check) | {"right": check.right} for check in outcome.told.checks],
            }
            for outcome in outcomes
        ],
    }


def _row(item: Figure | Check) -> dict:
    return {
        key: str(value) if isinstance(value, float) and value - value != 0 else value
        for key, value in asdict(item).items()
    }


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
