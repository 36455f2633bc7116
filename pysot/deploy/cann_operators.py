"""ONNX operators that ATC of CANN takes, with the opsets of the graphs.

ATC looks an operator up by its name and the opset of the graph (Conv of a graph of opset 17 is ai.onnx::17::Conv). Two
sources say which it knows, and they disagree:

documented  the pages "Supported ONNX Operators" of CANN 8.5.0, section "ONNX Opset Support" (of 8.0.0 to 9.1.0 for
            Conv, GatherElements, GatherND, GlobalMaxPool, Mul, Range, Resize and Unsqueeze); "" for pages not read
parsed      the opsets that ATC's plugins register, by the source of 2025: *_onnx_plugin.cpp in the repositories
            ops-math, ops-nn and ops-cv of CANN, and the parser of ge for Constant; "" where no registration was read

Only what was read is here, so an opset may be missing that ATC takes; the plugins register no ONNX operator above 18.
"""

from typing import NamedTuple

PAGES = "https://www.hiascend.com/document/detail/en/canncommercial/850/API/aolapi/atlasoxol_09_{page}.html"
PLUGINS = "https://gitcode.com/cann/ops-math, and ops-nn, ops-cv, ge beside it"


class Support(NamedTuple):
    """Opsets of an operator, such as "8-12 14": by the plugins' source and by the page of the documentation."""

    parsed: str
    documented: str = ""
    page: str = ""

    def is_parsed(self, opset: int) -> bool:
        return _has(self.parsed, opset)

    def is_documented(self, opset: int) -> bool:
        return _has(self.documented, opset)


def _has(opsets: str, opset: int) -> bool:
    for part in opsets.split():
        first, _, last = part.partition("-")
        if int(first) <= opset <= int(last or first):
            return True
    return False


CANN_OPERATORS = {
    "Abs": Support("8-18"),
    "Add": Support("8-18", "8-18", "0006"),
    "And": Support("8-18"),
    "ArgMax": Support("17-18"),
    "AveragePool": Support("17-18"),
    "BatchNormalization": Support("17-18"),
    "Cast": Support("17-18"),
    "Ceil": Support("8-18"),
    "Clip": Support("15-18", "11-16", "0034"),
    "Concat": Support("17-18", "8-18", "0037"),
    "Constant": Support("8-18"),
    "ConstantOfShape": Support("9-18"),
    "Conv": Support("8-18", "9-18", "0040"),
    "ConvTranspose": Support("17-18"),
    "Cos": Support("8-18"),
    "DepthToSpace": Support("17-18"),
    "Div": Support("8-18"),
    "Dropout": Support("8-18"),
    "Einsum": Support("17-18"),
    "Elu": Support("17-18"),
    "Equal": Support("8-18"),
    "Erf": Support("8-18"),
    "Exp": Support("8-18", "8-18", "0057"),
    "Expand": Support("8-18"),
    "Flatten": Support("", "8-18", "0060"),
    "Floor": Support("8-18", "8-18", "0061"),
    "Gather": Support("8-14 17-18", "8-18", "0062"),
    "GatherElements": Support("14-18", "11-18", "0063"),
    "GatherND": Support("17-18", "11-18", "0064"),
    "Gemm": Support("17-18", "8-18", "0065"),
    "GlobalAveragePool": Support("8-18", "8-18", "0066"),
    "GlobalMaxPool": Support("", "8-18", "0068"),
    "Greater": Support("8-18"),
    "GreaterOrEqual": Support("8 12-18"),
    "GridSample": Support("17-18"),
    "HardSigmoid": Support("17-18", "1 6 8-18", "0074"),
    "HardSwish": Support("14-18", "14-18", "0075"),
    "Identity": Support("8-18"),
    "InstanceNormalization": Support("17-18"),
    "LayerNormalization": Support("17-18"),
    "LeakyRelu": Support("17-18"),
    "Less": Support("8-18"),
    "LessOrEqual": Support("8-18"),
    "Log": Support("8-18"),
    "LogSoftmax": Support("17-18"),
    "MatMul": Support("8-18", "8-18", "0092"),
    "Max": Support("17-18"),
    "MaxPool": Support("16-18", "8-18", "0094"),
    "Min": Support("17-18"),
    "Mul": Support("8-18", "8-18", "0102"),
    "Neg": Support("8-18", "8-18", "0104"),
    "Not": Support("8-18"),
    "Or": Support("8-18"),
    "PRelu": Support("8-18"),
    "Pad": Support("11-15 17-18", "11 13-18", "0111"),
    "Pow": Support("8-18"),
    "Range": Support("8-18", "8-18", "0117"),
    "Reciprocal": Support("8-18"),
    "ReduceMax": Support("17-18"),
    "ReduceMean": Support("15-18", "8-16", "0123"),
    "ReduceSum": Support("17-18", "8-18", "0127"),
    "Relu": Support("8-18", "8-18", "0129"),
    "Reshape": Support("13-18", "8-18", "0130"),
    "Resize": Support("10-18", "10-12 14-18", "0131"),
    "Round": Support("8-18"),
    "ScatterND": Support("8 10-18"),
    "Shape": Support("17-18"),
    "Sigmoid": Support("8-18", "8-18", "0145"),
    "Sign": Support("8-18"),
    "Sin": Support("8-18"),
    "Slice": Support("13-18", "8-18", "0150"),
    "Softmax": Support("8-12 17-18"),
    "Softplus": Support("8-18"),
    "Softsign": Support("8-18", "8-13", "0154"),
    "Split": Support("8-18", "8-18", "0156"),
    "Sqrt": Support("8-18"),
    "Squeeze": Support("13-18", "8-18", "0158"),
    "Sub": Support("8-18", "8-15", "0159"),
    "Tanh": Support("8-18"),
    "Tile": Support("8-18"),
    "TopK": Support("17-18"),
    "Transpose": Support("17-18", "8-18", "0167"),
    "Unsqueeze": Support("10-18", "8-12", "0169"),
    "Where": Support("8-18"),
}
