"""Make a VOT-style benchmark from annotated sequences, or add sequences to one.

Images are linked, not copied. tools/test.py --dataset NAME tracks the set; its name is that of its
folder. A raw VOT folder needs no conversion: name it with --datasetdir.
"""

from collections import Counter
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.sequences import SequenceSet
from pysot.datasets.raw.vot_export import export_vot
from pysot.utils.progress import progress_bar

EXAMPLES = (
    "python tools/make_vot_set.py otb ../OTB100 --only Deer,Man --out testing_dataset/MINE",
    "python tools/make_vot_set.py davis ../DAVIS --except libby --out testing_dataset/MINE",
)


def main() -> None:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    layouts = sorted(name for name, raw_set in RAW_SETS.items() if isinstance(raw_set, SequenceSet) and name != "vot")
    parser.add_argument("layout", choices=layouts, metavar="LAYOUT", help=", ".join(layouts))
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the annotated sequences")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of the set")
    _arguments.add_sequence_arguments(parser)
    args = parser.parse_args()
    _cli.setup_logging(quiet=True)
    videos = RAW_SETS[args.layout].videos(args.root, "train", Counter(), args.only, args.excluded)
    names = export_vot(progress_bar(videos, description=args.layout), args.out)
    print(f"{args.out} has {len(names)} sequences: {', '.join(names)}")


if __name__ == "__main__":
    _cli.run(main)
