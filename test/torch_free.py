"""The files that work without torch: scores, and tracking with networks that something else computes."""

from pathlib import Path

from helpers import ROOT

_PATTERNS = (
    "pysot/__init__.py",
    "pysot/toolkit/**/*.py",
    "toolkit/**/*.py",
    *(
        f"pysot/deploy/{name}.py"
        for name in (
            "__init__",
            "ascend",
            "cann_operators",
            "engine",
            "engine_network",
            "engines",
            "om_engine",
            "onnxruntime_engine",
            "openvino_engine",
            "package",
            "tracker",
            "verification",
        )
    ),
    *(
        f"pysot/tracker/{name}.py"
        for name in (
            "__init__",
            "batch_tracker",
            "crop_threads",
            "frame_maths",
            "host_step",
            "network",
            "one_target",
            "settings",
            "target_mask",
            "templates",
        )
    ),
    *(
        f"pysot/utils/{name}.py"
        for name in (
            "__init__",
            "anchor",
            "bbox",
            "box_files",
            "cores",
            "doctor",
            "expand",
            "files",
            "first_seen",
            "frames",
            "image",
            "latency",
            "live",
            "masks",
            "numbers",
            "points",
            "registry",
            "signals",
            "start_box",
            "visualize",
            "window",
        )
    ),
    "pysot/datasets/annotation.py",
    "pysot/reproduction/[!i]*.py",  # input_builder reads the config
    "pysot/reproduction/inputs.py",
    *(
        f"tools/{name}.py"
        for name in (
            "_arguments",
            "_cli",
            "_reproduce",
            "reproduce",
            "_demo",
            "_engine_tracking",
            "_terminal",
            "_torch_import",
            "_track",
            "demo",
            "eval",
            "test",
        )
    ),
)
TORCH_FREE: list[Path] = sorted(path for pattern in _PATTERNS for path in ROOT.glob(pattern))
# What the base of setup.py does not install, and what trackers do not need of it.
NOT_INSTALLED = ("torch", "yacs", "tensorboardX")
