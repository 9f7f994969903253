"""An encoder that keeps coarse places in time."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocalsketch.errors import ConfigError, refuse_below
from vocalsketch.models.backbones import BACKBONES, stage
from vocalsketch.models.tower import FORBIDDEN, OverTime, Recurrent


@dataclass(frozen=True)
class EncoderGeometry:
    """All that must be known to build an encoder.

    Attributes:
        filters: Of each convolution; the first has 5 x 5 kernels and a stride of 2, the others
            3 x 3 kernels and max-pooling by 2.
        places: In time, that are kept: imitations keep the order of what happens, and pooling all
            of time away loses it.
        width: Numbers in an embedding; None leaves the projection out, and as many as there are.
        batch_norm: Whether batch normalisation follows each convolution.
        recurrent: A recurrent layer over time, in both directions, before places are kept.
        units: Of the recurrent layer, in each direction.
        dropout: Before the projection.
        backbone: A network in place of the convolutions, one of ``BACKBONES``, whose bands are
            averaged.
    """

    __pydantic_config__ = FORBIDDEN
    filters: tuple[int, ...] = (16, 32, 64, 96)
    places: int = 8
    width: int | None = 128
    batch_norm: bool = True
    recurrent: Recurrent | None = None
    units: int = 96
    dropout: float = 0.0
    backbone: str | None = None

    def __post_init__(self) -> None:
        width = 1 if self.width is None else self.width
        refuse_below(1, places=self.places, width=width, units=self.units)
        refuse_below(1, filters=min(self.filters, default=0))
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}: give at least 0 and less than 1.")
        if self.backbone is not None and self.backbone not in BACKBONES:
            known = ", ".join(BACKBONES)
            raise ConfigError(f"backbone is {self.backbone!r}: choose one of {known}.")


class Encoder(nn.Module):
    """Maps spectrograms (clips, channels, bins, frames) to embeddings of length 1, (clips, width).

    Args:
        bins: Of a spectrogram; each convolution halves them.
        geometry: All else.
        channels: Of the input.

    Raises:
        ConfigError: There are too few bins for that many convolutions.
    """

    def __init__(self, bins: int, geometry: EncoderGeometry, channels: int = 1) -> None:
        super().__init__()
        self.places = geometry.places
        if geometry.backbone:
            backbone = BACKBONES[geometry.backbone](channels)
            self.convolutions: nn.Sequential = backbone
            values = backbone.values
        else:
            self.convolutions, values = _convolutions(bins, geometry, channels)
        self.average_bands = geometry.backbone is not None
        self.frozen = False  # whether training leaves the convolutions as they are
        self.recurrent: nn.Module = nn.Flatten(1, 2)
        if geometry.recurrent:
            self.recurrent = OverTime(values, geometry.units, geometry.recurrent)
            values = 2 * geometry.units
        self.dropout = nn.Dropout(geometry.dropout)
        values *= geometry.places
        self.projection = nn.Linear(values, geometry.width) if geometry.width else nn.Identity()

    def freeze(self) -> None:
        """Keep the convolutions, and their normalisation, as they are."""
        self.frozen = True
        self.convolutions.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Turn training on or off, but for what is frozen."""
        super().train(mode)
        if self.frozen:
            self.convolutions.eval()
        return self

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Return embeddings."""
        maps = self.convolutions(spectrograms)  # (clips, filters, rows, frames)
        steps = self.recurrent(maps.mean(2, keepdim=True) if self.average_bands else maps)
        kept = _averages(steps, self.places).flatten(1)
        return functional.normalize(self.projection(self.dropout(kept)).float(), dim=1)


def _convolutions(bins: int, geometry: EncoderGeometry, channels: int) -> tuple[nn.Sequential, int]:
    """Return the stages, and how many values they make of a frame."""
    rows = -(-bins // 2) // 2 ** (len(geometry.filters) - 1)
    if rows < 1:
        raise ConfigError(
            f"{len(geometry.filters)} convolutions halve {bins} bins away: give fewer filters, "
            "or a front end of more bands."
        )
    first, *others = geometry.filters
    stages: list[nn.Module] = [stage(channels, first, 5, geometry.batch_norm, stride=2)]
    for before, after in zip(geometry.filters, others, strict=False):
        stages += [stage(before, after, 3, geometry.batch_norm), nn.MaxPool2d(2)]
    return nn.Sequential(*stages), geometry.filters[-1] * rows


def _averages(steps: Tensor, places: int) -> Tensor:
    """Return averages over equal parts of time, (clips, values, frames) to (clips, values, places).

    The same as adaptive average pooling, as a matrix product that every exporter knows.
    """
    frames = steps.shape[2]
    weights = torch.zeros(frames, places)
    for place in range(places):
        first, last = place * frames // places, -(-(place + 1) * frames // places)
        weights[first:last, place] = 1 / (last - first)
    return steps @ weights.to(steps)
