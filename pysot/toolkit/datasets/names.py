"""Spellings of video names: find the result file or folder that belongs to a video.

A result may spell the name of its video differently, see `possible_names`. An exact match comes first, and the exact
name of another video never matches. If two files or two videos fit, an error names both.
"""

import re
from collections.abc import Collection


def normalised_name(name: str) -> str:
    """Return the form that all spellings of a name share: jogging-1 for Jogging-1, jogging_1 and Jogging.1."""
    return re.sub(r"[-_.]", "-", name.lower())


# Names that the got10k toolkit uses instead. Human4 has two targets, and OTB100 uses the second.
ALIASES = {"human4-2": "human4"}


def possible_names(name: str) -> tuple[str, ...]:
    """Return the normalised names that a video may have in results, the most likely first."""
    normalised = normalised_name(name)
    return (normalised, ALIASES[normalised]) if normalised in ALIASES else (normalised,)


def match_name(
    video: str, names: Collection[str], similar_names: Collection[str] = (), where: object = ""
) -> str | None:
    """Return the one of `names` that belongs to the video, None if none does.

    `similar_names` are the other videos of the set whose names differ in spelling only; `where` is for the message.
    Raises ValueError if the match is ambiguous.
    """
    if video in names:
        return video
    matches: list[str] = []
    for normalised in possible_names(video):
        matches = sorted({name for name in names if normalised_name(name) == normalised} - {*similar_names})
        if matches:
            break
    if len(matches) > 1:
        raise ValueError(
            f"{video}: {' and '.join(matches)} in {where} may both be its results; "
            f"rename one of them to {video} and remove the others"
        )
    rivals = [other for other in similar_names if other not in names]
    if matches and rivals:
        raise ValueError(
            f"{matches[0]} in {where} may belong to {video} or to {', '.join(rivals)}; give it the name of its video"
        )
    return matches[0] if matches else None
