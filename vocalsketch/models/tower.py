"""The convolutional towers that embed an imitation or a recording."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vocalsketch.models.geometry import ConvStage, Recurrent, TowerGeometry

# Keras' defaults, under which the authors' networks were trained
BATCH_NORM_MOMENTUM = 0.01
BATCH_NORM_EPSILON = 1e-3


class ConvBlock(nn.Module):
    """Valid convolution, optional batch normalisation, ReLU, optional max pooling."""

    def __init__(self, channels: int, stage: ConvStage, batch_norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, stage.filters, stage.kernel)
        self.norm = (
            nn.BatchNorm2d(stage.filters, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
            if batch_norm
            else None
        )
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool2d(stage.pool) if stage.pool is not None else None
        nn.init.xavier_uniform_(self.conv.weight)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (clips, channels, bins, frames) to (clips, filters, smaller bins, frames)."""
        outputs: Tensor = self.conv(inputs)
        if self.norm is not None:
            outputs = self.norm(outputs)
        outputs = self.activation(outputs)
        return outputs if self.pool is None else self.pool(outputs)


class OverTime(nn.Module):
    """A recurrent layer over time, in both directions.

    Args:
        values: Of a frame.
        units: In each direction.
        kind: ``gru`` or ``lstm``.
    """

    def __init__(self, values: int, units: int, kind: Recurrent) -> None:
        super().__init__()
        layer = {"gru": nn.GRU, "lstm": nn.LSTM}[kind]
        self.layer = layer(values, units, batch_first=True, bidirectional=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (clips, filters, bins, frames) to (clips, 2 * units, frames)."""
        steps: Tensor = self.layer(maps.flatten(1, 2).transpose(1, 2))[0]
        return steps.transpose(1, 2)


class Tower(nn.Module):
    """A stack of convolutional stages and a flattening (paper, figures 2 and 3).

    Args:
        input_shape: (bins, frames) of a spectrogram.
        geometry: The stages.

    Raises:
        ConfigError: The stages do not fit the input.
    """

    def __init__(self, input_shape: tuple[int, int], geometry: TowerGeometry) -> None:
        super().__init__()
        self.input_shape = (input_shape[0], input_shape[1])
        self.width = geometry.width(input_shape)
        channels = [1, *(stage.filters for stage in geometry.stages)]
        self.stages = nn.ModuleList(
            ConvBlock(channels[index], stage, geometry.batch_norm)
            for index, stage in enumerate(geometry.stages)
        )
        filters, bins, _ = geometry.sizes(input_shape)[-1]
        self.recurrent = (
            OverTime(filters * bins, geometry.units, geometry.recurrent)
            if geometry.recurrent
            else nn.Identity()
        )

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Map (clips, bins, frames) to embeddings (clips, width)."""
        outputs: Tensor = spectrograms.unsqueeze(1)
        for stage in self.stages:
            outputs = stage(outputs)
        outputs = self.recurrent(outputs)
        return outputs.flatten(start_dim=1)


def fast_tower(tower: Tower) -> nn.Module:
    """Return a trained tower's function, to rounding, rearranged to embed many clips on a CPU.

    Batch normalisation is folded into the convolution before it, and pooling comes before ReLU:
    both rise, so that they may change places, and ReLU then has an eighth of the work. Channels
    lie last in memory, which a convolution of a single channel is several times faster with.
    """
    layers: list[nn.Module] = [nn.Unflatten(1, (1, tower.input_shape[0]))]
    for block in tower.stages:
        assert isinstance(block, ConvBlock)
        norm, pool = block.norm, block.pool
        conv = deepcopy(block.conv).eval()
        layers.append(conv if norm is None else fuse_conv_bn_eval(conv, deepcopy(norm).eval()))
        layers += [nn.ReLU()] if pool is None else [pool, nn.ReLU()]
    layers += [deepcopy(tower.recurrent), nn.Flatten()]
    return nn.Sequential(*layers).eval().to(memory_format=torch.channels_last)
