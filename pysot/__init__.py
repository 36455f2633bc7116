"""SiamRPN++ for Ascend NPU, CUDA and CPU: training, tracking and evaluation."""

__version__ = "1.0.0"
