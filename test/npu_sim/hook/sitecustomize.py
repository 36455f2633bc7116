"""Install the simulated kernels as soon as torch_npu is imported. Python imports this module when it starts."""

import importlib.abc
import importlib.util
import sys
from pathlib import Path


class TorchNpuFinder(importlib.abc.MetaPathFinder):
    """Import hook that extends the loader of torch_npu."""

    def find_spec(self, name, path, target=None):
        if name != "torch_npu":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (execute(module), load("kernels").install())
        return spec


def load(name):
    """Return a module of the parent folder, which is not on the program's path."""
    spec = importlib.util.spec_from_file_location(f"npu_sim_{name}", Path(__file__).parents[1] / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.meta_path.insert(0, TorchNpuFinder())
