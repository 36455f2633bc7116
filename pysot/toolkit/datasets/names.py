"""Names of videos: their spellings, and which file or folder of results is whose.

A video's name may be spelt otherwise in results, see `spellings`. An exact name counts first, the exact name of another video never, and where two
files or two videos fit, that is an error which names both.
"""

import re
from collections.abc import Collection


def plain_name(name: str) -> str:
    """What all spellings of a video's name have in common: Jogging-1, jogging_1 and Jogging.1 are one."""
    return re.sub(r"[-_.]", "-", name.lower())


# What got10k calls sequences that others call otherwise: Human4 has two targets, of which OTB100 takes the second.
ALIASES = {"human4-2": "human4"}


def spellings(name: str) -> tuple[str, ...]:
    """The plain names that a video of this name may have in results, the most likely first."""
    plain = plain_name(name)
    return (plain, ALIASES[plain]) if plain in ALIASES else (plain,)


def matching(video: str, names: Collection[str], alike: Collection[str] = (), where: object = "") -> str | None:
    """The one of `names` that is the video's, None if there is none. `alike` are the other videos of its set whose names differ in spelling only. Raises
    ValueError where that cannot be told.
    """
    if video in names:
        return video
    fitting = next(
        (
            found
            for plain in spellings(video)
            if (found := sorted({name for name in names if plain_name(name) == plain} - {*alike}))
        ),
        [],
    )
    rivals = [other for other in alike if other not in names]
    if len(fitting) > 1:
        raise ValueError(
            f"{video}: {' and '.join(fitting)} in {where} may both be its results; name one of them {video} and take the others away"
        )
    if fitting and rivals:
        raise ValueError(
            f"{fitting[0]} in {where} may belong to {video} or to {', '.join(rivals)}; name it as the video that it is of"
        )
    return fitting[0] if fitting else None
