"""Print a sha256 of every result that a refactoring must not change.

python test/byte_checks.py --network quickstart/trained.pth [CHECK ...]

Execute it before and after the refactoring, on the same machine, and compare the two outputs with diff. The network is
the one that test/quickstart.sh writes. The checks `scores`, `pages` and `raw` need real data below the folder of
--shared: data/benchmarks, data/results, and raw sets in data/<set>, named as in tools/prepare_data.py.
"""

import argparse
import hashlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "experiments/quickstart/config.yaml"
RAW_SETS = ("otb", "vot", "davis", "coco")
SCALARS = ("total_loss", "cls_loss", "loc_loss")


def run_tool(name: str, *arguments: object, cwd: Path) -> str:
    """Execute a tool in `cwd` and return its output. Raises RuntimeError with its error output if it fails."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / name), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return done.stdout


def digest(*parts: bytes) -> str:
    """Return the sha256 of the concatenated parts."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


def folder_digest(folder: Path, pattern: str = "*", exclude: str = r"$^") -> str:
    """Return the sha256 of names and contents of the files below a folder, without names that match `exclude`."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file() and not re.search(exclude, path.name))
    parts = []
    for path in files:
        parts += [path.relative_to(folder).as_posix().encode(), path.read_bytes()]
    return digest(*parts)


def prepare(work: Path) -> None:
    """Make the quickstart's data in `work`."""
    run_tool(
        "make_quickstart_data.py",
        "--train",
        "training_dataset/quickstart/sequences",
        "--test",
        "testing_dataset/VOT-QUICKSTART",
        cwd=work,
    )
    run_tool(
        "prepare_data.py",
        "vot",
        "training_dataset/quickstart/sequences",
        "--out",
        "training_dataset/quickstart",
        cwd=work,
    )


def check_data(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Check frames, crops and annotation of the quickstart."""
    yield "quickstart frames", folder_digest(work / "testing_dataset")
    yield "quickstart crops", folder_digest(work / "training_dataset/quickstart/crop511", "*.jpg")
    yield "quickstart train.json", digest((work / "training_dataset/quickstart/train.json").read_bytes())


def check_items(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Check all training items of an epoch."""
    sys.path.insert(0, str(ROOT))
    from pysot.core.config import load_config
    from pysot.datasets.data_builder import build_dataset

    dataset = build_dataset(load_config(str(CONFIG), [], for_training=True), seed=123456, data_path=str(work))
    sha = hashlib.sha256()
    for position in range(len(dataset)):
        for key, value in sorted(dataset[0, position].items()):
            sha.update(key.encode() + value.tobytes())
    yield f"{len(dataset)} training items", sha.hexdigest()


def check_losses(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Check the losses of the first 50 steps, as float32, and the weights after them."""
    import torch

    run_tool(
        "train.py",
        "--cfg",
        CONFIG,
        "--seed",
        123456,
        "--max_step",
        50,
        "--data_path",
        work,
        "--opts",
        "TRAIN.PRINT_FREQ",
        1,
        cwd=work,
    )
    losses = read_losses(work / "quickstart/logs")
    text = "".join(f"{step} {name} {struct.pack('<f', value).hex()}\n" for step, name, value in sorted(losses))
    yield f"{len(losses)} losses", digest(text.encode())
    last = sorted((work / "quickstart/snapshot").glob("*.pth"))[-1]
    weights = torch.load(last, weights_only=True, map_location="cpu")["state_dict"]
    parts = []
    for name, value in sorted(weights.items()):
        parts += [name.encode(), value.numpy().tobytes()]
    yield "weights after 50 steps", digest(*parts)


def read_losses(folder: Path) -> list[tuple[int, str, float]]:
    """Return step, tag and value of every loss in the TensorBoard files of a folder."""
    from tensorboardX.proto.event_pb2 import Event

    losses = []
    for path in sorted(folder.glob("events*")):
        data, start = path.read_bytes(), 0
        # A record is the size of its event (8 bytes), a checksum (4 bytes), the event, a checksum (4 bytes).
        while start < len(data):
            (size,) = struct.unpack_from("<Q", data, start)
            event = Event.FromString(data[start + 12 : start + 12 + size])
            for value in event.summary.value:
                if value.tag.split("/")[-1] in SCALARS:
                    losses.append((event.step, value.tag, value.simple_value))
            start += size + 16
    return losses


def check_boxes(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Check boxes and scores of the quickstart's network in the experiments that do not depend on time."""
    for experiment in ("baseline", "unsupervised"):
        name = ("--dataset", "VOT-QUICKSTART", "--experiment", experiment)
        run_tool(
            "test.py",
            "--config",
            CONFIG,
            "--snapshot",
            args.network.resolve(),
            *name,
            "--workers",
            1,
            "--device",
            "cpu",
            cwd=work,
        )
        results = work / "results/VOT-QUICKSTART" / args.network.stem / experiment
        yield f"boxes, {experiment}", folder_digest(results, exclude=r"_time\.")
        text = run_tool("eval.py", "-p", "results", *name, "--mode", "both", "-s", "--json", "scores.json", cwd=work)
        yield f"scores of boxes, {experiment}", digest((work / "scores.json").read_bytes(), text.encode())


def check_scores(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Check JSON and tables of real results in every evaluation mode."""
    for name in ("VOT2018", "OTB100"):
        for mode in ("both", "pysot", "official"):
            printed = evaluate(args, work, name, "--mode", mode, "-s", "--json", "scores.json", "--table", "table.csv")
            yield f"{name} {mode}: json", digest((work / "scores.json").read_bytes())
            tables = [path.read_bytes() for path in sorted(work.glob("table*.csv"))]
            yield f"{name} {mode}: tables", digest(printed.encode(), *tables)


def check_pages(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Check the report page, without its date, and the figures."""
    for name in ("VOT2018", "OTB100"):
        copy = work / "copy" / name
        shutil.copytree(args.shared / "data/results" / name, copy)
        for mode in ("pysot", "both"):
            run_tool(
                "eval.py",
                "-p",
                work / "copy",
                "-d",
                name,
                "--datasetdir",
                args.shared / "data/benchmarks",
                "--mode",
                mode,
                "--report",
                "page.html",
                "--vis",
                cwd=work,
            )
            page = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d[^<]*", "", (work / "page.html").read_text(encoding="utf-8"))
            yield f"{name} {mode}: page", digest(page.replace(str(work), "").encode())
            yield f"{name} {mode}: figures", folder_digest(copy, "*.png")


def evaluate(args: argparse.Namespace, work: Path, name: str, *more: object) -> str:
    """Evaluate the real results of a set and return the printed tables."""
    return run_tool(
        "eval.py",
        "-p",
        args.shared / "data/results",
        "-d",
        name,
        "--datasetdir",
        args.shared / "data/benchmarks",
        *more,
        cwd=work,
    )


def check_raw(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Check crops and annotation of real raw data."""
    for name in RAW_SETS:
        run_tool("prepare_data.py", name, args.shared / "data" / name, "--name", name, cwd=work)
        yield f"raw {name}", folder_digest(work / "training_dataset" / name, exclude=r"\.lock$")


CHECKS = {
    "data": check_data,
    "items": check_items,
    "losses": check_losses,
    "boxes": check_boxes,
    "scores": check_scores,
    "pages": check_pages,
    "raw": check_raw,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "only",
        nargs="*",
        choices=[*CHECKS, []],
        metavar="CHECK",
        help=f"checks to execute, of {', '.join(CHECKS)} (default: all whose data exists)",
    )
    parser.add_argument(
        "--network", type=Path, default=ROOT / "quickstart/trained.pth", help="checkpoint of the quickstart's network"
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of real data")
    args = parser.parse_args()
    args.shared = args.shared.resolve()
    possible = [name for name in CHECKS if args.shared.is_dir() or name not in ("scores", "pages", "raw")]
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for name in args.only or possible:
            for label, value in CHECKS[name](Path(folder), args):
                print(f"{value}  {label}", flush=True)


if __name__ == "__main__":
    main()
