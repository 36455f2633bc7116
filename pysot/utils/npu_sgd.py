"""torch_npu's NpuFusedSGD, which lays parameters, gradients and momenta end to end, and what that means for whoever reads or undoes them."""

import torch


def npu_fused_sgd(groups: list[dict], **options) -> torch.optim.Optimizer:
    """torch_npu's NpuFusedSGD: it flattens the parameters that have a gradient at its first step, so it is to be made anew when others begin to train."""
    from torch_npu.optim import NpuFusedSGD

    for parameter in (p for group in groups for p in group["params"]):
        # It takes the storage of a parameter for its size, which is wrong for one that an earlier NpuFusedSGD has laid end to end with others.
        parameter.data, parameter.grad = parameter.data.clone(), None
    return NpuFusedSGD(groups, **options)


def flat_tensors(optimizer: torch.optim.Optimizer) -> list[torch.Tensor] | None:
    """The flat parameters and momenta of an NpuFusedSGD, made if there are gradients and empty if not; None for any other optimizer."""
    if not getattr(optimizer, "is_fused_optimizer", False):
        return None
    if all(p.grad is None for group in optimizer.param_groups for p in group["params"]):
        return []
    with torch.no_grad():
        optimizer._maybe_init_combined_params_and_grads()
        optimizer._maybe_init_combined_states()
    momenta = [
        state["momentum_buffer"] for group in optimizer.combined_param_states_indexed_by_group for state in group
    ]
    return [tensor for tensor in [*optimizer.params_all_group_combined, *momenta] if tensor is not None]


def npu_gradients(optimizer: torch.optim.Optimizer) -> list[torch.Tensor] | None:
    """The gradients of an optimizer on an NPU: laid end to end by an NpuFusedSGD, else those of the parameters. None on any other device."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if parameters[0].device.type != "npu":
        return None
    if flat_tensors(optimizer):
        return [tensor for tensor in optimizer.grads_all_group_combined if tensor is not None]
    return [p.grad for p in parameters if p.grad is not None]
