"""Install the package; nothing is compiled. requirements.txt pins the tested versions.

`pip install -e '.[train]'` is for training, tracking and scores, `pip install '.[deploy]'` for scores and for tracking
with an exported tracker, without torch.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
TRAIN = ["torch>=2.6", "yacs>=0.1.8", "tensorboardX>=2.6"]
DEPLOY = ["onnxruntime>=1.23"]
OPENVINO = ["openvino>=2026.1"]
PHOTOS = ["scikit-image>=0.22"]
EXPORT = [*TRAIN, *DEPLOY, "onnx>=1.19", "onnxslim>=0.1.80", *PHOTOS]
COCO = ["pycocotools>=2.0.7"]
TUNE = [*TRAIN, "optuna>=4.9", "scipy>=1.11"]
# 0.7.4 runs the experiments of all stacks up to 2025; a newer attributee breaks its import on Python 3.11. It wants
# opencv-python, whose cv2 replaces that of opencv-python-headless if it is not the same version.
VOT = [
    *TRAIN,
    "vot-toolkit==0.7.4",
    "vot-trax>=4.0.2",
    "attributee<0.1.10",
    "opencv-python>=4.8",
]

setup(
    name="pysot",
    version="1.0.0",
    description="SiamRPN++ tracking for Ascend NPU, CUDA and CPU: training, tracking, VOT evaluation",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["pysot", "pysot.*", "toolkit", "toolkit.*"]),
    package_data={"pysot": ["py.typed"], "pysot.toolkit.report": ["templates/*"]},  # py.typed: annotations may be used
    install_requires=[
        "numpy>=1.26",
        "opencv-python-headless>=4.8",
        "tqdm>=4.60",
        "colorama>=0.4.6",
        "bracex>=2.4",
        "pillow>=10",
        "matplotlib>=3.7",
        "jinja2>=3.1",
        "plotly>=6",
    ],
    extras_require={
        "train": TRAIN,
        "deploy": DEPLOY,
        "openvino": OPENVINO,
        "export": EXPORT,
        "quickstart": PHOTOS,
        "masks": COCO,
        "tune": TUNE,
        "vot": VOT,
        "npu": [*TRAIN, "torch_npu>=2.6"],
        "test": [
            *EXPORT,
            *(f'{name}; platform_machine != "aarch64"' for name in OPENVINO),
            *COCO,
            *TUNE,
            "pytest>=8",
            "hypothesis>=6.100",
            "ruff>=0.9",
            "mypy>=1.11",
            "playwright>=1.50",
            "axe-playwright-python>=0.1.4",
        ],
    },
)
