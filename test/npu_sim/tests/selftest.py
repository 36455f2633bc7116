"""Test npu_sim against the CPU:  python test/npu_sim test/npu_sim/tests/selftest.py"""

import copy
import io
import os
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings

import torch
import torch.nn.functional as F
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def close(a, b, tolerance=0.0):
    if isinstance(a, torch.Tensor):
        assert a.shape == b.shape and a.dtype == b.dtype, (a.shape, b.shape, a.dtype, b.dtype)
        torch.testing.assert_close(a.detach().cpu(), b.detach().cpu(), rtol=tolerance, atol=tolerance, equal_nan=True)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            close(x, y, tolerance)
    else:
        assert a == b or abs(a - b) <= tolerance, (a, b)


def leave(status):
    """End the process without finalisers.

    Threads of torch_npu may request the interpreter during its finalisation, which aborts about once in a few dozen.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def both(function, *tensors, tolerance=0.0):
    """Check that values and gradients of a function are the same on the CPU and on the NPU."""
    results = []
    for device in "cpu", "npu":
        inputs = [t.detach().clone().to(device).requires_grad_(t.is_floating_point()) for t in tensors]
        out = function(*inputs)
        outs = [o for o in (out if isinstance(out, (list, tuple)) else [out])]
        assert all(o.device.type == device for o in outs), [o.device for o in outs]
        scalar = sum(
            (o.float() * torch.linspace(0.5, 1.5, o.numel()).view(o.shape).to(device)).sum()
            for o in outs
            if o.requires_grad
        )
        if isinstance(scalar, torch.Tensor):
            scalar.backward()
        results.append(outs + [i.grad for i in inputs if i.grad is not None])
    close(*results, tolerance)


def small_net():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, groups=4),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def train(net, device, steps=4, amp=None, foreach=None, scaler_class=None):
    net = net.to(device).train()
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=1e-4, foreach=foreach)
    scaler = (scaler_class or torch.amp.GradScaler)(device, enabled=amp == torch.float16)
    generator = torch.Generator().manual_seed(3)
    losses = []
    for _ in range(steps):
        x = torch.randn(4, 3, 16, 16, generator=generator).to(device, non_blocking=True)
        y = torch.randint(5, (4,), generator=generator).to(device)
        with torch.amp.autocast(device, dtype=amp, enabled=amp is not None):
            loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
        losses += [loss.item(), norm.item()]
    return losses, list(net.state_dict().values())


@check
def device_api():
    assert torch.npu.is_available() and torch.npu.device_count() == int(os.environ.get("NPU_SIM_DEVICES", 8))
    assert torch.accelerator.current_accelerator().type == "npu" and torch.accelerator.is_available()
    torch.npu.set_device(3)
    assert torch.empty(1, device="npu").device.index == 3 and torch.npu.current_device() == 3
    torch.npu.set_device("npu:0")
    start, end = (torch.npu.Event(enable_timing=True) for _ in range(2))
    start.record()
    torch.ones(8, device="npu").sum()
    end.record()
    end.synchronize()
    assert start.elapsed_time(end) >= 0 and end.query()
    torch.npu.synchronize()
    torch.npu.current_stream().synchronize()
    with torch.npu.stream(torch.npu.Stream()):
        assert torch.ones(3, device="npu").sum().item() == 3
    assert "Ascend910B" in torch.npu.get_device_name(0)
    assert torch.npu.is_bf16_supported()


@check
def memory():
    torch.npu.empty_cache()
    torch.npu.reset_peak_memory_stats()
    before = torch.npu.memory_allocated()
    x = torch.empty(1 << 20, device="npu")
    assert torch.npu.memory_allocated() - before >= 4 << 20
    del x
    assert torch.npu.memory_allocated() == before and torch.npu.max_memory_allocated() >= before + (4 << 20)
    try:
        torch.empty(1 << 40, dtype=torch.uint8, device="npu")
        raise AssertionError("a terabyte was allocated")
    except torch.OutOfMemoryError:
        pass
    free, total = torch.npu.mem_get_info()
    assert 0 < free <= total


@check
def operators():
    torch.manual_seed(0)
    r = torch.randn
    both(
        lambda a, b: [a + b, a * b, a / (b.abs() + 1), a @ b.t(), a.clamp(-1, 1), a.abs(), (a - b).pow(2).mean()],
        r(5, 7),
        r(5, 7),
    )
    both(lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), r(2, 3, 9, 9), r(4, 3, 3, 3), r(4))
    # One kernel per sample and channel.
    both(lambda x, w: F.conv2d(x, w, groups=2 * 8), r(1, 16, 20, 20), r(16, 1, 6, 6))
    both(lambda x: F.max_pool2d(x, 3, 2), r(2, 4, 11, 11))
    both(lambda x: [F.avg_pool2d(x, 2), F.adaptive_avg_pool2d(x, 1), F.pad(x, (1, 2, 3, 4))], r(2, 4, 12, 12))
    for mode in "bilinear", "bicubic":
        both(lambda x, mode=mode: F.interpolate(x, size=(23, 17), mode=mode, align_corners=False), r(1, 3, 9, 9))
    both(lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), r(1, 3, 5, 5))
    both(lambda x: [x.softmax(1), x.log_softmax(1), x.sigmoid(), x.tanh(), x.exp(), (x.abs() + 1).log()], r(6, 5))
    target = torch.randint(5, (6,))
    both(lambda x, y: [F.cross_entropy(x, y), F.nll_loss(x.log_softmax(1), y)], r(6, 5), target)
    both(
        lambda x, y: F.cross_entropy(x, y, weight=torch.ones(5).to(x.device), ignore_index=2),
        r(6, 5, 4, 4),
        torch.randint(5, (6, 4, 4)),
    )
    both(lambda x, y: [F.smooth_l1_loss(x, y), F.l1_loss(x, y), F.mse_loss(x, y), F.huber_loss(x, y)], r(6, 5), r(6, 5))
    both(lambda x, y: F.binary_cross_entropy_with_logits(x, y.sigmoid()), r(6, 5), r(6, 5))
    both(lambda x, y: F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean"), r(6, 5), r(6, 5))
    index = torch.tensor([3, 0, 3])
    both(lambda x, i: [x.index_select(0, i), x[i], x[:, i], x.gather(0, i.view(3, 1).expand(3, 7))], r(5, 7), index)
    both(
        lambda x: [x.max(1)[0], x.topk(2)[0], x.sort(1)[0], x.cumsum(0), x.std(), x.var(0), x.norm(), x.min()], r(5, 7)
    )
    both(
        lambda x: [x.view(7, 5).t().contiguous(), x.permute(1, 0)[::2], x.unfold(1, 3, 2), x.flip(0), x.roll(2, 1)],
        r(5, 7),
    )
    both(
        lambda x: [torch.cat([x, x]), torch.stack([x, x]), *x.chunk(2), x.repeat(2, 2), x.expand(2, 5, 7), x[:, None]],
        r(5, 7),
    )
    both(lambda x: [torch.where(x > 0, x, -x), x.masked_fill(x > 0, 2.0), x.tril(), x.masked_select(x > 0)], r(5, 7))
    both(
        lambda x: [
            x.argmax(1),
            x > 0,
            x.isnan(),
            x.int(),
            x.detach().unique(),
            (x > 0).nonzero(),
            torch.bincount((x > 0).view(-1).int()),
        ],
        r(5, 7).round(),
    )
    both(lambda x, w, b: [F.layer_norm(x, (7,), w, b), F.group_norm(x[None], 5)], r(5, 7), r(7), r(7))
    both(
        lambda x: [F.gelu(x), F.silu(x), F.leaky_relu(x), F.elu(x), F.hardswish(x), F.softplus(x), F.normalize(x)],
        r(5, 7),
    )
    both(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), *(r(2, 2, 5, 8) for _ in range(3)), tolerance=1e-6)
    both(lambda x: torch.einsum("bij,bkj->bik", x, x), r(2, 3, 4))
    both(lambda x: [torch.fft.rfft(x, dim=1).abs(), torch.fft.irfft(torch.fft.rfft(x, dim=1))], r(4, 8), tolerance=1e-5)
    both(lambda x: torch.linalg.inv(x), torch.eye(4) * 3 + r(4, 4) * 0.1, tolerance=1e-5)
    both(lambda x, g: F.grid_sample(x, g.tanh(), align_corners=False), r(1, 2, 6, 6), r(1, 4, 4, 2))
    x, y = r(4, 4), r(4, 4).npu()
    out = torch.empty(0, device="npu")
    torch.add(x.npu(), y, out=out)
    close(out, x + y.cpu())
    y[1:3, ::2] = 7
    y[y > 1] = 0
    y.t()[0] += 1
    y.add_(y)
    z = y.cpu().clone()
    assert y.sum().item() == y.cpu().sum().item() and torch.equal(y, z.npu())
    close(torch.arange(10, device="npu").float().mean(), torch.arange(10).float().mean())


@check
def odd_operators():
    both(lambda x: F.rrelu(x, 0.25, 0.25, training=True), torch.randn(4, 5))  # writes one tensor and returns another
    both(lambda x: [x[:0] + 1, torch.cat([x[:0], x]), x[:0].sum(), x[:, :0] @ x[:0]], torch.randn(5, 5))
    x = torch.randn(5, 4)
    y = x.npu()
    close(y[torch.tensor([1, 3])], x[[1, 3]])
    close(y[torch.tensor([True, False, True, False, False])], x[[0, 2]])
    y[torch.tensor([1])] = 0
    assert (y[1] == 0).all()
    values, indices = torch.empty(0, device="npu"), torch.empty(0, dtype=torch.long, device="npu")
    torch.max(y, 1, out=(values, indices))
    close(values, y.cpu().max(1)[0])
    flat = torch.ones(6, device="npu")
    flat[:3].add_(flat[3:])
    flat.view(2, 3)[1].mul_(3)
    assert flat.tolist() == [2, 2, 2, 3, 3, 3]
    assert torch.equal(y, y.clone()) and torch.allclose(y, y + 1e-9) and not (y == y + 1).any()
    close(copy.deepcopy(small_net().npu())[0].weight, small_net()[0].weight)
    z = y.to(torch.complex64)
    close(torch.view_as_real(z * z)[..., 0], y.cpu() ** 2)


@check
def optimizers():
    def run(device, make):
        net = small_net().to(device)
        optimizer = make(net.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.linspace(-1, 1, 4 * 3 * 256).view(4, 3, 16, 16).to(device)).pow(2).sum().backward()
            optimizer.step()
        return list(net.parameters())

    for make in (
        torch.optim.Adam,
        lambda p: torch.optim.AdamW(p, fused=True),
        lambda p: torch.optim.SGD(p, 0.01, fused=True),
        lambda p: torch.optim.AdamW(p, foreach=True),
        lambda p: torch.optim.RMSprop(p, momentum=0.9),
    ):
        close(run("npu", make), run("cpu", make), 1e-5)
    import torch_npu

    close(
        run("npu", lambda p: torch_npu.optim.NpuFusedSGD(p, 0.01, momentum=0.9)),
        run("cpu", lambda p: torch.optim.SGD(p, 0.01, momentum=0.9)),
        1e-5,
    )


@check
def settings():
    torch.npu.set_compile_mode(jit_compile=False)
    torch.npu.config.allow_internal_format = False
    torch.npu.conv.allow_hf32, torch.npu.matmul.allow_hf32 = False, False
    torch.use_deterministic_algorithms(True)
    torch.ones(2, device="npu").sum()
    torch.use_deterministic_algorithms(False)


@check
def refusals():
    """The simulator refuses what an NPU refuses."""

    def refused(function, words):
        try:
            function()
        except RuntimeError as error:
            assert words in str(error), error
        else:
            raise AssertionError(f"not refused: {words}")

    a, b = torch.ones(3), torch.ones(3, device="npu")
    refused(lambda: a + b, "same device")
    refused(lambda: torch.ones(3, device="npu:1") + b, "same device")
    refused(lambda: F.linear(b, torch.ones(3, 3)), "same device")
    refused(lambda: torch.ones(1, 2, 3, 4, device="npu").contiguous(memory_format=torch.channels_last), "contiguous")
    refused(lambda: nn.Conv2d(2, 2, 1).npu().to(memory_format=torch.channels_last), "contiguous_format")
    refused(lambda: torch.empty(1, device="npu:99"), "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert b.double().dtype == torch.float32  # with a warning, as on the NPU
    close(b + torch.tensor(2.0), a + 2)  # a scalar may come from the CPU


@check
def channels_last():
    x = torch.randn(2, 8, 6, 6).to(memory_format=torch.channels_last)
    y = x.npu()
    close(y, x)
    close(y.contiguous(), x.contiguous())
    close(F.relu(y), F.relu(x))
    conv = nn.Conv2d(8, 4, 3)
    close(copy.deepcopy(conv).npu()(y), conv(x), 1e-6)


@check
def training():
    close(train(small_net(), "cpu"), train(small_net(), "npu"))
    close(train(small_net(), "cpu", foreach=False), train(small_net(), "npu", foreach=True), 1e-6)


@check
def amp():
    for dtype, tolerance in (torch.bfloat16, 0.05), (torch.float16, 0.01):
        got, reference = train(small_net(), "npu", amp=dtype), train(small_net(), "cpu")
        close(got, reference, tolerance)
    with torch.amp.autocast("npu", dtype=torch.float16):
        x = torch.randn(2, 3, 8, 8, device="npu")
        assert F.conv2d(x, torch.randn(4, 3, 3, 3, device="npu")).dtype == torch.float16
        assert x.softmax(1).dtype == torch.float32
    with torch.npu.amp.autocast():
        assert (torch.ones(2, 2, device="npu") @ torch.ones(2, 2, device="npu")).dtype == torch.float16
    close(
        train(small_net(), "npu", amp=torch.float16),
        train(
            small_net(),
            "npu",
            amp=torch.float16,
            scaler_class=lambda device, enabled: torch.npu.amp.GradScaler(enabled=enabled),
        ),
    )


@check
def overflow_is_skipped():
    p = nn.Parameter(torch.ones(3, device="npu"))
    optimizer, scaler = torch.optim.SGD([p], 0.1), torch.amp.GradScaler("npu", init_scale=4.0)
    scaler.scale((p * float("inf")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0 and torch.equal(p.detach().cpu(), torch.ones(3))


@check
def evaluation():
    net = small_net()
    train(net, "cpu")
    twin = copy.deepcopy(net).to("npu").eval()
    net.to("cpu").eval()
    x = torch.randn(2, 3, 16, 16)
    for mode in torch.no_grad, torch.inference_mode:
        with mode():
            close(net(x), twin(x.npu()))
            y = twin(x.npu())
            y += 1
            assert y.softmax(1).argmax(1).tolist() == net(x).argmax(1).tolist()


@check
def saving():
    net = small_net().npu()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.randn(2, 3, 16, 16, device="npu")).sum().backward()
    optimizer.step()
    file = io.BytesIO()
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict(), "step": 3}, file)
    for where in "cpu", "npu:0", "npu:1", lambda storage, location: storage:
        file.seek(0)
        loaded = torch.load(file, map_location=where, weights_only=True)
        weight = loaded["model"]["0.weight"]
        assert str(weight.device) == (where if isinstance(where, str) else "cpu"), (weight.device, where)
        close(weight, net[0].weight)
        net.load_state_dict(loaded["model"])
        optimizer.load_state_dict(loaded["optimizer"])
    file.seek(0)
    assert torch.load(file)["model"]["0.weight"].device.type == "npu"


@check
def copies():
    x = torch.arange(12.0).view(3, 4)
    assert x.pin_memory().is_pinned() and not x.is_pinned()
    y = x.pin_memory().to("npu", non_blocking=True)
    torch.npu.synchronize()
    close(y, x)
    close(y.t(), x.t())
    close(y[:, 1::2].to("cpu", non_blocking=True), x[:, 1::2])
    close(y.to("npu:1").to("cpu"), x)
    close(y.half().float(), x)
    close(y.to(torch.int64), x.long())
    assert y.tolist() == x.tolist() and (y.cpu().numpy() == x.numpy()).all() and float(y[1, 2]) == 6.0
    z = torch.empty_like(y)
    z.copy_(x)
    close(z, x)
    x.t().copy_(z.t())
    close(z, x)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), 2, pin_memory=True, num_workers=2)
    close(torch.cat([b[0].to("npu", non_blocking=True) for b in loader]), x)
    assert "npu:0" in repr(y)


@check
def randomness():
    def draw():
        return [
            torch.randn(4, device="npu"),
            torch.rand(3, device="npu"),
            torch.randperm(9, device="npu"),
            torch.empty(5, device="npu").normal_(),
            F.dropout(torch.ones(50, device="npu")),
            torch.randint(9, (5,), device="npu"),
        ]

    torch.manual_seed(5)
    before = torch.get_rng_state()
    a = draw()
    assert torch.equal(before, torch.get_rng_state())  # the CPU's generator is not touched
    torch.manual_seed(5)
    close(draw(), a)
    torch.npu.manual_seed(5)
    state = torch.npu.get_rng_state()
    close(draw(), a)
    torch.npu.manual_seed_all(6)
    assert not torch.equal(draw()[0], a[0])
    torch.npu.set_rng_state(state)
    close(draw(), a)
    g = torch.Generator("npu").manual_seed(2)
    x = torch.randn(3, generator=g, device="npu")
    close(torch.randn(3, generator=g.manual_seed(2), device="npu"), x)
    assert abs(torch.randn(20000, device="npu").std().item() - 1) < 0.05


@check
def threads():
    """Kernels run in Python threads and in threads of the autograd engine."""
    results = []

    def work():
        w = torch.ones(3, 3, device="npu", requires_grad=True)
        torch.utils.checkpoint.checkpoint(lambda v: (v @ v).relu().sum(), w, use_reentrant=False).backward()
        results.append(w.grad.sum().item())

    workers = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in workers]
    [t.join() for t in workers]
    assert results == [54.0] * 4, results


@check
def fallback():
    """Operators that torch_npu sends to the CPU, with its warning, work."""
    both(lambda x: torch.special.i0e(x), torch.randn(4), tolerance=1e-6)
    both(lambda x: torch.linalg.eigvalsh(x @ x.t()), torch.randn(4, 4), tolerance=1e-4)


@check
def unsimulated_is_loud():
    code = "import torch, torch_npu; torch_npu.npu_rms_norm(torch.ones(4, device='npu'), torch.ones(4, device='npu'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0 and ("not in" in done.stderr or "not simulated" in done.stderr), done.stderr


@check
def import_order():
    """The kernels are installed in every import order of torch and torch_npu."""
    for first in "import torch", "import torch_npu, torch":
        done = subprocess.run(
            [sys.executable, "-c", f"{first}; print(torch.ones(2, device='npu').sum().item())"],
            capture_output=True,
            text=True,
        )
        assert done.stdout.split() == ["2.0"], done


def run(*command, **variables):
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=HERE,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@check
def transfer_to_npu():
    code = (
        "import torch; from torch_npu.contrib import transfer_to_npu; x = torch.ones(2).cuda(); "
        "print(x.device, x.is_cuda, torch.cuda.is_available())"
    )
    assert run(sys.executable, "-c", code).split() == ["npu:0", "True", "True"]
    code = "import torch; print(torch.ones(2).cuda().device)"
    assert run(sys.executable, "-c", code, TORCH_TRANSFER_TO_NPU="1").split() == ["npu:0"]


@check
def activation():
    """An unmodified shell script runs under the simulation, both as its command and in a sourced environment."""
    clean = {name: "" for name in ("LD_LIBRARY_PATH", "PYTHONPATH")}
    with tempfile.TemporaryDirectory() as folder:
        train, script = f"{folder}/train.py", f"{folder}/train.sh"
        with open(train, "w") as file:
            file.write(
                "import os, torch, torch.distributed as dist\n"
                "torch.npu.set_device(int(os.environ['LOCAL_RANK'])); dist.init_process_group('hccl')\n"
                "x = torch.ones(1, device='npu'); dist.all_reduce(x); print(f'sum {int(x)}\\n', end='', flush=True)\n"
                "dist.destroy_process_group(); os._exit(0)\n"
            )
        with open(script, "w") as file:
            file.write(f"'{sys.executable}' -m torch.distributed.run --nproc_per_node=$RANKS {train}\n")
        simulation = os.path.dirname(HERE)
        out = run(sys.executable, simulation, "bash", script, RANKS="2", **clean)
        assert out == "sum 2\nsum 2\n", out
        sourced = f'eval "$({sys.executable} {simulation})" && bash {script}'
        out = run("bash", "-c", sourced, RANKS="1", **clean)
        assert out == "sum 1\n", out


@check
def distributed():
    """Four ranks; eight train in test/npu/test_npu_launch.py."""
    run(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=4", "selftest_dist.py")


def main():
    failed = 0
    for function in CHECKS:
        if sys.argv[1:] and function.__name__ not in sys.argv[1:]:
            continue
        try:
            function()
            print("ok    ", function.__name__, flush=True)
        except Exception:
            failed += 1
            print("FAILED", function.__name__, flush=True)
            traceback.print_exc()
    return failed


if __name__ == "__main__":
    leave(main())
