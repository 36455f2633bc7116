"""tracker.json, and exported folders that cannot be used."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from export_helpers import small_export
from pysot.deploy import Tracker
from pysot.deploy.package import FILE, Package, package_content, read_package
from pysot.tracker.tracker_builder import track_settings

LONG_TERM = ("TRACK.TYPE", "SiamRPNLTTracker", "TRACK.LOST_INSTANCE_SIZE", 351)


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """A folder with exports of small networks: siamrpn, other (its weights differ), mask, long."""
    folder = tmp_path_factory.mktemp("exports")
    small_export(folder / "siamrpn")
    small_export(folder / "other", "", "RPN.KWARGS.out_channels", 8)
    small_export(folder / "mask", "refine")
    small_export(folder / "long", "", *LONG_TERM)
    return folder


@pytest.fixture
def export(exports, tmp_path):
    """Return a function that copies an export, changes the content of its tracker.json, and returns the folder."""

    def copy(name="siamrpn", change=None):
        folder = tmp_path / name
        shutil.copytree(exports / name, folder)
        if change:
            content = json.loads((folder / FILE).read_text())
            change(content)
            (folder / FILE).write_text(json.dumps(content))
        return folder

    return copy


@pytest.mark.parametrize("name", ["siamrpn", "mask", "long"])
def test_round_trip(exports, name):
    package = read_package(exports / name)
    content = json.loads((exports / name / FILE).read_text())
    assert content == json.loads(json.dumps(package_content(package)))
    assert set(content) == {"format", "tracker", "settings", "grid", "input", "graphs", "export", "checkpoint"}


def test_content(exports, tmp_path):
    _, config = small_export(tmp_path / "again")
    package = read_package(str(tmp_path / "again"))
    assert isinstance(package, Package) and package.type == "SiamRPNTracker"
    assert (package.long_term, package.masks) == (False, False)
    assert package.settings == track_settings(config)
    assert package.checkpoint["file"] == "again.pth" and len(package.checkpoint["sha256"]) == 64
    assert (package.export["precision"], package.export["opset"], package.export["batch"]) == ("fp32", 17, 1)
    assert {"pysot", "torch", "onnx", "onnxruntime"} <= set(package.export["versions"])
    grid = json.loads((tmp_path / "again" / FILE).read_text())["grid"]
    assert grid["cells"] == 17 and np.shape(grid["anchors"]) == (5, 4) and np.shape(grid["window"]) == (17,)


def test_graphs_of_each_tracker(exports):
    names = {name: list(read_package(exports / name).graphs) for name in ("siamrpn", "mask", "long")}
    assert names == {
        "siamrpn": ["template", "track"],
        "mask": ["template", "track", "refine"],
        "long": ["template", "track", "track_lost"],
    }


def test_no_folder(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="expected the folder of an exported tracker, but .*gone does not exist"
    ):
        read_package(tmp_path / "gone")


def test_no_export(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no tracker.json; export again with tools/export.py"):
        read_package(tmp_path)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "model.onnx").write_text("")
    with pytest.raises(FileNotFoundError, match="expected the folder of an exported tracker, but .*model.onnx"):
        read_package(tmp_path / "model.onnx")


@pytest.mark.parametrize("value", [0, 2, "1", None])
def test_another_format(export, value):
    folder = export(change=lambda content: content.update(format=value))
    with pytest.raises(ValueError, match=f"expected format 1, got {value!r}; export again .*the version that wrote it"):
        read_package(folder)


@pytest.mark.parametrize(
    ("text", "words"), [("[]", "expected format 1, got 'list'"), ("", "tracker.json is empty"), ('{"for', "cut off")]
)
def test_another_file(export, text, words):
    folder = export()
    (folder / FILE).write_text(text)
    with pytest.raises(ValueError, match=words):
        read_package(folder)


def drop(*keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def put(value, *keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(drop(key) for key in ("tracker", "settings", "graphs", "export", "checkpoint")),
        drop("tracker", "masks"),
        drop("settings", "lr"),
        drop("graphs", "track", "sha256"),
        put(1, "settings", "unknown"),
        put(None, "settings"),
        put([], "graphs"),
        put(7, "graphs", "track", "inputs"),
        put("8", "settings", "stride"),
        put(0, "settings", "stride"),
        put(None, "settings", "lr"),
        put([None], "settings", "ratios"),
        put("yes", "tracker", "masks"),
        put([], "graphs", "track", "inputs"),
        put([], "graphs", "track", "outputs"),
        put(["A", "B"], "graphs", "track", "outputs", 0, "shape"),
        put(5, "graphs", "track", "file"),
        put(["fp32"], "export"),
    ],
)
def test_damaged_content(export, change):
    folder = export(change=change)
    with pytest.raises(ValueError, match="tracker.json is damaged .*; export again with tools/export.py"):
        read_package(folder)


@pytest.mark.parametrize(
    "change",
    [
        put(16, "settings", "stride"),
        put(271, "settings", "instance_size"),
        put([0.5, 1.0], "settings", "ratios"),
        put(True, "settings", "points"),
        put(18, "grid", "cells"),
        drop("grid"),
    ],
)
def test_settings_that_were_edited(export, change):
    folder = export(change=change)
    with pytest.raises(ValueError, match="grid is not what the settings give.*changed by hand.*export again"):
        read_package(folder)


def test_another_form_of_the_input(export):
    folder = export(change=put("RGB", "input", "channels"))
    with pytest.raises(ValueError, match="input is not what the settings give in this version"):
        read_package(folder)


@pytest.mark.parametrize(
    ("name", "key", "side", "words"),
    [
        ("siamrpn", "exemplar_size", 126, "template takes crops of 127 pixels, the settings say 126"),
        ("long", "lost_instance_size", 367, "track_lost takes crops of 351 pixels, the settings say 367"),
    ],
)
def test_sizes_that_were_edited(export, name, key, side, words):
    """The grid does not depend on them."""
    folder = export(name, put(side, "settings", key))
    with pytest.raises(ValueError, match=f"{words}; export again"):
        read_package(folder)


def test_a_graph_of_other_places(export):
    folder = export(change=put([1, 2, 1, 1], "graphs", "track", "outputs", 0, "shape"))
    with pytest.raises(ValueError, match="the settings give 1445 places, the graph .*; export again"):
        read_package(folder)


@pytest.mark.parametrize(("name", "graph"), [("siamrpn", "template"), ("mask", "refine"), ("long", "track_lost")])
def test_a_graph_that_is_not_named(export, name, graph):
    folder = export(name, drop("graphs", graph))
    with pytest.raises(ValueError, match=f"a Siam.*Tracker needs the graphs {graph}; export again"):
        read_package(folder)


@pytest.mark.parametrize(("name", "graph"), [("siamrpn", "track"), ("mask", "refine"), ("long", "track_lost")])
def test_a_graph_that_is_missing(export, name, graph):
    folder = export(name)
    (folder / f"{graph}.onnx").unlink()
    with pytest.raises(FileNotFoundError, match=f"{graph}.onnx is missing; copy the whole folder of the export"):
        read_package(folder)


def test_a_graph_of_another_export(export, exports):
    folder = export()
    shutil.copy(exports / "other" / "track.onnx", folder)
    words = "track.onnx is not the file that tracker.json describes .another export, or damaged.: copy the whole folder"
    with pytest.raises(ValueError, match=words):
        read_package(folder)
    with pytest.raises(ValueError, match=words):
        Tracker(folder)


def test_a_graph_that_is_cut_off(export):
    folder = export()
    path = folder / "template.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="template.onnx is not the file that tracker.json describes"):
        read_package(folder)


def test_settings_of_tracking_may_be_tuned(export):
    """They do not depend on the graphs; results know them by their fingerprint."""
    folder = export(change=put(0.25, "settings", "lr"))
    assert read_package(folder).settings.lr == 0.25


def test_the_batch(exports):
    facts = read_package(exports / "siamrpn").graphs["track"]
    assert facts.batch == 1
    first = dataclasses.replace(facts.inputs[0], shape=("N", *facts.inputs[0].shape[1:]))
    assert dataclasses.replace(facts, inputs=(first,)).batch is None
