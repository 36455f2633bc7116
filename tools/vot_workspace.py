"""Make a workspace of vot-toolkit with a tracker, ready for `vot evaluate`, `analysis` and `report`.

The toolkit may be in an environment of its own: --toolkit names its interpreter. Before anything
is kept, the toolkit starts the tracker once and tracks a few frames with it.
"""

import argparse
import re
import shlex
import sys
from pathlib import Path

import _cli

_cli.prepare_process()

import _arguments
from pysot.toolkit.workspace import make, support
from pysot.toolkit.workspace.installed import Toolkit, find_toolkit
from pysot.utils.files import find_path

EXAMPLES = (
    "python tools/vot_workspace.py --snapshot quickstart/trained.pth --stack vot2022/longterm workspace",
    "python tools/vot_workspace.py --cfg experiments/nanotrackv3/config.yaml --snapshot "
    "pretrained_models/nanotrackv3.pth --add workspace",
)


def parse_arguments() -> argparse.Namespace:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    add, count = parser.add_argument, _arguments.whole_number(1)
    add("workspace", type=Path, metavar="WORKSPACE", help="folder to make")
    add("--snapshot", required=True, metavar="FILE", help="checkpoint of the network")
    add("--stack", metavar="NAME", help="a stack, such as vot2022/longterm, or the file of one")
    add("--name", metavar="NAME", help="of the tracker (default: that of the snapshot's file)")
    add(
        "--protocol", choices=make.PROTOCOLS, default="trax", help="python needs vot-toolkit 0.8 or 0.9 (default: trax)"
    )
    add("--toolkit", default=sys.executable, metavar="PYTHON", help="interpreter with vot-toolkit (default: this one)")
    add("--dataset", type=Path, metavar="FOLDER", help="VOT folder of sequences (default: the toolkit fetches them)")
    add("--form", choices=("auto", "box"), help="auto: masks or polygons, if the tracker has masks (not over python); "
        "box (default for long-term)")  # fmt: skip
    add("--timeout", type=count, default=300, metavar="SECONDS", help="for a start and for a frame (default: 300)")
    add("--add", action="store_true", help="add the tracker to an existing workspace, with its stack")
    _arguments.add_config_arguments(parser, from_snapshot=True)
    args = parser.parse_args()
    if args.add == bool(args.stack):
        parser.error("expected --stack NAME for a new workspace, or --add for one that exists")
    if args.protocol == "python" and args.form == "auto":
        parser.error("--form auto: expected --protocol trax, got python, which has boxes only; leave out --form")
    return args


def main() -> None:
    args = parse_arguments()
    workspace = args.workspace.resolve()
    toolkit = find_toolkit(args.stack or make.stack_of(workspace), args.toolkit)
    left_out = support.left_out(toolkit.version, toolkit.stack_name, toolkit.experiments)
    make.check_protocol(args.protocol, toolkit)
    entry = make_entry(args, toolkit, workspace)
    print(f"trying the tracker with vot-toolkit; a start or a frame may take {args.timeout} s", file=sys.stderr)
    if args.add:
        seconds = make.add_to_workspace(workspace, toolkit, entry)
    else:
        seconds = make.make_workspace(workspace, toolkit, entry, args.dataset, left_out)
    print(
        f"{workspace}: stack {toolkit.stack_name} of vot-toolkit {toolkit.version}, tracker {entry.name} over "
        f"{entry.protocol}, which started in {seconds['start']:.1f} s"
    )
    for name, reason in left_out.items():
        print(f"left out of the stack, the experiment {name}: {reason}")
    print("next:")
    for action in ("evaluate", "analysis", "report"):
        print(f"  {shlex.join([toolkit.command, action, '--workspace', str(workspace), entry.name])}")


def make_entry(args: argparse.Namespace, toolkit: Toolkit, workspace: Path) -> make.Entry:
    """Return the tracker's entry in trackers.ini, with absolute paths."""
    snapshot = find_path(args.snapshot, "snapshot", "Name an existing file").resolve()
    options = {"snapshot": str(snapshot), "device": args.device}
    if args.config is not None:
        options["config"] = str(find_path(args.config, "config", "Name an existing file").resolve())
    options["form"] = args.form or ("box" if "longterm" in toolkit.stack_name else "auto")
    return make.Entry(
        name=args.name or re.sub(r"[^A-Za-z0-9_-]", "_", snapshot.stem),
        protocol=args.protocol,
        options=options,
        server=Path(__file__).resolve().with_name("vot_server.py"),
        opts=args.opts,
        timeout=args.timeout,
        multiobject=any(experiment.multiobject for experiment in toolkit.experiments),
        starts_on_masks=make.starts_on_masks(args.dataset or workspace / "sequences", toolkit.stack_name),
        environment=make.kept_environment(),
    )


if __name__ == "__main__":
    _cli.run(main)
