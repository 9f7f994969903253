"""IMISOUND, and the baselines that learn nothing: contours and the 2-D transform."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import normalize

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.contours import FAMILIES, ContourFeatures
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models.autoencoder import (
    PATCH_FRAMES,
    PATCH_HOP,
    Activation,
    StackedAutoencoder,
    clip_features,
    patches,
    sounding_patches,
)
from vocalsketch.systems.system import System

FITTED = Path(__file__).with_name("contours.safetensors")  # to the built-in corpus


class Contours(System):
    """The negated squared distance of contours and averages, each side standardised by itself.

    A voice differs from a sound in ways that say nothing about which sound is meant: each side has
    its own mean and deviation of every feature, from clips that it was fitted to and never from
    those that are ranked. Each family of features (a contour, the mel bands, the duration) counts
    as much as any other, however many numbers it has.

    An embedding holds what makes the distance an inner product: 2a, -|a|^2, 1 of an imitation and
    b, 1, -|b|^2 of a recording.
    """

    kind = "distance"
    inner_product = True
    aspects = tuple(FAMILIES)

    def __init__(self, front_ends: Mapping[Side, FrontEnd] | None = None) -> None:
        super().__init__(front_ends or dict.fromkeys(SIDES, ContourFeatures()))
        weight = torch.cat([torch.full((size,), size**-0.5) for size in FAMILIES.values()])
        self.register_buffer("weight", weight, persistent=False)
        for side in SIDES:
            self.register_buffer(f"{side}_mean", torch.zeros(len(weight)))
            self.register_buffer(f"{side}_deviation", torch.ones(len(weight)))

    @classmethod
    def untrained(cls) -> Self:
        """Return it as fitted to the built-in corpus."""
        from vocalsketch.systems.checkpoints import load_system  # which knows all systems

        loaded = load_system(FITTED)
        assert isinstance(loaded, cls)
        return loaded

    def fit(self, features: Mapping[Side, Tensor]) -> Self:
        """Take mean and deviation of every feature from clips of both sides.

        Args:
            features: (clips, bins, 1) of each side, from its front end. Clips that are ranked
                later must not be among them.
        """
        for side in SIDES:
            values = features[side].double().flatten(1)
            deviation = values.std(0, correction=0)
            constant = deviation <= 1e-9  # says nothing
            self.get_buffer(f"{side}_mean").copy_(values.mean(0))
            self.get_buffer(f"{side}_deviation").copy_(deviation.masked_fill(constant, torch.inf))
        return self

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map (clips, bins, 1) to vectors (clips, bins + 2)."""
        centred = features.flatten(1) - self.get_buffer(f"{side}_mean")
        vectors = centred / self.get_buffer(f"{side}_deviation") * self.get_buffer("weight")
        squared = vectors.square().sum(1, keepdim=True)
        parts = (
            (2 * vectors, -squared, torch.ones_like(squared))
            if side == "imitation"
            else (vectors, torch.ones_like(squared), -squared)
        )
        return torch.cat(parts, dim=1)

    def aspect_scores(self, imitations: Tensor, recordings: Tensor) -> dict[str, Tensor]:
        """Return the negated squared distance of each family of features."""
        families = (
            torch.split(each[:, :-2], list(FAMILIES.values()), 1)
            for each in (imitations / 2, recordings)
        )
        return {
            name: -torch.cdist(asked, found).square()
            for name, asked, found in zip(FAMILIES, *families, strict=True)
        }

    def weighed(self, imitations: Tensor, weights: Mapping[str, float]) -> Tensor:
        """Weigh each family's products; of the square of a recording only the sum is known."""
        factors = torch.tensor([weights.get(name, 1.0) for name in FAMILIES])
        each = factors.repeat_interleave(torch.tensor(list(FAMILIES.values())))
        return imitations * torch.cat([each, factors.mean().expand(2)])


class TwoDFT(System):
    """The cosine of the magnitudes of both clips' 2-D Fourier transforms.

    A magnitude is the same wherever in a clip, and at whatever pitch, something happens: shifts
    along time and along the constant-Q transform's bins change phases alone (Pishdadian et al.,
    ICASSP 2017). A real transform's distinct half is kept.
    """

    kind = "cosine"
    inner_product = True

    def __init__(self, front_ends: Mapping[Side, FrontEnd] | None = None) -> None:
        super().__init__(front_ends or dict.fromkeys(SIDES, CQT(seconds=10.08)))

    @classmethod
    def untrained(cls) -> Self:
        """Return it; there is nothing to train."""
        return cls()

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map (clips, bins, frames) to vectors of length 1, (clips, bins * (frames // 2 + 1))."""
        magnitudes = torch.fft.rfft2(features.float()).abs().flatten(1)
        return normalize(magnitudes, dim=1)


class Imisound(System):
    """A stacked autoencoder's codes of a clip's patches, summarised over time.

    Args:
        front_ends: The front end of each side; both have the same bins.
        hidden: Units of the hidden layers.
        activation: ``sigmoid``, ``tanh`` or ``relu``; the paper does not say.
        patch_frames: Frames of a patch; 20 of 26.25 ms are the paper's 525 ms.
        patch_hop: Frames from one patch's start to the next one's.
        delta_width: Patches, an odd number, over which the delta's slope is taken.

    Raises:
        ConfigError: A geometry does not fit, or both sides do not have the same bins.
    """

    kind = "cosine"
    inner_product = True

    def __init__(
        self,
        front_ends: Mapping[Side, FrontEnd],
        hidden: Sequence[int] = (1000, 600),
        activation: Activation = "sigmoid",
        patch_frames: int = PATCH_FRAMES,
        patch_hop: int = PATCH_HOP,
        delta_width: int = 3,
    ) -> None:
        super().__init__(front_ends)
        bins, others = (front_ends[side].shape[0] for side in SIDES)
        if others != bins:
            raise ConfigError(
                f"One autoencoder serves both sides: imitations have {bins} bins, recordings "
                f"{others}. Use front ends with the same bins."
            )
        for side in SIDES:
            patches(torch.zeros(1, *front_ends[side].shape), patch_frames, patch_hop)
        self.autoencoder = StackedAutoencoder((bins * patch_frames, *hidden), activation)
        self.hidden = list(hidden)
        self.activation = activation
        self.patch_frames = patch_frames
        self.patch_hop = patch_hop
        self.delta_width = delta_width

    def cut(self, spectrograms: Tensor) -> tuple[Tensor, Tensor]:
        """Cut clips (clips, bins, frames) into patches.

        Returns:
            (clips, patches, values), and (clips,) how many of them come before the padding.
        """
        windows = patches(spectrograms, self.patch_frames, self.patch_hop)
        return windows, sounding_patches(windows)

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map clips to statistics of codes and their deltas, (clips, 12 * hidden[-1]).

        Vectors of length 1, but for one of zeros.
        """
        windows, counts = self.cut(features)
        codes = self.autoencoder.encode(windows)
        return functional.normalize(clip_features(codes, counts, self.delta_width), dim=1)
