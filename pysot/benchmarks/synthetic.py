"""Deterministic synthetic weights, images and training batches.

A random generator is seeded with the name of each tensor or image. The values are therefore the same on every machine,
without a file. The reference numbers in test/parity follow the same rule, which other programs can reproduce.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from pysot.datasets.point_target import PointTarget
from pysot.utils.bbox import Center, center2corner

Model = TypeVar("Model", bound=torch.nn.Module)
Batch = dict[str, torch.Tensor]


def synthetic_tensor(name: str, shape: tuple, cls_gain: float = 0.002, loc_gain: float = 0.0003) -> np.ndarray:
    """Return the value of the parameter or buffer `name`.

    The gains scale the last layers of the classification and the regression head. They keep the outputs of a network in
    a useful range: the defaults fit most networks, MobileNetV2 needs 10 and 2.
    """
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        return (0.5 + rng.rand(*shape)).astype(np.float32)
    if name.endswith("running_mean"):
        return (0.1 * rng.randn(*shape)).astype(np.float32)
    if len(shape) > 1:
        gain = {"cls": cls_gain, "loc": loc_gain}.get(name.split(".")[-4], 1.0) if ".head.3." in name else 1.0
        return (gain * rng.randn(*shape) * np.sqrt(2.0 / np.prod(shape[1:]))).astype(np.float32)
    if name.endswith(".bias"):
        return (0.05 * rng.randn(*shape)).astype(np.float32)
    return (0.4 + 0.2 * rng.rand(*shape)).astype(np.float32)


def load_synthetic_weights(model: Model, **gains: float) -> Model:
    """Set all parameters and buffers of `model` to synthetic values and return it; `gains` as in `synthetic_tensor`."""
    values = {
        name: torch.from_numpy(np.asarray(synthetic_tensor(name, tuple(value.shape), **gains)))
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(values)
    return model


def load_nano_weights(model: Model) -> Model:
    """Set the weights of NanoTrack V3 to synthetic values with useful outputs, and return it.

    Its distances are near 33 pixels. With `load_synthetic_weights` alone, features vanish in its many layers.
    """
    load_synthetic_weights(model)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.weight.data *= 1.4
    for name, gain, shift in (("cls_logits", 1.0, 0.0), ("bbox_pred", 2.0, 3.5)):
        last = model.get_submodule(f"ban_head.{name}.0")
        last.get_parameter("weight").data *= gain
        last.get_parameter("bias").data += shift
    return model


def synthetic_image(name: str, height: int, width: int) -> np.ndarray:
    """Return a smooth random BGR image, (height, width, 3) uint8, drawn from its name."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    blocks = rng.randint(0, 256, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    return np.clip(cv2.resize(blocks, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def synthetic_batch(size: int, search_size: int, output_size: int) -> Batch:
    """Return a training batch of `size` pairs, float32, with 5 anchors per cell.

    Search crops have `search_size` pixels, labels have `output_size` cells per side.
    """
    rng = np.random.RandomState(7)

    def draw_crops(prefix: str, side: int) -> np.ndarray:
        """Return `size` images as (size, 3, side, side)."""
        crops = np.stack([synthetic_image(f"{prefix}{index}", side, side) for index in range(size)])
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2)).astype(np.float32)

    images = {"template": draw_crops("t", 127), "search": draw_crops("s", search_size)}
    label = -np.ones((size, 5, output_size, output_size), np.int64)
    if output_size > 12:
        label[:, :, 8:12, 8:12] = rng.randint(-1, 2, (size, 5, 4, 4))
        label[:, :, 0:3, 0:3] = 0
    else:
        label[:] = rng.randint(-1, 2, label.shape)
    weight = (label == 1) / np.maximum(1, (label == 1).sum(axis=(1, 2, 3), keepdims=True))
    labels = {
        "label_cls": label,
        "label_loc": (0.3 * rng.randn(size, 4, 5, output_size, output_size)).astype(np.float32),
        "label_loc_weight": weight.astype(np.float32),
    }
    return {name: torch.from_numpy(value) for name, value in {**images, **labels}.items()}


def add_points(batch: Batch, stride: int) -> Batch:
    """Return a batch with the labels of points `stride` pixels apart, of boxes near the centre of the search crops."""
    side, count = batch["search"].shape[-1], batch["label_cls"].shape[-1]
    make_labels = PointTarget(stride, side, count, pos_num=16, neg_num=16, total_num=64)
    rng = np.random.default_rng(5)
    items = []
    for _ in batch["search"]:
        centre, size = side / 2 + rng.uniform(-30, 30, 2), rng.uniform(50, 110, 2)
        items.append(make_labels(rng, center2corner(Center(*centre, *size)), negative=False))
    labels, distances = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*items, strict=True))
    images = {name: batch[name] for name in ("template", "search")}
    return {**images, "label_cls": labels, "label_loc": distances}


class Batches(list[Batch]):
    """Loader of given batches, which is also its own batch sampler. `epochs` lists the epochs that were set."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        super().__init__(batches)
        self.batch_sampler = self
        self.epochs: list[int] = []
        self.start_step = 0

    def set_epoch(self, epoch: int, start_step: int = 0) -> None:
        """Begin an epoch at one of its steps."""
        self.epochs.append(epoch)
        self.start_step = start_step

    def __iter__(self) -> Iterator[Batch]:
        return iter(self[self.start_step :])
