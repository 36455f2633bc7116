"""Track for vot-toolkit over TraX.

This is the command in the trackers.ini that tools/vot_workspace.py writes: the toolkit starts it
and talks to it over standard input and output. Needs the package vot-trax.
"""

import _cli

_cli.prepare_process()

import _arguments
import _torch_import

EXAMPLES = (
    "python tools/vot_server.py --snapshot quickstart/trained.pth",
    "python tools/vot_server.py --cfg experiments/nanotrackv3/config.yaml --snapshot "
    "pretrained_models/nanotrackv3.pth --form box",
)


def main() -> None:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    parser.add_argument("--snapshot", required=True, metavar="FILE", help="checkpoint of the network")
    parser.add_argument(
        "--form", default="auto", metavar="NAME", help="auto: masks or polygons, if the tracker has masks; or box"
    )
    _arguments.add_config_arguments(parser, from_snapshot=True)
    args = parser.parse_args()
    _cli.setup_logging()  # to stderr, which the toolkit keeps as the tracker's log
    with _torch_import.explained():
        from pysot.vot import load_video_tracker, serve
    serve(load_video_tracker(args.snapshot, args.config, args.device, args.form, args.opts))


if __name__ == "__main__":
    _cli.run(main)
