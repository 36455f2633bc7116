"""Look a training set over: python tools/check_data.py --cfg experiments/<name>/config.yaml [--all] [--out FOLDER].

For each set of DATASET.NAMES: do the crops exist and decode, do the boxes make sense, what sizes do they have. Writes a report as json and a contact sheet.
Crops that cannot be read are listed beside the annotation, in <annotation>.excluded.json, and training leaves them out.
"""

import argparse
import functools
from pathlib import Path

import cv2

import _cli
from pysot.core.config import load_config
from pysot.datasets.check import check_boxes, check_crops
from pysot.datasets.data_builder import find_sets
from pysot.datasets.index import excluded_path, load_annotation, remember_excluded
from pysot.datasets.storage import is_pack
from pysot.utils.files import write_bytes, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data_check"), help="folder for <set>.json and <set>.jpg")
    parser.add_argument("--all", action="store_true", help="read every crop, not only --sample of them")
    parser.add_argument("--sample", type=_cli.whole_number(1), default=2000, help="crops to read of each set")
    parser.add_argument("--data_path", help="as for train.py")
    parser.add_argument("--keep", action="store_true", help="list nothing to be left out: only report")
    _cli.add_config_arguments(parser)
    args = parser.parse_args()
    _cli.setup_logging(quiet=True)
    cfg = load_config(args.config, args.opts, for_training=True)
    for name, root, anno in find_sets(cfg, args.data_path):
        annotation = load_annotation(name, root, anno)
        report = check_boxes(annotation)
        sheet = check_crops(
            annotation,
            report,
            None if args.all else args.sample,
            functools.partial(_cli.progress_bar, description=name),
        )
        write_json(args.out / f"{name}.json", report.as_json(), indent=1)
        write_bytes(args.out / f"{name}.jpg", cv2.imencode(".jpg", sheet)[1].tobytes())
        tell(report, args.out / f"{name}.jpg")
        if report.bad and not args.keep and not is_pack(root):
            remember_excluded(anno, root, report.bad)
            print(
                f"  training leaves out the crops listed in {excluded_path(anno)}, until they are there or have changed"
            )


def tell(report, sheet: Path) -> None:
    """The report as lines."""
    print(
        f"{report.name}: {report.checked} of {report.boxes} crops read, {len(report.bad)} cannot be used; pictures in {sheet}"
    )
    print("  " + ", ".join(f"{count} {what}" for what, count in report.counts.items() if count))
    for what, values in report.sizes.items():
        print(f"  {what:<20} " + " ".join(f"{value:>9g}" for value in values))
    for sentence in report.suspicious:
        print(f"  suspicious: {sentence}")
    for *_, reason in report.bad[:10]:
        print(f"  bad: {reason}")


if __name__ == "__main__":
    _cli.run(main)
