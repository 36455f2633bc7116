"""Check this machine and what a config needs, and say in words what is wrong.

--run also computes on every card, or on that of --device, and compares with the CPU: copies,
convolutions, gradients, an optimizer step, a sum over all cards. Ends with status 1 if something
is wrong.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.toolkit.workspace.findings import check_vot
from pysot.utils.doctor import Finding, examine, is_for_exports
from pysot.utils.files import find_path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = (
    "python tools/doctor.py --run",
    "python tools/doctor.py --cfg experiments/nanotrackv3/config.yaml --dataset VOT2018",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    default = ROOT / "experiments" / "siamrpn_r50_l234_dwxcorr_8gpu" / "config.yaml"
    _arguments.add_config_arguments(parser, default=str(default))
    parser.add_argument("--run", action="store_true", help="also compute: the first thing to do on a new server")
    parser.add_argument("--data_path", metavar="FOLDER", help="as for train.py")
    _arguments.add_dataset_arguments(parser, default="VOT2016")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    all_findings = itertools.chain(examine(), check_vot(), check_cards(args), check_config(args))
    problems = 0
    for section, findings in itertools.groupby(all_findings, key=lambda finding: finding.section):
        print(f"== {section}", flush=True)
        for finding in findings:
            problems += bool(finding.problem)
            mark, problem = ("!!", f" -- {finding.problem}") if finding.problem else ("  ", "")
            print(f"{mark} {finding.name:<26} {finding.value}{problem}", flush=True)
    print(f"\n{problems} problem(s)" + (", the lines with !!" if problems else ""))
    sys.exit(1 if problems else 0)


def check_cards(args: argparse.Namespace) -> Iterator[Finding]:
    """Compute on the cards if --run is given; nothing if torch cannot be imported, which `examine` reports."""
    if args.run:
        try:
            from pysot.utils.doctor_run import run_all
        except (ImportError, RuntimeError, OSError):
            return
        yield from run_all(args.device)


def check_config(args: argparse.Namespace) -> Iterator[Finding]:
    """Check what the config names: training data, initial weights, checkpoints; and the benchmark.

    Nothing where only exported trackers can be used, which have no config.
    """
    if is_for_exports():
        return
    from pysot.core.config import load_config

    try:
        cfg = load_config(args.config, args.opts, for_training=True)
    except (ValueError, OSError) as error:
        yield Finding("config", "file", str(args.config), " ".join(str(error).split()))
        return
    yield Finding("config", "file", str(args.config))
    for name in cfg.DATASET.NAMES:
        for key in ("ANNO", "ROOT"):
            path = cfg.DATASET[name][key]
            yield check_path(
                "data", f"{name}.{key}", path, "prepare it, see training_dataset/README.md", args.data_path
            )
    yield check_benchmark(Path(args.datasetdir), args.dataset)
    for key, path in (("BACKBONE.PRETRAINED", cfg.BACKBONE.PRETRAINED), ("TRAIN.PRETRAINED", cfg.TRAIN.PRETRAINED)):
        if path:
            yield check_path("checkpoints", key, path, "see pretrained_models/README.md")
    for path in sorted(Path(cfg.TRAIN.SNAPSHOT_DIR).glob("*.pth")):
        yield check_checkpoint(path)


def check_path(section: str, name: str, path: str, remedy: str, folder: str | None = None) -> Finding:
    """Check that a path of the config exists and can be read."""
    try:
        found = find_path(path, name, remedy, folder)
    except FileNotFoundError as error:
        return Finding(section, name, "missing", str(error).removeprefix(f"{name}: "))
    if found.suffix in (".pth", ".model"):
        return check_checkpoint(found, name)
    if found.suffix == ".json" and found.stat().st_size < 2**24:
        try:
            return Finding(section, name, f"{found}, {len(json.loads(found.read_text(encoding='utf-8')))} videos")
        except ValueError as error:
            return Finding(section, name, str(found), f"is damaged ({error}); make it again")
    return Finding(section, name, str(found), "" if found.is_file() or any(found.iterdir()) else "is empty")


def check_checkpoint(path: Path, name: str = "") -> Finding:
    try:
        from pysot.utils.model_load import read_checkpoint

        count = len(read_checkpoint(path)["state_dict"])
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        return Finding("checkpoints", name or path.name, str(path), str(error))
    return Finding("checkpoints", name or path.name, f"{path}, {count} tensors")


def check_benchmark(folder: Path, name: str) -> Finding:
    candidates = (folder / f"{name}.json", folder / name / f"{name}.json", folder / name / "list.txt")
    existing = [path for path in candidates if path.exists()]
    problem = "" if existing else "is missing, so nothing can be evaluated; see testing_dataset/README.md"
    return Finding("data", name, str(existing[0]) if existing else str(folder / name), problem)


if __name__ == "__main__":
    _cli.run(main)
