"""Networks, images and training batches that are drawn from names and numbers: the same on every machine, without a file.

The rule is that of the numbers in test/parity, which other programs can follow.
"""

import zlib

import cv2
import numpy as np
import torch


def drawn_tensor(name: str, shape: tuple, cls_gain: float = 0.002, loc_gain: float = 0.0003) -> np.ndarray:
    """The value of a parameter or buffer, drawn from its own name. The gains keep the scores of a network in a useful range: 10 and 2 for MobileNetV2."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        return (0.5 + rng.rand(*shape)).astype(np.float32)
    if name.endswith("running_mean"):
        return (0.1 * rng.randn(*shape)).astype(np.float32)
    if len(shape) > 1:
        gain = {"cls": cls_gain, "loc": loc_gain}[name.split(".")[-4]] if ".head.3." in name else 1.0
        return (gain * rng.randn(*shape) * np.sqrt(2.0 / np.prod(shape[1:]))).astype(np.float32)
    if name.endswith(".bias"):
        return (0.05 * rng.randn(*shape)).astype(np.float32)
    return (0.4 + 0.2 * rng.rand(*shape)).astype(np.float32)


def draw_weights(model: torch.nn.Module, **gains) -> torch.nn.Module:
    """The model, with all parameters and buffers drawn; `gains` as `drawn_tensor` takes them."""
    model.load_state_dict(
        {
            n: torch.from_numpy(np.asarray(drawn_tensor(n, tuple(v.shape), **gains)))
            for n, v in model.state_dict().items()
        }
    )
    return model


def drawn_image(tag: str, height: int, width: int) -> np.ndarray:
    """A smooth random BGR image, (height, width, 3) uint8."""
    rng = np.random.RandomState(zlib.crc32(tag.encode()))
    blocks = rng.randint(0, 256, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    return np.clip(cv2.resize(blocks, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def drawn_batch(size: int, search: int, score: int) -> dict[str, torch.Tensor]:
    """A training batch of `size` pairs, float32: search crops of `search` pixels, labels of `score` cells per side (13 or more) and 5 anchors."""
    rng = np.random.RandomState(7)

    def nchw(tag: str, side: int) -> np.ndarray:
        return np.ascontiguousarray(
            np.stack([drawn_image(f"{tag}{i}", side, side) for i in range(size)]).transpose(0, 3, 1, 2)
        ).astype(np.float32)

    images = {"template": nchw("t", 127), "search": nchw("s", search)}
    label = -np.ones((size, 5, score, score), np.int64)
    label[:, :, 8:12, 8:12] = rng.randint(-1, 2, (size, 5, 4, 4))
    label[:, :, 0:3, 0:3] = 0
    weight = (label == 1) / np.maximum(1, (label == 1).sum(axis=(1, 2, 3), keepdims=True))
    labels = {
        "label_cls": label,
        "label_loc": (0.3 * rng.randn(size, 4, 5, score, score)).astype(np.float32),
        "label_loc_weight": weight.astype(np.float32),
    }
    return {name: torch.from_numpy(value) for name, value in {**images, **labels}.items()}


class Batches(list):
    """A loader of given batches, and its own batch sampler; it notes the epochs that it was set to."""

    def __init__(self, batches):
        super().__init__(batches)
        self.batch_sampler, self.epochs, self.start_step = self, [], 0

    def set_epoch(self, epoch: int, start_step: int = 0) -> None:
        """Begin an epoch, at a step of it."""
        self.epochs.append(epoch)
        self.start_step = start_step

    def __iter__(self):
        return iter(self[self.start_step :])
