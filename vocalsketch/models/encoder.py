"""An encoder that keeps coarse places in time, of a few convolutions or of MobileNetV3."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocalsketch.errors import ConfigError
from vocalsketch.models.tower import OverTime, Recurrent

WIDTHS = {f"mn{tenths:02}": tenths / 10 for tenths in (1, 2, 4, 5, 10, 20, 30, 40)}
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
    """Maps spectrograms (clips, channels, bands, frames) to maps of a 32nd of both, rounded up.

    Args:
        name: Such as ``mn10``: how wide it is, in tenths of MobileNetV3-Large.
        channels: Of the input.

    Attributes:
        values: Of each place: 960 of ``mn10``.
    """

    def __init__(self, name: str, channels: int = 1) -> None:
        width = WIDTHS[name]
        before = _whole(STEM * width)
        layers: list[nn.Module] = [_convolution(channels, before, 3, nn.Hardswish, stride=2)]
        for kernel, expanded, filters, squeeze, swish, stride in BLOCKS:
            sizes = before, _whole(expanded * width), _whole(filters * width)
            activation = nn.Hardswish if swish else nn.ReLU
            layers.append(_Block(sizes, kernel, stride, activation, squeeze=squeeze))
            before = sizes[-1]
        super().__init__(*layers, _convolution(before, WIDENING * before, 1, nn.Hardswish))
        self.values = WIDENING * before
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")


def released_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a release's weights by the names of ``MobileNet``, without its classifier."""
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
        filtered = _convolution(expanded, expanded, kernel, activation, stride, groups=expanded)
        self.block = nn.Sequential(
            *([_convolution(before, expanded, 1, activation)] if expanded != before else []),
            filtered,
            *([_Excitation(expanded)] if squeeze else []),
            _convolution(expanded, after, 1),
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


def _convolution(
    before: int,
    after: int,
    kernel: int,
    activation: type[nn.Module] | None = None,
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
    layers = [
        nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm(after),
        *([activation()] if activation else []),
    ]
    return nn.Sequential(*layers)


def _whole(channels: float) -> int:
    """Return the multiple of 8 that is nearest, and at least nine tenths of it.

    >>> [_whole(each) for each in (3.2, 12.8, 134.4, 18)]
    [8, 16, 136, 24]
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


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
        backbone: A network in place of the convolutions, such as ``mn10`` (``MobileNet``), whose
            bands are averaged.
    """

    filters: tuple[int, ...] = (16, 32, 64, 96)
    places: int = 8
    width: int | None = 128
    batch_norm: bool = True
    recurrent: Recurrent | None = None
    units: int = 96
    dropout: float = 0.0
    backbone: str | None = None

    def __post_init__(self) -> None:
        for name in ("places", "width", "units"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: give 1 or more.")
        if not self.filters or min(self.filters) < 1:
            raise ConfigError(f"filters is {list(self.filters)}: give 1 or more of each.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}: give at least 0 and less than 1.")
        if self.backbone is not None and self.backbone not in WIDTHS:
            raise ConfigError(f"backbone is {self.backbone!r}: choose one of {', '.join(WIDTHS)}.")


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
            backbone = MobileNet(geometry.backbone, channels)
            self.convolutions: nn.Sequential = backbone
            values = backbone.values
        else:
            self.convolutions, values = _convolutions(bins, geometry, channels)
        self.average_bands = geometry.backbone is not None
        self.recurrent: nn.Module = nn.Flatten(1, 2)
        if geometry.recurrent:
            self.recurrent = OverTime(values, geometry.units, geometry.recurrent)
            values = 2 * geometry.units
        self.dropout = nn.Dropout(geometry.dropout)
        values *= geometry.places
        self.projection = nn.Linear(values, geometry.width) if geometry.width else nn.Identity()

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
    stages: list[nn.Module] = [_stage(channels, first, 5, geometry.batch_norm, stride=2)]
    for before, after in zip(geometry.filters, others, strict=False):
        stages += [_stage(before, after, 3, geometry.batch_norm), nn.MaxPool2d(2)]
    return nn.Sequential(*stages), geometry.filters[-1] * rows


def _stage(before: int, after: int, kernel: int, norm: bool, stride: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=not norm)
    ]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(after)] if norm else []), nn.ReLU())


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
