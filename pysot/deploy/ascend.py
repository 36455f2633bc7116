"""Compilation of an export for an Ascend chip: the script that calls ATC of CANN for each graph, and its AIPP files.

AIPP is the preprocessing of the chip. It takes a crop as it was cut, uint8 (N, H, H, 3) BGR, and brings it into the
form of the ONNX graph's input. Source of options and restrictions: "ATC" in the documentation of CANN 8.0 to 9.2.
"""

import collections
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pysot.deploy.engine import CROP
from pysot.deploy.package import INPUT, GraphFacts
from pysot.utils.files import atomic_write

SCRIPT = "atc.sh"
# Batches for which ATC compiles a graph of any batch: other numbers are filled up to the next, or computed in parts.
BATCHES = (1, 2, 4, 8, 16)
# Values of --precision_mode_v2: all in float16; float32 where float16 loses too much; as the graph says.
PRECISION_MODES = ("fp16", "mixed_float16", "origin")
_SOC = re.compile(r"Ascend\d\w*(-\d+)?")
_LAST_LINES = 20


def aipp_config(side: int, mean: Sequence[float], scale: Sequence[float]) -> str:
    """Return an AIPP file for crops of `side` pixels: value = (pixel - mean) * scale for B, G and R.

    Raises ValueError for numbers that AIPP does not take.
    """
    if not 2 <= side <= 4096 or not all(0 <= value <= 255 for value in mean):
        raise ValueError(f"AIPP takes crops of 2 to 4096 pixels and means of 0 to 255, got {side} and {list(mean)}")
    lines = [
        "aipp_mode: static",
        "related_input_rank: 0",
        "input_format: RGB888_U8",
        f"src_image_size_w: {side}",
        f"src_image_size_h: {side}",
        "csc_switch: false",
        "rbuv_swap_switch: false",  # the graph takes BGR as well
        *(f"min_chn_{channel}: {value:g}" for channel, value in enumerate(mean)),
        *(f"var_reci_chn_{channel}: {value:g}" for channel, value in enumerate(scale)),
    ]
    return "\n".join(["aipp_op {", *(f"    {line}" for line in lines), "}", ""])


def atc_script(graphs: Mapping[str, GraphFacts], soc_version: str, precision_mode: str) -> str:
    """Return the text of atc.sh: one call of ATC for each graph.

    A graph is compiled for its batch, or for BATCHES if it takes any. <graph>.om.sha256 says what an .om was made of.
    Raises ValueError for a name that is no chip, an unknown precision, and a graph that ATC cannot have with any batch.
    """
    if not _SOC.fullmatch(soc_version):
        raise ValueError(
            f"soc version: expected the name of a chip such as Ascend310P3, got {soc_version!r}; it is Ascend and the "
            "Name that `npu-smi info` prints on the machine that will track"
        )
    if precision_mode not in PRECISION_MODES:
        raise ValueError(f"precision of ATC: expected one of {', '.join(PRECISION_MODES)}, got {precision_mode!r}")
    parts = [
        "#!/bin/sh",
        f"# Compiles the graphs of this folder for {soc_version}. Needs CANN: source its set_env.sh first.",
        "# An older atc that does not know --precision_mode_v2=fp16 takes --precision_mode=force_fp16.",
        "set -e",
        'cd "$(dirname "$0")"',
        *(_commands(name, facts, soc_version, precision_mode) for name, facts in graphs.items()),
    ]
    return "\n".join([*parts, ""])


def write_om(
    folder: Path, graphs: Mapping[str, GraphFacts], soc_version: str, precision_mode: str, show: Callable[[str], object]
) -> str:
    """Write atc.sh and the AIPP files into an export, run the script where atc is on PATH, and say what was done.

    `show` gets each line that atc prints. Raises ValueError as `atc_script`, OSError if the folder cannot be written,
    and RuntimeError if the script fails.
    """
    script = atc_script(graphs, soc_version, precision_mode)
    mean, scale = INPUT["mean"], INPUT["scale"]
    for name, facts in graphs.items():
        if _has_crop(facts):
            with atomic_write(folder / _aipp_file(name)) as stream:
                stream.write(aipp_config(int(facts.inputs[0].shape[-1]), mean, scale))
    with atomic_write(folder / SCRIPT) as stream:
        stream.write(script)
    mode = (folder / SCRIPT).stat().st_mode
    (folder / SCRIPT).chmod(mode | (mode & 0o444) >> 2)  # who may read it may run it
    if shutil.which("atc") is None:
        return (
            f"atc is not on PATH, so {folder / SCRIPT} was written and not run. Copy the folder to a machine with CANN "
            f"(the toolkit, and since 8.5 the operators of the chip), source its set_env.sh, and run: sh {SCRIPT}"
        )
    _run(folder / SCRIPT, show)
    return f"atc compiled {', '.join(f'{name}.om' for name in graphs)} for {soc_version}"


def om_origin(path: Path) -> Path:
    """Return the file with the hashes of an .om and of the ONNX graph that it was made of."""
    return path.with_name(f"{path.name}.sha256")


def _commands(name: str, facts: GraphFacts, soc_version: str, precision_mode: str) -> str:
    options = [
        f"--model={facts.file}",
        "--framework=5",
        f"--output={name}",
        f"--soc_version={soc_version}",
        f"--input_shape={_input_shape(facts)}",
        f"--precision_mode_v2={precision_mode}",
    ]
    if facts.batch is None:
        options.append(f"--dynamic_batch_size={','.join(map(str, BATCHES))}")
    if _has_crop(facts):
        options += ["--input_format=NCHW", f"--insert_op_conf={_aipp_file(name)}"]
    model, om = shlex.quote(facts.file), Path(f"{name}.om")
    return "\n".join(
        [
            "",
            f"# {name}: not if {facts.file} is of another export.",
            f"echo {shlex.quote(f'{facts.sha256}  {facts.file}')} | sha256sum --check --quiet -",
            " \\\n    ".join(["atc", *map(shlex.quote, options)]),
            f"sha256sum {model} {om} > {om_origin(om)}",
        ]
    )


def _input_shape(facts: GraphFacts) -> str:
    """Return the value of --input_shape, with the batch -1 if it is any."""
    for tensor in facts.inputs:
        if "N" in tensor.shape[1:] or (facts.batch is None and tensor.shape[0] != "N"):
            raise ValueError(
                f"{facts.file} takes {tensor.name} as {' x '.join(map(str, tensor.shape))}: ATC takes any batch as the "
                "first size of every input only; export with a number as --batch"
            )
    sizes = {
        tensor.name: ",".join("-1" if size == "N" else str(size) for size in tensor.shape) for tensor in facts.inputs
    }
    return ";".join(f"{name}:{shape}" for name, shape in sizes.items())


def _has_crop(facts: GraphFacts) -> bool:
    return facts.inputs[0].name == CROP


def _aipp_file(name: str) -> str:
    return f"aipp_{name}.cfg"


def _run(script: Path, show: Callable[[str], object]) -> None:
    """Run atc.sh, and show what it prints."""
    last: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
    command = ["sh", str(script.resolve())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            show(line.rstrip())
            last.append(line.rstrip())
    if process.returncode:
        lines = "\n".join(last)
        raise RuntimeError(
            f"{script} failed with status {process.returncode}; its last lines:\n{lines}\nSee which operators "
            "ATC refuses in the report of the export, and whether the name of the chip is right (`npu-smi info`)"
        )
