"""One rank of the distributed test:  torchrun --nproc_per_node N selftest_dist.py"""

import os

import torch
import torch.distributed as dist
import torch.nn.functional as F
from selftest import close, leave, small_net
from torch.nn.parallel import DistributedDataParallel


def collectives(rank, size):
    npu = torch.device("npu", rank)
    floats, ints = (torch.float32, torch.float16, torch.bfloat16), (torch.int32, torch.int64, torch.int8)
    for dtype in floats + ints:
        for op, expected in (
            (dist.ReduceOp.SUM, size * (size + 1) // 2),
            (dist.ReduceOp.MAX, size),
            (dist.ReduceOp.MIN, 1),
        ):
            x = torch.full((5, 3), rank + 1, dtype=dtype, device=npu)
            dist.all_reduce(x, op)
            assert (x == expected).all(), (dtype, op, x)
    x = torch.full((4,), 2.0, device=npu)
    dist.all_reduce(x, dist.ReduceOp.PRODUCT)
    assert (x == 2.0**size).all()
    x = torch.full((4,), rank, dtype=torch.uint8, device=npu)
    dist.broadcast(x, size - 1)
    assert (x == size - 1).all()
    x = torch.tensor(rank == 0, device=npu)
    dist.broadcast(x, 0)
    assert x.item()
    big = torch.arange(3_000_001, dtype=torch.float32, device=npu)  # several chunks of the exchange
    work = dist.all_reduce(big, async_op=True)
    work.wait()
    assert torch.equal(big, torch.arange(3_000_001, dtype=torch.float32, device=npu) * size)
    x = torch.full((700_000,), rank, dtype=torch.int32, device=npu)
    parts = [torch.empty_like(x) for _ in range(size)]
    dist.all_gather(parts, x)
    assert all((p == r).all() for r, p in enumerate(parts))
    flat = torch.empty(size * 700_000, dtype=torch.int32, device=npu)
    dist.all_gather_into_tensor(flat, x)
    assert torch.equal(flat, torch.cat(parts))
    out = torch.empty(300_001, device=npu)
    dist.reduce_scatter_tensor(out, torch.arange(size, device=npu).float().repeat_interleave(300_001))
    assert (out == rank * size).all()
    x = torch.full((3,), rank + 1.0, device=npu)
    dist.reduce(x, 0)
    if rank == 0:
        assert (x == size * (size + 1) / 2).all()
    out = torch.empty(2, device=npu)
    dist.scatter(out, [torch.full((2,), float(r), device=npu) for r in range(size)] if rank == 0 else None, 0)
    assert (out == rank).all()
    dist.all_to_all_single(got := torch.empty(size, device=npu), torch.full((size,), float(rank), device=npu))
    assert got.tolist() == list(range(size))
    objects = [None] * size
    dist.all_gather_object(objects, {"rank": rank})
    assert [o["rank"] for o in objects] == list(range(size))
    message = [("hello", 3)] if rank == 0 else [None]
    dist.broadcast_object_list(message, 0)
    assert message == [("hello", 3)]
    x = torch.full((200_000,), float(rank), device=npu)
    y = torch.empty_like(x)
    for request in dist.batch_isend_irecv(
        [dist.P2POp(dist.isend, x, (rank + 1) % size), dist.P2POp(dist.irecv, y, (rank - 1) % size)]
    ):
        request.wait()
    assert (y == (rank - 1) % size).all()
    if rank == 0:
        dist.send(x, 1)
    elif rank == 1:
        dist.recv(y, 0)
        assert (y == 0).all()
    half = dist.new_group(list(range(size // 2)))
    if rank < size // 2:
        x = torch.ones(2, device=npu)
        dist.all_reduce(x, group=half)
        assert (x == size // 2).all()
    dist.barrier()
    dist.barrier(device_ids=[rank])


def sync_batch_norm(rank, size):
    """SyncBatchNorm equals one BatchNorm over the complete batch."""
    x, weight = torch.randn(3 * size, 8, 5, 5), torch.randn(3 * size, 8, 5, 5)
    dist.broadcast_object_list(both := [x, weight], 0)
    x, weight = both
    complete = torch.nn.BatchNorm2d(8)
    local = torch.nn.SyncBatchNorm.convert_sync_batchnorm(torch.nn.BatchNorm2d(8)).npu()
    local = DistributedDataParallel(local, device_ids=[rank])
    mine = slice(3 * rank, 3 * rank + 3)
    a, b = x.clone().requires_grad_(), x[mine].npu().requires_grad_()
    (complete(a) * weight).sum().backward()
    (local(b) * weight[mine].npu()).sum().backward()
    close(b.grad, a.grad[mine], 1e-4)
    close([p.grad.cpu() * size for p in local.parameters()], [p.grad for p in complete.parameters()], 1e-4)
    close(list(local.buffers()), list(complete.buffers()), 1e-4)
    with torch.autocast("npu", dtype=torch.float16):
        assert local(b.half()).dtype == torch.float16


def train(device, rank, size, amp=None, group=None):
    net = small_net().to(device)
    if rank:
        with torch.no_grad():
            for p in net.parameters():
                p.add_(1)  # DDP must broadcast those of rank 0
    device_ids = [rank] if device.type == "npu" else None
    ddp = DistributedDataParallel(net, device_ids=device_ids, process_group=group)
    optimizer = torch.optim.SGD(ddp.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    scaler = torch.amp.GradScaler(device.type, enabled=amp == torch.float16)
    generator = torch.Generator().manual_seed(rank)
    losses = []
    for _ in range(5):
        x = torch.randn(4, 3, 16, 16, generator=generator).to(device)
        y = torch.randint(5, (4,), generator=generator).to(device)
        with torch.amp.autocast(device.type, dtype=amp, enabled=amp is not None):
            loss = F.cross_entropy(ddp(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(ddp.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
        mean = loss.detach().clone()
        dist.all_reduce(mean, group=group)
        losses.append(mean.item() / size)
    parameters = torch.cat([p.detach().flatten() for p in net.parameters()])
    everyone = [torch.empty_like(parameters) for _ in range(size)]
    dist.all_gather(everyone, parameters, group=group)
    assert all(torch.equal(p, parameters) for p in everyone), "the ranks' parameters differ"
    return losses, parameters.cpu()


def main():
    """Test the collectives; train over HCCL on NPUs and over gloo on the CPU, with the same result."""
    rank = int(os.environ["LOCAL_RANK"])
    torch.npu.set_device(rank)
    dist.init_process_group("hccl")
    assert dist.get_backend() == "hccl"
    size, npu = dist.get_world_size(), torch.device("npu", rank)
    losses, parameters = train(npu, rank, size)
    collectives(rank, size)
    sync_batch_norm(rank, size)
    close(train(npu, rank, size, amp=torch.bfloat16), (losses, parameters), 0.1)
    close(train(npu, rank, size, amp=torch.float16), (losses, parameters), 0.02)
    gloo = dist.new_group(backend="gloo")
    close(train(torch.device("cpu"), rank, size, group=gloo), (losses, parameters), 1e-6)
    dist.destroy_process_group()
    leave(0)


if __name__ == "__main__":
    main()
