"""The convolutional towers that embed an imitation or a recording, and how they are pre-trained.

A ConfigError names a number that is out of range, or a stage that does not fit its input.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import torch
from pydantic import ConfigDict
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vocalsketch.errors import ConfigError, refuse_below

# Keras' defaults, under which the authors' networks were trained
BATCH_NORM_MOMENTUM = 0.01
BATCH_NORM_EPSILON = 1e-3

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)
Recurrent = Literal["gru", "lstm"]
FORBIDDEN = ConfigDict(extra="forbid")  # of a geometry that a file describes


@dataclass(frozen=True)
class ConvStage:
    """One stage of a tower: valid convolution, ReLU and, where ``pool`` is given, max pooling.

    Attributes:
        filters: Output channels.
        kernel: (bins, frames) of the convolution kernel; stride 1, no padding.
        pool: (bins, frames) of the max pooling, which is also its stride; what is left over at
            the end is dropped. None leaves the pooling out.
    """

    __pydantic_config__ = FORBIDDEN
    filters: int
    kernel: tuple[int, int]
    pool: tuple[int, int] | None = None


@dataclass(frozen=True)
class TowerGeometry:
    """The stages of a tower, first to last.

    Attributes:
        stages: The convolutional stages.
        batch_norm: Whether each convolution is followed by batch normalisation (as in the
            authors' transfer-learning code; the paper does not speak of it).
        recurrent: A recurrent layer over time, in both directions, after the stages (the paper's
            future work).
        units: Of the recurrent layer, in each direction.
    """

    __pydantic_config__ = FORBIDDEN
    stages: list[ConvStage]
    batch_norm: bool = False
    recurrent: Recurrent | None = None
    units: int = 32

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without those of a recurrent layer where there is none."""
        idle = () if self.recurrent else ("recurrent", "units")
        return {name: value for name, value in asdict(self).items() if name not in idle}

    def sizes(self, input_shape: tuple[int, int]) -> list[tuple[int, int, int]]:
        """Return (filters, bins, frames) after each stage for inputs of (bins, frames)."""
        if not self.stages:
            raise ConfigError("A tower needs at least one stage; stages is empty.")
        refuse_below(1, units=self.units)
        bins, frames = input_shape
        sizes = []
        for number, stage in enumerate(self.stages, start=1):
            if min(stage.filters, *stage.kernel, *(stage.pool or ())) < 1:
                raise ConfigError(
                    f"Stage {number} has filters {stage.filters}, kernel {stage.kernel}, pool "
                    f"{stage.pool}: each must be at least 1."
                )
            for what, (high, long) in (("kernel", stage.kernel), ("pool", stage.pool or (1, 1))):
                if high > bins or long > frames:
                    raise ConfigError(
                        f"Stage {number} does not fit: its {what} is {high}x{long} (bins x "
                        f"frames), what reaches it {bins}x{frames}. Make this {what} or an earlier "
                        "pool smaller."
                    )
                kernel = what == "kernel"
                bins = bins - high + 1 if kernel else bins // high
                frames = frames - long + 1 if kernel else frames // long
            sizes.append((stage.filters, bins, frames))
        return sizes

    def width(self, input_shape: tuple[int, int]) -> int:
        """Return the length of a flattened embedding for inputs of (bins, frames)."""
        filters, bins, frames = self.sizes(input_shape)[-1]
        return frames * (2 * self.units if self.recurrent else filters * bins)


def as_keras(layer: Layer) -> Layer:
    """Give a layer Keras' initial values: Glorot-uniform weights, zero biases."""
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class ConvBlock(nn.Module):
    """Valid convolution, optional batch normalisation, ReLU, optional max pooling."""

    def __init__(self, channels: int, stage: ConvStage, batch_norm: bool) -> None:
        super().__init__()
        self.conv = as_keras(nn.Conv2d(channels, stage.filters, stage.kernel))
        norm = nn.BatchNorm2d(stage.filters, BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM)
        self.norm = norm if batch_norm else None
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool2d(stage.pool) if stage.pool else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (clips, channels, bins, frames) to (clips, filters, smaller bins, frames)."""
        maps = self.conv(inputs)
        maps = maps if self.norm is None else self.norm(maps)
        outputs: Tensor = self.pool(self.activation(maps))
        return outputs


class OverTime(nn.Module):
    """A recurrent layer over time of frames of ``values``, with ``units`` in each direction."""

    def __init__(self, values: int, units: int, kind: Recurrent) -> None:
        super().__init__()
        layer = {"gru": nn.GRU, "lstm": nn.LSTM}[kind]
        self.layer = layer(values, units, batch_first=True, bidirectional=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (clips, filters, bins, frames) to (clips, 2 * units, frames)."""
        steps: Tensor = self.layer(maps.flatten(1, 2).transpose(1, 2))[0]
        return steps.transpose(1, 2)


class Tower(nn.Module):
    """Convolutional stages for (bins, frames), and a flattening (paper, figures 2 and 3)."""

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
        own = deepcopy(block).eval()
        if own.norm is not None:
            own.conv = fuse_conv_bn_eval(own.conv, own.norm)
        layers += [own.conv, own.pool, nn.ReLU()]
    layers += [deepcopy(tower.recurrent), nn.Flatten()]
    return nn.Sequential(*layers).eval().to(memory_format=torch.channels_last)


class Classifier(nn.Module):
    """A tower, fully connected layers and one logit per class (paper, figures 4 and 5).

    Args:
        input_shape: (bins, frames) of a spectrogram.
        tower: Stages of the tower.
        classes: How many classes there are.
        hidden: Units of each hidden layer: 256 under languages, 64 under urban sounds.
        dropout: Dropout after each hidden layer.
    """

    def __init__(
        self,
        input_shape: tuple[int, int],
        tower: TowerGeometry,
        classes: int,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        refuse_below(2, classes=classes)
        refuse_below(1, hidden=min(hidden, default=1))
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"dropout is {dropout}: it must be at least 0 and less than 1.")
        self.tower = Tower(input_shape, tower)
        layers: list[nn.Module] = []
        width = self.tower.width
        for units in hidden:
            layers += [as_keras(nn.Linear(width, units)), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.head = nn.Sequential(*layers, as_keras(nn.Linear(width, classes)))

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Map (clips, bins, frames) to logits (clips, classes)."""
        logits: Tensor = self.head(self.tower(spectrograms))
        return logits


PAIRS_PER_BLOCK = 8192  # keeps the widest activation of a block within a CPU's cache


class MetricHead(nn.Module):
    """Metric learning by a fully connected network (paper, sections IV-C and V-C).

    Its first layer is linear in the concatenation, W[a; b] = Wa a + Wb b. It is therefore held
    as two halves, and each clip's *share* (Wa a, or Wb b plus the bias) is computed once however
    many pairs the clip is in.

    Args:
        imitation_width: Length of an imitation's embedding.
        recording_width: Length of a recording's embedding.
        hidden: Units of each hidden layer, at least one.
        dropout: Probability of dropping a hidden unit in training.
    """

    def __init__(
        self,
        imitation_width: int,
        recording_width: int,
        hidden: Sequence[int] = (432, 32),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        refuse_below(1, hidden=min(hidden, default=0))
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"dropout is {dropout}: it must be at least 0 and less than 1.")
        self.imitation_share = nn.Linear(imitation_width, hidden[0], bias=False)
        self.recording_share = nn.Linear(recording_width, hidden[0])
        layers: list[nn.Module] = []
        for width, following in zip(hidden, [*hidden[1:], 1], strict=True):
            layers += [nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, following)]
        self.rest = nn.Sequential(*layers)
        # Glorot-uniform weights, as of one matrix over the concatenation; zero biases
        bound = (6.0 / (imitation_width + recording_width + hidden[0])) ** 0.5
        nn.init.uniform_(self.imitation_share.weight, -bound, bound)
        nn.init.uniform_(self.recording_share.weight, -bound, bound)
        nn.init.zeros_(self.recording_share.bias)
        for layer in self.rest:
            if isinstance(layer, nn.Linear):
                as_keras(layer)

    def forward(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map embeddings (pairs, widths) to logits (pairs,)."""
        return self.score(self.imitation_share(imitations), self.recording_share(recordings))

    def score(self, imitation_shares: Tensor, recording_shares: Tensor) -> Tensor:
        """Map shares of broadcastable shapes (..., hidden[0]) to logits (...)."""
        logits: Tensor = self.rest(imitation_shares + recording_shares)
        return logits.squeeze(-1)

    def score_matrix(self, imitation_shares: Tensor, recording_shares: Tensor) -> Tensor:
        """Map shares of queries and of candidates to logits (queries, candidates)."""
        if torch.compiler.is_exporting():  # to a graph without loops
            return self.score(imitation_shares.unsqueeze(1), recording_shares)
        rows = max(1, PAIRS_PER_BLOCK // max(1, len(recording_shares)))
        blocks = torch.split(imitation_shares, rows)
        return torch.cat([self.score(block.unsqueeze(1), recording_shares) for block in blocks])
