"""Expected average overlap with the interface of the original's EAOBenchmark."""

from collections.abc import Sequence

from pysot.toolkit.datasets.sequence import VotSettings
from pysot.toolkit.datasets.settings import settings_of
from pysot.toolkit.evaluation.eao import expected_average_overlap, expected_overlap
from pysot.toolkit.report.text_tables import number
from toolkit.datasets.dataset import Dataset
from toolkit.evaluation.trajectories import print_table, runs_of, tracker_names


class EAOBenchmark:
    """EAO on a supervised VOT set, by tag. `low`, `high` and `peak` are sequence lengths, set by the set's name.

    A restart comes `skipping` frames after a loss.
    """

    def __init__(self, dataset: Dataset, skipping: int = 5, tags: Sequence[str] = ("all",)) -> None:
        self.dataset, self.skipping, self.tags = dataset, skipping, list(tags)
        settings = settings_of(dataset.name)
        self.low, self.high, self.peak = settings.low, settings.high, settings.peak

    def eval(self, eval_trackers: Sequence[str] | str | None = None) -> dict[str, dict[str, float]]:
        """Return {tracker: {tag: EAO}}; NaN for a tag that no frame has."""
        settings = VotSettings(self.low, self.high, self.peak, self.skipping)
        result = {}
        for tracker in tracker_names(self.dataset, eval_trackers):
            runs = [run for group in runs_of(self.dataset, tracker).values() for run in group]
            curves = expected_overlap(runs, tuple(self.tags), settings)
            result[tracker] = expected_average_overlap(curves, tuple(self.tags), settings)
        return result

    def show_result(self, result: dict[str, dict[str, float]], topk: int = 10) -> None:
        """Print the EAO of the `topk` best trackers, one column per tag."""
        names = sorted(result, key=lambda name: result[name]["all"], reverse=True)[:topk]
        columns = ["EAO"] if len(self.tags) == 1 else self.tags
        rows = [[name, *(number(result[name][tag], 3) for tag in self.tags)] for name in names]
        print_table([["Tracker Name", *columns], *rows])
