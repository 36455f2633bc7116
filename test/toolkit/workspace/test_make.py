"""Workspaces: their files, and that nothing is lost or half made. The toolkit's part is played by a function."""

import configparser
import json
import shlex
from dataclasses import replace

import pytest
from toolkit_data import make_raw_set

from helpers import ROOT
from pysot.toolkit.workspace import make
from pysot.toolkit.workspace.installed import Toolkit
from pysot.toolkit.workspace.make import Entry

STACK = {"title": "t", "experiments": {"longterm": {"type": "unsupervised"}, "redetection": {"type": "unsupervised"}}}
TOOLKIT = Toolkit("/opt/vot/bin/python", "0.7.4", "vot2022/longterm", STACK)
OPTIONS = {"snapshot": "/a b/100%.pth", "device": "npu:1", "form": "auto"}
SERVER = ROOT / "tools" / "vot_server.py"
ENTRY = Entry("mine", "trax", OPTIONS, SERVER)


@pytest.fixture(autouse=True)
def tried(monkeypatch):
    """The trackers.ini that the toolkit has tried."""
    texts = []

    def answer(python, seconds, kind, folder, name):
        texts.append((make.Path(folder) / "trackers.ini").read_text())
        return {"start": 1.0, "track": 0.1}

    monkeypatch.setattr(make, "ask", answer)
    return texts


def fail(*args):
    return {"error": "Tracker not alive", "log": "Traceback\nFileNotFoundError: no snapshot\n"}


def read_ini(path):
    parser = configparser.ConfigParser()
    parser.read(path)
    return parser


@pytest.mark.parametrize("name", ["", "a b", "checkpoint.e1", "a/b", "ä"])
def test_names_that_the_toolkit_refuses(name):
    with pytest.raises(ValueError, match="expected letters, digits, - and _.*choose one with --name"):
        Entry(name, "trax", {}, SERVER)


def test_a_folder_with_something_in_it(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="exists and is not empty; choose another folder"):
        make.make_workspace(tmp_path, TOOLKIT, ENTRY)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_workspace_that_exists(tmp_path):
    folder = tmp_path / "w"
    make.make_workspace(folder, TOOLKIT, ENTRY)
    (folder / "results" / "mine").mkdir()
    with pytest.raises(FileExistsError, match="is a workspace already.*--add, which keeps its results"):
        make.make_workspace(folder, TOOLKIT, ENTRY)
    assert (folder / "results" / "mine").is_dir()


def test_a_tracker_that_does_not_start_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "ask", fail)
    with pytest.raises(
        RuntimeError, match="cannot work with the tracker: Tracker not alive.*\nTraceback\n.*no snapshot"
    ):
        make.make_workspace(tmp_path / "w", TOOLKIT, ENTRY)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "ask", lambda *args: {"error": "No module named 'pysot'", "log": ""})
    with pytest.raises(RuntimeError, match=r"In the toolkit's environment: pip install -e '.*\[vot\]'"):
        make.make_workspace(tmp_path / "w", TOOLKIT, ENTRY)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "has no list.txt; expected a VOT folder"),
        ({"list.txt": "a\n"}, "a has no groundtruth.txt"),
        ({"list.txt": "a\n", "a/groundtruth.txt": "1,2,3,4\n"}, "has no frames 00000001.jpg"),
        ({"list.txt": "a\n", "a/groundtruth.txt": "1,2,3,4\n", "a/first.jpg": ""}, "has no frames 00000001.jpg"),
    ],
)
def test_damaged_sequences(tmp_path, content, words):
    (tmp_path / "set").mkdir()
    for name, text in content.items():
        (tmp_path / "set" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / name).write_text(text)
    with pytest.raises(FileNotFoundError, match=words):
        make.make_workspace(tmp_path / "w", TOOLKIT, ENTRY, tmp_path / "set")
    assert not (tmp_path / "w").exists()


def test_a_workspace(tmp_path, tried):
    seconds = make.make_workspace(tmp_path / "deep" / "w", TOOLKIT, ENTRY)
    folder = tmp_path / "deep" / "w"
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "results", "sequences", "trackers.ini"]
    assert "stack: vot2022/longterm\n" in (folder / "config.yaml").read_text()
    assert tried == [(folder / "trackers.ini").read_text()] and seconds["start"] == 1
    assert make.stack_of(folder) == "vot2022/longterm"


@pytest.mark.parametrize(
    ("name", "left_out", "file"),
    [("mine.yaml", (), "mine.yaml"), ("vot2022/longterm", ("redetection",), "vot2022_longterm.yaml")],
)
def test_a_stack_in_the_workspace(tmp_path, name, left_out, file):
    """A file that was given, and a stack of the toolkit without the experiments on which the toolkit fails."""
    make.make_workspace(tmp_path / "w", replace(TOOLKIT, stack_name=name), ENTRY, left_out=left_out)
    content = json.loads((tmp_path / "w" / file).read_text())
    assert content["title"] == "t" and [*content["experiments"]] == [
        n for n in STACK["experiments"] if n not in left_out
    ]
    assert f"stack: ./{file}\n" in (tmp_path / "w" / "config.yaml").read_text()
    assert make.Path(make.stack_of(tmp_path / "w")).samefile(tmp_path / "w" / file)


def test_sequences_are_linked(tmp_path):
    make_raw_set(tmp_path / "set")
    make.make_workspace(tmp_path / "w", TOOLKIT, ENTRY, tmp_path / "set")
    folder = tmp_path / "w" / "sequences"
    assert (folder / "list.txt").read_text() == "slow\nboxes\n"
    assert (folder / "slow" / "color" / "00000001.png").resolve() == tmp_path / "set/slow/color/00000001.png"
    assert "channels.color=color/%08d.png\n" in (folder / "slow" / "sequence").read_text()
    assert "channels.color=%08d.png\n" in (folder / "boxes" / "sequence").read_text()


@pytest.mark.parametrize("anchors", [None, "0\n0\n"])
def test_sequences_without_anchors_in_a_multistart_experiment(tmp_path, anchors):
    make_raw_set(tmp_path / "set")
    for name in ("slow", "boxes"):
        (tmp_path / "set" / name / "anchor.value").write_text("0\n-1\n")
    stack = {"experiments": {"baseline": {"type": "multistart"}, "other": {"type": "unsupervised"}}}
    toolkit = replace(TOOLKIT, stack_name="mine.yaml", stack=stack)
    make.make_workspace(tmp_path / "good", toolkit, ENTRY, tmp_path / "set")
    path = tmp_path / "set" / "boxes" / "anchor.value"
    path.unlink() if anchors is None else path.write_text(anchors)
    make.make_workspace(tmp_path / "left_out", toolkit, ENTRY, tmp_path / "set", ["baseline"])
    with pytest.raises(ValueError, match="boxes has no anchors, at which multi-start experiments start"):
        make.make_workspace(tmp_path / "bad", toolkit, ENTRY, tmp_path / "set")
    assert not (tmp_path / "bad").exists()


def test_sequences_that_describe_themselves_stay_as_they_are(tmp_path):
    make_raw_set(tmp_path / "set")
    (tmp_path / "set" / "slow" / "sequence").write_text("fps=20\n")
    make.link_sequences(tmp_path / "set", folder := tmp_path)
    assert (folder / "slow" / "sequence").read_text() == "fps=20\n"


def test_the_command_over_trax(tmp_path):
    """Paths are absolute, with spaces and percent signs; without the line, TraX clears LD_LIBRARY_PATH."""
    environment = make.kept_environment(
        {"LD_LIBRARY_PATH": "/cann/lib", "ASCEND_HOME_PATH": "/cann", "HOME": "/", "PYTHONPATH": ""}
    )
    make.write_entry(
        tmp_path / "trackers.ini", Entry("m", "trax", OPTIONS, SERVER, ["TRACK.LR", "0.5"], 7, environment=environment)
    )
    section = read_ini(tmp_path / "trackers.ini")["m"]
    command = shlex.split(section["command"])
    assert make.Path(command[0]).is_absolute() and make.Path(command[1]).is_file()
    assert command[2:] == "--snapshot|/a b/100%.pth|--device|npu:1|--form|auto|--opts|TRACK.LR|0.5".split("|")
    assert (section["protocol"], section["timeout"]) == ("trax", "7")
    assert {key: section[key] for key in section if key.startswith("env_")} == {
        "env_ld_library_path": "/cann/lib",
        "env_ascend_home_path": "/cann",
    }


@pytest.mark.parametrize(("several", "masks"), [(False, False), (True, True)])
def test_the_python_protocol(tmp_path, several, masks):
    entry = Entry("m", "python", OPTIONS, SERVER, ["TRACK.LR", "0.5"], multiobject=several, starts_on_masks=masks)
    make.write_entry(tmp_path / "trackers.ini", entry)
    section = read_ini(tmp_path / "trackers.ini")["m"]
    assert section["command"] == "pysot.vot:Tracker"
    assert {key: section[key] for key in section if key.startswith("arg_")} == {
        "arg_snapshot": "/a b/100%.pth",
        "arg_device": "npu:1",
        "arg_opts": "TRACK.LR 0.5",
        "arg_multiobject": "yes" if several else "no",
        **({"arg_masks": "yes"} if masks else {}),
    }
    assert section.get("convert") == ("rectangle" if masks else None)


def test_another_tracker_is_added(tmp_path, monkeypatch):
    make.make_workspace(tmp_path / "w", TOOLKIT, ENTRY)
    make.add_to_workspace(tmp_path / "w", TOOLKIT, Entry("other", "trax", {}, SERVER))
    path = tmp_path / "w" / "trackers.ini"
    assert read_ini(path).sections() == ["mine", "other"]
    before = path.read_text()
    with pytest.raises(ValueError, match="has a tracker other already; choose another --name"):
        make.add_to_workspace(tmp_path / "w", TOOLKIT, Entry("other", "trax", {}, SERVER))
    monkeypatch.setattr(make, "ask", fail)
    with pytest.raises(RuntimeError, match="Tracker not alive"):
        make.add_to_workspace(tmp_path / "w", TOOLKIT, Entry("third", "trax", {}, SERVER))
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [(None, FileNotFoundError, "is no workspace"), ("registry: []\n", ValueError, "names no stack")],
)
def test_folders_to_which_nothing_can_be_added(tmp_path, text, error, words):
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(error, match=words):
        make.stack_of(tmp_path)


def test_protocols_that_do_not_work(monkeypatch):
    with pytest.raises(ValueError, match="vot-toolkit 0.7.4 has no Python protocol"):
        make.check_protocol("python", TOOLKIT)
    monkeypatch.setattr(make.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install vot-trax==4.0.2. It has wheels for Linux on x86_64 only"):
        make.check_protocol("trax", TOOLKIT)


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("vots2023", True),
        ("vots2025/main", True),
        ("vot2020/shortterm", True),
        ("vot2022/shorttermbox", False),
        ("/w/vot2020_shortterm.yaml", True),
    ],
)
def test_annotations_by_the_name_of_a_stack(tmp_path, stack, expected):
    assert make.starts_on_masks(tmp_path, stack) == expected


def test_annotations_by_the_files(tmp_path):
    make_raw_set(tmp_path)
    assert not make.starts_on_masks(tmp_path, "vots2023")
    (tmp_path / "slow" / "groundtruth_1.txt").write_text("m0,0,2,2,0,4\n")
    assert make.starts_on_masks(tmp_path, "vot2018/shortterm")
