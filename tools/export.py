"""Export a tracker as ONNX graphs, and verify that it tracks like the tracker of torch.

A checkpoint that training here has written needs no --cfg. The folder has the graphs, tracker.json
and report.json; nothing is written where fp32 differs by more than 1e-3 of an output or 0.05
pixels of a box. --engine FOLDER of test.py and demo.py tracks with it, without torch.
"""

import argparse
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.core.xcorr_export import EXPORT_METHODS
from pysot.deploy.ascend import PRECISION_MODES, atc_script, write_om
from pysot.deploy.export_builder import Verification, VerificationError, export_tracker
from pysot.deploy.export_graphs import AUTO, OPSETS, ExportOptions
from pysot.deploy.operators import operator_report
from pysot.deploy.package import read_package
from pysot.load import load_network, read_config
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.report.summary import score_text
from pysot.toolkit.report.text_tables import table
from pysot.utils.files import find_path
from pysot.utils.model_load import read_checkpoint
from pysot.utils.progress import brief_bar, progress_bar
from pysot.utils.signals import stop_on_signals

EXAMPLES = (
    "python tools/export.py --snapshot quickstart/trained.pth --output exported",
    "python tools/export.py --cfg experiments/nanotrackv3/config.yaml --snapshot pretrained_models/nanotrackv3.pth "
    "--output exported --batch dynamic",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("--snapshot", required=True, metavar="FILE", help="checkpoint of the network")
    add("--output", required=True, type=Path, metavar="FOLDER", help="folder to write, or an export to replace")
    add("--precision", choices=("fp32", "fp16", "int8"), default="fp32", help="int8 is calibrated on the training sets "
        "of the config (default: fp32)")  # fmt: skip
    add("--xcorr", choices=(AUTO, *EXPORT_METHODS), default=AUTO, metavar="NAME", help="how to correlate: shift or "
        "matmul for every program, grouped for ONNX Runtime only (default: auto, shift)")  # fmt: skip
    add("--opset", type=int, default=17, metavar="N", help=f"of ONNX, {OPSETS[0]} to {OPSETS[-1]} (default: 17)")
    add("--batch", type=parse_batch, default=1, metavar="N|dynamic", help="search crops of a call (default: 1)")
    add("--format", choices=("onnx", "om"), default="onnx", help="om: also write atc.sh, which compiles for an Ascend "
        "chip, and run it if atc is on PATH (default: onnx)")  # fmt: skip
    add("--soc_version", metavar="NAME", help="om: Ascend and the Name of npu-smi info, such as Ascend310P3")
    add("--om_precision", choices=PRECISION_MODES, default=PRECISION_MODES[0], metavar="NAME", help="om: "
        f"{', '.join(PRECISION_MODES)} (default: fp16)")  # fmt: skip
    add("--verify-on", metavar="DATASET", help="also track a data set with both trackers, and compare the scores")
    add("--datasetdir", default="testing_dataset", metavar="FOLDER", help="where it lies (default: testing_dataset)")
    add("--data_path", metavar="FOLDER", help="int8: where training sets are searched first, as for train.py")
    _arguments.add_config_arguments(parser, from_snapshot=True, with_device=False)
    return parser.parse_args()


def parse_batch(text: str) -> int | None:
    """Parse --batch: a number, or None for dynamic."""
    return None if text == "dynamic" else _arguments.whole_number(1)(text)


def main() -> None:
    args = parse_arguments()
    _cli.setup_logging(quiet=True)
    options = ExportOptions(args.precision, args.xcorr, args.opset, args.batch)
    options.check()
    check_om(args)
    if args.precision == "int8" and args.config is None:
        raise ValueError(
            "--precision int8 is calibrated on the training sets of a config, which checkpoints do not know: add --cfg"
        )
    snapshot = find_path(args.snapshot, "snapshot", "")
    cfg = read_config(args.config, [snapshot], args.opts)
    dataset = load_dataset(args.verify_on, args.datasetdir, brief_bar) if args.verify_on else None
    model = load_network(cfg, read_checkpoint(snapshot), snapshot).eval()
    try:
        with stop_on_signals("no export was written"):
            result = export_tracker(model, cfg, snapshot, args.output, options, dataset, progress_bar, args.data_path)
    except VerificationError as error:
        print(describe(error.result))
        raise
    print(describe(result))
    if args.format == "om":
        package = read_package(args.output)
        print(operator_report([package.path(name) for name in package.graphs]))
        print(write_om(args.output, package.graphs, args.soc_version, args.om_precision, print))
    sizes = [f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in sorted(args.output.glob("*.onnx"))]
    print(f"{args.output}: {', '.join(sizes)}, tracker.json, report.json")


def check_om(args: argparse.Namespace) -> None:
    """Raise ValueError unless the arguments of om fit each other."""
    if args.format != "om":
        if args.soc_version:
            raise ValueError("--soc_version is of --format om: add it, or leave out the chip")
    elif not args.soc_version:
        raise ValueError(
            "--format om needs --soc_version NAME, such as Ascend310P3: Ascend and the Name that `npu-smi info` prints"
        )
    elif args.precision == "int8":
        raise ValueError(
            "ATC does not take graphs that ONNX Runtime has quantised: export fp32, and quantise with AMCT of CANN"
        )
    else:
        atc_script({}, args.soc_version, args.om_precision)  # refuses a wrong chip before the export


def describe(result: Verification) -> str:
    """Return the tables of a verification."""
    rows = [["Output", "Largest Difference", "Mean Difference", "Relative"]]
    for row in result.outputs:
        rows.append([f"{row.graph}.{row.output}", *(f"{v:.3g}" for v in (row.largest, row.mean, row.relative))])
    boxes, first = result.boxes, "none" if result.boxes.first is None else result.boxes.first
    text = (
        f"boxes of {boxes.sequence}, {boxes.frames} frames: largest difference {boxes.largest:.3g} pixels, first above "
        f"0.05: {first}, mean overlap {boxes.overlap:.4f}"
    )
    parts = [table(rows), text]
    if (int8 := result.quantised) is not None:
        parts.append(
            f"int8: {int8.convolutions - len(int8.left_out)} of {int8.convolutions} convolutions of the search; mean "
            f"error of the outputs {100 * int8.error:.1f} %, {100 * int8.error_all:.1f} % with all of them"
        )
    if result.scores is not None:
        parts.append(score_text(result.scores))
        speeds = zip(result.scores.trackers, result.speeds, strict=True)
        parts.append("frames/s: " + ", ".join(f"{score.name} {speed:.1f}" for score, speed in speeds))
    return "\n".join(parts)


if __name__ == "__main__":
    _cli.run(main)
