"""Check the training sets of a config, and draw what training will see.

Crops must exist and decode, boxes be plausible, and masks fit, of sets that have them. A report as
json and a contact sheet are written for each set. Unreadable crops are listed beside the
annotation, in <annotation>.excluded.json, and training leaves them out.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import _cli

_cli.prepare_process()

import cv2

import _arguments
from pysot.core.config import load_config
from pysot.datasets.check import check_boxes, check_crops
from pysot.datasets.data_builder import find_dataset_paths
from pysot.datasets.index import excluded_path, load_annotation, update_excluded
from pysot.datasets.storage import is_pack
from pysot.utils.files import write_bytes, write_json
from pysot.utils.progress import progress_bar

if TYPE_CHECKING:
    from pysot.datasets.check import CheckReport

EXAMPLES = (
    "python tools/check_data.py --cfg experiments/quickstart/config.yaml",
    "python tools/check_data.py --cfg experiments/quickstart/config.yaml --all --opts DATASET.NAMES [BOATS]",
)


def main() -> None:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number(1)
    add("--out", type=Path, default=Path("data_check"), metavar="FOLDER", help="for <set>.json and <set>.jpg (default: "
        "data_check)")  # fmt: skip
    add("--all", action="store_true", help="read every crop, not only --sample of them")
    add("--sample", type=count, default=2000, metavar="N", help="crops to read of each set (default: 2000)")
    add("--data_path", metavar="FOLDER", help="as for train.py")
    add("--keep", action="store_true", help="report only: do not list crops to leave out")
    _arguments.add_config_arguments(parser)
    args = parser.parse_args()
    _cli.setup_logging(quiet=True)
    cfg = load_config(args.config, args.opts, for_training=True)
    for name, root, anno, has_masks in find_dataset_paths(cfg, args.data_path):
        annotation = load_annotation(name, root, anno)
        report = check_boxes(annotation)
        sheet = check_crops(
            annotation,
            report,
            None if args.all else args.sample,
            functools.partial(progress_bar, description=name),
            has_masks,
        )
        write_json(args.out / f"{name}.json", report.as_json(), indent=1)
        write_bytes(args.out / f"{name}.jpg", cv2.imencode(".jpg", sheet)[1].tobytes())
        print_report(report, args.out / f"{name}.jpg")
        if report.bad and not args.keep and not is_pack(root):
            update_excluded(anno, root, report.bad)
            print(f"  training leaves out the crops listed in {excluded_path(anno)}, until they exist or have changed")


def print_report(report: CheckReport, sheet: Path) -> None:
    print(
        f"{report.name}: {report.checked} of {report.boxes} crops read, {len(report.bad)} cannot be used; "
        f"pictures in {sheet}"
    )
    print("  " + ", ".join(f"{count} {name}" for name, count in report.counts.items() if count))
    for name, values in report.sizes.items():
        print(f"  {name:<20} " + " ".join(f"{value:>9g}" for value in values))
    for sentence in report.suspicious:
        print(f"  suspicious: {sentence}")
    for *_, reason in report.bad[:10]:
        print(f"  bad: {reason}")


if __name__ == "__main__":
    _cli.run(main)
