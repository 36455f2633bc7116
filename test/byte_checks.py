"""Print a sha256 for everything that a change of structure must leave alone: python test/byte_checks.py --network quickstart/trained.pth [ONLY ...]

Run it before and after the change, on the same machine, and compare the two outputs with diff. The network is the one that test/quickstart.sh leaves behind.
The checks `scores`, `pages` and `raw` need real data: DIR/data/benchmarks, DIR/data/results, and raw sets by their names in tools/prepare_data.py.
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


def tool(name: str, *arguments, cwd: Path) -> str:
    """Run a tool in `cwd`; returns what it printed. Raises RuntimeError with its error output."""
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
    """The sha256 of the parts one after the other."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def tree(folder: Path, pattern: str = "*", leave_out: str = r"$^") -> str:
    """The sha256 of names and contents below a folder, but for the names in which `leave_out` is found."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file() and not re.search(leave_out, path.name))
    return digest(
        *(part for path in files for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes()))
    )


def prepare(work: Path) -> None:
    """Make the quickstart's data in `work`."""
    tool(
        "make_quickstart_data.py",
        "--train",
        "training_dataset/quickstart/sequences",
        "--test",
        "testing_dataset/VOT-QUICKSTART",
        cwd=work,
    )
    tool(
        "prepare_data.py",
        "vot",
        "training_dataset/quickstart/sequences",
        "--out",
        "training_dataset/quickstart",
        cwd=work,
    )


def check_data(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The quickstart's frames, crops and annotation."""
    yield "quickstart frames", tree(work / "testing_dataset")
    yield "quickstart crops", tree(work / "training_dataset/quickstart/crop511", "*.jpg")
    yield "quickstart train.json", digest((work / "training_dataset/quickstart/train.json").read_bytes())


def check_items(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """All training items of an epoch."""
    sys.path.insert(0, str(ROOT))
    from pysot.core.config import load_config
    from pysot.datasets.data_builder import build_dataset

    dataset, total = (
        build_dataset(load_config(str(CONFIG), [], for_training=True), seed=123456, data_path=str(work)),
        hashlib.sha256(),
    )
    for position in range(len(dataset)):
        for key, value in sorted(dataset[0, position].items()):
            total.update(key.encode() + value.tobytes())
    yield f"{len(dataset)} training items", total.hexdigest()


def check_losses(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The losses of the first 50 steps, as float32, and the weights after them."""
    import torch
    from tensorboardX.proto.event_pb2 import Event

    tool(
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
    found = []
    for path in sorted((work / "quickstart/logs").glob("events*")):
        data, at = path.read_bytes(), 0
        while at < len(data):  # a record is its length in 8 bytes, 4 of checksum, the event, 4 of checksum
            (size,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + size])
            found += [
                (event.step, value.tag, value.simple_value)
                for value in event.summary.value
                if value.tag.split("/")[-1] in SCALARS
            ]
            at += size + 16
    text = "".join(f"{step} {name} {struct.pack('<f', value).hex()}\n" for step, name, value in sorted(found))
    yield f"{len(found)} losses", digest(text.encode())
    last = sorted((work / "quickstart/snapshot").glob("*.pth"))[-1]
    weights = torch.load(last, weights_only=True, map_location="cpu")["state_dict"]
    yield (
        "weights after 50 steps",
        digest(*(part for name, value in sorted(weights.items()) for part in (name.encode(), value.numpy().tobytes()))),
    )


def check_boxes(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The boxes of the quickstart's network and their scores, for each way to run a supervised set that does not depend on time."""
    for experiment in ("baseline", "unsupervised"):
        name = ("--dataset", "VOT-QUICKSTART", "--experiment", experiment)
        tool(
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
        yield f"boxes, {experiment}", tree(results, leave_out=r"_time\.")
        text = tool("eval.py", "-p", "results", *name, "--mode", "both", "-s", "--json", "scores.json", cwd=work)
        yield f"scores of boxes, {experiment}", digest((work / "scores.json").read_bytes(), text.encode())


def check_scores(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """JSON and tables of real results, in each arithmetic."""
    for name in ("VOT2018", "OTB100"):
        for mode in ("both", "pysot", "official"):
            printed = evaluate(args, work, name, "--mode", mode, "-s", "--json", "scores.json", "--table", "table.csv")
            yield f"{name} {mode}: json", digest((work / "scores.json").read_bytes())
            yield (
                f"{name} {mode}: tables",
                digest(printed.encode(), *(path.read_bytes() for path in sorted(work.glob("table*.csv")))),
            )


def check_pages(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The report page without its date, and the figures."""
    for name in ("VOT2018", "OTB100"):
        copy = work / "copy" / name
        shutil.copytree(args.shared / "data/results" / name, copy)
        for mode in ("pysot", "both"):
            tool(
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
            yield f"{name} {mode}: figures", tree(copy, "*.png")


def evaluate(args: argparse.Namespace, work: Path, name: str, *more) -> str:
    """The tables of the real results of a set."""
    return tool(
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
    """Crops and annotation of real raw data."""
    for name in RAW_SETS:
        tool("prepare_data.py", name, args.shared / "data" / name, "--name", name, cwd=work)
        yield f"raw {name}", tree(work / "training_dataset" / name, leave_out=r"\.lock$")


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
        metavar="ONLY",
        help=f"of {', '.join(CHECKS)} (default: all that there is data for)",
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
            for what, value in CHECKS[name](Path(folder), args):
                print(f"{value}  {what}", flush=True)


if __name__ == "__main__":
    main()
