"""Score trackers as scripts of the original package do: its imports, its loop over data sets, its tables.

python evaluation_script.py <results> <data sets> <name of the set> <tracker>...
"""

import os
import sys

from toolkit.datasets import LaSOTDataset, NFSDataset, OTBDataset, UAVDataset, VOTDataset, VOTLTDataset
from toolkit.evaluation import AccuracyRobustnessBenchmark, EAOBenchmark, F1Benchmark, OPEBenchmark
from toolkit.visualization import draw_eao, draw_f1, draw_success_precision

TAGS = ["all", "camera_motion", "illum_change", "motion_change", "size_change", "occlusion", "empty"]


def one_pass(dataset, trackers):
    benchmark = OPEBenchmark(dataset)
    success = benchmark.eval_success(trackers)
    precision = benchmark.eval_precision(trackers)
    normalised = benchmark.eval_norm_precision(trackers)
    benchmark.show_result(success, precision, normalised, show_video_level=True)
    for attribute, videos in dataset.attr.items():
        draw_success_precision(success, dataset.name, videos, attribute, precision, bold_name=trackers[0])


def supervised(dataset, trackers):
    scores = AccuracyRobustnessBenchmark(dataset).eval(trackers)
    benchmark = EAOBenchmark(dataset, tags=TAGS)
    eao = benchmark.eval(trackers)
    AccuracyRobustnessBenchmark(dataset).show_result(scores, eao, show_video_level=True)
    benchmark.show_result(eao)
    draw_eao(eao)


def long_term(dataset, trackers):
    benchmark = F1Benchmark(dataset)
    scores = benchmark.eval(trackers)
    benchmark.show_result(scores, show_video_level=True)
    draw_f1(scores, bold_name=trackers[0])


def main(results, root, name, trackers):
    kinds = {"OTB": OTBDataset, "UAV": UAVDataset, "LaSOT": LaSOTDataset, "NFS": NFSDataset}
    if "-LT" in name:
        dataset, score = VOTLTDataset(name, root), long_term
    elif "VOT" in name:
        dataset, score = VOTDataset(name, root), supervised
    else:
        kind = next(kind for part, kind in kinds.items() if part in name)
        dataset, score = kind(name, root), one_pass
    dataset.set_tracker(os.path.join(results, name), trackers)
    score(dataset, trackers)


if __name__ == "__main__":
    main(*sys.argv[1:4], sys.argv[4:])
