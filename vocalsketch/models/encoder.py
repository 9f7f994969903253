"""An encoder that keeps coarse places in time."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocalsketch.datasets.weights import MOBILENETS
from vocalsketch.errors import ConfigError, refuse_below
from vocalsketch.models.tower import FORBIDDEN, OverTime, Recurrent


@dataclass(frozen=True)
class EncoderGeometry:
    """All that must be known to build an encoder.

    Attributes:
        filters: Of each convolution; the first has 5 x 5 kernels and a stride of 2, the others
            3 x 3 kernels and max-pooling by 2. Of features without time, units of each layer.
        places: In time, that are kept: imitations keep the order of what happens, and pooling all
            of time away loses it.
        width: Numbers in an embedding; None leaves the projection out, and as many as there are.
        batch_norm: Whether batch normalisation follows each convolution.
        recurrent: A recurrent layer over time, in both directions, before places are kept.
        units: Of the recurrent layer, in each direction.
        dropout: Before the projection; of features without time, before each layer.
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
        timeless: Whether there is one frame only, of numbers that are no neighbours: a perceptron
            takes the convolutions' place.

    Raises:
        ConfigError: There are too few bins for that many convolutions, or places without time.
    """

    def __init__(
        self, bins: int, geometry: EncoderGeometry, channels: int = 1, timeless: bool = False
    ) -> None:
        super().__init__()
        self.places = geometry.places
        if timeless:
            if geometry.places > 1 or geometry.backbone:
                raise ConfigError(
                    f"places is {geometry.places} and backbone {geometry.backbone}, but features "
                    "without time have one place: give 1 and null, or another front end."
                )
            self.convolutions: nn.Sequential = _perceptron(bins, geometry)
            values = geometry.filters[-1]
        elif geometry.backbone:
            backbone = BACKBONES[geometry.backbone](channels)
            self.convolutions = backbone
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
    norm = nn.BatchNorm2d if geometry.batch_norm else None
    stages: list[nn.Module] = [stage(channels, first, 5, stride=2, norm=norm)]
    for before, after in zip(geometry.filters, others, strict=False):
        stages += [stage(before, after, 3, norm=norm), nn.MaxPool2d(2)]
    return nn.Sequential(*stages), geometry.filters[-1] * rows


def _perceptron(bins: int, geometry: EncoderGeometry) -> nn.Sequential:
    """Return layers over numbers that are each standardised by what training met."""
    norm = nn.BatchNorm1d if geometry.batch_norm else nn.Identity
    layers: list[nn.Module] = [nn.Flatten(), norm(bins)]
    for before, after in pairwise((bins, *geometry.filters)):
        layers += [nn.Dropout(geometry.dropout), nn.Linear(before, after), norm(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Unflatten(1, (geometry.filters[-1], 1, 1)))


def _averages(steps: Tensor, places: int) -> Tensor:
    """Return adaptive averages over time, (clips, values, places), as every exporter knows them."""
    frames = steps.shape[2]
    weights = torch.zeros(frames, places)
    for place in range(places):
        first, last = place * frames // places, -(-(place + 1) * frames // places)
        weights[first:last, place] = 1 / (last - first)
    return steps @ weights.to(steps)


STEM = 16  # filters before the first block
# kernel, expanded, filters, squeeze and excitation, hard swish (else ReLU), stride
BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
WIDENING = 6  # of the last convolution


class MobileNet(nn.Sequential):
    """MobileNetV3 for spectrograms: the mn family of EfficientAT, whose released weights fit it.

    Maps (clips, channels, bands, frames) to maps of a 32nd of both, rounded up.

    Source: Schmid, Koutini and Widmer, ICASSP 2023, arXiv:2211.04772; Howard et al., ICCV 2019,
    arXiv:1905.02244, table 1.

    Args:
        name: Such as ``mn10``: how wide it is, in tenths of MobileNetV3-Large.
        channels: Of the input.

    Attributes:
        values: Of each place: 960 of ``mn10``.
    """

    def __init__(self, name: str, channels: int = 1) -> None:
        width = int(name.removeprefix("mn")) / 10
        before = _whole(STEM * width)
        layers: list[nn.Module] = [convolution(channels, before, 3, nn.Hardswish, stride=2)]
        for kernel, expanded, filters, squeeze, swish, stride in BLOCKS:
            sizes = before, _whole(expanded * width), _whole(filters * width)
            activation = nn.Hardswish if swish else nn.ReLU
            layers.append(_Block(sizes, kernel, stride, activation, squeeze=squeeze))
            before = sizes[-1]
        super().__init__(*layers, convolution(before, WIDENING * before, 1, nn.Hardswish))
        self.values = WIDENING * before
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    @staticmethod
    def released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a release's weights by this network's names, without its classifier."""
        return {
            name.removeprefix("features.").replace("conc_se_layers.0.", ""): value
            for name, value in weights.items()
            if not name.startswith("classifier.")
        }


class _Block(nn.Module):
    """An inverted residual: expand, filter each channel, weigh the channels, project."""

    def __init__(
        self,
        sizes: tuple[int, int, int],
        kernel: int,
        stride: int,
        activation: type[nn.Module],
        *,
        squeeze: bool,
    ) -> None:
        super().__init__()
        before, expanded, after = sizes
        filtered = convolution(expanded, expanded, kernel, activation, stride, groups=expanded)
        self.block = nn.Sequential(
            *([convolution(before, expanded, 1, activation)] if expanded != before else []),
            filtered,
            *([_Excitation(expanded)] if squeeze else []),
            convolution(expanded, after, 1, None),
        )
        self.residual = stride == 1 and before == after

    def forward(self, maps: Tensor) -> Tensor:
        """Map (clips, filters, rows, frames) to maps of the block's filters and stride."""
        passed: Tensor = self.block(maps)
        return passed + maps if self.residual else passed


class _Excitation(nn.Module):
    """Weighs channels by what all places of a clip have on average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _whole(channels // 4)
        self.fc1, self.fc2 = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return weighed maps."""
        weights = self.fc2(self.fc1(maps.mean((2, 3))).relu()).sigmoid()
        weighed: Tensor = maps * weights[..., None, None]
        return weighed


def stage(
    before: int,
    after: int,
    kernel: int,
    activation: type[nn.Module] | None = nn.ReLU,
    stride: int = 1,
    groups: int = 1,
    norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
) -> nn.Sequential:
    """Return a convolution, and where asked for a normalisation and an activation."""
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=norm is None)
    normed = [norm(after)] if norm else []
    return nn.Sequential(conv, *normed, *([activation()] if activation else []))


convolution = partial(stage, norm=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01))


def _whole(channels: float) -> int:
    """Return the multiple of 8 that is nearest, and at least nine tenths of it.

    >>> [_whole(each) for each in (3.2, 12.8, 134.4, 18)]
    [8, 16, 136, 24]
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


CNN9_FILTERS = (64, 128, 256, 512)


class Cnn9(nn.Sequential):
    """The CNN9 of aisfx, trained to index sound effects.

    Maps (clips, channels, bands, frames) to maps of an eighth of both, floored.

    Source: Ma and Lerch, ISMIR 2022; Kong et al., arXiv:1808.00773.

    Attributes:
        values: Of each place: 512.
    """

    def __init__(self, channels: int = 1) -> None:
        sizes = (channels, *CNN9_FILTERS)
        blocks = [
            nn.Sequential(stage(before, after, 3), stage(after, after, 3), nn.MaxPool2d(2))
            for before, after in zip(sizes, CNN9_FILTERS, strict=False)
        ]
        super().__init__(*blocks[:-1], blocks[-1][:2])
        self.values = CNN9_FILTERS[-1]

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


BACKBONES: Mapping[str, Callable[[int], MobileNet | Cnn9]] = {  # by name, of so many channels
    **{name: partial(MobileNet, name) for name in MOBILENETS},
    "aisfx": Cnn9,
}
