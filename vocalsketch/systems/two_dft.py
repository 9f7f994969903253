"""The challenge's baseline that learns nothing: the 2-D Fourier transform of a constant-Q one."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from vocalsketch.domain import SIDES, Side
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.systems.system import System


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

    def settings(self) -> dict[str, Any]:
        """Return nothing: it is all in the front ends."""
        return {}

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map (clips, bins, frames) to vectors of length 1, (clips, bins * (frames // 2 + 1))."""
        magnitudes = torch.fft.rfft2(features.float()).abs().flatten(1)
        return torch.nn.functional.normalize(magnitudes, dim=1)

    def score(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map vectors to cosines (queries, candidates)."""
        return imitations @ recordings.T
