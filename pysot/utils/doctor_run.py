"""Work for every card, compared with the CPU: what a training step is made of, in a process per card, so that a step that fails or hangs stops no other.

A check is a function of a device and a number type that returns tensors. It runs on the card in float32 and on the CPU in float64; the error is the largest
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
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

from pysot.utils.device import (
    accelerators,
    choose_device,
    distributed_backend,
    lowers_fp32,
    set_gpu_switches,
    set_npu_switches,
    synchronize,
)
from pysot.utils.doctor import Finding
from pysot.utils.npu_sgd import npu_fused_sgd

START_SECONDS = 300.0  # to import torch and open the card
STEP_SECONDS = 120.0  # the first call of an operator may have to load or compile its kernel
_PATIENCE = 5.0  # seconds that the other processes of a sum have when one has failed
LARGEST_ERROR, LARGEST_ERROR_FP16 = 1e-4, 1e-2  # sums of float32; of fp16, where a chip computes float32 products in it
_CODE = "import sys; from pysot.utils.doctor_run import work; work(sys.argv[1], sys.argv[2:])"


def _drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _copy(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    return [_drawn(0, 1 << 20).to(device)]


def _convolution(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    return [F.conv2d(_drawn(0, 2, 16, 31, 31).to(device, dtype), _drawn(1, 32, 16, 3, 3).to(device, dtype), padding=1)]


def _grouped_convolution(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    return [
        F.conv2d(_drawn(0, 1, 512, 29, 29).to(device, dtype), _drawn(1, 512, 1, 5, 5).to(device, dtype), groups=512)
    ]


def _batch_norm(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    mean, variance = torch.zeros(16, device=device, dtype=dtype), torch.ones(16, device=device, dtype=dtype)
    return [
        F.batch_norm(_drawn(0, 4, 16, 15, 15).to(device, dtype) * 3 + 1, mean, variance, training=True),
        mean,
        variance,
    ]


def _backward(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    weights = [
        _drawn(seed, *shape).to(device, dtype).requires_grad_()
        for seed, shape in enumerate([(16, 8, 3, 3), (8, 1, 3, 3), (8, 16, 1, 1)], 1)
    ]
    hidden = F.batch_norm(F.conv2d(_drawn(0, 2, 8, 15, 15).to(device, dtype), weights[0]), None, None, training=True)
    outcome = F.conv2d(F.conv2d(F.softplus(hidden), weights[2]), weights[1], groups=8)
    torch.log_softmax(outcome, dim=1).square().mean().backward()
    return [weight.grad for weight in weights]


def _optimizer(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    parameters = [torch.nn.Parameter(_drawn(seed, 50, 20).to(device, dtype)) for seed in range(3)]
    make = (
        npu_fused_sgd
        if device.type == "npu"
        else lambda groups, **options: torch.optim.SGD(groups, fused=True, **options)
    )
    optimizer = make([{"params": parameters}], lr=0.1, momentum=0.9, weight_decay=1e-2)
    for step in range(3):
        for seed, parameter in enumerate(parameters):
            gradient = _drawn(10 * step + seed, 50, 20).to(device, dtype)
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


def work(name: str, checks: list[str]) -> None:
    """In a process of its own: the `checks` on device `name`. Writes a line of JSON to stdout when the device is open, and one for each check."""
    device = choose_device(name)
    set_npu_switches(device, jit_compile=False, conv_hf32=False, matmul_hf32=False, internal_format=False)
    set_gpu_switches(device, tf32=False, cudnn_benchmark=False)
    _tell(limit=LARGEST_ERROR_FP16 if lowers_fp32(device, "") else LARGEST_ERROR)
    for check in checks:
        expected, start = CHECKS[check](torch.device("cpu"), torch.float64), time.perf_counter()
        try:
            got = [tensor.cpu() for tensor in CHECKS[check](device, torch.float32)]
            synchronize(device)
            _tell(seconds=time.perf_counter() - start, error=max(map(_error, got, expected)))
        except RuntimeError as error:
            _tell(problem=str(error).strip().splitlines()[0])


def _tell(**message) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _error(got: torch.Tensor, expected: torch.Tensor) -> float:
    difference = ((got.double() - expected.double()).abs().max() / expected.double().abs().max()).item()
    return difference if difference == difference else float("inf")


def run_all(name: str = "auto") -> Iterator[Finding]:
    """All checks on every card that this process sees, or on the card `name`, and a sum over all cards; on the CPU where there are none."""
    cards = accelerators() if name == "auto" else [choose_device(name)]
    for device in cards or [torch.device("cpu")]:
        yield from run_on(str(device))
    kind = cards[0].type if cards else "cpu"
    if name == "auto" or kind == "cpu":
        yield collective(kind, len(cards) if kind != "cpu" else 2, section="run")


def run_on(
    device: str, step_seconds: float = STEP_SECONDS, start_seconds: float = START_SECONDS, code: str = _CODE
) -> Iterator[Finding]:
    """The checks on one device, each with a time limit. `code` is what the process runs, with device and checks as arguments."""
    left, section = list(CHECKS), f"run on {device}"
    while left:
        with _process(code, device, left) as message_within:
            first = message_within(start_seconds)
            if "limit" not in first:
                yield Finding(section, "start", "fails", first["problem"])
                return
            message = {}
            while left and not message.get(
                "ended"
            ):  # where the process is gone, another one goes on with the next check
                message = message_within(step_seconds)
                yield _finding(section, left.pop(0), message, first["limit"])


def _finding(section: str, check: str, message: dict, limit: float) -> Finding:
    if "problem" in message:
        return Finding(section, check, "fails", message["problem"])
    error, most = message["error"], 0.0 if check == "copy" else limit
    return Finding(
        section,
        check,
        f"error {error:.1e} of at most {most:.0e}, {message['seconds']:.2f} s",
        "computes wrongly" if error > most else "",
    )


@contextlib.contextmanager
def _process(code: str, device: str, checks: list[str]) -> Iterator[Callable[[float], dict]]:
    """A process of Python, ended at the end: a function that waits so many seconds for its next message, and else tells why there is none."""
    with tempfile.TemporaryFile("w+") as errors, selectors.DefaultSelector() as selector:
        # not buffered: what has been read would not be selected
        process = subprocess.Popen(
            [sys.executable, "-c", code, device, *checks],
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
        )
        selector.register(process.stdout, selectors.EVENT_READ)

        def message(seconds: float) -> dict:
            end = time.monotonic() + seconds
            while (rest := end - time.monotonic()) > 0 and selector.select(rest):
                line = process.stdout.readline()
                if not line:
                    status = process.wait()
                    return {
                        "ended": True,
                        "problem": f"its process ended with status {status}: {_last_line(errors) or 'no reason given'}",
                    }
                if line.startswith(b"{"):  # and no line that a library printed
                    return json.loads(line)
            return {"ended": True, "problem": f"no answer within {seconds:g} s"}

        try:
            yield message
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


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


def collective(kind: str, ranks: int, section: str = "devices", seconds: float = STEP_SECONDS) -> Finding:
    """A sum over so many processes, a card of this kind each, as a training run makes it."""
    name = distributed_backend(kind)
    if ranks < 2:
        return Finding(section, name, "one card: nothing to sum over")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        common = _environment(WORLD_SIZE=str(ranks), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(probe.getsockname()[1]))
    start, problems = time.monotonic(), []
    with contextlib.ExitStack() as stack:
        errors = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(ranks)]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", _SUM, kind],
                env={**common, "RANK": str(i), "LOCAL_RANK": str(i)},
                stdout=subprocess.DEVNULL,
                stderr=errors[i],
            )
            for i in range(ranks)
        ]
        _await(processes, start + START_SECONDS + seconds)
        for rank, (process, text) in enumerate(zip(processes, errors, strict=True)):
            if process.returncode is None:
                process.kill()
                process.wait()
                problems.append(f"rank {rank}: no answer in time")
            elif process.returncode:
                problems.append(f"rank {rank}: {_last_line(text) or f'status {process.returncode}'}")
    number = "two" if ranks == 2 else str(ranks)
    what = f"sum over {number} devices" if kind != "cpu" else f"sum over {number} processes"
    took = f"{time.monotonic() - start:.1f} s with the start"
    return Finding(section, name, f"{what} fails" if problems else f"{what} works, {took}", _why(problems))


def _why(problems: list[str]) -> str:
    """What failed, before what only waited for it."""
    silent = [problem for problem in problems if problem.endswith("no answer in time")]
    hint = " (are the cards linked, and is HCCL's port range free?)" if len(silent) == len(problems) > 0 else ""
    return "; ".join([problem for problem in problems if problem not in silent][:3] or silent[:3]) + hint


def _await(processes: list[subprocess.Popen], end: float) -> None:
    """Wait until all have ended, or until `end` of the monotonic clock; not much longer for the others where one has failed."""
    while time.monotonic() < end and None in (statuses := [process.poll() for process in processes]):
        if any(statuses):
            end = min(end, time.monotonic() + _PATIENCE)
        time.sleep(0.1)


def _last_line(file) -> str:
    file.seek(0)
    return next((text.strip() for text in reversed(file.read().splitlines()) if text.strip()), "")
