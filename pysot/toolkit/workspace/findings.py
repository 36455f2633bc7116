"""What this environment has for vot-toolkit, and what is wrong with it, for tools/doctor.py."""

import platform
from collections.abc import Iterator

from pysot.toolkit.workspace import support
from pysot.toolkit.workspace.asked import version_of
from pysot.utils.doctor import Finding

_OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")


def check_vot() -> Iterator[Finding]:
    """Check vot-toolkit, vot-trax and the packages that have a cv2."""
    toolkit, trax = version_of("vot-toolkit"), version_of("vot-trax")
    yield Finding("VOT", "vot-toolkit", toolkit or "not installed: for the VOT challenges", _toolkit_problem(toolkit))
    value = trax or f"not installed: the tracker's part of TraX ({_trax_remedy()})"
    yield Finding("VOT", "vot-trax", value)
    yield from _check_opencv()


def _toolkit_problem(version: str) -> str:
    if not version:
        return ""
    try:
        support.check_version(version)
    except ValueError as error:
        return str(error)
    if support.version_numbers(version_of("attributee") or "0.1.9") >= (0, 1, 10):
        return "attributee 0.1.10 and later break its import on Python 3.11: pip install 'attributee<0.1.10'"
    return ""


def _trax_remedy() -> str:
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        return "pip install vot-trax==4.0.2"
    return (
        "it has no wheel for this machine; use the Python protocol of vot-toolkit 0.9.0, installed with --no-deps, see "
        "tools/README.md"
    )


def _check_opencv() -> Iterator[Finding]:
    """Check that all packages with a cv2 have one version: they share one folder, and the last one installed wins."""
    versions = {name: version for name in _OPENCV if (version := version_of(name))}
    if len(versions) < 2:
        return
    value = ", ".join(f"{name} {version}" for name, version in versions.items())
    newest = max(versions.values(), key=support.version_numbers)
    problem = (
        "they share the folder cv2, in which the files of both are mixed now: pip install --force-reinstall --no-deps "
        + " ".join(f"{name}=={newest}" for name in versions)
    )
    yield Finding("VOT", "cv2", value, problem if len({*versions.values()}) > 1 else "")
