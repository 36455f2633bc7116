"""Python imports this at its start: it waits for torch_npu, and adds the kernels to it."""

import importlib.abc
import importlib.util
import sys
from pathlib import Path


class Watch(importlib.abc.MetaPathFinder):
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
    """A module of the folder above, which is not on the program's path."""
    spec = importlib.util.spec_from_file_location(f"npu_sim_{name}", Path(__file__).parents[1] / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.meta_path.insert(0, Watch())
