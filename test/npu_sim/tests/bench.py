"""Time a training step of a network with the size of ResNet-18, on the CPU and on the simulated NPU."""

import sys
import time

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(b)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(b)
        if a != b:
            self.skip = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))
        else:
            self.skip = nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))
        return (y + self.skip(x)).relu_()


def resnet18(classes=1000):
    blocks, a = [], 64
    for b in (64, 128, 256, 512):
        blocks += [Block(a, b, 1 if b == 64 else 2), Block(b, b, 1)]
        a = b
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(True),
        nn.MaxPool2d(3, 2, 1),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, classes),
    )


def time_step(device, batch, side, steps=4):
    torch.manual_seed(0)
    net = resnet18().to(device)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    x, y = torch.randn(batch, 3, side, side).to(device), torch.arange(batch).to(device)
    best = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        loss.item()
        best = min(best, time.perf_counter() - start)
    return best, loss.item()


if __name__ == "__main__":
    if "profile" in sys.argv:
        import cProfile

        cProfile.run("time_step('npu', 2, 32, 20)", sort="tottime")
    for batch, side in (2, 32), (8, 64), (8, 224):
        (cpu, a), (npu, b) = time_step("cpu", batch, side), time_step("npu", batch, side)
        print(
            f"batch {batch} of {side}x{side}: CPU {cpu * 1e3:.0f} ms, NPU {npu * 1e3:.0f} ms, {npu / cpu:.2f} times; "
            f"losses {a:.6f} {b:.6f}",
            flush=True,
        )
