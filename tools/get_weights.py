"""Fetch published weights by name; without names, list them.

Files are written to pretrained_models and verified. A download that was cut off goes on with the
same command; files that are there are verified only. pretrained_models/README.md has the tables.
"""

from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.utils.files import REPO_ROOT
from pysot.utils.progress import progress_bar
from pysot.utils.published_weights import PUBLISHED, fetch_weights, find_weights

EXAMPLES = ("python tools/get_weights.py", "python tools/get_weights.py nanotrackv3 resnet50")


def main() -> None:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    parser.add_argument("names", nargs="*", metavar="NAME", help="weights to fetch")
    parser.add_argument("--url", default="", help="address of a mirror, http(s):// or file://, for one NAME")
    folder = REPO_ROOT / "pretrained_models"
    parser.add_argument("--out", type=Path, default=folder, metavar="FOLDER", help="default: pretrained_models")
    args = parser.parse_args()
    if args.url and len(args.names) != 1:
        parser.error(f"--url is the address of one file, expected one NAME, got {len(args.names)}")
    if not args.names:
        list_weights(args.out)
        return
    for name in args.names:
        find_weights(name)
    failed = []
    for name in args.names:
        try:
            fetch(name, args.out, args.url)
        except (ValueError, OSError) as error:
            failed.append(f"{name}: {error}")
    if failed:
        raise ValueError("\n".join(failed))


def fetch(name: str, folder: Path, url: str) -> None:
    """Fetch one file with a progress bar and print what it is, and what to do with weights of another layout."""
    bar = None

    def show(received: int, total: int | None) -> None:
        nonlocal bar
        if bar is None:
            bar = progress_bar(None, total, name, initial=received, unit="B")
        bar.total = total
        bar.update(received - bar.n)

    try:
        fetched = fetch_weights(name, folder, url, show)
    finally:
        if bar is not None:
            bar.close()
    state = f"first seen, stored in {fetched.path.name}.sha256" if fetched.is_first_seen else "as recorded"
    print(f"{name}: {fetched.path}, sha256 {fetched.sha256}, {state}")
    if (convert := find_weights(name).convert) is not None:
        arch, target = convert
        print(f"  convert it: python tools/convert_pretrained.py {arch} {fetched.path} {fetched.path.parent / target}")


def list_weights(folder: Path) -> None:
    """Print every published file: whether it is in the folder, licence, figures and address."""
    for name, weights in PUBLISHED.items():
        state = "here" if (folder / weights.file).is_file() else "by browser" if weights.offered else "-"
        print(
            f"{name:30} {state:11} licence {weights.licence or 'not recorded'}; {weights.figures_text or 'no figures'}"
        )
        print(f"{'':30} {weights.url}")
    print(f"folder: {folder}. Fetch with: python tools/get_weights.py NAME ...")


if __name__ == "__main__":
    _cli.run(main)
