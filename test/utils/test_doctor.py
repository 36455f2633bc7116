"""Findings of the doctor about machines with missing or broken parts."""

import pytest

from pysot.utils import doctor
from pysot.utils.doctor import Finding, explain_torch_import


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Failed to load the backend extension: torch_npu. libhccl.so: cannot open shared object file: No such file",
            r"CANN \(libhccl.so: cannot.*set_env.sh",
        ),
        ("torch_npu: please set ASCEND_HOME_PATH", "does not find CANN. Source"),
        (
            "Failed to load the backend extension: torch_npu. Two accelerators cannot be used at the same time in "
            "PyTorch: npu and cuda",
            "CUDA build.*pip uninstall",
        ),
        ("torch_npu/lib/libtorch_npu.so: undefined symbol: _ZN3c10", "does not fit this torch.*torch==2.13.0"),
        ("Failed to load the backend extension: torch_npu. out of luck", "torch_npu cannot be loaded: .*out of luck"),
    ],
)
def test_a_torch_that_cannot_be_imported_is_explained(text, words):
    import re

    assert re.search(words, explain_torch_import(text)), explain_torch_import(text)
    assert explain_torch_import("No module named 'torch'") is None


def problems(findings) -> dict[str, str]:
    return {finding.name: finding.problem for finding in findings if finding.problem}


def set_versions(monkeypatch, **changes):
    versions = {
        "torch": "2.13.0+cpu",
        "numpy": "2.4.6",
        "opencv-python": "4.9",
        "yacs": "0.1.8",
        "tqdm": "4",
        "bracex": "3",
        "pillow": "11",
        "tensorboardX": "2",
        "matplotlib": "3",
        **changes,
    }
    monkeypatch.setattr(doctor, "_version", versions.get)


def test_packages(monkeypatch):
    set_versions(monkeypatch)
    assert problems(doctor.check_packages()) == {}
    set_versions(monkeypatch, yacs=None, torch_npu="2.12.0")
    problem = problems(doctor.check_packages())
    assert "pip install -r requirements.txt" in problem["yacs"] and "torch_npu==2.13.0" in problem["torch_npu"]
    set_versions(monkeypatch, torch_npu="2.13.0.post2")
    assert problems(doctor.check_packages()) == {}


def test_an_environment_for_exported_trackers(monkeypatch):
    """It has an engine and none of the packages of training; one of them, or no engine, and all are needed."""
    without = dict.fromkeys(("torch", "yacs", "tensorboardX"))
    set_versions(monkeypatch, **without, onnxruntime="1.32.0")
    findings = list(doctor.check_packages())
    assert problems(findings) == {}
    value = next(finding.value for finding in findings if finding.name == "torch")
    assert value == "not installed: for training, and for networks that are not exported"
    assert "devices" not in {finding.section for finding in doctor.examine()}
    set_versions(monkeypatch, **without)
    assert set(problems(doctor.check_packages())) == set(without)
    set_versions(monkeypatch, **{**without, "yacs": "0.1.8"}, onnxruntime="1.32.0")
    assert set(problems(doctor.check_packages())) == {"torch", "tensorboardX"}


def test_cann(monkeypatch, tmp_path):
    for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "HCCL_EXEC_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor, "_CANN_HOMES", (str(tmp_path / "toolkit" / "latest"),))
    set_versions(monkeypatch)
    assert [finding.value for finding in doctor.check_ascend()] == ["none, and no torch_npu: this is no Ascend machine"]
    set_versions(monkeypatch, torch_npu="2.13.0")
    assert "not found: install it" in problems(doctor.check_ascend())["CANN"]
    home = tmp_path / "toolkit" / "latest"
    (home / "x86_64-linux").mkdir(parents=True)
    assert f"not in use: source {tmp_path / 'toolkit'}/set_env.sh" in problems(doctor.check_ascend())["CANN"]
    (home / "x86_64-linux" / "ascend_toolkit_install.info").write_text(
        "package_name=Ascend-cann-toolkit\nversion=8.5.0\n"
    )
    monkeypatch.setenv("ASCEND_HOME_PATH", str(home))
    monkeypatch.setenv("HCCL_EXEC_TIMEOUT", "half an hour")
    findings = list(doctor.check_ascend())
    assert findings[0] == Finding("Ascend", "CANN", f"8.5.0 in {home}")
    assert "whole number of seconds" in problems(findings)["HCCL_EXEC_TIMEOUT"]
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path / "gone"))
    assert "which is no folder" in problems(doctor.check_ascend())["CANN"]


def test_system(monkeypatch):
    assert {"Python", "cores", "memory", "disk"} <= {finding.name for finding in doctor.check_system()}
    monkeypatch.setattr(doctor, "usable_cores", lambda: [0])
    assert "share one core" in problems(doctor.check_system())["cores"]


@pytest.fixture
def cards(monkeypatch):
    import torch

    from pysot.utils import device, doctor_run

    def refuse(card):
        raise RuntimeError(f"device {card} exists but cannot be opened\nand more")

    monkeypatch.setattr(device, "accelerators", lambda: [torch.device("cuda", 0)])
    monkeypatch.setattr(doctor_run, "probe_device", refuse)


def test_a_card_that_fails_is_a_finding(cards):
    (finding,) = doctor.check_devices()
    assert (finding.value, finding.problem) == ("fails", "device cuda:0 exists but cannot be opened")
