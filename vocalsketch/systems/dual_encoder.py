"""The dual encoder: one encoder a side, compared by the cosine of their embeddings."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd, standardised
from vocalsketch.models.encoder import Encoder, EncoderGeometry
from vocalsketch.systems.system import System


class DualEncoder(System):
    """Two encoders, or one for both sides, whose embeddings are trained to agree.

    Args:
        front_ends: The front end of each side.
        geometry: Of both encoders.
        shared: Whether both sides have the same weights.
        frames: That an encoder looks at, after ``pooling``.
        pooling: Frames of the front end that become one, by their maximum.

    Raises:
        ConfigError: An encoder does not fit its front end, or shared ones differ.
    """

    kind = "cosine"
    inner_product = True

    def __init__(
        self,
        front_ends: Mapping[Side, FrontEnd],
        geometry: EncoderGeometry,
        shared: bool = False,
        frames: int = 200,
        pooling: int = 2,
    ) -> None:
        super().__init__(front_ends)
        bins = {side: front_ends[side].shape[0] for side in SIDES}
        if shared and bins["imitation"] != bins["recording"]:
            raise ConfigError(
                f"One encoder serves both sides, but imitations have {bins['imitation']} bins and "
                f"recordings {bins['recording']}: use the same front end, or shared: false."
            )
        if min(frames, pooling) < 1:
            raise ConfigError(f"frames is {frames} and pooling {pooling}: give 1 or more of each.")
        self.geometry = geometry
        self.shared = shared
        self.frames = frames
        self.pooling = pooling
        imitation = Encoder(bins["imitation"], geometry)
        recording = imitation if shared else Encoder(bins["recording"], geometry)
        self.encoders = nn.ModuleDict({"imitation": imitation, "recording": recording})

    def settings(self) -> dict[str, Any]:
        """Return the geometry, without what only training uses."""
        geometry = {name: v for name, v in asdict(self.geometry).items() if name != "dropout"}
        if self.geometry.recurrent is None:
            del geometry["units"]
        return {
            "geometry": geometry,
            "shared": self.shared,
            "frames": self.frames,
            "pooling": self.pooling,
        }

    @classmethod
    def from_settings(cls, front_ends: Mapping[Side, FrontEnd], settings: dict[str, Any]) -> Self:
        """Build it from its front ends and settings."""
        given = dict(settings.pop("geometry"))
        geometry = EncoderGeometry(**{**given, "filters": tuple(given["filters"])})
        return cls(front_ends, geometry, **settings)

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map features (clips, bins, frames) to embeddings of length 1, (clips, width)."""
        clips, bins, frames = features.shape
        whole = features[..., : frames // self.pooling * self.pooling]
        pooled = whole.reshape(clips, bins, -1, self.pooling).amax(3)[..., : self.frames]
        missing = self.frames - pooled.shape[2]
        pooled = torch.nn.functional.pad(pooled, (0, missing))
        embeddings: Tensor = self.encoders[side](standardised(pooled))
        return embeddings

    def score(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map embeddings to cosine similarities (queries, candidates)."""
        return imitations @ recordings.T

    def fast(self) -> Self:
        """Return the same function, to rounding, without batch normalisation."""
        copied = deepcopy(self).eval()
        for stage in copied.modules():
            if isinstance(stage, nn.Sequential) and len(stage) == 3:
                conv, norm, _ = stage
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    stage[0], stage[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
        copied.encoders.to(memory_format=torch.channels_last)
        return copied
