"""Which experiments a version of vot-toolkit runs."""

import pytest

from pysot.toolkit.workspace import support
from pysot.toolkit.workspace.support import Experiment, left_out, reason_against

PLAIN = Experiment("unsupervised", "unsupervised")
MULTI = Experiment("baseline", "unsupervised", multiobject=True)
SUPERVISED = Experiment("baseline", "supervised")
STARTS = Experiment("baseline", "multistart")
REALTIME = Experiment("realtime", "unsupervised", realtime=True)
REDETECTION = Experiment("redetection", "unsupervised", transformers=("redetection",))


@pytest.mark.parametrize("stack", [{}, {"experiments": {}}, {"experiments": [1]}])
def test_a_stack_without_experiments(stack):
    with pytest.raises(ValueError, match="the stack has no experiments"):
        support.read_experiments(stack)


@pytest.mark.parametrize("version", ["0.5.3", "0.6.4", "0.7.0", "0.7.2"])
def test_old_versions(version):
    with pytest.raises(ValueError, match=f"vot-toolkit {version} does not run.*pip install vot-toolkit==0.7.4"):
        support.check_version(version)


@pytest.mark.parametrize("version", ["0.7.3", "0.7.4", "0.8.0", "0.9.0", "0.10.1", "1.0.0.dev3"])
def test_versions_that_may_run(version):
    support.check_version(version)


def test_experiments_of_a_file():
    stack = {
        "experiments": {
            "a": {"type": "supervised", "realtime": {"grace": 3}},
            "b": {"type": "unsupervised", "multiobject": True, "transformers": [{"type": "redetection"}]},
        }
    }
    assert support.read_experiments(stack) == [
        Experiment("a", "supervised", realtime=True),
        Experiment("b", "unsupervised", multiobject=True, transformers=("redetection",)),
    ]


@pytest.mark.parametrize(
    ("version", "runs"),
    [
        ("0.7.4", [PLAIN, MULTI, SUPERVISED, STARTS, REALTIME]),
        ("0.8.1", [PLAIN, MULTI]),
        ("0.9.0", [PLAIN, MULTI]),
        ("0.10.0", [PLAIN, MULTI, SUPERVISED, STARTS, REALTIME]),
    ],
)
def test_what_a_version_runs(version, runs):
    everything = [PLAIN, MULTI, SUPERVISED, STARTS, REALTIME, REDETECTION]
    assert [each for each in everything if not reason_against(version, "s", each)] == runs


def test_points_and_words():
    assert "boxes, polygons and masks" in reason_against("0.9.0", "vots2026/point", MULTI)
    assert "boxes, polygons and masks" in reason_against("0.9.0", "vots2026/referral", Experiment("a", "referral"))


def test_some_experiments_of_a_stack():
    reasons = left_out("0.9.0", "vot2022/shorttermbox", [STARTS, PLAIN])
    assert list(reasons) == ["baseline"] and "0.7.4 runs them" in reasons["baseline"]


def test_no_experiment_of_a_stack():
    with pytest.raises(ValueError, match=r"vot-toolkit 0.9.0 can run no experiment of vot2015/rgb \(baseline: .*0.7.4"):
        left_out("0.9.0", "vot2015/rgb", [SUPERVISED])


def test_the_python_protocol():
    assert [support.has_python_protocol(version) for version in ("0.7.4", "0.8.0", "0.9.0")] == [False, True, True]
