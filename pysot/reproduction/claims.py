"""The table of claims. Adding a published result is a record here."""

from pysot.reproduction.claim import SPEED, Claim, DataSet, Figure, Seeds
from pysot.reproduction.data_sets import (
    HELDBACK,
    PUBLISHED_BENCHMARKS,
    PUBLISHED_TRAINING,
    QUICKSTART,
    SMALL_TRAINING,
    VOT_QUICKSTART,
)
from pysot.utils.published_weights import PUBLISHED

# Names of measures in publications, and in the scores of pysot.toolkit.
MEASURES = {
    "EAO": "eao", "accuracy": "accuracy", "robustness": "robustness", "AUC": "auc", "success": "auc",
    "precision": "precision20", "F1": "f1", "AO": "ao",
}  # fmt: skip

# Hashes of the parsed values of config files, as `inputs.config_digest` computes them.
_CONFIGS = {
    "nanotrackv3": "35401e3b0bd36729ea293bd03ff193b12b2db2898af7c5c9d9064b3a0613958e",
    "quickstart": "14bc47079230c0591e0faf92a39efdd2c82d7130e9eeb9b6a0de0fe9103eabdd",
    "siammask_r50_l3": "1c4465c828e2e85f652e1e5d08f08b7992a65b19284d9141c5b7a8158ad00fb1",
    "siamrpn_alex_dwxcorr": "0d4730ea7e86aec055b4e549bf7124b6d1822c7232ec48916d7071bd8852eb91",
    "siamrpn_alex_dwxcorr_otb": "0d4730ea7e86aec055b4e549bf7124b6d1822c7232ec48916d7071bd8852eb91",
    "siamrpn_mobilev2_l234_dwxcorr": "ec0bbbdab2d55ea3d7432593fb951d56dafdef17678257bbc0c49010ff8c1c84",
    "siamrpn_mobilev2_small": "e7b93088af4a161004e561257f158665193a98886ab440f79c6617e1ad159fd7",
    "siamrpn_r50_l234_dwxcorr": "345be4f319fd4d5ee8d47d6b047217fcd1151589eeb8b2728513236fe4fd1668",
    "siamrpn_r50_l234_dwxcorr_8gpu": "7ebc0b04a2f0bf82372c10d82d8149f33a7f76812a7d4feef56a611796596358",
    "siamrpn_r50_l234_dwxcorr_lt": "a17a5d41adfce7e59304d3fda95a616529ea0f4c101e800e030532e09c0d6ef4",
    "siamrpn_r50_l234_dwxcorr_otb": "a867fc803f4b3b92a4ac0101f3497826b523d66a8582bafd8d4cab97a690cac3",
}

# Training runs of this repository with seeds 1 to 5: mean and standard deviation of each measure, by claim. The tables
# of experiments/README.md equal it. A claim that has none is "not recorded", and its verdict says so.
FIVE_SEEDS: dict[str, dict[str, Seeds]] = {
    "quickstart": {
        "accuracy": Seeds(0.5288, 0.0155, 5),
        "robustness": Seeds(0.49751, 0.3171, 5),
        "EAO": Seeds(0.4111, 0.0780, 5),
    },
    "siamrpn_mobilev2_small": {
        "accuracy": Seeds(0.5459, 0.0341, 5),
        "robustness": Seeds(0.21622, 0.2349, 5),
        "EAO": Seeds(0.4186, 0.0936, 5),
    },
}

_RECIPE = "siamrpn_r50_l234_dwxcorr_8gpu"
_ASCEND = "SiamRPN++ for PyTorch of Ascend ModelZoo, table 2"
_PAIRS = 28  # on each card


def _ascend_8p(name: str, torch: str, speed: float, rows: dict[int, tuple[float, float, float]]) -> Claim:
    """Return the training run on eight NPUs; `rows` are accuracy, robustness and EAO on VOT2016 by epoch."""
    measures = ("accuracy", "robustness", "EAO")
    scores = [
        Figure(measure, value, "VOT2016", epoch)
        for epoch, values in rows.items()
        for measure, value in zip(measures, values, strict=True)
    ]
    return Claim(
        name=name,
        source=_ASCEND,
        kind="launch",
        experiment=_RECIPE,
        config_sha256=_CONFIGS[_RECIPE],
        figures=(Figure(SPEED, speed, decimals=1), *scores),
        made_with=f"8 NPUs, torch {torch}",
        device="npu",
        devices=8,
        batch=_PAIRS,
        training=PUBLISHED_TRAINING,
        benchmarks=(PUBLISHED_BENCHMARKS["VOT2016"],),
        weights="pretrained_models/resnet50.model",
        weights_where="see pretrained_models/README.md, From the original model zoo: model.pth of "
        f"siamrpn_r50_l234_dwxcorr ({PUBLISHED['siamrpn_r50_l234_dwxcorr'].url}) under this name",
        epochs=(11, 20),
    )


def _ascend_1p(name: str, torch: str, speed: float) -> Claim:
    """Return the speed of training on one NPU."""
    return Claim(
        name=name,
        source=_ASCEND,
        kind=SPEED,
        experiment=_RECIPE,
        config_sha256=_CONFIGS[_RECIPE],
        figures=(Figure(SPEED, speed, decimals=2),),
        made_with=f"1 NPU, torch {torch}",
        device="npu",
        batch=_PAIRS,
        training=PUBLISHED_TRAINING,
        weights="pretrained_models/resnet50.model",
        weights_where="see pretrained_models/README.md",
    )


def _published_trackers() -> list[Claim]:
    """Return a claim for each published tracker and each benchmark that its figures are of."""
    claims = []
    for name, weights in PUBLISHED.items():
        if weights.convert is not None:
            continue  # weights of a backbone
        for dataset in dict.fromkeys(figure.dataset for figure in weights.figures):
            benchmark = PUBLISHED_BENCHMARKS[dataset]
            figures = [figure for figure in weights.figures if figure.dataset == dataset]
            claims.append(
                Claim(
                    name=f"{name}-{benchmark.name}",
                    source="MODEL_ZOO.md of the original pysot" if weights.offered else "repository of its authors",
                    kind="track",
                    experiment=name,
                    config_sha256=_CONFIGS[name],
                    figures=tuple(Figure(f.measure, f.value, benchmark.name, 0, f.decimals) for f in figures),
                    benchmarks=(benchmark,),
                    weights=f"pretrained_models/{weights.file}",
                    weights_sha256=weights.sha256,
                    weights_where=f"python tools/get_weights.py {name}",
                )
            )
    return claims


def _own(
    name: str,
    source: str,
    training: tuple[DataSet, ...],
    benchmark: DataSet,
    scores: tuple[float, float, float],
    last_epoch: int,
    weights: str = "",
) -> Claim:
    """Return a training run of this repository; `scores` are accuracy, robustness and EAO of its README."""
    measures = zip(("accuracy", "robustness", "EAO"), scores, strict=True)
    return Claim(
        name=name,
        source=source,
        kind="train",
        experiment=name,
        config_sha256=_CONFIGS[name],
        figures=tuple(Figure(measure, value, benchmark.name) for measure, value in measures),
        made_with="2 CPU cores, torch 2.13.0",
        device="cpu",
        batch=16,
        training=training,
        benchmarks=(benchmark,),
        weights=weights,
        weights_where="see pretrained_models/README.md, From torchvision" if weights else "",
        last_epoch=last_epoch,
        seeds=FIVE_SEEDS[name],
    )


_ALL = [
    _own("quickstart", "README.md", (QUICKSTART,), VOT_QUICKSTART, (0.536, 0.498, 0.394), 7),
    _own(
        "siamrpn_mobilev2_small",
        "experiments/README.md, Real input",
        SMALL_TRAINING,
        HELDBACK,
        (0.547, 0.000, 0.541),
        6,
        "pretrained_models/mobilenetv2.model",
    ),
    _ascend_8p(_RECIPE, "1.8", 280.1, {19: (0.650, 0.224, 0.431), 20: (0.655, 0.252, 0.406)}),
    _ascend_8p(f"{_RECIPE}-torch1.5", "1.5", 203.7, {19: (0.636, 0.228, 0.429), 20: (0.638, 0.247, 0.405)}),
    _ascend_1p(f"{_RECIPE}-speed_1p", "1.8", 49.0),
    _ascend_1p(f"{_RECIPE}-speed_1p-torch1.5", "1.5", 36.89),
    *_published_trackers(),
]
CLAIMS: dict[str, Claim] = {claim.name: claim for claim in _ALL}
