"""Cross-correlation against plain loops, its Triton kernel, and the choice of a method on a GPU."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from helpers import ROOT, needs_compiler
from pysot.core import xcorr as xcorr_module
from pysot.core import xcorr_choice
from pysot.core.xcorr import XCORR_METHODS, grouped_correlation, methods_on, xcorr_depthwise, xcorr_up_channel

CPU = torch.device("cpu")
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed; it comes with torch's builds for CUDA"
)


def test_depthwise_equals_a_loop():
    search, kernel = torch.randn(2, 3, 7, 6), torch.randn(2, 3, 4, 3)
    got = xcorr_depthwise(search, kernel)
    assert got.shape == (2, 3, 4, 4)
    for b in range(2):
        for c in range(3):
            for i in range(4):
                for j in range(4):
                    expected = (search[b, c, i : i + 4, j : j + 3] * kernel[b, c]).sum()
                    torch.testing.assert_close(got[b, c, i, j], expected, rtol=1e-4, atol=1e-5)


def test_up_channel_equals_a_loop():
    search, kernel = torch.randn(2, 3, 6, 6), torch.randn(2, 4 * 3, 2, 2)
    got = xcorr_up_channel(search, kernel)
    assert got.shape == (2, 4, 5, 5)
    for b in range(2):
        weights = kernel[b].reshape(4, 3, 2, 2)
        torch.testing.assert_close(
            got[b], torch.nn.functional.conv2d(search[b][None], weights)[0], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    "shapes", [((2, 3, 12, 14), (2, 3, 4, 5)), ((1, 1, 5, 5), (1, 1, 5, 5)), ((2, 8, 29, 29), (2, 8, 5, 5))]
)
@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("way", [xcorr_depthwise, *XCORR_METHODS.values()])
def test_all_ways_have_the_values_and_gradients_of_the_grouped_convolution(shapes, wanted, way):
    gradients = []
    for correlate in (way, grouped_correlation):
        torch.manual_seed(1)
        inputs = [
            torch.randn(shape, dtype=torch.float64).requires_grad_(want)
            for shape, want in zip(shapes, wanted, strict=True)
        ]
        out = correlate(*inputs)
        (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view_as(out)).sum().backward()
        gradients.append([out.detach(), *(x.grad for x in inputs if x.requires_grad)])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_gradients_under_autocast():
    search, kernel = torch.randn(2, 4, 9, 9, requires_grad=True), torch.randn(2, 4, 3, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = xcorr_depthwise(search, kernel)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    exact = grouped_correlation(search.detach(), torch.ones(2, 4, 7, 7))
    assert search.grad.dtype == torch.float32 and torch.allclose(kernel.grad, exact, rtol=0.05, atol=0.3)


def run_triton_interpreter(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)},
    )


@needs_triton
@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ("ones(2, 3, 5, 5), ones(3, 3, 2, 2)", r"equal B and C, got search features \(2, 3, 5, 5\) and a template \(3"),
        ("ones(2, 3, 5, 5), ones(2, 3, 2)", "equal B and C"),
        ("ones(2, 3, 5, 5), ones(2, 3, 2, 6)", "must not be larger"),
        ("ones(2, 3, 5, 5), ones(2, 3, 2, 2).half()", "torch.float32 on cpu, the template is torch.float16 on cpu"),
    ],
)
def test_the_triton_kernel_takes_tensors_that_fit_together(tensors, message):
    from pysot.core.xcorr_triton import triton_correlation

    with pytest.raises(ValueError, match=message):
        triton_correlation(*eval(tensors, {"ones": torch.ones}))


@needs_triton
def test_the_triton_kernel_equals_float64():
    done = run_triton_interpreter(str(ROOT / "test" / "core" / "triton_cases.py"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # The interpreter cuts off the digits that bfloat16 has not; a GPU rounds.
    largest = {"float64": 1e-14, "float32": 2e-6, "bfloat16": 2**-7, "float16": 2**-10}
    wrong = {case: error for case, error in found["errors"].items() if not error < largest[case.split()[0]]}
    assert len(found["errors"]) == 28 and not wrong
    assert found["autocast"] == [{"out": "torch.bfloat16", "search": "torch.float32", "kernel": "torch.bfloat16"}] * 2
    assert found["one gradient"] == [True, False] and found["none"] == [0, 2, 3, 3]
    assert found["formats"] == {"contiguous": [True] * 3, "channels_last": [True] * 3}


@pytest.fixture
def gpu(monkeypatch):
    """Take the CPU for a GPU. Methods take the milliseconds in `.times`; `.measured` names those that were measured."""
    state = SimpleNamespace(times={"grouped convolution": 1.0, "gradients as correlations": 2.0}, measured=[])
    state.is_current_stream_capturing = lambda: False

    def elapsed_ms(device, work):
        name = next(name for name, method in methods_on(device).items() if method is work.args[0])
        state.measured.append(name)
        work()
        return state.times[name]

    monkeypatch.setattr(xcorr_module, "_GPU", "cpu")
    monkeypatch.setattr(xcorr_module, "_HAS_TRITON", False)
    monkeypatch.setattr(xcorr_choice, "_chosen", {})
    monkeypatch.setattr(xcorr_choice, "device_module", lambda device: state)
    monkeypatch.setattr(xcorr_choice, "elapsed_ms", elapsed_ms)
    xcorr_module._gpu_methods.cache_clear()
    yield state
    xcorr_module._gpu_methods.cache_clear()


def chosen() -> list[str]:
    return list(xcorr_choice._chosen.values())


def test_a_gpu_without_a_working_triton_keeps_the_operators_of_torch(gpu, monkeypatch, caplog):
    def fail(search, kernel):
        raise RuntimeError("Failed to find C compiler.\nSet CC")

    monkeypatch.setattr(xcorr_module, "_HAS_TRITON", True)
    monkeypatch.setattr(xcorr_module, "_triton_correlation", fail)
    search, kernel = torch.ones(2, 3, 5, 5), torch.ones(2, 3, 2, 2)
    for _ in range(2):
        torch.testing.assert_close(xcorr_depthwise(search, kernel), grouped_correlation(search, kernel))
    assert [record.message for record in caplog.records] == [
        "Triton fails on cpu (Failed to find C compiler.): the correlation is computed by torch's operators"
    ]
    assert chosen() == ["grouped convolution"]


def test_the_fastest_method_on_a_gpu_is_measured_once(gpu, monkeypatch, caplog):
    monkeypatch.setattr(xcorr_module, "_HAS_TRITON", True)
    monkeypatch.setattr(xcorr_module, "_triton_correlation", lambda search, kernel: grouped_correlation(search, kernel))
    gpu.times["Triton kernel"] = 0.5
    caplog.set_level(logging.INFO)
    search, kernel = torch.randn(5, 3, 5, 5), torch.randn(5, 3, 2, 2)
    state = torch.get_rng_state()
    for count in (5, 4, 7):  # batches of one kind
        xcorr_depthwise(search[:1].repeat(count, 1, 1, 1), kernel[:1].repeat(count, 1, 1, 1))
    assert chosen() == ["Triton kernel"] and len(gpu.measured) == 3 * 9 and torch.equal(state, torch.get_rng_state())
    assert [record.message for record in caplog.records] == [
        "depth-wise correlation of 5x3x5x5 with 2x2 cells, float32: Triton kernel, measured to be the fastest "
        "(gradients as correlations 2.000 ms, grouped convolution 1.000 ms, Triton kernel 0.500 ms)"
    ]
    gpu.times["gradients as correlations"] = 0.25
    xcorr_depthwise(search.requires_grad_(), kernel).sum().backward()
    assert chosen() == ["Triton kernel", "gradients as correlations"] and kernel.grad is None
    torch.testing.assert_close(search.grad[:, :, 1, 1], kernel.sum(dim=(2, 3)))
    xcorr_depthwise(search[:2].detach(), kernel[:2])
    assert len(chosen()) == 3  # another kind of batch


@needs_compiler
def test_nothing_is_measured_in_a_graph_and_with_deterministic_algorithms(gpu):
    search, kernel = torch.randn(2, 3, 5, 5), torch.randn(2, 3, 2, 2)
    gpu.times = {"grouped convolution": 2.0, "gradients as correlations": 1.0}
    expected = grouped_correlation(search, kernel)
    gpu.is_current_stream_capturing = lambda: True
    torch.testing.assert_close(xcorr_depthwise(search, kernel), expected)
    torch.use_deterministic_algorithms(True)
    try:
        gpu.is_current_stream_capturing = lambda: False
        torch.testing.assert_close(xcorr_depthwise(search, kernel), expected)
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(torch.compile(xcorr_depthwise, fullgraph=True)(search, kernel), expected)
    assert not gpu.measured and not chosen()
    xcorr_depthwise(search, kernel)
    assert chosen() == ["gradients as correlations"]
    gpu.is_current_stream_capturing = lambda: True
    xcorr_depthwise(search, kernel)
    assert len(gpu.measured) == 2 * 9


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_gradient_has_the_layout_of_the_search_features(layout):
    search = torch.rand(2, 4, 9, 9).contiguous(memory_format=layout).requires_grad_(True)
    correlation = XCORR_METHODS["gradients as correlations"](search, torch.rand(2, 4, 3, 3))
    assert torch.autograd.grad(correlation.sum(), search)[0].stride() == search.stride()
