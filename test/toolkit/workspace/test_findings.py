"""What tools/doctor.py says about vot-toolkit."""

import platform

import pytest

from pysot.toolkit.workspace import findings


@pytest.fixture
def examine(monkeypatch):
    """Return a function that returns value and problem by name, for installed versions."""

    def check(machine="x86_64", **versions):
        versions = {name.replace("_", "-"): version for name, version in versions.items()}
        monkeypatch.setattr(findings, "version_of", lambda name: versions.get(name, ""))
        monkeypatch.setattr(platform, "machine", lambda: machine)
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        return {finding.name: (finding.value, finding.problem) for finding in findings.check_vot()}

    return check


def test_without_the_toolkit(examine):
    found = examine(opencv_python_headless="5.0.0.93")
    assert [problem for _, problem in found.values()] == ["", ""]
    assert "pip install vot-trax==4.0.2" in found["vot-trax"][0]
    assert "no wheel for this machine" in examine("aarch64")["vot-trax"][0]


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({"vot_toolkit": "0.6.4"}, "vot-toolkit 0.6.4 does not run"),
        ({"vot_toolkit": "0.9.0", "attributee": "0.1.10"}, "pip install 'attributee<0.1.10'"),
        ({"vot_toolkit": "0.7.4", "attributee": "0.1.9"}, ""),
    ],
)
def test_versions(examine, versions, words):
    problem = examine(**versions)["vot-toolkit"][1]
    assert words in problem and bool(problem) == bool(words)


def test_two_packages_with_one_cv2(examine):
    same = examine(opencv_python="5.0.0.93", opencv_python_headless="5.0.0.93")
    assert same["cv2"] == ("opencv-python-headless 5.0.0.93, opencv-python 5.0.0.93", "")
    mixed = examine(opencv_python="5.0.0.93", opencv_python_headless="4.13.0")["cv2"][1]
    assert "--no-deps opencv-python-headless==5.0.0.93 opencv-python==5.0.0.93" in mixed
