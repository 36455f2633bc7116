"""Execute the steps of a Dockerfile without Docker: python test/docker/build_without_docker.py cpu FOLDER [--reuse]

The image is FOLDER/image, its Python a new virtual environment. Users are not created and owners not changed; all
other steps are executed as they are written, with FOLDER/image in place of /. TORCH_INDEX is empty: pip takes torch
from its own index. --reuse lets the environment see the packages of the Python that executes this file, so that pip
finds them installed. The command of the image follows; its exit status is that of this program. Needs Linux.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
NOT_EXECUTED = ("useradd", "groupadd", "chown")  # they would change the machine, or need its administrator
FROM_OUTSIDE = ("PIP_", "SSL_", "http_proxy", "https_proxy", "no_proxy")  # settings of the network, for pip


@dataclass
class Step:
    """An instruction of a Dockerfile: its name, such as RUN, and the rest of the line."""

    name: str
    rest: str


def parse(text: str) -> list[Step]:
    """Return the instructions of a Dockerfile, with continued lines joined and comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    words = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [Step(name.upper(), rest.strip()) for name, _, rest in words]


def expand(text: str, values: dict[str, str]) -> str:
    """Replace ${NAME} by its value, or by nothing."""
    return re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], ""), text)


class Ignored:
    """Patterns of a .dockerignore file: the last one that matches a path, or a folder that it lies in, decides."""

    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()]
        self.patterns = [line for line in lines if line and not line.startswith("#")]

    def __call__(self, path: str) -> bool:
        """Return whether a path, relative to the context, is left out."""
        parents = [path, *map(str, PurePosixPath(path).parents)][:-1]
        decided = False
        for pattern in self.patterns:
            negated, pattern = pattern.startswith("!"), pattern.lstrip("!")
            if any(_regex(pattern).fullmatch(candidate) for candidate in parents):
                decided = not negated
        return decided

    def has_exceptions_in(self, folder: str) -> bool:
        """Return whether an exception may be about a path in a folder."""
        exceptions = [pattern[1:].split("/") for pattern in self.patterns if pattern.startswith("!")]
        parts = folder.split("/")
        return any(all(map(fnmatch.fnmatch, parts, parts_of)) for parts_of in exceptions)


def _regex(pattern: str) -> re.Pattern:
    parts = re.split(r"(\*\*/|\*|\?)", pattern)
    return re.compile(
        "".join({"**/": "(.*/)?", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part)) for part in parts)
    )


def context_files(root: Path) -> list[str]:
    """Return the files of the repository that Docker would send to a build."""
    ignored = Ignored((root / ".dockerignore").read_text(encoding="utf-8"))
    files = []
    for folder, folders, names in os.walk(root):
        prefix = Path(folder).relative_to(root).as_posix().removeprefix(".")
        prefix = f"{prefix}/" if prefix else ""
        folders[:] = [
            name for name in folders if not ignored(prefix + name) or ignored.has_exceptions_in(prefix + name)
        ]
        files += [prefix + name for name in names if not ignored(prefix + name)]
    return sorted(files)


@dataclass
class Build:
    """State of a build: the folder that stands for /, the environment of the steps, and the final command."""

    image: Path
    values: dict[str, str]  # build arguments that are given
    environment: dict[str, str]
    arguments: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    command: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The working directory on this machine."""
        return self.image / self.workdir.lstrip("/")

    def execute(self, step: Step) -> None:
        """Execute an instruction. Raises ValueError for one that is not supported, and CalledProcessError."""
        rest = step.rest if step.name == "RUN" else expand(step.rest, self.arguments | self.environment)
        if step.name == "FROM":
            self.arguments = {}
        elif step.name == "ARG":
            name, _, default = rest.partition("=")
            self.arguments[name] = self.values.get(name, default)
        elif step.name == "ENV":
            self.environment |= dict(word.split("=", 1) for word in shlex.split(rest))
        elif step.name == "WORKDIR":
            self.workdir = os.path.join(self.workdir, rest)
            self.folder.mkdir(parents=True, exist_ok=True)
        elif step.name == "COPY":
            self._copy([word for word in shlex.split(rest) if not word.startswith("--chown=")])
        elif step.name == "RUN":
            self.run(["/bin/sh", "-c", rest], self.arguments | self.environment).check_returncode()
        elif step.name == "USER":
            self.user = rest
        elif step.name == "CMD":
            self.command = json.loads(rest)
        else:
            raise ValueError(f"{step.name}: expected one of FROM ARG ENV WORKDIR COPY RUN USER CMD; add it here")

    def _copy(self, words: list[str]) -> None:
        *sources, target = words
        if Path(target).is_absolute():
            raise ValueError(f"COPY to {target}: expected a path in the working directory")
        files = context_files(ROOT)
        for source in sources:
            named = [file for file in files if file == source]
            for file in files if source == "." else named:
                destination = self.folder / target / (file if source == "." else Path(file).name)
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, destination)
            if source != "." and not named:
                raise ValueError(f"COPY {source}: not in the context; the file is missing, or .dockerignore names it")

    def run(
        self, command: list[str], environment: dict[str, str] | None = None, **options
    ) -> subprocess.CompletedProcess:
        """Run a command in the working directory of the image."""
        return subprocess.run(command, cwd=self.folder, env=environment or self.environment, **options)


def start_build(folder: Path, reuse: bool, values: dict[str, str]) -> Build:
    """Make the folder of an image, its Python, and the commands that are not executed."""
    python, stubs = folder / "python", folder / "stubs"
    venv.create(python, with_pip=True)
    if reuse:
        site = sysconfig.get_path("purelib", vars={"base": str(python)})
        (Path(site) / "reused.pth").write_text(sysconfig.get_path("purelib") + "\n")
    stubs.mkdir()
    for name in NOT_EXECUTED:
        (stubs / name).write_text(f'#!/bin/sh\necho "not executed: {name} $*"\n')
        (stubs / name).chmod(0o755)
    (folder / "image" / "tmp").mkdir(parents=True)
    outside = {name: value for name, value in os.environ.items() if name.startswith(FROM_OUTSIDE)}
    paths = [str(python / "bin"), str(stubs), "/usr/local/bin", "/usr/bin", "/bin"]
    environment = {**outside, "PATH": os.pathsep.join(paths), "HOME": str(folder / "image"), "LANG": "C.UTF-8"}
    return Build(folder / "image", values, environment)


def build(target: str, folder: Path, reuse: bool = False) -> Build:
    """Execute the steps of a target's Dockerfile in an empty folder."""
    state = start_build(folder, reuse, {"TORCH_INDEX": ""})
    for step in parse((Path(__file__).parent / f"{target}.Dockerfile").read_text(encoding="utf-8")):
        print(f"--> {step.name} {step.rest}", flush=True)
        state.execute(step)
    return state


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=["cpu"], help="only that of a CPU needs nothing but Python")
    parser.add_argument("folder", type=Path, help="an empty folder, or a new one")
    parser.add_argument("--reuse", action="store_true", help="use the packages of this Python")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if any(args.folder.iterdir()):
        parser.error(f"{args.folder} is not empty")
    state = build(args.target, args.folder.resolve(), args.reuse)
    print(f"--> {shlex.join(state.command)}", flush=True)
    return state.run(state.command).returncode


if __name__ == "__main__":
    sys.exit(main())
