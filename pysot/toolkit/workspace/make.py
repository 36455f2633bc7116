"""Make a workspace of vot-toolkit: config.yaml, trackers.ini, and sequences that are on the disk already."""

import configparser
import importlib.util
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pysot.toolkit.workspace import support
from pysot.toolkit.workspace.installed import Toolkit, ask
from pysot.utils.files import REPO_ROOT, atomic_write, publish_folder, write_json
from pysot.utils.numbers import listed_names, number_lines

# TraX clears the first one for the tracker unless trackers.ini has it; the others are those of an Ascend environment.
_KEPT = ("LD_LIBRARY_PATH", "PYTHONPATH", "TORCH_DEVICE_BACKEND_AUTOLOAD")
_KEPT_PREFIX = "ASCEND_"
PROTOCOLS = ("trax", "python")


@dataclass(frozen=True)
class Entry:
    """Entry of a tracker in trackers.ini.

    `server` is the path of tools/vot_server.py, `options` its options: snapshot, config, device and so on, with
    absolute paths; `opts` are config values KEY, VALUE, ... `timeout` is in seconds, for the start and for each frame.
    """

    name: str
    protocol: str
    options: dict[str, str]
    server: Path
    opts: Sequence[str] = ()
    timeout: int = 300
    multiobject: bool = False
    starts_on_masks: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            raise ValueError(
                f"name of the tracker: expected letters, digits, - and _ as vot-toolkit wants them, got {self.name!r}; "
                "choose one with --name"
            )

    def lines(self) -> dict[str, str]:
        """Return the lines of the entry, by key."""
        common = {"label": self.name, "protocol": self.protocol, "timeout": str(self.timeout)}
        if self.protocol == "trax":
            words = [word for key, value in self.options.items() for word in (f"--{key}", value)]
            tail = ["--opts", *self.opts] if self.opts else []
            command = shlex.join([os.path.abspath(sys.executable), str(self.server), *words, *tail])
            return {**common, "command": command} | {f"env_{k}": v for k, v in self.environment.items()}
        arguments = {f"arg_{key}": value for key, value in self.options.items() if key != "form"}
        arguments["arg_opts"] = shlex.join(self.opts)
        arguments["arg_multiobject"] = "yes" if self.multiobject else "no"
        # The protocol fails on masks to start on; the toolkit can pass the boxes around them instead.
        converted = {"convert": "rectangle", "arg_masks": "yes"} if self.starts_on_masks else {}
        return {**common, "command": "pysot.vot:Tracker"} | arguments | converted


def kept_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that a tracker needs and that a later shell, or the toolkit, may not have."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if value and (name in _KEPT or name.startswith(_KEPT_PREFIX))
    }


def check_protocol(protocol: str, toolkit: Toolkit) -> None:
    """Raise ValueError for a protocol that a toolkit does not have, or whose package is missing here."""
    if protocol == "python" and not support.has_python_protocol(toolkit.version):
        raise ValueError(
            f"vot-toolkit {toolkit.version} has no Python protocol, 0.8.0 and later have; use --protocol trax"
        )
    if protocol == "trax" and importlib.util.find_spec("trax") is None:
        raise ValueError(
            f"the tracker needs vot-trax to talk to the toolkit, and {sys.executable} does not have it: pip install "
            "vot-trax==4.0.2. It has wheels for Linux on x86_64 only; elsewhere use --protocol python with vot-toolkit "
            "0.9.0, installed with --no-deps (see tools/README.md)"
        )


def make_workspace(
    folder: Path, toolkit: Toolkit, entry: Entry, dataset: Path | None = None, left_out: Collection[str] = ()
) -> dict[str, float]:
    """Make a workspace and try its tracker; nothing is left behind if the tracker does not start.

    Without the experiments `left_out`, on which analyses and reports fail as well, the workspace has its own copy of
    the stack. `dataset` is a folder with list.txt and the sequences, which are linked; without it the toolkit downloads
    those of the stack. Returns the seconds of start and tracking, see `try_entry`. Raises FileExistsError for a folder
    that has something in it, FileNotFoundError or ValueError for a damaged data set or one without anchors for a
    multi-start experiment, and as `try_entry`.
    """
    if folder.exists() and any(folder.iterdir()):
        kind = "is a workspace already" if (folder / "config.yaml").exists() else "exists and is not empty"
        raise FileExistsError(
            f"{folder} {kind}; choose another folder, or add the tracker to the workspace with --add, which keeps its "
            "results"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        stack = toolkit.stack_name
        if left_out or Path(stack).suffix:
            stack = f"./{_copy_stack(toolkit, left_out, part)}"
        (part / "results").mkdir()
        (part / "sequences").mkdir()
        if dataset is not None:
            link_sequences(dataset, part / "sequences")
            if any(each.type == "multistart" and each.name not in left_out for each in toolkit.experiments):
                _check_anchors(dataset)
        with atomic_write(part / "config.yaml") as stream:
            stream.write(f"registry:\n- ./trackers.ini\nstack: {stack}\nsequences: sequences\n")
        write_entry(part / "trackers.ini", entry)
        seconds = try_entry(part, toolkit, entry)
        part.chmod(0o755)
        publish_folder(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return seconds


def _copy_stack(toolkit: Toolkit, left_out: Collection[str], folder: Path) -> str:
    """Write the stack without some experiments to a folder; return the name of the file, which is that of the stack."""
    experiments = {name: value for name, value in toolkit.stack["experiments"].items() if name not in left_out}
    stem = (
        toolkit.stack_name.replace("/", "_") if not Path(toolkit.stack_name).suffix else Path(toolkit.stack_name).stem
    )
    path = folder / f"{stem}.yaml"
    write_json(path, {**toolkit.stack, "experiments": experiments}, indent=1)  # JSON is YAML
    return path.name


def stack_of(folder: Path) -> str:
    """Return the stack of an existing workspace: its name, or the path of its file.

    Raises FileNotFoundError for a folder that is no workspace, and ValueError for one without a stack.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no workspace, it has no config.yaml; make one with --stack NAME")
    found = re.search(r"^stack:[ ]*['\"]?([^'\"\s]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise ValueError(f"{path} names no stack; expected a line such as stack: vot2022/longterm")
    name = found.group(1)
    return str(folder / name) if name.endswith((".yaml", ".yml")) else name


def add_to_workspace(folder: Path, toolkit: Toolkit, entry: Entry) -> dict[str, float]:
    """Add a tracker to an existing workspace and try it; trackers.ini stays as it was if the tracker does not start.

    Raises ValueError for a name that it has already, and as `try_entry`.
    """
    path = folder / "trackers.ini"
    parser = configparser.ConfigParser()
    parser.read(path, encoding="utf-8")
    if parser.has_section(entry.name):
        raise ValueError(f"{path} has a tracker {entry.name} already; choose another --name")
    with tempfile.TemporaryDirectory() as trial:
        write_entry(Path(trial) / "trackers.ini", entry)
        seconds = try_entry(Path(trial), toolkit, entry)
    write_entry(path, entry)
    return seconds


def write_entry(path: Path, entry: Entry) -> None:
    """Write an entry to the end of trackers.ini."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = "".join(f"{key} = {value.replace('%', '%%')}\n" for key, value in entry.lines().items())
    with atomic_write(path) as stream:
        stream.write(f"{text}[{entry.name}]\n{lines}\n")


def try_entry(folder: Path, toolkit: Toolkit, entry: Entry) -> dict[str, float]:
    """Let the toolkit start the tracker of trackers.ini and track a few frames; return {"start", "track"} in seconds.

    Raises RuntimeError with the end of the tracker's log if it does not work.
    """
    answer = ask(toolkit.python, 2 * entry.timeout + 60, "try", str(folder), entry.name)
    if "error" in answer:
        log = answer["log"].strip()
        missing = "No module named 'pysot'" in answer["error"]
        remedy = f". In the toolkit's environment: pip install -e '{REPO_ROOT}[vot]'" if missing else ""
        end = f". The end of its log:\n{log[-1500:]}" if log else ""
        raise RuntimeError(f"vot-toolkit cannot work with the tracker: {answer['error'].strip()}{remedy}{end}")
    return answer


def link_sequences(dataset: Path, folder: Path) -> None:
    """Link the sequences of a VOT folder with list.txt, and describe them for the toolkit where nothing does.

    Raises FileNotFoundError for a folder without list.txt, and for a sequence without frames or ground truth.
    """
    listing = dataset / "list.txt"
    if not listing.is_file():
        raise FileNotFoundError(f"{dataset} has no list.txt; expected a VOT folder, see testing_dataset/README.md")
    names = listed_names(listing)
    for name in names:
        source, target = (dataset / name).resolve(), folder / name
        if not list(source.glob("groundtruth*.txt")):
            raise FileNotFoundError(f"{source} has no groundtruth.txt")
        target.mkdir()
        for path in source.iterdir():
            (target / path.name).symlink_to(path)
        if not (source / "sequence").exists():
            _describe(source, target)
    (folder / "list.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _check_anchors(dataset: Path) -> None:
    """Raise ValueError for a sequence without anchors, on which the toolkit fails in multi-start experiments."""
    for name in listed_names(dataset / "list.txt"):
        path = dataset / name / "anchor.value"
        if not (path.is_file() and any(numbers.any() for numbers in number_lines(path))):
            raise ValueError(
                f"{dataset / name} has no anchors, at which multi-start experiments start: expected anchor.value with "
                "a line for each frame, 1 (forwards), -1 (backwards) or 0. Add it, or take a stack without such an "
                "experiment, as vot2022/longterm is"
            )


def _describe(source: Path, target: Path) -> None:
    """Write the file `sequence` of a sequence: where its frames are, and how they are numbered."""
    images = source / "color" if (source / "color").is_dir() else source
    first = min((path for path in images.iterdir() if path.suffix.lower() in (".jpg", ".png")), default=None)
    if first is None or not first.stem.isdecimal():
        raise FileNotFoundError(f"{images} has no frames 00000001.jpg, 00000002.jpg, ...")
    pattern = f"%0{len(first.stem)}d{first.suffix}"
    channel = f"color/{pattern}" if images != source else pattern
    (target / "sequence").write_text(
        f"name={source.name}\nfps=30\nformat=default\nchannel.default=color\nchannels.color={channel}\n",
        encoding="utf-8",
    )


def starts_on_masks(folder: Path, stack: str) -> bool:
    """Return whether the sequences of a workspace are annotated with masks; without sequences, by the stack's name."""
    annotations = sorted(folder.glob("*/groundtruth*.txt"))
    if annotations:
        return any(path.read_text(encoding="utf-8").startswith("m") for path in annotations)
    return bool(re.search(r"(^|/)(vots20|davis|vot20(20|21|22)[/_]shortterm(\.yaml)?$)", stack))
