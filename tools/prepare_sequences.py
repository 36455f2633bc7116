"""Training crops and annotation from annotated sequences: OTB, raw VOT, DAVIS or GOT-10k folders.

python tools/prepare_sequences.py otb ../OTB100 --out training_dataset/otb --except Deer,Man
"""

import argparse
import functools
import re
from collections import Counter
from pathlib import Path

import _cli
from pysot.datasets.crop import crop_all
from pysot.datasets.raw import annotation_json, describe
from pysot.datasets.raw_sequences import LAYOUTS, iter_sequences
from pysot.utils.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layout", choices=sorted(LAYOUTS))
    parser.add_argument("root", type=Path, help="folder of the raw data set")
    parser.add_argument("--out", type=Path, required=True, help="folder for crop511/ and train.json; its name becomes that of the data set")
    _cli.add_sequence_arguments(parser)
    parser.add_argument("--procs", type=int, default=2, help="processes")
    args = parser.parse_args()
    _cli.setup_logging(quiet=True)
    counts = Counter()
    videos = list(iter_sequences(args.layout, args.root, counts, args.only, args.excluded))
    result = crop_all(videos, args.out / "crop511", args.procs, progress=functools.partial(_cli.progress_bar, description=args.layout))
    content = annotation_json(videos, args.out / "crop511", counts)
    write_json(args.out / "train.json", content)
    print(f"{len(content)} sequences, {result.written} crops written, {result.present} were there, {len(result.problems)} images or boxes left out; "
          f"in train.json: {describe(counts)}")
    others = sorted({folder.name for folder in (args.out / "crop511").iterdir() if folder.is_dir()} - set(content))
    if others:
        print(f"train.json holds the sequences of this call alone; crops of {len(others)} more lie in {args.out / 'crop511'}: {', '.join(others[:5])}")
    print(config_lines(args.out, counts["boxes"]))


def config_lines(out: Path, boxes: int) -> str:
    """What makes the config train on this set; every box is drawn about once per round."""
    name = re.sub(r"\W", "_", out.resolve().name).upper()
    return (f"To train on it:\nDATASET:\n  NAMES: ['{name}']\n  {name}:\n    ROOT: '{(out / 'crop511').as_posix()}'\n"
            f"    ANNO: '{(out / 'train.json').as_posix()}'\n    FRAME_RANGE: 100\n    NUM_USE: {boxes}")


if __name__ == "__main__":
    _cli.run(main)
