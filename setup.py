"""Install the package: pip install -e . (nothing is compiled). requirements.txt pins the tested versions."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="pysot",
    version="1.0.0",
    description="SiamRPN++ tracking for Ascend NPU, CUDA and CPU: training, tracking, VOT evaluation",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["pysot", "pysot.*"]),
    package_data={"pysot": ["py.typed"]},  # says that the annotations may be used
    install_requires=[
        "torch>=2.6",
        "numpy>=1.26",
        "opencv-python-headless>=4.8",
        "yacs>=0.1.8",
        "tqdm>=4.60",
        "bracex>=2.4",
        "pillow>=10",
        "tensorboardX>=2.6",
        "matplotlib>=3.7",
    ],
    extras_require={
        "quickstart": ["scikit-image>=0.22"],
        "masks": ["pycocotools>=2.0.7"],
        "npu": ["torch_npu>=2.6"],
        "test": [
            "pytest>=8",
            "hypothesis>=6.100",
            "ruff>=0.9",
            "mypy>=1.11",
            "scikit-image>=0.22",
            "pycocotools>=2.0.7",
        ],
    },
)
