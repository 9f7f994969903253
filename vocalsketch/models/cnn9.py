"""The CNN9 of aisfx, trained to index sound effects.

Ma and Lerch, "Representation learning for the automatic indexing of sound effects libraries",
ISMIR 2022; Kong et al., "DCASE 2018 challenge surrey cross-task convolutional neural network
baseline", arXiv:1808.00773.
"""

import re
from collections.abc import Mapping

from torch import Tensor, nn

FILTERS = (64, 128, 256, 512)


class Cnn9(nn.Sequential):
    """Maps spectrograms (clips, channels, bands, frames) to maps of an eighth of both, floored.

    Args:
        channels: Of the input.

    Attributes:
        values: Of each place: 512.
    """

    def __init__(self, channels: int = 1) -> None:
        sizes = (channels, *FILTERS)
        blocks = [
            nn.Sequential(stage(before, after, 3), stage(after, after, 3), nn.MaxPool2d(2))
            for before, after in zip(sizes, FILTERS, strict=False)
        ]
        super().__init__(*blocks[:-1], blocks[-1][:2])
        self.values = FILTERS[-1]

    @staticmethod
    def released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a release's weights by this network's names; its kernels are (time, band)."""

        def own(name: str) -> str:
            found = re.fullmatch(r"embedding_net\.conv_block(\d)\.(conv|bn)(\d)\.(\w+)", name)
            if not found:
                return name
            block, kind, number, rest = found.groups()
            return f"{int(block) - 1}.{int(number) - 1}.{int(kind == 'bn')}.{rest}"

        return {
            own(name): value.mT if value.dim() == 4 else value for name, value in weights.items()
        }


def stage(
    before: int, after: int, kernel: int, norm: bool = True, stride: int = 1
) -> nn.Sequential:
    """Return a convolution, batch normalisation where asked for, and a ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=not norm)
    ]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(after)] if norm else []), nn.ReLU())
