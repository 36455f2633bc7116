"""Data sets of the claims, with totals that have a source. A number without one is not here."""

from pysot.reproduction.claim import DataSet, Total

_BENCHMARK = "see testing_dataset/README.md"
_OWN = "experiments/README.md"


def _training(name: str, folder: str, *totals: Total) -> DataSet:
    return DataSet(name, f"see training_dataset/{folder}/readme.md", totals)


def _benchmark(name: str, videos: int, source: str, frames: int | None = None) -> DataSet:
    totals = [Total("videos", videos, source)]
    if frames is not None:
        totals.append(Total("frames", frames, source))
    return DataSet(name, f"{_BENCHMARK}; put it into testing_dataset/{name}", tuple(totals))


# Training sets of the published recipe.
PUBLISHED_TRAINING = (
    _training("VID", "vid", Total("videos", 3862, "ILSVRC2015 VID: 3862 snippets for training", is_limit=True)),
    _training("YOUTUBEBB", "yt_bb"),
    _training("COCO", "coco", Total("videos", 118287, "COCO: 118287 images in train2017", is_limit=True)),
    _training("DET", "det", Total("videos", 456567, "ILSVRC2015 DET: 456567 images for training", is_limit=True)),
)

# Benchmarks by their names in the tables of published weights.
PUBLISHED_BENCHMARKS = {
    "VOT2016": _benchmark("VOT2016", 60, "The Visual Object Tracking VOT2016 challenge results (ECCVW 2016)", 21455),
    "VOT2018": _benchmark("VOT2018", 60, "The sixth Visual Object Tracking VOT2018 challenge results", 21356),
    "VOT2019": _benchmark("VOT2019", 60, "The seventh Visual Object Tracking VOT2019 challenge results"),
    "VOT2018-LT": _benchmark("VOT2018-LT", 35, "The sixth Visual Object Tracking VOT2018 challenge results"),
    "OTB2015": _benchmark("OTB100", 100, "Object Tracking Benchmark (Wu et al., TPAMI 2015)"),
    "GOT-10k val": _benchmark("GOT-10k", 180, "GOT-10k (Huang et al., TPAMI 2021)"),
    "DTB70": _benchmark("DTB70", 70, "Visual object tracking for UAVs (Li and Yeung, AAAI 2017)"),
}

# Data of the claims of this repository.
_MADE = "this repository's generator, tools/make_quickstart_data.py"
QUICKSTART = DataSet(
    "QUICKSTART",
    "leave out --data_path: the data are then made in the run folder",
    (Total("videos", 100, _MADE), Total("tracks", 100, _MADE), Total("boxes", 1562, _MADE)),
    "04dc2bb7c85c6b1579909fd9f2cfd55d9f2ff296564a68a97cdd690c0cf1c467",
)
VOT_QUICKSTART = DataSet(
    "VOT-QUICKSTART",
    "leave out --data_path: the data are then made in the run folder",
    (Total("videos", 8, _MADE), Total("frames", 804, _MADE)),
    "851179386c0140bb3077432c3f1e5c1056419c1f153fc92c1625ebe3ee581b9c",
)


def _own(name: str, videos: int, boxes: int, sha256: str) -> DataSet:
    totals = (Total("videos", videos, _OWN), Total("boxes", boxes, _OWN))
    return DataSet(name, f"see {_OWN}, Real input", totals, sha256)


SMALL_TRAINING = (
    _own("COCO", 150, 1311, "736330c046fcb3846e311e46690ebd568a6667a5dae0a25f755fb191b5925a49"),
    _own("OTB", 3, 1091, "1c81d34141e2528d0b49131ca54c197a929cc11fc858db86c640490402ddb27a"),
    _own("DAVIS", 6, 295, "e3e659196d5de2cf14be07a7a35cc2db2b02909a7f1c376b65462498cf699c2d"),
)
HELDBACK = DataSet(
    "HELDBACK",
    f"see {_OWN}, Real input",
    (Total("videos", 5, _OWN),),
    "8854222baad33181111f5229ff605633571774e386691c8af3e032f9a091bb87",
)
