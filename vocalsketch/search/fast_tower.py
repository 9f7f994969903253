"""A trained tower, rearranged to embed a library in a third of the time."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vocalsketch.models.tower import ConvBlock, Tower


class FastTower(nn.Module):
    """The same function as a tower in evaluation mode, to rounding.

    Batch normalisation is folded into the convolution before it, and pooling comes before ReLU:
    both rise, so that they may change places, and ReLU then has an eighth of the work. Channels
    lie last in memory, which a convolution of a single channel is several times faster with.

    Args:
        tower: A trained tower; it is not changed.
    """

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for block in tower.stages:
            assert isinstance(block, ConvBlock)
            norm, pool = block.norm, block.pool
            conv = deepcopy(block.conv)
            layers.append(conv if norm is None else fuse_conv_bn_eval(conv, norm))
            layers += [nn.ReLU()] if pool is None else [pool, nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.layers.eval().to(memory_format=torch.channels_last)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Map (clips, bins, frames) to embeddings (clips, width)."""
        outputs: Tensor = self.layers(spectrograms.unsqueeze(1))
        return outputs.flatten(start_dim=1)
