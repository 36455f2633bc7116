"""Run PyTorch programs for Ascend NPUs on a machine without one.

    python test/npu_sim train.py --epochs 1                   a script,
    python test/npu_sim torchrun --nproc_per_node 2 train.py  a command, with all that it starts,
    eval "$(python test/npu_sim)"                             or all that this shell will start

The real torch_npu is used, unchanged: its devices, allocator, streams, autocast, process
group and refusals are what the program meets.  Two things are replaced.  Below torch_npu,
the libraries of CANN (acl_sim.c): device memory is host memory, and HCCL's collectives go
through shared memory.  Above, the kernels of the aten operators (kernels.py), which compute
with the CPU's kernels on the very same memory.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CANN = HERE / "build"
ALIASES = "libhccl.so", "libacl_op_compiler.so", "libge_runner.so", "libgraph.so", "libacl_tdt_channel.so"


def build():
    """Compile acl_sim.c where it is newer than its library, which answers to all the names."""
    source, library = HERE / "acl_sim.c", CANN / "libascendcl.so"
    if library.exists() and library.stat().st_mtime >= source.stat().st_mtime:
        return
    for folder in "runtime", "compiler":  # torch_npu looks for them where CANN is installed
        (CANN / folder).mkdir(parents=True, exist_ok=True)
    fresh = CANN / f"{os.getpid()}.so"
    subprocess.run(["gcc", "-O3", "-shared", "-fPIC", "-o", fresh, source], check=True)
    os.replace(fresh, library)
    for name in ALIASES:
        if not (CANN / name).is_symlink():
            (CANN / name).symlink_to(library.name)


def environment():
    """The variables under which a program, and whatever it starts, meets simulated NPUs."""

    def first(path, name):
        return os.pathsep.join([str(path), *filter(None, [os.environ.get(name)])])

    return {
        "LD_LIBRARY_PATH": first(CANN, "LD_LIBRARY_PATH"),
        "PYTHONPATH": first(HERE / "hook", "PYTHONPATH"),
        "ASCEND_HOME_PATH": str(CANN),
        "ASCEND_OPP_PATH": str(CANN),
        "PYTHONFAULTHANDLER": "1",  # shows where a program was when acl_sim.c ended it
        "TASK_QUEUE_ENABLE": "0",  # torch_npu calls CANN at once, not from a thread of its own
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
