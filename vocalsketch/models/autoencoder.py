"""IMISOUND: a stacked autoencoder of spectrogram patches (paper, section VI-C)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocalsketch.errors import ConfigError
from vocalsketch.models.tower import as_keras

Activation = Literal["sigmoid", "tanh", "relu"]
ACTIVATIONS: dict[str, type[nn.Module]]
ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}

PATCH_FRAMES = 20  # frames of 26.25 ms: 525 ms
PATCH_HOP = 10  # frames; the paper says that patches overlap, not by how much: by half here
STATISTICS = 6  # maximum, minimum, mean, median, standard deviation, interquartile range


class StackedAutoencoder(nn.Module):
    """Fully connected encoder and decoder, trained layer by layer and then as a whole.

    The units of all layers have the activation but the reconstruction of the patches, which is
    linear: standardised spectrograms take any value.

    Args:
        widths: Sizes of a patch and of each hidden layer.
        activation: ``sigmoid`` (as stacked autoencoders had then; the paper does not say),
            ``tanh`` or ``relu``.

    Raises:
        ConfigError: There is no hidden layer, a width is below 1, or the activation is unknown.
    """

    def __init__(
        self, widths: Sequence[int] = (1440, 1000, 600), activation: Activation = "sigmoid"
    ) -> None:
        super().__init__()
        if len(widths) < 2 or min(widths) < 1:
            raise ConfigError(
                f"widths is {list(widths)}: give a patch's and at least one hidden layer's."
            )
        if activation not in ACTIVATIONS:
            raise ConfigError(f"activation is {activation!r}: use {', '.join(ACTIVATIONS)}.")
        sizes = list(pairwise(widths))
        self.encoders = nn.ModuleList(as_keras(nn.Linear(inner, outer)) for inner, outer in sizes)
        self.decoders = nn.ModuleList(as_keras(nn.Linear(outer, inner)) for inner, outer in sizes)
        self.activation = ACTIVATIONS[activation]()

    def encode(self, patches: Tensor, layers: int | None = None) -> Tensor:
        """Map patches (..., values) to codes (..., width) of hidden layer ``layers``.

        By default that is the last; 0 returns the patches.
        """
        codes = patches
        for encoder in list(self.encoders)[:layers]:
            codes = self.activation(encoder(codes))
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Map the last layer's codes (..., width) back to patches (..., values)."""
        for number in reversed(range(len(self.decoders))):
            codes = self._decoded(number, codes)
        return codes

    def reconstruct_layer(self, number: int, inputs: Tensor) -> Tensor:
        """Encode and decode ``encode(patches, number)`` with one layer, as in greedy training."""
        return self._decoded(number, self.activation(self.encoders[number](inputs)))

    def forward(self, patches: Tensor) -> Tensor:
        """Reconstruct patches (..., values)."""
        return self.decode(self.encode(patches))

    def _decoded(self, number: int, codes: Tensor) -> Tensor:
        values: Tensor = self.decoders[number](codes)
        return self.activation(values) if number > 0 else values


def patches(spectrograms: Tensor, width: int = PATCH_FRAMES, hop: int = PATCH_HOP) -> Tensor:
    """Cut spectrograms (clips, bins, frames) into overlapping patches (clips, patches, values).

    Those of ``width`` frames begin every ``hop`` frames; 129 frames make 11 patches by default.
    Frames that fill no patch are dropped. A ConfigError tells widths and hops that do not fit.
    """
    clips, bins, frames = spectrograms.shape
    if not 1 <= width <= frames or hop < 1:
        raise ConfigError(
            f"Patches of {width} frames every {hop} cannot be cut from {frames} frames: use a "
            f"width from 1 to {frames} and a hop of at least 1."
        )
    windows = spectrograms.unfold(2, width, hop)  # (clips, bins, patches, width)
    return windows.permute(0, 2, 1, 3).reshape(clips, -1, bins * width)


def sounding_patches(patches: Tensor) -> Tensor:
    """Count each clip's patches up to the last with sound in it, at least 1: (clips,) int64.

    Clips are zero-padded to one length, and padding lies at the floor of the dB scale, the
    smallest value of the clip. Without this count, the statistics of a short clip would mostly
    tell its length.
    """
    floor = patches.amin(dim=(1, 2), keepdim=True)
    sounding = (patches > floor + 1e-4).any(dim=2)
    numbers = torch.arange(1, patches.shape[1] + 1, device=patches.device)
    return (sounding * numbers).amax(dim=1).clamp(min=1)


def delta(codes: Tensor, width: int = 3) -> Tensor:
    """Return the slope over time of a line fitted to ``width`` neighbouring patches, an odd number.

    Of codes (clips, patches, values), per patch; beyond either end the first or last is repeated.
    """
    if width < 3 or width % 2 == 0:
        raise ConfigError(f"The delta's width is {width}: use an odd number, at least 3.")
    reach = width // 2
    padded = functional.pad(codes.transpose(1, 2), (reach, reach), mode="replicate")
    offsets = torch.arange(-reach, reach + 1).to(codes)
    slope = padded.unfold(2, width, 1) @ offsets  # (clips, values, patches)
    return slope.transpose(1, 2) / offsets.square().sum()


def clip_features(codes: Tensor, counts: Tensor | None = None, delta_width: int = 3) -> Tensor:
    """Summarise each clip's codes (clips, patches, width) and their deltas over time in one vector.

    Args:
        codes: Of patches.
        counts: (clips,), how many of a clip's first patches are looked at; by default all.
        delta_width: See ``delta``.

    Returns:
        (clips, 6 * 2 * width): maxima, minima, means, medians, standard deviations (of the
        population) and interquartile ranges, each of the codes and then of the deltas.
    """
    if counts is None:
        counts = torch.full((len(codes),), codes.shape[1], device=codes.device)
    features = codes.new_empty((len(codes), STATISTICS * 2 * codes.shape[2]))
    for count in sorted(set(counts.tolist())):  # clips of one length are summarised together
        chosen = counts == count
        own = codes[chosen, :count]
        features[chosen] = _statistics(torch.cat([own, delta(own, delta_width)], dim=2))
    return features


def _statistics(values: Tensor) -> Tensor:
    """Map (clips, patches, values) to (clips, 6 * values)."""
    ordered = values.sort(dim=1).values
    low, median, high = (_quantile(ordered, share) for share in (0.25, 0.5, 0.75))
    mean, deviation = values.mean(dim=1), values.std(dim=1, correction=0)
    parts = [ordered[:, -1], ordered[:, 0], mean, median, deviation, high - low]
    return torch.cat(parts, dim=1)


def _quantile(ordered: Tensor, share: float) -> Tensor:
    """Interpolate linearly; torch.quantile refuses more than 16 million values."""
    place = share * (ordered.shape[1] - 1)
    below = int(place)
    above = min(below + 1, ordered.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], place - below)
