"""Sets with results for the tests of reports: a tracker that loses the target, with frames on the disk."""

import numpy as np
from toolkit_data import box_sequence, save_baseline, trajectory, write_frames

from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.toolkit.datasets.settings import EAO_TAGS
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocol import Scores

SETTINGS = VotSettings(5, 20, 10)
EVIL = "<script>document.title='got you'</script>\"'&"


def scores_of(folder, names=("good", "bad"), sequences=("a", "b"), with_frames=False) -> Scores:
    """Return scores of a supervised set with timelines; the n-th tracker loses the target n times."""
    listed = [box_sequence(40, name=name, tags={"occlusion": [1, 1], "size_change": [1]}) for name in sequences]
    if with_frames:
        write_frames(folder / "frames", 40)
        for sequence in listed:
            paths = [str(path) for path in sorted((folder / "frames").iterdir())]
            object.__setattr__(sequence, "frame_paths", paths)
    dataset = Dataset("SET", listed, EAO_TAGS, SETTINGS)
    folders = [folder / str(index) / name.replace("/", "_") for index, name in enumerate(names)]
    for index, tracker_dir in enumerate(folders):
        for sequence in listed:
            save_baseline(tracker_dir, sequence.name, trajectory(40, lost=np.arange(12, 36, 8)[: index % 4].tolist()))
    return score_trackers(dataset, folders, mode="both", with_timelines=True)
