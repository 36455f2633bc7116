"""The script that compiles an export for Ascend, its AIPP files, and how it is run."""

import json
import os
import stat
import subprocess

import pytest

from om_helpers import BATCH, put_atc_on_path, write_graphs
from pysot.deploy.ascend import SCRIPT, aipp_config, atc_script, om_origin, write_om
from pysot.deploy.package import GraphFacts, TensorFacts
from pysot.utils.files import file_hash

SOC = "Ascend310P3"
AIPP = """\
aipp_op {
    aipp_mode: static
    related_input_rank: 0
    input_format: RGB888_U8
    src_image_size_w: 127
    src_image_size_h: 127
    csc_switch: false
    rbuv_swap_switch: false
    min_chn_0: 0
    min_chn_1: 0
    min_chn_2: 0
    var_reci_chn_0: 1
    var_reci_chn_1: 1
    var_reci_chn_2: 1
}
"""
COMMANDS = """\
# template: not if template.onnx is of another export.
echo '{template}  template.onnx' | sha256sum --check --quiet -
atc \\
    --model=template.onnx \\
    --framework=5 \\
    --output=template \\
    --soc_version=Ascend310P3 \\
    --input_shape=crop:1,3,7,7 \\
    --precision_mode_v2=fp16 \\
    --input_format=NCHW \\
    --insert_op_conf=aipp_template.cfg
sha256sum template.onnx template.om > template.om.sha256

# track: not if track.onnx is of another export.
echo '{track}  track.onnx' | sha256sum --check --quiet -
atc \\
    --model=track.onnx \\
    --framework=5 \\
    --output=track \\
    --soc_version=Ascend310P3 \\
    '--input_shape=crop:1,3,15,15;kernel_0:1,4,3,3' \\
    --precision_mode_v2=fp16 \\
    --input_format=NCHW \\
    --insert_op_conf=aipp_track.cfg
sha256sum track.onnx track.om > track.om.sha256

# refine: not if refine.onnx is of another export.
echo '{refine}  refine.onnx' | sha256sum --check --quiet -
atc \\
    --model=refine.onnx \\
    --framework=5 \\
    --output=refine \\
    --soc_version=Ascend310P3 \\
    '--input_shape=p0:1,4,3,3;cells:1,2' \\
    --precision_mode_v2=fp16
sha256sum refine.onnx refine.om > refine.om.sha256
"""


@pytest.fixture
def without_atc(monkeypatch):
    """Make sure that a real ATC does not run."""
    monkeypatch.setattr("pysot.deploy.ascend.shutil.which", lambda name: None)


@pytest.fixture
def with_atc(tmp_path_factory, monkeypatch):
    put_atc_on_path(tmp_path_factory.mktemp("cann") / "bin", monkeypatch)


def write(folder, facts, show=print):
    return write_om(folder, facts, SOC, "fp16", show)


def calls(folder):
    return json.loads((folder / "calls.json").read_text())


def test_aipp_config():
    assert aipp_config(127, [0.0] * 3, [1.0] * 3) == AIPP


def test_aipp_normalises():
    text = aipp_config(255, [103.5, 116, 123], [0.017, 0.0175, 1 / 64])
    assert "min_chn_0: 103.5\n" in text and "min_chn_2: 123\n" in text
    assert "var_reci_chn_0: 0.017\n" in text and "var_reci_chn_2: 0.015625\n" in text


@pytest.mark.parametrize(("side", "mean"), [(1, [0.0] * 3), (4097, [0.0] * 3), (127, [0.0, -1.0, 0.0])])
def test_what_aipp_does_not_take(side, mean):
    with pytest.raises(ValueError, match="AIPP takes crops of 2 to 4096 pixels and means of 0 to 255"):
        aipp_config(side, mean, [1.0] * 3)


def test_commands(tmp_path):
    facts = write_graphs(tmp_path)
    head, _, commands = atc_script(facts, SOC, "fp16").partition("\n\n")
    assert commands == COMMANDS.format(**{name: each.sha256 for name, each in facts.items()})
    assert head.splitlines()[0] == "#!/bin/sh" and "for Ascend310P3." in head


def test_any_batch(tmp_path):
    script = atc_script(write_graphs(tmp_path, BATCH), SOC, "mixed_float16")
    assert "'--input_shape=crop:-1,3,15,15;kernel_0:-1,4,3,3' \\\n" in script
    assert script.count("--dynamic_batch_size=1,2,4,8,16") == 3
    assert script.count("--precision_mode_v2=mixed_float16") == 3


@pytest.mark.parametrize("soc", ["Ascend310P3", "Ascend310B4", "Ascend910B", "Ascend910B4-1", "Ascend910_9391"])
def test_chips(tmp_path, soc):
    assert f"--soc_version={soc} \\" in atc_script(write_graphs(tmp_path), soc, "fp16")


@pytest.mark.parametrize("soc", ["", "310P3", "Ascend", "ascend310P3", "Ascend310P3; rm", "Ascend310P3\n", "auto"])
def test_names_that_are_no_chip(tmp_path, soc):
    with pytest.raises(ValueError, match="expected the name of a chip such as Ascend310P3, got .*npu-smi info"):
        atc_script(write_graphs(tmp_path), soc, "fp16")


def test_unknown_precision(tmp_path):
    with pytest.raises(ValueError, match="expected one of fp16, mixed_float16, origin, got 'int8'"):
        atc_script(write_graphs(tmp_path), SOC, "int8")


@pytest.mark.parametrize("shape", [(1, 8, 3, 3), (BATCH, BATCH, 3, 3), (4, BATCH)])
def test_batches_that_atc_does_not_take(shape):
    inputs = (TensorFacts("crop", (BATCH, 3, 7, 7), "float32"), TensorFacts("kernel_0", shape, "float32"))
    with pytest.raises(ValueError, match="takes kernel_0 as .*export with a number as --batch"):
        atc_script({"track": GraphFacts("track.onnx", "0", inputs, ())}, SOC, "fp16")


def test_without_atc(tmp_path, without_atc):
    facts = write_graphs(tmp_path)
    text = write(tmp_path, facts)
    assert text.startswith("atc is not on PATH, so ") and text.endswith("run: sh atc.sh")
    assert (tmp_path / SCRIPT).read_text() == atc_script(facts, SOC, "fp16")
    assert (tmp_path / SCRIPT).stat().st_mode & stat.S_IXUSR
    assert (tmp_path / "aipp_track.cfg").read_text() == aipp_config(15, [0.0] * 3, [1.0] * 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "aipp_template.cfg",
        "aipp_track.cfg",
        SCRIPT,
        *(f"{name}.onnx" for name in ("refine", "template", "track")),
    ]


def test_with_atc(tmp_path, with_atc):
    folder = tmp_path / "an export"
    folder.mkdir()
    facts = write_graphs(folder)
    shown = []
    assert write(folder, facts, shown.append) == "atc compiled template.om, track.om, refine.om for Ascend310P3"
    assert shown == ["ATC run success"] * 3
    assert calls(folder)[1] == {
        "model": "track.onnx",
        "framework": "5",
        "output": "track",
        "soc_version": SOC,
        "input_shape": "crop:1,3,15,15;kernel_0:1,4,3,3",
        "precision_mode_v2": "fp16",
        "input_format": "NCHW",
        "insert_op_conf": "aipp_track.cfg",
    }
    hashes = dict(reversed(line.split()) for line in om_origin(folder / "track.om").read_text().splitlines())
    assert hashes == {"track.onnx": facts["track"].sha256, "track.om": file_hash(folder / "track.om")}


def test_atc_that_fails(tmp_path, with_atc, monkeypatch):
    monkeypatch.setenv("ATC_FAILS", "1")
    with pytest.raises(RuntimeError, match="failed with status 1; its last lines:\nE10: no kernel") as caught:
        write(tmp_path, write_graphs(tmp_path))
    assert "E29: no kernel" in str(caught.value) and "E9:" not in str(caught.value)
    assert not om_origin(tmp_path / "template.om").exists()


def test_script_of_another_export(tmp_path, with_atc):
    facts = write_graphs(tmp_path)
    write_graphs(tmp_path, seed=1)
    with pytest.raises(RuntimeError, match="template.onnx: FAILED"):
        write(tmp_path, facts)
    assert not (tmp_path / "template.om").exists()


def test_script_by_hand(tmp_path, without_atc, with_atc):
    write(tmp_path, write_graphs(tmp_path))
    subprocess.run([tmp_path / SCRIPT], check=True, cwd="/", env=os.environ, timeout=60, stdout=subprocess.DEVNULL)
    assert [call["output"] for call in calls(tmp_path)] == ["template", "track", "refine"]


def test_folder_that_cannot_be_written(tmp_path, without_atc):
    facts = write_graphs(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write .*aipp_template.cfg"):
        write(tmp_path / "file", facts)
