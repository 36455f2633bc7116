"""Commands of the tools that track, with a small untrained network."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from helpers import ROOT
from pysot.core.config import load_config
from pysot.models.model_builder import build_model

CONFIG = ROOT / "experiments" / "siamrpn_alex_dwxcorr" / "config.yaml"
# There is no display to open a window on.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}


def tool_command(name, *args):
    """Return the command line of a tool with the config of the network, on the CPU."""
    return [sys.executable, str(ROOT / "tools" / name), "--config", str(CONFIG), "--device", "cpu", *map(str, args)]


def run_tool(name, *args, cwd):
    return subprocess.run(tool_command(name, *args), capture_output=True, text=True, cwd=cwd, env=ENVIRONMENT)


def save_snapshot(folder: Path) -> Path:
    """Write a checkpoint of the untrained network."""
    path = folder / "checkpoint_e1.pth"
    torch.manual_seed(0)
    torch.save({"epoch": 1, "state_dict": build_model(load_config(str(CONFIG))).state_dict(), "optimizer": {}}, path)
    return path
