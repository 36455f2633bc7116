"""Benchmarks of tools/benchmark.py by name."""

from collections.abc import Callable

from pysot.benchmarks.evaluation import eval_many, evaluation
from pysot.benchmarks.index import index
from pysot.benchmarks.job import Job, Result
from pysot.benchmarks.loader import loader
from pysot.benchmarks.prepare import prepare
from pysot.benchmarks.scaling import scale
from pysot.benchmarks.training import train
from pysot.benchmarks.xcorr import xcorr

BENCHMARKS: dict[str, Callable[[Job], Result]] = {
    "train": train,
    "scale": scale,
    "xcorr": xcorr,
    "loader": loader,
    "index": index,
    "prepare": prepare,
    "eval": evaluation,
    "eval-many": eval_many,
}
