"""Settings of the trackers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackSettings:
    """Values of the TRACK and ANCHOR or POINT sections of the config, see pysot/core/config.py.

    Sizes are pixels of the network input. With `points` the network has no anchors: `ratios` and `scales` are unused.
    For `find_targets` of several targets, the first three may be arrays (N, 1) with a number for each.
    """

    penalty_k: float
    window_influence: float
    lr: float
    exemplar_size: int
    instance_size: int
    base_size: int
    context_amount: float
    stride: int
    ratios: tuple[float, ...]
    scales: tuple[float, ...]
    points: bool = False
    lost_instance_size: int = 831
    confidence_low: float = 0.85
    confidence_high: float = 0.998
    mask_threshold: float = 0.3
    mask_size: int = 127
    mask_output: bool = False

    def score_size(self, instance_size: int) -> int:
        """Return the number of cells per side of the score map of a search crop of `instance_size` pixels."""
        return (instance_size - self.exemplar_size) // self.stride + 1 + self.base_size


@dataclass(frozen=True)
class Execution:
    """How a network of torch tracks: PRECISION, CROPS, GRAPH and COMPILE of the TRACK section of the config.

    `precision` is fp32, fp16 or bf16, `crops` auto, host or device, `graph` auto or off.
    """

    precision: str = "fp32"
    crops: str = "auto"
    graph: str = "auto"
    compiled: bool = False
