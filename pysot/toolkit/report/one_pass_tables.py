"""Scores of one-pass sets as text tables."""

from dataclasses import replace

from pysot.toolkit.evaluation.one_pass import OnePassScore
from pysot.toolkit.evaluation.ope_official import rule_of
from pysot.toolkit.protocol import NAN, Rows, Scores
from pysot.toolkit.report.text_tables import attribute_table, label, notes_of, number, per_video, table

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
FIELDS = ("auc", "norm_precision20", "norm_precision_auc", "precision20", "ao", "sr50", "sr75")  # of pysot's arithmetic
TITLES = {"attributes": "Success by attribute", "videos": "Per video"}


def ope_table(scores: Scores, mode: str = "pysot") -> str:
    """`ope_rows` as text, with the reasons why a tracker has no numbers, what is to be known of the set, and with mode "both" why the two differ."""
    text = table(ope_rows(scores, mode)) + notes_of(scores.trackers)
    remarks = [f"Note: {remark}" for remark in remarks_of(scores)] + [
        f"Why they differ: {rule_of(scores.dataset).difference}"
    ] * (mode == "both")
    return "\n".join([text, *remarks])


def one_pass_text(scores: Scores, mode: str, spread: bool) -> str:
    """`ope_table`; there is no spread of several trackers."""
    return ope_table(scores, mode)


def one_pass_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    """The rows of each table."""
    return {
        "": ope_rows(scores, mode),
        "attributes": attribute_rows(scores, mode),
        "videos": ope_video_rows(scores, mode),
    }


def remarks_of(scores: Scores) -> tuple[str, ...]:
    """What is to be known of the set, and of the toolkit that its official scores are those of, where there are any."""
    remark = rule_of(scores.dataset).remark
    return (*scores.dataset.remarks, *([remark] if remark and official_fields(scores) else []))


def ope_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Success (area under the curve), normalised precision at 0.2 (LaSOT) and its area (TrackingNet), precision at 20 pixels, and GOT-10k's average overlap and
    success rates, best success first; the numbers of the set's own toolkit with mode "official", and both with "both".
    """
    theirs = official_fields(scores) if mode != "pysot" else ()
    if mode == "official":
        ranked = sorted(
            scores.trackers, key=lambda score: -_official(score, theirs[0]) if theirs and score.official else 2
        )
        return [
            ["Tracker Name", *(NAMES[name] for name in theirs)],
            *([label(score), *(number(_official(score, name), 3) for name in theirs)] for score in ranked),
        ]
    columns = [(name, "pysot") for name in FIELDS]
    for name in reversed(theirs):  # beside its namesake, others at the end
        place = columns.index((name, "pysot")) + 1 if (name, "pysot") in columns else len(columns)
        columns.insert(place, (name, "official"))
    rows = [["Tracker Name", *(f"{NAMES[name]} {which}" if theirs else NAMES[name] for name, which in columns)]]
    return rows + [
        [
            label(score),
            *(
                number(_official(score, name) if which == "official" else _ours(score, name), 3)
                for name, which in columns
            ),
        ]
        for score in scores.trackers
    ]


def official_fields(scores: Scores) -> tuple[str, ...]:
    """The names of the numbers of the set's own toolkit."""
    return next((tuple(score.official.numbers) for score in scores.trackers if score.official), ())


def _official(score: OnePassScore, name: str) -> float:
    return score.official.numbers[name] if score.official else NAN


def _ours(score: OnePassScore, name: str) -> float:
    return getattr(score.all, name) if score.all else NAN


def attribute_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Success of every tracker on the videos with each attribute, with mode "official" what ranks there; nothing if the set has none."""
    return attribute_table(
        [replace(score, attributes=attribute_values(score, mode)) for score in scores.scored], lambda value: value
    )


def attribute_values(score: OnePassScore, mode: str = "pysot") -> dict[str, float]:
    """{attribute: success, or with mode "official" what ranks in the set's own toolkit}."""
    if mode == "official" and score.official:
        return score.official.attributes
    return {name: curves.auc for name, curves in score.attributes.items()}


def ope_video_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Success and precision of every tracker on every video, with mode "official" the numbers of the set's own toolkit."""
    if mode != "official":
        return per_video(
            scores.scored, ("Success", "Precision"), (3, 3), lambda curves: (curves.auc, curves.precision20)
        )
    names, trackers = (
        official_fields(scores),
        [replace(score, videos=score.official.videos if score.official else {}) for score in scores.scored],
    )
    return per_video(
        trackers,
        tuple(NAMES[name] for name in names),
        (3,) * len(names),
        lambda video: tuple(video[name] for name in names),
    )
