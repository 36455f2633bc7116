"""CPU kernels for torch_npu's aten operators, computing in the memory of the NPU tensors.

They are registered in the dispatcher in place of torch_npu's kernels, so autograd, autocast,
DDP and all threads use them.  Memory, metadata and conversions remain torch_npu's, with its
refusals (channels_last, float64).  An operator that torch_npu sends to the CPU with a warning
is still sent there.  An operator that only NPUs have still calls CANN's kernel and fails.

Operators whose kernel on an NPU reads the device on the host are counted: `host_reads()`
returns the numbers of copies to the host and of waits for the device.

A chip before Ascend 910B (NPU_SIM_SOC=Ascend910A) saturates: results have the largest number
in place of infinity and 0 in place of NaN, and a flag is raised.
"""

import ctypes
import os

import torch

CPU = torch.device("cpu")
# Operators left to torch_npu, like all that return views.
NATIVE = (
    "as_strided_",
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty_strided",
    "resize_",
    "resize_as_",
    "set_",
    "is_set_to",
    "is_pinned",
    "_pin_memory",
    "_to_copy",
    "_to_sparse",
    "_lazy_clone",
    "record_stream",
)
# Operators whose tensors may be on different devices.
ACROSS = (
    "copy_",
    "_foreach_copy_",
    "index",
    "index_put",
    "index_put_",
    "_index_put_impl_",
    "_unsafe_index",
    "_unsafe_index_put",
)
# Operators of the matrix unit, which multiplies 16-bit floats and accumulates in 32 bits.  Here they compute in
# float32, also because the CPU's kernels for 16-bit floats are slow.
WIDE = ("convolution", "convolution_backward", "mm", "bmm", "addmm", "baddbmm", "mv", "addmv")
NARROW = (torch.float16, torch.bfloat16)
# Operators whose kernel on an NPU reads the device on the host, to return a number or to get the size of its result.
READING = (
    "_local_scalar_dense",
    "equal",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "repeat_interleave",
)
# Operators that read these arguments if given. See op-plugin's FusedSgd: aclnnFusedSgd has no parameter found_inf.
READING_GIVEN = {"_fused_sgd_": ("found_inf", "lr")}

runtime = ctypes.CDLL("libascendcl.so")  # acl_sim.c
SATURATING = os.environ.get("NPU_SIM_SOC") in ("Ascend910A", "Ascend910ProA", "Ascend910PremiumA", "Ascend910ProB")
overflow = [False]  # flag of the chip: an operator has saturated since the flag was cleared
libraries = {space: torch.library.Library(space, "IMPL") for space in ("aten", "npu", "c10d")}


def install():
    """Register the kernels of all operators that the simulator computes."""
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    for name in torch._C._dispatch_get_all_op_names():
        space, _, rest = name.partition("::")
        short, _, overload = rest.partition(".")
        composite = has(name, "CompositeImplicitAutograd") and not has(name, "CPU")
        computes = composite or has(name, "CPU") or has(name, "CompositeExplicitAutograd")
        if space != "aten" or short in NATIVE or not computes or not has(name, "PrivateUse1"):
            continue
        op = getattr(getattr(torch.ops.aten, short), overload or "default")
        if any(r.alias_info and not r.alias_info.is_write for r in op._schema.returns):
            continue
        if has(name, "AutogradPrivateUse1"):  # torch_npu's gradients use operators that only NPUs have
            register(name, builtin_kernel(name, "AutogradCPU"), "AutogradPrivateUse1", with_keyset=True)
        if composite:
            register(name, builtin_kernel(name, "CPU"), with_keyset=True)
        else:
            register(name, kernel(op))
    register("aten::clone", clone)
    register("npu::npu_format_cast", format_cast)
    if SATURATING:
        register("npu::npu_get_float_status", get_float_status)
        register("npu::npu_clear_float_status", clear_float_status)
        register("aten::_amp_foreach_non_finite_check_and_unscale_", check_and_unscale)
    register("npu::_npu_dtype_cast", cast)
    register("c10d::allgather_", allgather)
    for function in (
        batch_norm_stats,
        batch_norm_gather_stats_with_counts,
        batch_norm_elemt,
        batch_norm_backward_reduce,
        batch_norm_backward_elemt,
    ):
        register(f"aten::{function.__name__}", function)


def register(name, function, key="PrivateUse1", **options):
    space, _, rest = name.partition("::")
    libraries[space].impl(rest, function, key, **options)


def builtin_kernel(name, key):
    """Return PyTorch's device-independent kernel."""
    builtin = torch.library.get_kernel(name, key)
    return lambda keys, *args, **kwargs: builtin.call_boxed(keys, *args, **kwargs)


def view(x):
    """Return a CPU tensor that shares the memory of an NPU tensor."""
    storage = x.untyped_storage()
    memory = torch._C._construct_storage_from_data_pointer(storage.data_ptr(), CPU, storage.nbytes())
    return torch.empty(0, dtype=x.dtype).set_(memory, x.storage_offset(), x.size(), x.stride())


def host_reads():
    """Return the numbers of copies to the host and of waits for the device since the start of the process."""
    runtime.npu_sim_copies_to_host.restype = runtime.npu_sim_waits.restype = ctypes.c_uint64
    return runtime.npu_sim_copies_to_host(), runtime.npu_sim_waits()


def count_reads(short, args, kwargs):
    """Count what this call would read on the host on a real NPU."""
    if short == "copy_":
        to, source, *rest = args
        if to.device.type != source.device.type and not (rest and rest[0] or kwargs.get("non_blocking")):
            runtime.npu_sim_count(0, 1)
        runtime.npu_sim_count(int(to.device.type == "cpu"), 0)
        return
    given = sum(isinstance(kwargs.get(name), torch.Tensor) for name in READING_GIVEN.get(short, ()))
    indices = args[1] if "index" in short and short in ACROSS else ()
    masks = any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in indices)
    reads = given + masks + (short in READING)
    runtime.npu_sim_count(reads, reads)


def saturate(x):
    """Replace the result of a kernel by that of a saturating chip, if one is simulated, and raise the flag."""
    if SATURATING and x.is_floating_point() and not x.isfinite().all():
        overflow[0] = True
        x.nan_to_num_(0.0)  # infinity becomes the largest number
    return x


def kernel(op):
    """Return a kernel that runs the operator's CPU kernel on views of its NPU tensors.

    Results written in place need no copy.  Other results are copied into new contiguous NPU
    memory, as in torch_npu.
    """
    arguments = op._schema.arguments
    written = {a.name: i for i, a in enumerate(arguments) if a.alias_info and a.alias_info.is_write}
    outs = [a.name for a in arguments if a.name in written and a.kwarg_only]
    returned = [
        next(
            (
                a.name
                for a in arguments
                if a.name in written and r.alias_info and a.alias_info.before_set == r.alias_info.before_set
            ),
            None,
        )
        for r in op._schema.returns
    ]
    short = op._schema.name.partition("::")[2]
    across, wide = short in ACROSS, short in WIDE and not written
    random = torch.Tag.nondeterministic_seeded in op.tags

    def run(*args, **kwargs):
        device = host = generator = dtype = None

        def to_cpu(x):
            nonlocal device, host, generator, dtype
            if isinstance(x, torch.Tensor):
                if x.device.type != "npu":
                    host = x.device if x.dim() else host  # a number may come from the CPU
                    return x
                if device not in (None, x.device) and not across:
                    raise different_devices(op, device, x.device)
                device = x.device
                if wide and x.dtype in NARROW:
                    dtype = x.dtype
                    return view(x).float()
                return view(x)
            if isinstance(x, (list, tuple)):
                return [to_cpu(y) for y in x]
            if isinstance(x, torch.device) and x.type == "npu":
                device = device or x
                return CPU
            if isinstance(x, torch.Generator):
                generator = x
                return None
            return x

        def to_npu(x):
            if isinstance(x, torch.Tensor):
                y = torch.empty(x.size(), dtype=dtype or x.dtype, device=device)
                saturate(view(y).copy_(x))
                return y
            if isinstance(x, (list, tuple)):
                return type(x)(map(to_npu, x))
            return x

        count_reads(short, args, kwargs)
        cpu_args = [to_cpu(x) for x in args]
        cpu_kwargs = {name: to_cpu(x) for name, x in kwargs.items()}
        if host and device and not across:
            raise different_devices(op, device, host)
        for name in outs:  # an `out` tensor may grow, so the result goes into a new one
            cpu_kwargs[name] = torch.empty(0, dtype=kwargs[name].dtype)
        if random:
            with seeded_from(generator or default_generator(device)):
                result = op(*cpu_args, **cpu_kwargs)
        else:
            result = op(*cpu_args, **cpu_kwargs)
        if not written:
            return to_npu(result)
        for name in outs:
            if kwargs[name].size() != cpu_kwargs[name].size():
                kwargs[name].resize_(cpu_kwargs[name].size())
            view(kwargs[name]).copy_(cpu_kwargs[name])
        for name, i in written.items() if short != "copy_" else ():
            for x in npu_tensors(kwargs.get(name, args[i] if i < len(args) else None)):
                saturate(view(x))
        results = result if isinstance(result, tuple) else (result,)
        results = [
            to_npu(x) if name is None else kwargs[name] if name in kwargs else args[written[name]]
            for name, x in zip(returned, results, strict=False)
        ]
        return results[0] if len(results) == 1 else tuple(results) or None

    return run


def npu_tensors(x):
    """Return the NPU tensors of an argument, which is a tensor, a list of tensors or None."""
    return [
        y
        for y in (x if isinstance(x, (list, tuple)) else [x])
        if isinstance(y, torch.Tensor) and y.device.type == "npu"
    ]


def different_devices(op, one, other):
    return RuntimeError(
        f"{op}: Expected all tensors to be on the same device, but found at least two devices, {one} and {other}!"
    )


def default_generator(device):
    indexed = device is not None and device.index is not None
    return torch.npu.default_generators[device.index if indexed else torch.npu.current_device()]


class seeded_from:
    """Context in which the CPU's random generator is seeded from seed and offset of an NPU's generator."""

    def __init__(self, generator):
        self.seed = (generator.initial_seed() + generator.get_offset() * 0x9E3779B97F4A7C15) % (1 << 63)
        generator.set_offset(generator.get_offset() + 4)

    def __enter__(self):
        self.state = torch.default_generator.get_state()
        torch.default_generator.manual_seed(self.seed)

    def __exit__(self, *_):
        torch.default_generator.set_state(self.state)


def clone(x, *, memory_format=None):
    """Clone with the same strides, or contiguous for any other memory format, as in torch_npu."""
    keep = memory_format in (None, torch.preserve_format)
    return (torch.empty_like(x) if keep else torch.empty(x.size(), dtype=x.dtype, device=x.device)).copy_(x)


def format_cast(x, acl_format, *, customize_dtype=None, input_dtype=None):
    """Return a copy: private formats have the same values, and the simulator ignores their layout."""
    return x.clone()


def get_float_status(x, mode=0):
    """Write the flag into the first of eight numbers."""
    view(x)[0] = float(overflow[0])
    return x


def clear_float_status(x, mode=0):
    overflow[0] = False
    return x


def check_and_unscale(gradients, found_inf, inverse_scale):
    """Unscale unless the flag is raised, as op-plugin does on saturating chips: it is read on the host and cleared."""
    runtime.npu_sim_count(1, 2)
    if overflow[0]:
        view(found_inf).fill_(1.0)
        overflow[0] = False
        return
    for x in gradients:
        x.mul_(inverse_scale)


def cast(x, dtype):
    """Cast; the process group uses it for booleans."""
    return torch.empty(x.size(), dtype=dtype, device=x.device).copy_(x)


def allgather(outputs, inputs, group, *rest):
    """Gather with the flat collective, because torch_npu's version calls a padding kernel directly."""
    for parts, x in zip(outputs, inputs, strict=True):
        flat = torch.empty(len(parts) * x.numel(), dtype=x.dtype, device=x.device)
        _, work = torch.ops.c10d._allgather_base_(flat, x.contiguous(), group, *rest)
        for part, y in zip(parts, flat.split(x.numel()), strict=True):
            part.copy_(y.view(x.size()))
    return outputs, work


# Parts of SyncBatchNorm without CPU kernels.


def per_channel(x, values):
    """Return per-channel values in a shape that broadcasts with x."""
    return values.float().view(1, -1, *[1] * (x.dim() - 2))


def reduced_dims(x):
    """Return all dimensions but that of the channels."""
    return [d for d in range(x.dim()) if d != 1]


def batch_norm_stats(x, eps):
    variance, mean = torch.var_mean(x.float(), reduced_dims(x), correction=0)
    return mean, (variance + eps).rsqrt()


def batch_norm_gather_stats_with_counts(x, means, invstds, running_mean, running_var, momentum, eps, counts):
    share = (counts.float() / counts.sum()).view(-1, 1)
    mean = (means * share).sum(0)
    variance = ((invstds.pow(-2) - eps + (means - mean) ** 2) * share).sum(0)
    if running_mean is not None:
        running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
    if running_var is not None:
        running_var.mul_(1 - momentum).add_(variance * counts.sum() / (counts.sum() - 1), alpha=momentum)
    return mean, (variance + eps).rsqrt()


def batch_norm_elemt(x, weight, bias, mean, invstd, eps):
    y = (x.float() - per_channel(x, mean)) * per_channel(x, invstd)
    y = y if weight is None else y * per_channel(x, weight)
    return (y if bias is None else y + per_channel(x, bias)).to(x.dtype)


def batch_norm_backward_reduce(grad, x, mean, invstd, weight, *wanted):
    sum_dy = grad.float().sum(reduced_dims(x))
    sum_dy_xmu = (grad.float() * (x.float() - per_channel(x, mean))).sum(reduced_dims(x))
    return sum_dy, sum_dy_xmu, sum_dy_xmu * invstd, sum_dy


def batch_norm_backward_elemt(grad, x, mean, invstd, weight, sum_dy, sum_dy_xmu, count):
    slope = per_channel(x, invstd**2 * sum_dy_xmu / count.sum())
    dx = grad.float() - per_channel(x, sum_dy / count.sum()) - (x.float() - per_channel(x, mean)) * slope
    return (dx * per_channel(x, invstd if weight is None else invstd * weight)).to(x.dtype)
