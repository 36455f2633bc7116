"""Examine everything that a claim needs. The config says where the training sets are."""

import logging
from pathlib import Path

from yacs.config import CfgNode

from pysot.core.config import load_config
from pysot.datasets.check import check_annotations
from pysot.datasets.data_builder import find_dataset_paths
from pysot.datasets.index import load_annotation
from pysot.datasets.storage import open_storage
from pysot.reproduction.claim import Claim, DataSet
from pysot.reproduction.inputs import (
    DIFFERS,
    MISSING,
    Row,
    benchmark_rows,
    code_row,
    config_row,
    device_rows,
    find_benchmark,
    missing_row,
    training_rows,
    weights_row,
)
from pysot.reproduction.settings import Place, Settings, small_rows

logger = logging.getLogger(__name__)


def examine_inputs(
    claim: Claim, measured: Claim, settings: Settings, place: Place, cards: int, code: tuple[str, list[str]]
) -> list[Row]:
    """Return a row for each input of a claim.

    `measured` is the claim itself, or its small form; `cards` is the number of devices of the kind of the settings,
    `code` the result of `git_state`. Raises ValueError for data that are damaged.
    """
    root = place.repository
    rows = [code_row(*code)]
    if settings.is_small:
        rows += small_rows(claim)
    else:
        rows += [
            config_row(claim, root),
            *device_rows(claim, settings.device_kind, cards, settings.devices, settings.batch),
        ]
    if (row := weights_row(measured, root)) is not None:
        rows.append(row)
    config = load_config(root / "experiments" / measured.experiment / "config.yaml", for_training=measured.trains)
    for data_set in measured.training:
        rows += _examine_training(data_set, config, place.data)
    for data_set in measured.benchmarks:
        rows += _examine_benchmark(data_set, place)
    return rows


def _examine_training(data_set: DataSet, config: CfgNode, data: Path | None) -> list[Row]:
    """Return the rows of a training set: whether it is here, its counts and hash, and whether its crops can be read."""
    config = config.clone()
    config.defrost()
    config.DATASET.NAMES = [data_set.name]
    try:
        _, root, json_path, _ = find_dataset_paths(config, None if data is None else str(data))[0]
    except FileNotFoundError:
        return [missing_row(data_set, "training set")]
    logger.info("examining the training set %s", data_set.name)
    annotation = load_annotation(data_set.name, root, json_path)
    rows = training_rows(data_set, annotation, Path(json_path))
    try:
        sentences = check_annotations([annotation], [open_storage(annotation)])
        rows += [
            Row(f"{data_set.name}: crops", "to be readable", sentence, DIFFERS, data_set.where)
            for sentence in sentences
        ]
    except ValueError as error:
        rows.append(Row(f"{data_set.name}: crops", "to be readable", str(error), MISSING, data_set.where))
    return rows


def _examine_benchmark(data_set: DataSet, place: Place) -> list[Row]:
    found = find_benchmark(data_set.name, [place.benchmarks])
    return [missing_row(data_set, "benchmark")] if found is None else benchmark_rows(data_set, *found)
