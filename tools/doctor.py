"""Look at this machine, and at what a config needs, and say what is wrong in words: python tools/doctor.py [--cfg experiments/<name>/config.yaml].

--run also computes on every card (or the one of --device; on the CPU where there are none): copies, convolutions, batch-norm, gradients, a step of the
optimizer, a sum over all cards, each compared with the CPU. Ends with status 1 if something is wrong.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import _cli
from pysot.utils.doctor import Finding, examine
from pysot.utils.files import find_path

HERE = Path(__file__).resolve().parents[1]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = HERE / "experiments" / "siamrpn_r50_l234_dwxcorr_8gpu" / "config.yaml"
    _cli.add_config_arguments(parser, default=str(default))
    parser.add_argument(
        "--run",
        action="store_true",
        help="compute on every card and compare with the CPU: the first thing to run on a new server",
    )
    parser.add_argument("--data_path", help="as for train.py")
    _cli.add_dataset_arguments(parser, default="VOT2016")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    findings = []
    for section, group in itertools.groupby(
        itertools.chain(examine(), run(args), needs(args)), key=lambda finding: finding.section
    ):
        print(f"== {section}", flush=True)
        for finding in group:
            findings.append(finding)
            print(
                f"{'!!' if finding.problem else '  '} {finding.name:<26} {finding.value}{' -- ' if finding.problem else ''}{finding.problem}",
                flush=True,
            )
    problems = sum(bool(finding.problem) for finding in findings)
    print(f"\n{problems} problem(s)" + (", the lines with !!" if problems else ""))
    sys.exit(1 if problems else 0)


def run(args) -> Iterator[Finding]:
    """Work for the cards, with --run; nothing where torch cannot be imported, which is a finding already."""
    if args.run:
        try:
            from pysot.utils.doctor_run import run_all
        except (ImportError, RuntimeError, OSError):
            return
        yield from run_all(args.device)


def needs(args) -> Iterator[Finding]:
    """What the config names: training data, start weights, checkpoints; and the benchmark."""
    from pysot.core.config import load_config

    try:
        cfg = load_config(args.config, args.opts, for_training=True)
    except (ValueError, OSError) as error:
        yield Finding("config", "file", str(args.config), " ".join(str(error).split()))
        return
    yield Finding("config", "file", str(args.config))
    for name in cfg.DATASET.NAMES:
        for key in ("ANNO", "ROOT"):
            yield located(
                "data",
                f"{name}.{key}",
                cfg.DATASET[name][key],
                "prepare it, see training_dataset/README.md",
                args.data_path,
            )
    yield benchmark(Path(args.datasetdir), args.dataset)
    for key, path in (("BACKBONE.PRETRAINED", cfg.BACKBONE.PRETRAINED), ("TRAIN.PRETRAINED", cfg.TRAIN.PRETRAINED)):
        if path:
            yield located("checkpoints", key, path, "see pretrained_models/README.md")
    for path in sorted(Path(cfg.TRAIN.SNAPSHOT_DIR).glob("*.pth")):
        yield readable(path)


def located(section, name, path, remedy, folder=None) -> Finding:
    try:
        found = find_path(path, name, remedy, folder)
    except FileNotFoundError as error:
        return Finding(section, name, "missing", str(error).removeprefix(f"{name}: "))
    if found.suffix in (".pth", ".model"):
        return readable(found, name)
    if found.suffix == ".json" and found.stat().st_size < 2**24:
        try:
            return Finding(section, name, f"{found}, {len(json.loads(found.read_text(encoding='utf-8')))} videos")
        except ValueError as error:
            return Finding(section, name, str(found), f"is damaged ({error}); make it again")
    return Finding(section, name, str(found), "" if found.is_file() or any(found.iterdir()) else "is empty")


def readable(path: Path, name: str = "") -> Finding:
    try:
        from pysot.utils.model_load import read_checkpoint

        count = len(read_checkpoint(path)["state_dict"])
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        return Finding("checkpoints", name or path.name, str(path), str(error))
    return Finding("checkpoints", name or path.name, f"{path}, {count} tensors")


def benchmark(folder: Path, name: str) -> Finding:
    there = [
        path
        for path in (folder / f"{name}.json", folder / name / f"{name}.json", folder / name / "list.txt")
        if path.exists()
    ]
    problem = "" if there else "not there, so nothing can be evaluated; see testing_dataset/README.md"
    return Finding("data", name, str(there[0]) if there else str(folder / name), problem)


if __name__ == "__main__":
    _cli.run(main)
