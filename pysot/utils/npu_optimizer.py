"""torch_npu's NpuFusedSGD, and loss scaling on an NPU.

NpuFusedSGD lays parameters, gradients and momenta end to end; whoever reads or restores them has to know.
"""

from typing import Any

import torch
from torch.amp.grad_scaler import OptState


def npu_fused_sgd(groups: list[dict[str, Any]], **options: Any) -> torch.optim.Optimizer:
    """Make torch_npu's NpuFusedSGD.

    At its first step it flattens the parameters that have a gradient, so it has to be made again when other parameters
    begin to train.
    """
    from torch_npu.optim import NpuFusedSGD

    for parameter in (p for group in groups for p in group["params"]):
        # NpuFusedSGD takes the storage of a parameter for its size. That is wrong for a parameter that an earlier
        # NpuFusedSGD has laid end to end with others.
        parameter.data, parameter.grad = parameter.data.clone(), None
    return NpuFusedSGD(groups, **options)


def flat_tensors(optimizer: torch.optim.Optimizer) -> list[torch.Tensor] | None:
    """Return the flat parameters and momenta of an NpuFusedSGD; None for any other optimizer.

    They are made if there are gradients; without gradients the list is empty.
    """
    if not getattr(optimizer, "is_fused_optimizer", False):
        return None
    if all(p.grad is None for group in optimizer.param_groups for p in group["params"]):
        return []
    fused: Any = optimizer
    with torch.no_grad():
        fused._maybe_init_combined_params_and_grads()
        fused._maybe_init_combined_states()
    momenta = [state["momentum_buffer"] for group in fused.combined_param_states_indexed_by_group for state in group]
    return [tensor for tensor in [*fused.params_all_group_combined, *momenta] if tensor is not None]


def npu_gradients(optimizer: torch.optim.Optimizer) -> list[torch.Tensor] | None:
    """Return the gradients of an optimizer on an NPU; None on any other device.

    They are the flat ones of an NpuFusedSGD, else those of the parameters.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if parameters[0].device.type != "npu":
        return None
    if flat_tensors(optimizer):
        fused: Any = optimizer
        return [tensor for tensor in fused.grads_all_group_combined if tensor is not None]
    return [p.grad for p in parameters if p.grad is not None]


class NpuGradScaler(torch.amp.GradScaler):
    """Loss scaler that unscales on an NPU without reading the device on the host.

    torch takes the reciprocal of the scale in float64, which an NPU does not have.
    """

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients of `optimizer` by the scale and note non-finite ones, as torch's scaler does."""
        if self.is_enabled():
            scale, _ = self._check_scale_growth_tracker("unscale_")
            state = self._per_optimizer_states[id(optimizer)]
            gradients, found_inf = npu_gradients(optimizer), torch.zeros_like(scale)
            assert gradients is not None, "the parameters are not on an NPU"
            torch._amp_foreach_non_finite_check_and_unscale_(gradients, found_inf, scale.reciprocal())
            state["found_inf_per_device"], state["stage"] = {scale.device: found_inf}, OptState.UNSCALED
