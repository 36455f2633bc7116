"""Compute the parts of a training step on every card and compare with the CPU.

Each card has a process, so that a check that fails or hangs stops no other. A check is a function of a device and a
number type that returns tensors. It runs on the card in float32 and on the CPU in float64; the error is the largest
difference relative to the largest number of a tensor.
"""

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch.nn import functional as F

from pysot.utils.device import (
    accelerators,
    choose_device,
    computes_fp32_in_fp16,
    device_module,
    device_name,
    distributed_backend,
    set_gpu_switches,
    set_npu_switches,
    synchronize,
)
from pysot.utils.doctor import Finding
from pysot.utils.npu_optimizer import npu_fused_sgd

START_SECONDS = 300.0  # to import torch and open the card
STEP_SECONDS = 120.0  # the first call of an operator may have to load or compile its kernel
_PATIENCE = 5.0  # seconds that the other processes of a sum have after one has failed
LARGEST_ERROR = 1e-4  # of sums in float32
LARGEST_ERROR_FP16 = 1e-2  # of sums in fp16, in which some chips compute float32 products
_CODE = "import sys; from pysot.utils.doctor_run import run_checks; run_checks(sys.argv[1], sys.argv[2:])"


def probe_device(device: torch.device) -> str:
    """Multiply two matrices on a card and return its name and memory.

    Raises RuntimeError as `choose_device`, with the card's own error, or for a wrong product.
    """
    choose_device(str(device))
    square = torch.eye(64, device=device) * 2
    result = (square @ square).sum().item()
    if result != 256:
        raise RuntimeError(f"{device} computes a wrong matrix product: expected the sum 256, got {result}")
    free, total = (number / 2**30 for number in device_module(device).mem_get_info(device))
    return f"{device_name(device)}, {free:.1f} of {total:.1f} GiB free"


def _random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _copy(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    return [_random(0, 1 << 20).to(device)]


def _convolution(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    return [
        F.conv2d(_random(0, 2, 16, 31, 31).to(device, dtype), _random(1, 32, 16, 3, 3).to(device, dtype), padding=1)
    ]


def _grouped_convolution(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    images, weights = _random(0, 1, 512, 29, 29).to(device, dtype), _random(1, 512, 1, 5, 5).to(device, dtype)
    return [F.conv2d(images, weights, groups=512)]


def _batch_norm(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    mean, variance = torch.zeros(16, device=device, dtype=dtype), torch.ones(16, device=device, dtype=dtype)
    normalized = F.batch_norm(_random(0, 4, 16, 15, 15).to(device, dtype) * 3 + 1, mean, variance, training=True)
    return [normalized, mean, variance]


def _backward(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    shapes = [(16, 8, 3, 3), (8, 1, 3, 3), (8, 16, 1, 1)]
    weights = [_random(seed, *shape).to(device, dtype).requires_grad_() for seed, shape in enumerate(shapes, 1)]
    hidden = F.batch_norm(F.conv2d(_random(0, 2, 8, 15, 15).to(device, dtype), weights[0]), None, None, training=True)
    output = F.conv2d(F.conv2d(F.softplus(hidden), weights[2]), weights[1], groups=8)
    torch.log_softmax(output, dim=1).square().mean().backward()
    return [cast(torch.Tensor, weight.grad) for weight in weights]


def _optimizer(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    parameters = [torch.nn.Parameter(_random(seed, 50, 20).to(device, dtype)) for seed in range(3)]
    groups: list[dict[str, Any]] = [{"params": parameters}]
    options: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}
    optimizer: torch.optim.Optimizer
    if device.type == "npu":
        optimizer = npu_fused_sgd(groups, **options)
    else:
        optimizer = torch.optim.SGD(groups, fused=True, **options)
    for step in range(3):
        for seed, parameter in enumerate(parameters):
            gradient = _random(10 * step + seed, 50, 20).to(device, dtype)
            parameter.grad = gradient if parameter.grad is None else parameter.grad.copy_(gradient)
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


CHECKS = {
    "copy": _copy,
    "convolution": _convolution,
    "grouped convolution": _grouped_convolution,
    "batch-norm": _batch_norm,
    "backward": _backward,
    "optimizer step": _optimizer,
}


def run_checks(name: str, checks: list[str]) -> None:
    """Run `checks` on device `name`; executed in a separate process.

    Writes a line of JSON to stdout when the device is open, and one after each check.
    """
    device = choose_device(name)
    set_npu_switches(device, jit_compile=False, conv_hf32=False, matmul_hf32=False, internal_format=False)
    set_gpu_switches(device, tf32=False, cudnn_benchmark=False)
    _send(limit=LARGEST_ERROR_FP16 if computes_fp32_in_fp16(device, "") else LARGEST_ERROR)
    for check in checks:
        expected = CHECKS[check](torch.device("cpu"), torch.float64)
        start = time.perf_counter()
        try:
            actual = [tensor.cpu() for tensor in CHECKS[check](device, torch.float32)]
            synchronize(device)
            _send(seconds=time.perf_counter() - start, error=max(map(_error, actual, expected)))
        except RuntimeError as error:
            _send(problem=str(error).strip().splitlines()[0])


def _send(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    difference = ((actual.double() - expected.double()).abs().max() / expected.double().abs().max()).item()
    return difference if difference == difference else float("inf")  # NaN is wrong as well


def run_all(name: str = "auto") -> Iterator[Finding]:
    """Run all checks on every card that this process sees, or on the card `name`, and sum over all cards.

    Without cards, run them on the CPU.
    """
    cards = accelerators() if name == "auto" else [choose_device(name)]
    for device in cards or [torch.device("cpu")]:
        yield from run_on(str(device))
    kind = cards[0].type if cards else "cpu"
    if name == "auto" or kind == "cpu":
        yield check_collective(kind, len(cards) if kind != "cpu" else 2, section="run")


def run_on(
    device: str, step_seconds: float = STEP_SECONDS, start_seconds: float = START_SECONDS, code: str = _CODE
) -> Iterator[Finding]:
    """Run the checks on one device, each with a time limit.

    `code` is the Python code that the process executes, with the device and the checks as arguments.
    """
    remaining, section = list(CHECKS), f"run on {device}"
    while remaining:
        with _process(code, device, remaining) as receive:
            first = receive(start_seconds)
            if "limit" not in first:
                yield Finding(section, "start", "fails", first["problem"])
                return
            message: dict[str, Any] = {}
            # When the process has ended, the outer loop starts another one for the next check.
            while remaining and not message.get("ended"):
                message = receive(step_seconds)
                yield _finding(section, remaining.pop(0), message, first["limit"])


def _finding(section: str, check: str, message: dict[str, Any], limit: float) -> Finding:
    if "problem" in message:
        return Finding(section, check, "fails", message["problem"])
    error, largest = message["error"], 0.0 if check == "copy" else limit
    value = f"error {error:.1e} of at most {largest:.0e}, {message['seconds']:.2f} s"
    return Finding(section, check, value, "computes wrongly" if error > largest else "")


@contextlib.contextmanager
def _process(code: str, device: str, checks: list[str]) -> Iterator[Callable[[float], dict[str, Any]]]:
    """Start a Python process, and kill it at the end of the context.

    Yields a function that waits up to a number of seconds for the next message, or says why there is none.
    """
    with tempfile.TemporaryFile("w+") as errors, selectors.DefaultSelector() as selector:
        process = subprocess.Popen(
            [sys.executable, "-c", code, device, *checks],
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,  # a buffer would hide its content from the selector
        )
        assert process.stdout is not None
        output = process.stdout
        selector.register(output, selectors.EVENT_READ)

        def receive(seconds: float) -> dict[str, Any]:
            end = time.monotonic() + seconds
            while (rest := end - time.monotonic()) > 0 and selector.select(rest):
                line = output.readline()
                if not line:
                    reason = f"its process ended with status {process.wait()}"
                    return {"ended": True, "problem": f"{reason}: {_last_line(errors) or 'no reason given'}"}
                if line.startswith(b"{"):  # other lines are printed by libraries
                    return json.loads(line)
            return {"ended": True, "problem": f"no answer within {seconds:g} s"}

        try:
            yield receive
        finally:
            process.kill()
            process.wait()
            output.close()


def _environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **more}


_SUM = """
import sys, time, torch, torch.distributed as dist
from pysot.utils.device import choose_device
from pysot.utils.distributed import find_rank, process_group
rank = find_rank()
device = choose_device(sys.argv[1], local_rank=rank.local_rank)
with process_group(rank, device):
    x = torch.arange(1 << 20, device=device) % 1000 * (rank.index + 1.0)
    dist.all_reduce(x)
    expected = torch.arange(1 << 20) % 1000 * (rank.world_size * (rank.world_size + 1) / 2)
    wrong = (x.cpu() - expected).abs().max().item()
    assert wrong == 0, f"the sum is wrong by {wrong}"
"""


def check_collective(kind: str, ranks: int, section: str = "devices", seconds: float = STEP_SECONDS) -> Finding:
    """Sum over `ranks` processes with a card of this kind each, as a training run does."""
    name = distributed_backend(kind)
    if ranks < 2:
        return Finding(section, name, "one card: nothing to sum over")
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(ranks)]
        processes = _start_ranks(kind, logs)
        _wait_for_all(processes, start + START_SECONDS + seconds)
        problems = _rank_problems(processes, logs)
    number = "two" if ranks == 2 else str(ranks)
    title = f"sum over {number} devices" if kind != "cpu" else f"sum over {number} processes"
    duration = f"{time.monotonic() - start:.1f} s with the start"
    value = f"{title} fails" if problems else f"{title} works, {duration}"
    return Finding(section, name, value, _describe_problems(problems))


def _start_ranks(kind: str, logs: Sequence[IO[str]]) -> list[subprocess.Popen]:
    """Start a process per log file, which receives its stderr."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    common = _environment(WORLD_SIZE=str(len(logs)), MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    return [
        subprocess.Popen(
            [sys.executable, "-c", _SUM, kind],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        for rank, log in enumerate(logs)
    ]


def _rank_problems(processes: list[subprocess.Popen], logs: Sequence[IO[str]]) -> list[str]:
    """Kill the processes that have not ended, and return a line for each one that failed."""
    problems = []
    for rank, (process, log) in enumerate(zip(processes, logs, strict=True)):
        if process.returncode is None:
            process.kill()
            process.wait()
            problems.append(f"rank {rank}: no answer in time")
        elif process.returncode:
            problems.append(f"rank {rank}: {_last_line(log) or f'status {process.returncode}'}")
    return problems


def _describe_problems(problems: list[str]) -> str:
    """Join up to three problems: those of ranks that failed, before those that only waited for them."""
    silent = [problem for problem in problems if problem.endswith("no answer in time")]
    hint = " (are the cards linked, and is HCCL's port range free?)" if len(silent) == len(problems) > 0 else ""
    return "; ".join([problem for problem in problems if problem not in silent][:3] or silent[:3]) + hint


def _wait_for_all(processes: list[subprocess.Popen], end: float) -> None:
    """Wait until all processes have ended, at most until `end` of the monotonic clock; only briefly after a failure."""
    while time.monotonic() < end and None in (statuses := [process.poll() for process in processes]):
        if any(statuses):
            end = min(end, time.monotonic() + _PATIENCE)
        time.sleep(0.1)


def _last_line(file: IO[str]) -> str:
    file.seek(0)
    return next((text.strip() for text in reversed(file.read().splitlines()) if text.strip()), "")
