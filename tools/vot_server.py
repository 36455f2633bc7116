"""Track for vot-toolkit over TraX: the command in the trackers.ini that tools/vot_workspace.py writes.

The toolkit starts this program and talks to it over standard input and output. Needs the package vot-trax.
"""

import _cli

_cli.prepare_process()

import _arguments
import _torch_import


def main() -> None:
    parser = _arguments.make_parser(__doc__)
    parser.add_argument("--snapshot", required=True, help="a checkpoint")
    parser.add_argument("--form", default="auto", help="auto: masks or polygons, if the tracker has masks; or box")
    _arguments.add_config_arguments(parser, from_snapshot=True)
    args = parser.parse_args()
    _cli.setup_logging()  # to stderr, which the toolkit keeps as the tracker's log
    with _torch_import.explained():
        from pysot.vot import load_video_tracker, serve
    serve(load_video_tracker(args.snapshot, args.config, args.device, args.form, args.opts))


if __name__ == "__main__":
    _cli.run(main)
