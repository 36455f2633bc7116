"""Convert torchvision's ImageNet weights to a backbone file."""

import _cli

_cli.prepare_process()

import torch

import _arguments
from pysot.models.pretrained import convert_torchvision
from pysot.utils.files import atomic_write
from pysot.utils.model_load import read_checkpoint

EXAMPLES = (
    "python tools/convert_pretrained.py resnet50 resnet50-0676ba61.pth pretrained_models/resnet50.model",
    "python tools/convert_pretrained.py alexnet alexnet-owt-7be5be79.pth pretrained_models/alexnet-bn.pth",
)


def main() -> None:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    parser.add_argument("arch", help="resnet18, resnet34, resnet50, alexnet, alexnetlegacy or mobilenetv2")
    parser.add_argument("source", help="torchvision's file")
    parser.add_argument("target", help="file to write, for BACKBONE.PRETRAINED")
    args = parser.parse_args()
    state = convert_torchvision(read_checkpoint(args.source)["state_dict"], args.arch)
    with atomic_write(args.target, "wb") as stream:
        torch.save(state, stream)
    print(f"wrote {len(state)} tensors of {args.arch} to {args.target}")


if __name__ == "__main__":
    _cli.run(main)
