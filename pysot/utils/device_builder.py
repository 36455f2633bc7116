"""Open the device that a command and a config ask for."""

import torch
from yacs.config import CfgNode

from pysot.utils.device import choose_device, make_deterministic, set_gpu_switches, set_npu_switches


def open_device(name: str, cfg: CfgNode, local_rank: int | None = None, deterministic: bool = False) -> torch.device:
    """Choose a device and set the switches of the config's NPU or GPU section. Raises as `choose_device`."""
    device = choose_device(name, use_accelerator=cfg.CUDA, local_rank=local_rank)
    npu = cfg.NPU
    set_npu_switches(
        device,
        jit_compile=npu.JIT_COMPILE,
        conv_hf32=npu.CONV_HF32,
        matmul_hf32=npu.MATMUL_HF32,
        internal_format=npu.INTERNAL_FORMAT,
        precision_mode=npu.PRECISION_MODE,
    )
    set_gpu_switches(device, tf32=cfg.GPU.TF32, cudnn_benchmark=cfg.GPU.CUDNN_BENCHMARK)
    if deterministic:
        make_deterministic(device)
    return device
