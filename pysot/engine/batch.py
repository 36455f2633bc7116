"""A batch of training items where it is used: its images cross from the loader as bytes and become float on the device.

Shapes: batch B, template side z, search side x.
"""

import torch


def float_images(
    batch: dict[str, torch.Tensor], memory_format: torch.memory_format = torch.contiguous_format
) -> dict[str, torch.Tensor]:
    """A batch whose `template` (B, 3, z, z) and `search` (B, 3, x, x) are float32 in `memory_format`, changed by their `template_light` and `search_light`
    (B, 3), which are no longer among its keys. A batch may be without light, and its images may be float already.
    """
    result = {name: value for name, value in batch.items() if not name.endswith("_light")}
    for name in ("template", "search"):
        image, light = batch[name].float(), batch.get(f"{name}_light")
        image = image if light is None else image - light[:, :, None, None]
        result[name] = image.contiguous(
            memory_format=memory_format
        )  # last: broadcasting over channels that lie side by side is slow
    return result
