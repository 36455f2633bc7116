"""Preparation of a training batch on the device: images are transferred as bytes and converted to float there.

Shapes: batch B, template side z, search side x.
"""

import torch

from pysot.utils.packed_tensors import PackedTensors


def float_images(
    batch: dict[str, torch.Tensor] | PackedTensors, memory_format: torch.memory_format = torch.contiguous_format
) -> dict[str, torch.Tensor]:
    """Return a batch whose `template` (B, 3, z, z) and `search` (B, 3, x, x) are float32 in `memory_format`.

    The lighting shifts `template_light` and `search_light` (B, 3) are subtracted, and their keys are removed. A batch
    may have no lighting shift, and its images may already be float.
    """
    result = {name: value for name, value in batch.items() if not name.endswith("_light")}
    for name in ("template", "search"):
        image, light = batch[name].float(), batch.get(f"{name}_light")
        image = image if light is None else image - light[:, :, None, None]
        # The conversion comes last: broadcasting is slow in the channels_last format.
        result[name] = image.contiguous(memory_format=memory_format)
    return result
