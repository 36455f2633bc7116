"""Benchmarks of tools/benchmark.py by name."""

from collections.abc import Callable
from dataclasses import dataclass

from pysot.benchmarks.deploying import deploy
from pysot.benchmarks.evaluation import eval_many, evaluation
from pysot.benchmarks.index import index
from pysot.benchmarks.job import Job, Result
from pysot.benchmarks.loader import loader
from pysot.benchmarks.networks import SMALL
from pysot.benchmarks.prepare import prepare
from pysot.benchmarks.scaling import scale
from pysot.benchmarks.set_speed import track_set
from pysot.benchmarks.tracking_speed import track
from pysot.benchmarks.training import train
from pysot.benchmarks.tuning import hp_search
from pysot.benchmarks.xcorr import xcorr


@dataclass(frozen=True)
class Benchmark:
    """Function of a benchmark, its default experiment, and whether it reads the training data of the config."""

    function: Callable[[Job], Result]
    experiment: str = SMALL
    reads_training_data: bool = False


BENCHMARKS = {
    "train": Benchmark(train, reads_training_data=True),
    "scale": Benchmark(scale, reads_training_data=True),
    "xcorr": Benchmark(xcorr),
    "loader": Benchmark(loader, reads_training_data=True),
    "index": Benchmark(index),
    "prepare": Benchmark(prepare),
    "track": Benchmark(track, "siamrpn_alex_dwxcorr"),
    "test": Benchmark(track_set),
    "deploy": Benchmark(deploy, "siamrpn_alex_dwxcorr"),
    "hp-search": Benchmark(hp_search),
    "eval": Benchmark(evaluation),
    "eval-many": Benchmark(eval_many),
}
