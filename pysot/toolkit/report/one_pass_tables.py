"""Text tables of the scores of one-pass sets."""

from types import SimpleNamespace

from pysot.toolkit.evaluation.one_pass import OnePassScore
from pysot.toolkit.evaluation.ope_official import official_rule
from pysot.toolkit.protocol import NAN, Paint, Rows, Scores, plain
from pysot.toolkit.report.score_types import scored_as, trackers_as
from pysot.toolkit.report.text_tables import attribute_table, label, notes_of, number, painted_table, per_video

NAMES = {
    "auc": "Success",
    "norm_precision20": "Norm Precision",
    "norm_precision_auc": "Norm Precision AUC",
    "precision20": "Precision",
    "precision_auc": "Precision AUC",
    "ao": "AO",
    "sr50": "SR 0.50",
    "sr75": "SR 0.75",
    "fps": "FPS",
}
# Columns in pysot's arithmetic.
FIELDS = ("auc", "norm_precision20", "norm_precision_auc", "precision20", "ao", "sr50", "sr75")
TITLES = {"attributes": "Success by attribute", "videos": "Per video"}


def ope_table(scores: Scores, mode: str = "pysot", paint: Paint = plain) -> str:
    """Return `ope_rows` as text, with notes on trackers that are not scored and remarks on the set.

    With mode "both", the text explains how the two arithmetics differ.
    """
    text = painted_table(scores, ope_rows(scores, mode), paint) + notes_of(scores.trackers, paint)
    remarks = [paint(f"Note: {remark}", "warning") for remark in remarks_of(scores)]
    if mode == "both":
        remarks.append(f"Why they differ: {official_rule(scores.dataset).difference}")
    return "\n".join([text, *remarks])


def one_pass_text(scores: Scores, mode: str, spread: bool, paint: Paint) -> str:
    """Return `ope_table`; `spread` has no effect."""
    return ope_table(scores, mode, paint)


def one_pass_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    """Return the rows of each table by name."""
    return {
        "": ope_rows(scores, mode),
        "attributes": attribute_rows(scores, mode),
        "videos": ope_video_rows(scores, mode),
    }


def remarks_of(scores: Scores) -> tuple[str, ...]:
    """Return the remarks on the set, and if there are official scores, the remark on their toolkit."""
    remark = official_rule(scores.dataset).remark
    return (*scores.dataset.remarks, *([remark] if remark and official_fields(scores) else []))


def ope_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Return the scores of all trackers, best first.

    Columns are success (area under the curve), normalised precision at 0.2 (LaSOT) and its area (TrackingNet),
    precision at 20 pixels, and GOT-10k's average overlap and success rates. Mode "official" gives the values of the
    set's own toolkit, "both" gives both.
    """
    trackers = trackers_as(scores, OnePassScore)
    official = official_fields(scores) if mode != "pysot" else ()
    if mode == "official":

        def order(score: OnePassScore) -> float:
            return -_official_value(score, official[0]) if official and score.official else 2

        rows = [["Tracker Name", *(NAMES[name] for name in official)]]
        for score in sorted(trackers, key=order):
            rows.append([label(score), *(number(_official_value(score, name), 3) for name in official)])
        return rows
    columns = _columns(official)
    if official:
        rows = [["Tracker Name", *(f"{NAMES[name]} {arithmetic}" for name, arithmetic in columns)]]
    else:
        rows = [["Tracker Name", *(NAMES[name] for name, _ in columns)]]
    value_of = {"pysot": _pysot_value, "official": _official_value}
    for score in trackers:
        rows.append([label(score), *(number(value_of[arithmetic](score, name), 3) for name, arithmetic in columns)])
    return rows


def _columns(official: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (field, arithmetic) of the columns; an official field is beside pysot's of that name, or at the end."""
    columns = [(name, "pysot") for name in FIELDS]
    for name in reversed(official):
        index = columns.index((name, "pysot")) + 1 if (name, "pysot") in columns else len(columns)
        columns.insert(index, (name, "official"))
    return columns


def official_fields(scores: Scores) -> tuple[str, ...]:
    """Return the names of the values of the set's own toolkit."""
    trackers = trackers_as(scores, OnePassScore)
    return next((tuple(score.official.numbers) for score in trackers if score.official), ())


def _official_value(score: OnePassScore, name: str) -> float:
    return score.official.numbers[name] if score.official else NAN


def _pysot_value(score: OnePassScore, name: str) -> float:
    return getattr(score.all, name) if score.all else NAN


def attribute_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Return the success of every tracker on the videos with each attribute, no rows without attributes.

    With mode "official", the value is the one that ranks in the set's own toolkit.
    """
    return attribute_table([(score, attribute_values(score, mode)) for score in scored_as(scores, OnePassScore)])


def attribute_values(score: OnePassScore, mode: str = "pysot") -> dict[str, float]:
    """Return {attribute: success}, with mode "official" the value that ranks in the set's own toolkit."""
    if mode == "official" and score.official:
        return score.official.attributes
    return {name: curves.auc for name, curves in score.attributes.items()}


def ope_video_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Return success and precision of every tracker on every video.

    With mode "official", the values are those of the set's own toolkit.
    """
    scored = scored_as(scores, OnePassScore)
    if mode != "official":
        return per_video(scored, ("Success", "Precision"), (3, 3), lambda curves: (curves.auc, curves.precision20))
    names = official_fields(scores)
    headers = tuple(NAMES[name] for name in names)
    official = [
        SimpleNamespace(name=score.name, videos=score.official.videos if score.official else {}) for score in scored
    ]
    return per_video(official, headers, (3,) * len(names), lambda video: tuple(video[name] for name in names))
