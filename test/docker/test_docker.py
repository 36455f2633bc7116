"""Containers: Dockerfiles without findings of hadolint, and the steps of the image for a CPU without Docker."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from build_without_docker import Ignored, build, context_files, expand, parse
from helpers import ROOT, moving_square

HERE = ROOT / "test" / "docker"
DOCKERFILES = sorted(HERE.glob("*.Dockerfile"))
TARGETS = ("ascend", "cpu", "cuda")
WRONG = "FROM python\nRUN cd /tmp && pip install numpy\nRUN sudo apt-get install gcc\n"


def lint(path: Path) -> subprocess.CompletedProcess:
    program = shutil.which("hadolint") or next(iter(Path(sys.prefix).glob("bin/hadolint")), None)
    if program is None:
        pytest.skip("hadolint is not installed")
    return subprocess.run([str(program), "--no-color", str(path)], capture_output=True, text=True)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint(path):
    done = lint(path)
    assert done.returncode == 0 and not done.stdout, done.stdout


def test_hadolint_finds_mistakes(tmp_path):
    (tmp_path / "wrong.Dockerfile").write_text(WRONG)
    done = lint(tmp_path / "wrong.Dockerfile")
    assert done.returncode and all(code in done.stdout for code in ("DL3006", "DL3013", "DL3042", "DL3004"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_pins_its_base_and_ends_as_a_user(path):
    target, steps = path.stem, parse(path.read_text(encoding="utf-8"))
    arguments: dict[str, str] = {}
    for step in steps:
        if step.name == "ARG":
            name, _, default = step.rest.partition("=")
            arguments[name] = default
    (base,) = [expand(step.rest, arguments) for step in steps if step.name == "FROM"]
    image, _, tag = base.rpartition(":")
    assert image and re.match(r"\d+\.\d+\.\d+-", tag), base
    user = [expand(step.rest, arguments) for step in steps if step.name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user)
    names = [step.name for step in steps]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name == "RUN") and "CMD" in names
    (installation,) = [step.rest for step in steps if "install.sh" in step.rest and step.name == "RUN"]
    assert f"bash install.sh {target} &&" in installation and "&& rm install.sh" in installation
    text = path.read_text(encoding="utf-8")
    assert f"docker build -f test/docker/{path.name} " in text and "docker run --rm " in text


def test_there_is_a_dockerfile_for_each_target():
    assert tuple(path.stem for path in DOCKERFILES) == TARGETS


def test_instructions_of_several_lines():
    steps = parse("# a comment\nFROM a\nRUN one \\\n    # inside\n    && two\n\nENV A=1 \\\n  B=2\n")
    assert [(step.name, step.rest) for step in steps] == [("FROM", "a"), ("RUN", "one && two"), ("ENV", "A=1 B=2")]


def install(tmp_path, target: str, **environment: str) -> subprocess.CompletedProcess:
    """Run install.sh with a Python that only writes down what it is asked to do."""
    (tmp_path / "requirements.txt").write_text("# pins\ntorch==9.8.7\nnumpy==1.0\n")
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@" >> asked\n')
    python.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **environment}
    script = ["bash", str(HERE / "install.sh"), *target.split()]
    return subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("target", "index", "torch", "rest"),
    [
        ("cpu", "https://torch.example", "--index-url https://torch.example torch==9.8.7", "-r requirements.txt"),
        ("cuda", "", "torch==9.8.7", "-r requirements.txt"),
        ("ascend", "", "torch==9.8.7", "-r requirements.txt torch_npu==9.8.7 pyyaml==6.0.3"),
    ],
)
def test_packages_of_a_target(tmp_path, target, index, torch, rest):
    done = install(tmp_path, target, TORCH_INDEX=index)
    assert done.returncode == 0, done.stderr
    pip = "-m pip install --no-cache-dir --disable-pip-version-check"
    assert (tmp_path / "asked").read_text().splitlines() == [f"{pip} {torch}", f"{pip} {rest}"]


@pytest.mark.parametrize("target", ["", "gpu"])
def test_an_unknown_target_is_an_error(tmp_path, target):
    done = install(tmp_path, target)
    assert done.returncode == 2 and done.stderr == f"error: expected cpu, cuda or ascend; got '{target}'\n"
    assert not (tmp_path / "asked").exists()


def test_a_package_that_cannot_be_installed_ends_the_build(tmp_path):
    (tmp_path / "bin").mkdir()
    failing = tmp_path / "bin/python"
    failing.write_text('#!/bin/sh\ncase "$*" in *torch==*) exit 1 ;; esac\n')  # the last command would succeed
    failing.chmod(0o755)
    assert install(tmp_path, "cpu", PYTHON=str(failing)).returncode == 1


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        (".git/config", True),
        (".venv-npu/bin/python", True),
        ("pysot/core/__pycache__/a.pyc", True),
        ("results/VOT2016/a.txt", True),
        ("pysot/toolkit/results/files.py", False),
        ("quickstart/a.jpg", True),
        ("experiments/quickstart/config.yaml", False),
        ("training_dataset/coco/crop511/0/a.jpg", True),
        ("training_dataset/coco/par_crop.py", False),
        ("testing_dataset/VOT2016/list.txt", True),
        ("testing_dataset/README.md", False),
        ("pretrained_models/resnet50.model", True),
        ("test/output/0/train_0.log", True),
        ("logs/profile/rank0.pt.trace.json", True),
        ("setup.py", False),
    ],
)
def test_what_docker_ignores(path, ignored):
    assert Ignored((ROOT / ".dockerignore").read_text(encoding="utf-8"))(path) == ignored


def test_the_context_has_the_tracked_files_and_no_others():
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout")
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    expected = {path for path in tracked.stdout.splitlines() if not path.startswith((".git/", ".github/", ".ci/"))}
    expected = {path for path in expected if (ROOT / path).is_file() and not path.startswith(".venv")}
    assert {*context_files(ROOT)} == expected


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image for a CPU, whose pip finds the packages of this environment installed."""
    if sys.platform != "linux":
        pytest.skip("the steps are those of a Linux system")
    return build("cpu", tmp_path_factory.mktemp("docker") / "an image", reuse=True)


def test_the_steps_give_an_image_that_works(image):
    assert image.user == "1000" and image.workdir == "/home/pysot/pysot"
    assert not (image.folder / "install.sh").exists()
    done = image.run(image.command, capture_output=True, text=True)
    assert done.returncode in (0, 1) and re.search(r"\n\d+ problem\(s\)", done.stdout), done.stdout + done.stderr
    assert str(image.folder) in done.stdout and re.search(r"\n   torch +\d", done.stdout)


def test_the_image_scores(image):
    data, results = image.folder / "testing_dataset/VOT2016", image.folder / "results/VOT2016/perfect/baseline"
    boxes = moving_square(data / "square", frames=20)
    (data / "list.txt").write_text("square\n")
    (results / "square").mkdir(parents=True)
    lines = ["1", *(",".join(map(str, box)) for box in boxes[1:])]
    (results / "square/square_001.txt").write_text("\n".join(lines) + "\n")
    command = ["python", "tools/eval.py", "-p", "results", "-d", "VOT2016", "-t", "perfect"]
    done = image.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"perfect\W+1\.000\W+0\.000", done.stdout), done.stdout
    helped = image.run(["python", "tools/train.py", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0 and "--max_step" in helped.stdout


def test_a_step_that_fails_ends_the_build(tmp_path, monkeypatch):
    import build_without_docker as module

    (tmp_path / "cpu.Dockerfile").write_text("FROM a:1\nWORKDIR /w\nRUN touch made && false\nRUN touch later\n")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "build.py"))
    with pytest.raises(subprocess.CalledProcessError):
        build("cpu", tmp_path / "image", reuse=True)
    assert (tmp_path / "image/image/w/made").exists() and not (tmp_path / "image/image/w/later").exists()
    (tmp_path / "cpu.Dockerfile").write_text("FROM a:1\nVOLUME /data\n")
    with pytest.raises(ValueError, match="VOLUME: expected one of FROM"):
        build("cpu", tmp_path / "another", reuse=True)


def test_shellcheck_of_install():
    program = shutil.which("shellcheck") or next(iter(Path(sys.prefix).glob("bin/shellcheck")), None)
    if program is None:
        pytest.skip("shellcheck is not installed")
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run([str(program), str(HERE / "install.sh")], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
