"""IMISOUND: codes of spectrogram patches, compared by cosine similarity (paper, section VI-C)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
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
