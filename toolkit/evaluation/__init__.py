"""Benchmarks of the original `toolkit.evaluation`, in the arithmetic of `pysot.toolkit` that agrees with it."""

from toolkit.evaluation.ar_benchmark import AccuracyRobustnessBenchmark
from toolkit.evaluation.eao_benchmark import EAOBenchmark
from toolkit.evaluation.f1_benchmark import F1Benchmark
from toolkit.evaluation.ope_benchmark import OPEBenchmark

__all__ = ["AccuracyRobustnessBenchmark", "EAOBenchmark", "F1Benchmark", "OPEBenchmark"]
