"""Protocols and settings of known data sets, by name."""

import logging
import re

from pysot.toolkit.datasets.sequence import VotSettings

logger = logging.getLogger(__name__)

VOT_TAGS = ("camera_motion", "illum_change", "motion_change", "size_change", "occlusion")
EAO_TAGS = ("all", *VOT_TAGS, "empty")

VOT_SETTINGS = {
    # EAO was introduced with VOT2015; the two earlier sets use the lengths of VOT2015
    "VOT2013": VotSettings(low=108, high=371, peak=168),
    "VOT2014": VotSettings(low=108, high=371, peak=168),
    "VOT2015": VotSettings(low=108, high=371, peak=168),
    "VOT2016": VotSettings(low=108, high=371, peak=168),
    "VOT2017": VotSettings(low=100, high=356, peak=160),
    "VOT2018": VotSettings(low=100, high=356, peak=160),
    "VOT2019": VotSettings(low=46, high=291, peak=128),
    "VOT-QUICKSTART": VotSettings(low=40, high=120, peak=80),
}
FALLBACK = "VOT2018"  # whose settings unknown sets are scored with
# For sets with a run from each anchor; VOT2022 with boxes is VOT2022-STB.
MULTISTART = VotSettings(low=115, high=755, peak=115)

# One-pass sets with a specific layout, split or rule. Any other JSON without VOT tags and any other folder of sequences
# is tracked in one pass as well. LaSOT and TrackingNet rank by success and normalised precision, GOT-10k by average
# overlap; all of these are computed for each set.
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
    """Return whether the named set is a long-term set: VOT2018-LT and its successors."""
    return name.upper().endswith("-LT")


def is_multistart(name: str) -> bool:
    """Return whether the named set is a short-term set of VOT2020 or later, with or without letters after the year."""
    return re.match(r"vot(-?st)?202\d", name.lower()) is not None and not is_long_term(name)


def is_one_pass(name: str) -> bool:
    """Return whether the named set is tracked in one pass; upper and lower case are equal."""
    return name.lower() in {known.lower() for known in ONE_PASS}


def is_got_10k(name: str) -> bool:
    """Return whether the named set is GOT-10k or a part of it, whose scores depend on frame size and visibility."""
    return name.lower() in ("got-10k", "got-10k-val", "got-10k-test")


def protocol_of(name: str, tags: bool, anchors: bool) -> str:
    """Return the protocol of a set with a JSON, see `Dataset.protocol`.

    The name decides for known sets. For other sets the JSON decides: a set with anchors is multi-start, a set with VOT
    tags is supervised, all others are one-pass. A warning is logged if name and JSON disagree.
    """
    tag_keys = f"{', '.join(VOT_TAGS)} (empty lists are enough)"
    if is_long_term(name):
        return "longterm"
    if is_one_pass(name):
        if tags:
            logger.warning(
                "the json of %s has VOT tags, like sets with restarts, but its name is that of a one-pass set: it is "
                "tracked and scored in one pass. Rename the file if it is another set",
                name,
            )
        return "one pass"
    if is_multistart(name) or anchors:
        return "multistart"
    if name in VOT_SETTINGS:
        if not tags:
            logger.warning(
                "the json of %s has no VOT tags, but its name is that of a VOT set: it is tracked and scored with "
                "restarts. Add the keys %s to it, or rename the file if it is another set",
                name,
                tag_keys,
            )
        return "supervised"
    if not tags and name.lower().startswith("vot"):
        logger.warning(
            "%s begins with VOT, but its json has no VOT tags: it is tracked and scored in one pass. "
            "For restarts, add the keys %s to its videos",
            name,
            tag_keys,
        )
    return "supervised" if tags else "one pass"


def settings_of(name: str) -> VotSettings:
    """Return the settings of the named set; those of VOT2018, with a warning, for a name that is not in the table."""
    if name not in VOT_SETTINGS:
        logger.warning(
            "%s is not a known VOT set (%s): scored with the settings of %s", name, ", ".join(VOT_SETTINGS), FALLBACK
        )
        return VOT_SETTINGS[FALLBACK]
    return VOT_SETTINGS[name]
