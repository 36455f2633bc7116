"""Write the network of a tracker as ONNX graphs.

The exporter is torch's older one, which traces a network; onnxslim removes copies and the computation of shapes. The
newer one (torch.export) gives graphs of the same size, but takes ten times as long, and only since opset 18; onnx
cannot convert all of them to 17 (test/benchmarks/README.md).
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import onnx
import onnxslim
import torch
from onnx import helper
from torch import nn

from pysot.core.xcorr_export import EXPORT_METHODS
from pysot.deploy.engine import CROP
from pysot.deploy.package import GraphFacts, TensorFacts, graph_names
from pysot.models.folding import fold_network
from pysot.models.head.mask import WINDOW_SIDE
from pysot.models.head.nano import CentreCorrelation
from pysot.models.head.rpn import DepthwiseXCorr, UPChannelRPN
from pysot.models.siammask import Cells, MaskFeatures, SiamMask
from pysot.models.siamrpn import SiamRPN
from pysot.tracker.half_precision import convert_layers
from pysot.tracker.settings import TrackSettings
from pysot.utils.files import file_hash, write_bytes
from pysot.utils.progress import Bar, no_bar

OPSETS = range(14, 21)  # HardSwish exists since 14; the exporter writes at most 20
AUTO = "auto"
_FEATURES = ("p0", "p1", "p2", "correlation")


@dataclass(frozen=True)
class ExportOptions:
    """Form of the graphs.

    precision   fp32; fp16: weights and most activations, as trackers of torch do; or int8, for which the graphs are
                written in fp32, see `export_int8`. Inputs and outputs are float32 in any case
    xcorr       a name of EXPORT_METHODS, or auto: shift, on a CPU the fastest without dynamic weights
    opset       of ONNX
    batch       search crops of a call, None for any; then template and masks also take any number, otherwise one
    """

    precision: str = "fp32"
    xcorr: str = AUTO
    opset: int = 17
    batch: int | None = 1

    @property
    def method(self) -> str:
        """Return the name in EXPORT_METHODS."""
        return "shift" if self.xcorr == AUTO else self.xcorr

    def check(self) -> None:
        """Raise ValueError for an opset that is not written, and for a batch that the method does not allow."""
        if self.opset not in OPSETS:
            raise ValueError(f"opset: expected {OPSETS[0]} to {OPSETS[-1]}, got {self.opset}")
        if self.method == "grouped" and self.batch is None:
            raise ValueError(
                "a grouped convolution has its batch in the number of its groups: take --xcorr shift or matmul, or "
                "--batch with a number"
            )


def write_graphs(
    model: SiamRPN,
    settings: TrackSettings,
    long_term: bool,
    masks: bool,
    options: ExportOptions,
    folder: Path,
    bar: Bar = no_bar,
) -> dict[str, GraphFacts]:
    """Write <name>.onnx for each graph of a tracker to a folder; return their facts.

    Batch-norm layers are folded. Raises ValueError as `ExportOptions.check`, and RuntimeError for a network that cannot
    be written.
    """
    options.check()
    network = _network(model, options)
    batch = options.batch or 1
    template = torch.zeros(1, 3, *[settings.exemplar_size] * 2)
    with torch.no_grad():
        kernels = _TemplateGraph(network, masks)(template)
    names = [f"kernel_{index}" for index in range(len(kernels))]
    kernels = [kernel.expand(batch, *kernel.shape[1:]).contiguous() for kernel in kernels]
    sides = {"track": settings.instance_size, "track_lost": settings.lost_instance_size}
    facts = {}
    module: nn.Module
    for name in bar(graph_names(long_term, masks), description="graphs"):
        if name == "template":
            module, inputs, ins, outs = _TemplateGraph(network, masks), [template], [CROP], names
        elif name == "refine":
            module = _RefineGraph(cast(SiamMask, network))
            search = torch.zeros(batch, 3, *[settings.instance_size] * 2)
            with torch.no_grad():
                features = _TrackGraph(network, masks)(search, *kernels)[2:]
            inputs, ins, outs = [*features, torch.zeros(batch, 2, dtype=torch.int64)], [*_FEATURES, "cells"], ["mask"]
        else:
            rows = batch if name == "track" else 1
            search = torch.zeros(rows, 3, *[sides[name]] * 2)
            module, inputs = _TrackGraph(network, masks), [search, *(kernel[:rows] for kernel in kernels)]
            ins, outs = [CROP, *names], ["cls", "loc", *(_FEATURES if masks else ())]
        model_proto = _export(module, inputs, ins, outs, options)
        path = folder / f"{name}.onnx"
        write_bytes(path, model_proto.SerializeToString())
        facts[name] = graph_facts(path)
    return facts


def _network(model: SiamRPN, options: ExportOptions) -> SiamRPN:
    """Return a folded copy of a model on the CPU whose correlations are computed in the way of the options."""
    network = fold_network(model).cpu().requires_grad_(False)
    depthwise, up_channel = EXPORT_METHODS[options.method]
    for module in network.modules():
        if isinstance(module, (DepthwiseXCorr, CentreCorrelation)):
            module.correlate = depthwise  # type: ignore[assignment]
        elif isinstance(module, UPChannelRPN):
            module.correlate = up_channel  # type: ignore[assignment]
    if options.precision == "fp16":
        convert_layers(network, torch.float16)
    return network


class _Graph(nn.Module):
    """Part of a network whose inputs and outputs are float32. A SiamMask may be used without its masks."""

    def __init__(self, network: SiamRPN, masks: bool) -> None:
        super().__init__()
        self.network = network
        self.masks = masks
        self.dtype = next(network.backbone.parameters()).dtype


class _TemplateGraph(_Graph):
    def forward(self, crop: torch.Tensor) -> tuple[torch.Tensor, ...]:
        kernels = self.network.kernels(crop.to(self.dtype))
        if isinstance(self.network, SiamMask) and not self.masks:
            kernels = kernels[:-1]  # that of the masks
        return tuple(kernel.float() for kernel in kernels)


class _TrackGraph(_Graph):
    def forward(self, crop: torch.Tensor, *kernels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        crop, state = crop.to(self.dtype), [kernel.to(self.dtype) for kernel in kernels]
        if isinstance(self.network, SiamMask) and not self.masks:
            state.append(state[0])  # in the place of the kernel of the masks, which is not used
        if not self.masks:
            return tuple(output.float() for output in self.network.match(state, crop))
        cls, loc, features = cast(SiamMask, self.network).match_masks(state, crop)
        return tuple(output.float() for output in (cls, loc, *features))


class _RefineGraph(nn.Module):
    """Refinement; it stays in float32, see `convert_layers`."""

    def __init__(self, network: SiamMask) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, p0: torch.Tensor, p1: torch.Tensor, p2: torch.Tensor, correlation: torch.Tensor, cells: torch.Tensor
    ) -> torch.Tensor:
        samples = torch.arange(cells.shape[0])
        logits = self.network.refine(MaskFeatures(p0, p1, p2, correlation), Cells(samples, *cells.unbind(1)))
        return logits.sigmoid().unflatten(1, (WINDOW_SIDE, WINDOW_SIDE))


def _export(
    module: nn.Module, inputs: Sequence[torch.Tensor], ins: list[str], outs: list[str], options: ExportOptions
) -> onnx.ModelProto:
    """Return the checked graph of a module."""
    written = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # Tracing warns about decisions by shapes, which are fixed here, and that this exporter is the older one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(inputs),
            written,  # type: ignore[arg-type]  # the stub is that of the newer exporter
            dynamo=False,
            opset_version=options.opset,
            input_names=ins,
            output_names=outs,
            dynamic_axes={name: {0: "N"} for name in (*ins, *outs)} if options.batch is None else None,
        )
    graph = onnxslim.slim(onnx.load_from_string(written.getvalue()))
    graph.producer_name, graph.producer_version = "pysot", ""
    onnx.checker.check_model(graph, full_check=True)
    return graph


def graph_facts(path: Path) -> GraphFacts:
    """Return the facts of an ONNX file."""
    graph = onnx.load(path, load_external_data=False).graph
    return GraphFacts(path.name, file_hash(path), _tensors(graph.input), _tensors(graph.output))


def _tensors(values: Sequence[onnx.ValueInfoProto]) -> tuple[TensorFacts, ...]:
    return tuple(
        TensorFacts(
            value.name,
            tuple(size.dim_value if size.HasField("dim_value") else "N" for size in value.type.tensor_type.shape.dim),
            helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
        )
        for value in values
    )
