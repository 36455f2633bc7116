"""What is known of each data set before its files are read."""

import logging
import re

from pysot.toolkit.sequence import VotSettings

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

# One-pass sets. LaSOT and TrackingNet rank by success and normalised precision, GOT-10k by average overlap; all of it is computed for each.
ONE_PASS = ("OTB50", "OTB100", "OTB2015", "OTB2013", "CVPR13", "UAV123", "UAV123_10fps", "UAV20L", "NFS30", "NFS240", "LaSOT", "LaSOT_ext", "GOT-10k",
            "GOT-10k-val", "GOT-10k-test", "TrackingNet", "TC128")


def is_long_term(name: str) -> bool:
    """Whether the named set is one of long-term tracking: VOT2018-LT and its successors."""
    return name.upper().endswith("-LT")


def is_many_starts(name: str) -> bool:
    """Whether the named set is a short-term one of VOT2020 or later, with or without letters behind the year."""
    return re.match(r"vot(-?st)?202\d", name.lower()) is not None and not is_long_term(name)


def is_one_pass(name: str) -> bool:
    """Whether the named set is tracked in one pass, whatever the case of its letters."""
    return name.lower() in {known.lower() for known in ONE_PASS}


def settings_of(name: str) -> VotSettings:
    """Settings of the named set; those of VOT2018, with a logged sentence, for a name that is not in the table."""
    if name not in VOT_SETTINGS:
        logger.warning("%s is not a known VOT set (%s): scored with the settings of %s", name, ", ".join(VOT_SETTINGS), STAND_IN)
        return VOT_SETTINGS[STAND_IN]
    return VOT_SETTINGS[name]
