"""Run PyTorch programs for Ascend NPUs on a machine without one.

    python test/npu_sim train.py --epochs 1                   a script,
    python test/npu_sim torchrun --nproc_per_node 2 train.py  a command and everything it starts,
    eval "$(python test/npu_sim)"                             or everything this shell starts afterwards

The real torch_npu is used unchanged: its devices, allocator, streams, autocast, process
group and refusals.  Two layers are replaced.  Below torch_npu, acl_sim.c replaces the
libraries of CANN: device memory is host memory, and HCCL's collectives use shared memory.
Above it, kernels.py replaces the kernels of the aten operators by the CPU's kernels, which
compute in the same memory.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CANN = HERE / "build"
ALIASES = (
    "libhccl.so",
    "libacl_op_compiler.so",
    "libge_runner.so",
    "libgraph.so",
    "libacl_tdt_channel.so",
    "libmsprofiler.so",
    "libascend_hal.so",
)


def build():
    """Compile acl_sim.c if it is newer than its library; the names of the other libraries become links to it."""
    source, library = HERE / "acl_sim.c", CANN / "libascendcl.so"
    if library.exists() and library.stat().st_mtime >= source.stat().st_mtime:
        return
    for folder in "runtime", "compiler":  # torch_npu expects these folders in CANN's
        (CANN / folder).mkdir(parents=True, exist_ok=True)
    fresh = CANN / f"{os.getpid()}.so"
    subprocess.run(["gcc", "-O3", "-shared", "-fPIC", "-o", fresh, source], check=True)
    os.replace(fresh, library)
    for name in ALIASES:
        if not (CANN / name).is_symlink():
            (CANN / name).symlink_to(library.name)


def environment():
    """Return the variables that give simulated NPUs to a program and everything it starts."""

    def prepend(path, name):
        return os.pathsep.join([str(path), *filter(None, [os.environ.get(name)])])

    return {
        "LD_LIBRARY_PATH": prepend(CANN, "LD_LIBRARY_PATH"),
        "PYTHONPATH": prepend(HERE / "hook", "PYTHONPATH"),
        "ASCEND_HOME_PATH": str(CANN),
        "ASCEND_OPP_PATH": str(CANN),
        "PYTHONFAULTHANDLER": "1",  # shows where acl_sim.c aborted a program
        "TASK_QUEUE_ENABLE": "0",  # torch_npu calls CANN directly, not from a queue thread
    }


def main():
    command = sys.argv[1:]
    build()
    if not command:
        for name, value in environment().items():
            print(f"export {name}='{value}'")
        return
    os.environ.update(environment())
    if command[0].endswith(".py") or command[0].startswith("-"):
        command.insert(0, sys.executable)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
