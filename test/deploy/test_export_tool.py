"""tools/export.py: what it writes, and what it says where it cannot."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import export as tool
import onnx
import pytest
import torch
from toolkit_data import make_raw_set

import _cli
from export_helpers import small_export
from helpers import ROOT, small_model, tiny_benchmark, tiny_config, tiny_mask_config
from pysot.core.stored_config import config_text
from pysot.core.xcorr_export import EXPORT_METHODS, depthwise_shift
from pysot.deploy import export_builder
from pysot.deploy.package import read_package
from pysot.utils.files import file_hash
from pysot.utils.signals import Interrupted

FILES = ["report.json", "template.onnx", "track.onnx", "tracker.json"]
# Runs a tool with a limit on the size of its files: writes fail, as on a full disk.
LIMITED = (
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)); "
    "sys.path.insert(0, sys.argv[1]); sys.argv = sys.argv[2:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a network, knows.pth, its config, that of another one, and a data set to verify on."""
    folder = tmp_path_factory.mktemp("made")
    config = tiny_config()
    torch.manual_seed(0)
    state = small_model(config, "").state_dict()
    torch.save({"state_dict": state, "config": config_text(config)}, folder / "knows.pth")
    (folder / "config.yaml").write_text(config.dump())
    (folder / "mask.yaml").write_text(tiny_mask_config("refine").dump())
    make_raw_set(folder / "testing_dataset" / "TINY")
    return folder


@pytest.fixture(scope="module")
def an_export(made):
    """The export of another network; it is unverified."""
    return small_export(made / "an export", "", "RPN.KWARGS.out_channels", 8) and made / "an export"


@pytest.fixture
def exported(an_export, tmp_path):
    """A copy of an export, in a folder of its own."""
    return shutil.copytree(an_export, tmp_path / "exported")


@pytest.fixture
def export(made, monkeypatch):
    """Return a function that exports like the command, in this process; verified on a data set, which is quick."""
    monkeypatch.chdir(made)
    monkeypatch.setattr(_cli, "setup_logging", lambda **_: None)

    def run(output, *args, verify=("--verify-on", "TINY")):
        command = ["export.py", "--snapshot", "knows.pth", "--output", output, *verify, *args]
        monkeypatch.setattr(sys, "argv", list(map(str, command)))
        tool.main()

    return run


def test_a_wrong_chip_is_refused_before_the_export(export, tmp_path):
    with pytest.raises(ValueError, match="expected the name of a chip such as Ascend310P3, got '310P3'"):
        export(tmp_path / "exported", "--format", "om", "--soc_version", "310P3")
    assert list(tmp_path.iterdir()) == []


def test_sigterm_leaves_nothing(made, tmp_path):
    line = [sys.executable, ROOT / "tools" / "export.py", "--snapshot", "knows.pth", "--output", tmp_path / "exported"]
    with subprocess.Popen(list(map(str, line)), cwd=made, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".exported.*/track.onnx")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.terminate()
        _, text = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "ended by SIGTERM" in text
    assert list(tmp_path.iterdir()) == []


def command(made, *args, code=()):
    line = [sys.executable, *code, ROOT / "tools" / "export.py", "--snapshot", "knows.pth", *args]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, line)), cwd=made, env=environment, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_command(made, tmp_path):
    done = command(made, "--output", tmp_path / "exported")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path) == ["exported"] and names(tmp_path / "exported") == FILES
    package = read_package(tmp_path / "exported")
    assert package.checkpoint == {"file": "knows.pth", "sha256": file_hash(made / "knows.pth")}
    assert {key: value for key, value in package.export.items() if key != "versions"} == {
        "precision": "fp32",
        "xcorr": "shift",
        "opset": 17,
        "batch": 1,
    }
    report = json.loads((tmp_path / "exported" / "report.json").read_text())
    outputs = [f"{row['graph']}.{row['output']}" for row in report["outputs"]]
    assert outputs == ["template.kernel_0", "template.kernel_1", "track.cls", "track.loc"]
    assert all(row["mean"] <= row["largest"] and row["relative"] < 1e-3 for row in report["outputs"])
    assert report["boxes"]["largest"] < 0.05 and report["boxes"]["first"] is None and report["boxes"]["frames"] > 20
    assert (report["problems"], report["scores"], report["quantised"]) == ([], {}, None)
    lines = done.stdout.splitlines()
    assert all(any(line.strip("| ").startswith(f"{name} ") for line in lines) for name in outputs)
    assert lines[-2].startswith("boxes of ") and "first above 0.05: none" in lines[-2]
    assert lines[-1].startswith(f"{tmp_path / 'exported'}: template.onnx ") and lines[-1].endswith("report.json")


def test_scores_of_both_and_a_second_export(export, exported, tmp_path, capsys):
    (exported / "left over.onnx").write_text("")
    export(tmp_path / "exported", "--batch", "dynamic", "--opset", "18", "--xcorr", "matmul")
    assert names(tmp_path) == ["exported"] and names(tmp_path / "exported") == FILES
    text = capsys.readouterr().out
    assert re.search(r"\|\s+torch fp32\s+\|", text) and re.search(r"\|\s+onnxruntime fp32\s+\|", text), text
    speeds = text[text.index("frames/s: ") :].splitlines()[0]
    assert all(re.search(rf"{name} fp32 [\d.]+", speeds) for name in ("torch", "onnxruntime")), speeds
    report = json.loads((exported / "report.json").read_text())
    assert set(report["scores"]) == set(report["frames_per_second"]) == {"torch fp32", "onnxruntime fp32"}
    form = read_package(exported).export
    assert (form["batch"], form["opset"], form["xcorr"]) == ("dynamic", 18, "matmul")
    assert onnx.load(tmp_path / "exported" / "track.onnx").opset_import[0].version == 18


def test_a_folder_with_something_else(export, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_text("mine")
    with pytest.raises(ValueError, match="photos exists and is not an export: name another folder, or remove it"):
        export(tmp_path / "photos")
    assert names(tmp_path) == ["photos"] and names(tmp_path / "photos") == ["mine.jpg"]


def test_a_file_in_place_of_the_folder(export, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="file exists and is not an export"):
        export(tmp_path / "file")
    with pytest.raises(OSError, match="cannot write .*Choose a folder you may write to"):
        export(tmp_path / "file" / "exported")
    assert (tmp_path / "file").read_text() == "mine" and names(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(export, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="cannot write .*Choose a folder you may write to"):
            export(tmp_path / "exported")
        assert names(tmp_path) == []
    finally:
        tmp_path.chmod(0o700)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk(made, export, exported, tmp_path, monkeypatch):
    """The export that is there stays, whether graphs or the report do not fit."""
    before = content(exported)
    done = command(made, "--output", tmp_path / "exported", code=("-c", LIMITED, ROOT / "tools"))
    assert done.returncode == 2 and "track.onnx: File too large" in done.stderr
    assert names(tmp_path) == ["exported"] and content(tmp_path / "exported") == before

    write = export_builder.write_json

    def fail(path, *rest, **options):
        if path.name == "report.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *rest, **options)

    monkeypatch.setattr(export_builder, "write_json", fail)
    with pytest.raises(OSError, match="No space left"):
        export(tmp_path / "exported")
    assert names(tmp_path) == ["exported"] and content(tmp_path / "exported") == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--snapshot", "gone.pth"), "gone.pth"),
        (("--cfg", "mask.yaml"), "checkpoint without mask_head.*leave out the other one"),
        (("--opset", "99"), "opset: expected 14 to 20, got 99"),
        (("--batch", "dynamic", "--xcorr", "grouped"), "take --xcorr shift or matmul"),
        (("--verify-on", "GONE"), "GONE"),
        (("--precision", "int8"), "training sets of a config, which checkpoints do not know: add --cfg"),
        (("--precision", "int8", "--cfg", "config.yaml"), "DATASET.QUICKSTART.ANNO: .*found nothing. Prepare the data"),
        (("--soc_version", "Ascend310P3"), "--soc_version is of --format om"),
    ],
)
def test_arguments_that_are_refused(export, tmp_path, args, words):
    with pytest.raises((ValueError, OSError), match=words):
        export(tmp_path / "exported", *args, verify=())
    assert names(tmp_path) == []


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_wrong_batches(export, tmp_path, text, capsys):
    with pytest.raises(SystemExit) as caught:
        export(tmp_path / "exported", f"--batch={text}")
    assert caught.value.code == 2 and "--batch" in capsys.readouterr().err


def test_an_export_that_is_not_the_network(export, exported, tmp_path, monkeypatch, capsys):
    """The table is printed, and the export that is there stays."""
    before = content(exported)

    def wrong(search, kernel):
        return depthwise_shift(search, kernel) * 1.01

    monkeypatch.setitem(EXPORT_METHODS, "shift", (wrong, EXPORT_METHODS["shift"][1]))
    words = "the exported network is not that of torch, nothing was written: track.cls differs by .* of its largest"
    with pytest.raises(RuntimeError, match=words):
        export(tmp_path / "exported")
    assert "track.cls" in capsys.readouterr().out
    assert names(tmp_path) == ["exported"] and content(tmp_path / "exported") == before


@pytest.mark.parametrize("error", [Interrupted(15, "ended"), OSError(errno.EIO, "no disk")])
def test_an_export_that_cannot_appear(export, exported, tmp_path, monkeypatch, error):
    """The one that is there comes back, also where the end is a signal."""
    before = content(exported)

    def fail(part, folder):
        raise error

    monkeypatch.setattr(export_builder, "publish_folder", fail)
    with pytest.raises(type(error)):
        export(tmp_path / "exported")
    assert names(tmp_path) == ["exported"] and content(tmp_path / "exported") == before


def test_fp16_is_reported_and_not_refused(export, tmp_path):
    (tmp_path / "fp16").mkdir()  # a folder that is empty is used
    export(tmp_path / "fp16", "--precision", "fp16")
    small_export(tmp_path / "fp32")
    report = json.loads((tmp_path / "fp16" / "report.json").read_text())
    assert report["problems"] == [] and max(row["relative"] for row in report["outputs"]) > 1e-6
    assert read_package(tmp_path / "fp16").export["precision"] == "fp16"
    assert (tmp_path / "fp16" / "track.onnx").stat().st_size < (tmp_path / "fp32" / "track.onnx").stat().st_size


def test_int8(export, tmp_path, capsys):
    data = tiny_benchmark(tmp_path / "data", frames=8, videos=2)
    shutil.rmtree(data / "testing_dataset")
    small_export(tmp_path / "fp32")
    args = ("--precision", "int8", "--cfg", "config.yaml", "--data_path", data / "training_dataset")
    export(tmp_path / "int8", *args)
    text = capsys.readouterr().out
    assert "of 11 convolutions of the search; mean error of the outputs " in text
    report = json.loads((tmp_path / "int8" / "report.json").read_text())
    quantised = report["quantised"]
    assert quantised["convolutions"] == 11 and 0 < quantised["error"] <= quantised["error_all"] < 1
    assert set(report["scores"]) == {"torch fp32", "onnxruntime int8"}
    sizes = [(tmp_path / name / "track.onnx").stat().st_size for name in ("int8", "fp32")]
    assert sizes[0] < 0.8 * sizes[1]
    kinds = {node.op_type for node in onnx.load(tmp_path / "int8" / "track.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert names(tmp_path / "int8") == FILES
