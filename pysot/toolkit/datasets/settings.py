"""What is known of each data set before its files are read."""

import logging
import re

from pysot.toolkit.datasets.sequence import VotSettings

logger = logging.getLogger(__name__)

VOT_TAGS = ("camera_motion", "illum_change", "motion_change", "size_change", "occlusion")
EAO_TAGS = ("all", *VOT_TAGS, "empty")

VOT_SETTINGS = {
    # EAO came with VOT2015; the two sets before it are averaged over its lengths
    "VOT2013": VotSettings(low=108, high=371, peak=168),
    "VOT2014": VotSettings(low=108, high=371, peak=168),
    "VOT2015": VotSettings(low=108, high=371, peak=168),
    "VOT2016": VotSettings(low=108, high=371, peak=168),
    "VOT2017": VotSettings(low=100, high=356, peak=160),
    "VOT2018": VotSettings(low=100, high=356, peak=160),
    "VOT2019": VotSettings(low=46, high=291, peak=128),
    "VOT-QUICKSTART": VotSettings(low=40, high=120, peak=80),
}
STAND_IN = "VOT2018"
# Sets with a run from each anchor; VOT2022 with boxes is VOT2022-STB.
MULTISTART = VotSettings(low=115, high=755, peak=115)

# One-pass sets that have a layout, parts or rules of their own; any other json without VOT tags and any folder of sequences is tracked in one pass as well.
# LaSOT and TrackingNet rank by success and normalised precision, GOT-10k by average overlap; all of it is computed for each.
ONE_PASS = (
    "OTB50",
    "OTB100",
    "OTB2015",
    "OTB2013",
    "CVPR13",
    "UAV123",
    "UAV123_10fps",
    "UAV20L",
    "NFS30",
    "NFS240",
    "LaSOT",
    "LaSOT_ext",
    "GOT-10k",
    "GOT-10k-val",
    "GOT-10k-test",
    "TrackingNet",
    "TC128",
)


def is_long_term(name: str) -> bool:
    """Whether the named set is one of long-term tracking: VOT2018-LT and its successors."""
    return name.upper().endswith("-LT")


def is_many_starts(name: str) -> bool:
    """Whether the named set is a short-term one of VOT2020 or later, with or without letters behind the year."""
    return re.match(r"vot(-?st)?202\d", name.lower()) is not None and not is_long_term(name)


def is_one_pass(name: str) -> bool:
    """Whether the named set is tracked in one pass, whatever the case of its letters."""
    return name.lower() in {known.lower() for known in ONE_PASS}


def is_got_10k(name: str) -> bool:
    """Whether the named set is GOT-10k or a part of it, in which sizes of images and what covers the target count."""
    return name.lower() in ("got-10k", "got-10k-val", "got-10k-test")


def protocol_of(name: str, tags: bool, anchors: bool) -> str:
    """How a set with a json is tracked, see `Dataset.protocol`. Sets known by name are what they are; any other is what its json says: with anchors it has
    many starts, with VOT tags restarts, else it is tracked in one pass. A name that says otherwise than the json is logged.
    """
    marks = f"{', '.join(VOT_TAGS)} (empty lists will do)"
    if is_long_term(name):
        return "longterm"
    if is_one_pass(name):
        if tags:
            logger.warning(
                "the json of %s has VOT tags, as sets with restarts have them; it is tracked and scored in one pass, for its name is that of a "
                "one-pass set. Give the file another name if it is none",
                name,
            )
        return "one pass"
    if is_many_starts(name) or anchors:
        return "multistart"
    if name in VOT_SETTINGS:
        if not tags:
            logger.warning(
                "the json of %s has no VOT tags, so it may be no VOT set; it is tracked and scored with restarts, for its name is that of a VOT "
                "set. Give it the keys %s, or the file another name",
                name,
                marks,
            )
        return "supervised"
    if not tags and name.lower().startswith("vot"):
        logger.warning(
            "%s begins with VOT, but its json has no VOT tags: it is tracked and scored in one pass. For restarts give its videos the keys %s",
            name,
            marks,
        )
    return "supervised" if tags else "one pass"


def settings_of(name: str) -> VotSettings:
    """Settings of the named set; those of VOT2018, with a logged sentence, for a name that is not in the table."""
    if name not in VOT_SETTINGS:
        logger.warning(
            "%s is not a known VOT set (%s): scored with the settings of %s", name, ", ".join(VOT_SETTINGS), STAND_IN
        )
        return VOT_SETTINGS[STAND_IN]
    return VOT_SETTINGS[name]
