"""Names of videos in results: which file or folder is whose.

A video's name may be spelt otherwise in results, see `sequence.spellings`. An exact name counts first, the exact name of another video never, and where two
files or two videos fit, that is an error which names both.
"""

from collections.abc import Collection

from pysot.toolkit.datasets.sequence import plain_name, spellings
from pysot.toolkit.results.lines import ResultError


def matching(video: str, names: Collection[str], alike: Collection[str] = (), where: object = "") -> str | None:
    """The one of `names` that is the video's, None if there is none. `alike` are the other videos of its set whose names differ in spelling only. Raises
    ResultError where that cannot be told.
    """
    if video in names:
        return video
    fitting = next((found for plain in spellings(video) if (found := sorted({name for name in names if plain_name(name) == plain} - {*alike}))), [])
    rivals = [other for other in alike if other not in names]
    if len(fitting) > 1:
        raise ResultError(f"{video}: {' and '.join(fitting)} in {where} may both be its results; name one of them {video} and take the others away")
    if fitting and rivals:
        raise ResultError(f"{fitting[0]} in {where} may belong to {video} or to {', '.join(rivals)}; name it as the video that it is of")
    return fitting[0] if fitting else None
