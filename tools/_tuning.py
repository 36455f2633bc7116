"""Parts of hp_search.py: the search of its arguments, and what is written and printed at its end."""

import argparse
import contextlib
import functools
import hashlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

import _cli
from pysot.load import load_network, read_config
from pysot.toolkit.datasets import load_dataset, missing_frames
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.report.text_tables import table
from pysot.tracker.tracker_builder import results_fingerprint
from pysot.tuning.call_sizes import CallSizes
from pysot.tuning.page import describe, write_page
from pysot.tuning.rounds import Stopped
from pysot.tuning.scores import DEFAULT_HOLD_OUT, Split, split_dataset
from pysot.tuning.search import Search
from pysot.tuning.search_builder import (
    RANGES,
    build_lockstep,
    build_setting,
    build_space,
    setting_config,
    tuned_config,
)
from pysot.tuning.space import Space
from pysot.tuning.study import open_study, storage_errors
from pysot.utils.device import device_name, one_thread, seed_everything
from pysot.utils.files import atomic_write, find_path
from pysot.utils.model_load import read_checkpoint
from pysot.utils.progress import brief_bar, progress_bar
from pysot.utils.signals import Interrupted, stop_on_signals

logger = logging.getLogger("hp_search")

# Flags of the original's hp_search.py, their keys of TRACK and default ranges.
FLAGS = {
    "--penalty-k": ("PENALTY_K", RANGES["PENALTY_K"]),
    "--window-influence": ("WINDOW_INFLUENCE", RANGES["WINDOW_INFLUENCE"]),
    "--lr": ("LR", RANGES["LR"]),
    "--search-region": ("INSTANCE_SIZE", None),
}

# Settings of a round by method: neighbours in a grid have many equal crops, and tpe learns from the round before.
ROUNDS = {"tpe": 16, "grid": 64}


@dataclass(frozen=True)
class Tuning:
    """A search, and where its results are: the folder of the set's results, beside which is `stem` with suffixes."""

    search: Search
    cfg: CfgNode
    folder: Path
    stem: Path


@contextlib.contextmanager
def open_search(args: argparse.Namespace) -> Iterator[Tuning]:
    """Yield the search of the arguments. An interrupt in this context is raised at its end as Interrupted.

    Raises as `open_study`, `split_dataset` and `build_space`, and FileNotFoundError for missing frames.
    """
    snapshot = find_path(args.snapshot, "snapshot", "")
    cfg = read_config(args.config, [snapshot], args.opts)
    space = build_space(cfg, _ranges(args))
    dataset = load_dataset(args.dataset, args.datasetdir, brief_bar)
    protocol, missing = find_protocol(dataset, args.experiment), missing_frames(dataset)
    if dataset.hidden_truth:
        raise ValueError(f"{dataset.name} is scored by its server only: search on a set with ground truth")
    if missing:
        raise FileNotFoundError(f"{dataset.name}: frames are missing: {missing[0]}, {len(missing)} in all")
    split = split_dataset(dataset, args.tune_on, args.hold_out or DEFAULT_HOLD_OUT, args.seed)
    device = _cli.open_device(args, cfg)
    seed_everything(args.seed)
    model = load_network(cfg, read_checkpoint(snapshot), snapshot).to(device).eval()
    folder = Path(args.results_dir) / dataset.name
    name = args.study or snapshot.stem
    stem = folder.with_name(f"{dataset.name}_{name}")
    folder.mkdir(parents=True, exist_ok=True)
    make_setting = functools.partial(build_setting, model, cfg, snapshot.stem, folder)
    facts = {
        "network, config or device": results_fingerprint(model, setting_config(cfg, _neutral(space))),
        "data set": _describe(split),
        "experiment": protocol.experiment,
    }
    url = args.storage or f"sqlite:///{stem}.db"
    workers = args.workers or _cli.default_tracking_workers(device, len(split.tune))
    with one_thread(device), storage_errors(url), stop_on_signals("finished settings are kept") as stop:
        study = open_study(url, name, space, args.method, facts, args.seed, not args.no_prune)
        stop.saves = True
        unfinished = folder.parent / ".unfinished" / stem.name

        def is_stopped() -> bool:
            return bool(stop.signum)

        sizes = CallSizes(cfg.TRACK.EXEMPLAR_SIZE)
        make_lockstep = functools.partial(build_lockstep, model, cfg, protocol, sizes, workers, is_stopped)
        search = Search(
            study, split, protocol, make_setting, make_lockstep, unfinished, progress_bar, args.seed, is_stopped
        )
        text = "tuning %s on %d sequences of %s, %d are kept aside; %s, workers: %d, settings in a round: %d"
        aside = len(split.hold_out) if split.hold_out else 0
        logger.info(
            text, snapshot.stem, len(split.tune), dataset.name, aside, device_name(device), workers, args.settings
        )
        try:
            yield Tuning(search, cfg, folder, stem)
        except Stopped:
            raise Interrupted(
                stop.signum, f"interrupted; finished settings are in {folder}, and the same command goes on"
            ) from None
        finally:
            study.close()


def _ranges(args: argparse.Namespace) -> dict[str, str]:
    """Return the ranges of the arguments by keys of TRACK. Raises ValueError for a key with two of them."""
    given = [(key, getattr(args, flag[2:].replace("-", "_"))) for flag, (key, _) in FLAGS.items()]
    given = [(key, text) for key, text in given if text is not None]
    given += [(key.removeprefix("TRACK."), text) for key, text in args.param]
    keys = [key for key, _ in given]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"TRACK.{key} has {keys.count(key)} ranges; give it one")
    return dict(given)


def _neutral(space: Space) -> dict[str, float]:
    """Return values of a space that do not depend on the config."""
    return space.values({parameter.name: parameter.low for parameter in space.parameters})


def _describe(split: Split) -> str:
    """Return a text that identifies the sequences of both parts and their ground truth."""
    digest = hashlib.sha256()
    for part in (split.tune, split.hold_out):
        for sequence in part.sequences if part else ():
            digest.update(sequence.name.encode() + b"".join(region.tobytes() for region in sequence.ground_truth))
        digest.update(b"|")
    aside = len(split.hold_out) if split.hold_out else 0
    return f"{split.tune.name}, {len(split.tune)} and {aside} sequences, {digest.hexdigest()[:16]}"


def conclude(tuning: Tuning, args: argparse.Namespace) -> str:
    """Score the best setting on both parts, write its config and the page; return the text to print.

    While other processes track settings of the study, only says so: the last one concludes.
    """
    search, counts = tuning.search, tuning.search.study.count()
    if counts["under way"] or not counts["finished"]:
        return (
            f"{counts['finished']} settings are finished, {counts['under way']} under way in other processes: the last "
            "one of them, or the same command after them, scores the best setting"
        )
    scored = search.check_winner()
    shutil.rmtree(search.unfinished, ignore_errors=True)
    with contextlib.suppress(OSError):  # there is none, or another study has settings under way
        search.unfinished.parent.rmdir()
    measure, split = _measure(search), search.split
    remark = f"{split.tune.name}: tuned on {len(split.tune)} sequences" + (
        f", checked on {len(split.hold_out)} that were kept aside."
        if split.hold_out
        else ". No sequence was kept aside: the scores are those of the sequences that the setting was chosen on, and "
        "too good for others."
    )
    values = dict(scored[-1].values)
    config, page = Path(f"{tuning.stem}_best.yaml"), Path(f"{tuning.stem}.html")
    with atomic_write(config) as stream:
        stream.write(tuned_config(tuning.cfg, args.config, args.opts, values, f"TRACK by tools/hp_search.py. {remark}"))
    write_page(page, f"{Path(args.snapshot).stem} on {split.tune.name}", search.study, measure, remark, scored)
    rows = [["Setting", f"{measure} tuned", f"{measure} kept aside"]]
    for each in scored:
        held_out = "" if each.held_out is None else f"{each.held_out:.3f}"
        rows.append([describe(each.values), f"{each.tuned:.3f}", held_out])
    work = search.work
    lines = [table(rows), remark]
    if work.searched:
        lines.append(f"{work.computed} of {work.searched} search crops were computed, the others shared")
    lines.append(f"{config}, {page}, results of {counts['finished']} settings in {tuning.folder}")
    return "\n".join(lines)


def _measure(search: Search) -> str:
    """Return the name of the score that ranks settings."""
    return "EAO" if search.protocol.restarts else "score"
