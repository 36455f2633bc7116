"""Kernels for torch_npu's aten operators that compute on the CPU, in the NPU's own memory.

They are registered in the dispatcher, where torch_npu has its kernels, so that autograd,
autocast, DDP and every thread reach them.  Memory, metadata and conversion stay torch_npu's,
with its refusals (channels_last, float64); an operator that torch_npu sends to the CPU with a
warning still goes there with a warning; one that only NPUs have still asks for CANN's kernel
and fails.

An operator that reads the device on the host, because its kernel on an NPU does so, is counted:
`host_reads()` tells how often copies to the host were made and the device was waited for.

A chip before Ascend 910B (NPU_SIM_SOC=Ascend910A) saturates: what an operator computes has the
largest number where it would have infinity, and 0 where it would have NaN; a flag is raised.
"""

import ctypes
import os

import torch

CPU = torch.device("cpu")
# Left to torch_npu, as are all operators that return views.
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
# Those whose tensors may lie on different devices.
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
# Those of the matrix unit, which multiplies 16-bit floats and sums in 32 bits.  So do these:
# the CPU's own kernels for 16-bit floats are slow.
WIDE = ("convolution", "convolution_backward", "mm", "bmm", "addmm", "baddbmm", "mv", "addmv")
NARROW = (torch.float16, torch.bfloat16)
# Those whose kernel on an NPU reads the device on the host: to return a number, or to learn the size of its result.
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
# Those that read these arguments where they are given, see op-plugin's FusedSgd: aclnnFusedSgd has no place for found_inf.
READING_GIVEN = {"_fused_sgd_": ("found_inf", "lr")}

runtime = ctypes.CDLL("libascendcl.so")  # acl_sim.c
SATURATING = os.environ.get("NPU_SIM_SOC") in ("Ascend910A", "Ascend910ProA", "Ascend910PremiumA", "Ascend910ProB")
overflow = [False]  # the chip's flag: an operator has saturated since it was cleared
libraries = {space: torch.library.Library(space, "IMPL") for space in ("aten", "npu", "c10d")}


def install():
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
        if has(name, "AutogradPrivateUse1"):  # torch_npu's gradients need operators that only NPUs have
            register(name, general(name, "AutogradCPU"), "AutogradPrivateUse1", with_keyset=True)
        if composite:
            register(name, general(name, "CPU"), with_keyset=True)
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


def general(name, key):
    """PyTorch's own kernel, which serves every device."""
    found = torch.library.get_kernel(name, key)
    return lambda keys, *args, **kwargs: found.call_boxed(keys, *args, **kwargs)


def view(x):
    """A CPU tensor in the memory of an NPU tensor."""
    storage = x.untyped_storage()
    memory = torch._C._construct_storage_from_data_pointer(storage.data_ptr(), CPU, storage.nbytes())
    return torch.empty(0, dtype=x.dtype).set_(memory, x.storage_offset(), x.size(), x.stride())


def host_reads():
    """Copies to the host, and waits for the device, since the start of the process."""
    runtime.npu_sim_copies_to_host.restype = runtime.npu_sim_waits.restype = ctypes.c_uint64
    return runtime.npu_sim_copies_to_host(), runtime.npu_sim_waits()


def count_reads(short, args, kwargs):
    """Count what this call would read on the host, were it on an NPU."""
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
    """Let a CPU tensor, which a kernel has written, hold what a saturating chip would."""
    if SATURATING and x.is_floating_point() and not x.isfinite().all():
        overflow[0] = True
        x.nan_to_num_(0.0)  # infinities become the largest numbers
    return x


def kernel(op):
    """The operator's CPU kernel, on views of its NPU tensors.

    What it writes in place is thereby written; what else it returns is copied into new NPU
    memory, contiguous as torch_npu's results are.
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

        def down(x):
            nonlocal device, host, generator, dtype
            if isinstance(x, torch.Tensor):
                if x.device.type != "npu":
                    host = x.device if x.dim() else host  # a number may come from the CPU
                    return x
                if device not in (None, x.device) and not across:
                    raise apart(op, device, x.device)
                device = x.device
                if wide and x.dtype in NARROW:
                    dtype = x.dtype
                    return view(x).float()
                return view(x)
            if isinstance(x, (list, tuple)):
                return [down(y) for y in x]
            if isinstance(x, torch.device) and x.type == "npu":
                device = device or x
                return CPU
            if isinstance(x, torch.Generator):
                generator = x
                return None
            return x

        def up(x):
            if isinstance(x, torch.Tensor):
                y = torch.empty(x.size(), dtype=dtype or x.dtype, device=device)
                saturate(view(y).copy_(x))
                return y
            if isinstance(x, (list, tuple)):
                return type(x)(map(up, x))
            return x

        count_reads(short, args, kwargs)
        args_down = [down(x) for x in args]
        kwargs_down = {name: down(x) for name, x in kwargs.items()}
        if host and device and not across:
            raise apart(op, device, host)
        for name in outs:  # they may grow: new ones receive the result
            kwargs_down[name] = torch.empty(0, dtype=kwargs[name].dtype)
        if random:
            with drawing(generator or default_generator(device)):
                result = op(*args_down, **kwargs_down)
        else:
            result = op(*args_down, **kwargs_down)
        if not written:
            return up(result)
        for name in outs:
            if kwargs[name].size() != kwargs_down[name].size():
                kwargs[name].resize_(kwargs_down[name].size())
            view(kwargs[name]).copy_(kwargs_down[name])
        for name, i in written.items() if short != "copy_" else ():
            for x in flat(kwargs.get(name, args[i] if i < len(args) else None)):
                saturate(view(x))
        results = result if isinstance(result, tuple) else (result,)
        results = [
            up(x) if name is None else kwargs[name] if name in kwargs else args[written[name]]
            for name, x in zip(returned, results, strict=False)
        ]
        return results[0] if len(results) == 1 else tuple(results) or None

    return run


def flat(x):
    """The NPU tensors of an argument: a tensor, a list of them, or nothing."""
    return [
        y
        for y in (x if isinstance(x, (list, tuple)) else [x])
        if isinstance(y, torch.Tensor) and y.device.type == "npu"
    ]


def apart(op, one, other):
    return RuntimeError(
        f"{op}: Expected all tensors to be on the same device, but found at least two devices, {one} and {other}!"
    )


def default_generator(device):
    indexed = device is not None and device.index is not None
    return torch.npu.default_generators[device.index if indexed else torch.npu.current_device()]


class drawing:
    """Random numbers come from an NPU's generator: seed and offset seed the CPU's for a while."""

    def __init__(self, generator):
        self.seed = (generator.initial_seed() + generator.get_offset() * 0x9E3779B97F4A7C15) % (1 << 63)
        generator.set_offset(generator.get_offset() + 4)

    def __enter__(self):
        self.state = torch.default_generator.get_state()
        torch.default_generator.manual_seed(self.seed)

    def __exit__(self, *_):
        torch.default_generator.set_state(self.state)


def clone(x, *, memory_format=None):
    """Strides are kept or made contiguous, whatever format is asked for, as by torch_npu."""
    keep = memory_format in (None, torch.preserve_format)
    return (torch.empty_like(x) if keep else torch.empty(x.size(), dtype=x.dtype, device=x.device)).copy_(x)


def format_cast(x, acl_format, *, customize_dtype=None, input_dtype=None):
    """A copy: private formats are of the same numbers, and nothing here asks where they lie."""
    return x.clone()


def get_float_status(x, mode=0):
    """The flag in the first of eight numbers."""
    view(x)[0] = float(overflow[0])
    return x


def clear_float_status(x, mode=0):
    overflow[0] = False
    return x


def check_and_unscale(gradients, found, inverse):
    """By the flag, as op-plugin's for chips that saturate: it is read on the host and cleared."""
    runtime.npu_sim_count(1, 2)
    if overflow[0]:
        view(found).fill_(1.0)
        overflow[0] = False
        return
    for x in gradients:
        x.mul_(inverse)


def cast(x, dtype):
    """Used by the process group, for booleans."""
    return torch.empty(x.size(), dtype=dtype, device=x.device).copy_(x)


def allgather(outputs, inputs, group, *rest):
    """By way of the flat collective: torch_npu's pads its tensors by a kernel called directly."""
    for parts, x in zip(outputs, inputs, strict=True):
        flat = torch.empty(len(parts) * x.numel(), dtype=x.dtype, device=x.device)
        _, work = torch.ops.c10d._allgather_base_(flat, x.contiguous(), group, *rest)
        for part, y in zip(parts, flat.split(x.numel()), strict=True):
            part.copy_(y.view(x.size()))
    return outputs, work


# The parts of SyncBatchNorm, for which the CPU has no kernels.


def channels(x, of):
    """Per-channel values, in the shape in which they combine with x."""
    return of.float().view(1, -1, *[1] * (x.dim() - 2))


def others(x):
    return [d for d in range(x.dim()) if d != 1]


def batch_norm_stats(x, eps):
    variance, mean = torch.var_mean(x.float(), others(x), correction=0)
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
    y = (x.float() - channels(x, mean)) * channels(x, invstd)
    y = y if weight is None else y * channels(x, weight)
    return (y if bias is None else y + channels(x, bias)).to(x.dtype)


def batch_norm_backward_reduce(grad, x, mean, invstd, weight, *wanted):
    sum_dy = grad.float().sum(others(x))
    sum_dy_xmu = (grad.float() * (x.float() - channels(x, mean))).sum(others(x))
    return sum_dy, sum_dy_xmu, sum_dy_xmu * invstd, sum_dy


def batch_norm_backward_elemt(grad, x, mean, invstd, weight, sum_dy, sum_dy_xmu, count):
    slope = channels(x, invstd**2 * sum_dy_xmu / count.sum())
    dx = grad.float() - channels(x, sum_dy / count.sum()) - (x.float() - channels(x, mean)) * slope
    return (dx * channels(x, invstd if weight is None else invstd * weight)).to(x.dtype)
