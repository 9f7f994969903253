"""The dual encoder: one encoder a side, compared by the cosine of their embeddings."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError, refuse_below
from vocalsketch.features.audible_mel import AudibleMel, own_time
from vocalsketch.features.front_end import FrontEnd, standardised
from vocalsketch.models.encoder import Cnn9, Encoder, EncoderGeometry, MobileNet
from vocalsketch.systems.checkpoints import check_weights, read_weights
from vocalsketch.systems.system import System

View = Literal["absolute", "own"]


class DualEncoder(System):
    """Two encoders, or one for both sides, whose embeddings are trained to agree.

    Args:
        front_ends: The front end of each side; one without time, such as ``ContourFeatures``,
            makes perceptrons of the encoders.
        geometry: Of both encoders.
        shared: Whether both sides have the same weights.
        frames: That an encoder looks at, after ``pooling``.
        pooling: Frames of the front end that become one, by their maximum.
        view: ``absolute`` time, or a sound's ``own``: its audible part stretched to ``frames``,
            ``pooling`` left out, with the logarithm of its seconds as a second channel.

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
        view: View = "absolute",
    ) -> None:
        super().__init__(front_ends)
        bins = {side: front_ends[side].shape[0] for side in SIDES}
        if shared and bins["imitation"] != bins["recording"]:
            raise ConfigError(
                f"One encoder serves both sides, but imitations have {bins['imitation']} bins and "
                f"recordings {bins['recording']}: use the same front end, or shared: false."
            )
        refuse_below(1, frames=frames, pooling=pooling)
        if view not in get_args(View):
            raise ConfigError(f"view is {view!r}: give absolute or own.")
        if view == "own" and any(type(front_ends[s]) is not AudibleMel for s in SIDES):
            raise ConfigError("view: own needs AudibleMel, which tells where a sound is audible.")
        self.geometry = geometry
        self.shared = shared
        self.frames = frames
        self.pooling = pooling
        self.view = view
        channels = 2 if view == "own" else 1

        def encoder(side: Side) -> Encoder:
            return Encoder(bins[side], geometry, channels, front_ends[side].timeless)

        imitation = encoder("imitation")
        recording = imitation if shared else encoder("recording")
        self.encoders = nn.ModuleDict({"imitation": imitation, "recording": recording})

    def settings(self) -> dict[str, Any]:
        """Return what it was given; of the geometry without what only training uses."""
        geometry = {name: v for name, v in asdict(self.geometry).items() if name != "dropout"}
        if self.geometry.recurrent is None:
            del geometry["units"]
        if self.geometry.backbone is None:
            del geometry["backbone"]
        return {**super().settings(), "geometry": geometry}

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map features (clips, bins, frames) to embeddings of length 1, (clips, width)."""
        if self.front_ends[side].timeless:
            seen = features[:, None]
        elif self.view == "own":
            seen = self._own(side, features)
        else:
            seen = self._absolute(features)
        embeddings: Tensor = self.encoders[side](seen)
        return embeddings

    def _absolute(self, features: Tensor) -> Tensor:
        """Return the first frames, (clips, 1, bins, frames).

        They are standardised, but for a backbone, which was trained on what its front end makes.
        """
        clips, bins, frames = features.shape
        whole = features[..., : frames // self.pooling * self.pooling]
        pooled = whole.reshape(clips, bins, -1, self.pooling).amax(3)[..., : self.frames]
        padded = torch.nn.functional.pad(pooled, (0, self.frames - pooled.shape[2]))
        return (padded if self.geometry.backbone else standardised(padded))[:, None]

    def _own(self, side: Side, features: Tensor) -> Tensor:
        """Return the audible part, standardised, and its duration, (clips, 2, bins, frames)."""
        front_end = self.front_ends[side]
        assert isinstance(front_end, AudibleMel)
        audible, decay = front_end.audible, front_end.decay
        stretched, count = own_time(features, audible, decay, self.frames)
        duration = (count * (front_end.hop / front_end.sample_rate)).log()[..., None]
        return torch.stack([standardised(stretched), duration.expand_as(stretched)], dim=1)

    @property
    def aspects(self) -> tuple[str, ...]:
        """How alike the whole sounds are."""
        if self.front_ends["recording"].timeless:
            return ("likeness of contours",)
        return ("likeness" if self.view == "absolute" else "likeness at any speed",)

    def load_backbone(self, path: Path) -> None:
        """Give each encoder's backbone the weights of a release (``vocalsketch data download``).

        Raises:
            CheckpointError: The file cannot be read safely, or holds another network's weights.
        """
        published = read_weights(path)
        for encoder in self.encoders.values():
            backbone = cast("MobileNet | Cnn9", encoder.get_submodule("convolutions"))
            weights = backbone.released(published)
            remedy = f"Give the weights of {self.geometry.backbone}, or change encoder.backbone."
            check_weights(path, backbone, weights, remedy)
            backbone.load_state_dict(weights)

    def fast(self) -> Self:
        """Return the same function, to rounding, without batch normalisation."""
        copied = deepcopy(self).eval()
        for stage in copied.modules():
            if isinstance(stage, nn.Sequential) and len(stage) in (2, 3):
                conv, norm = stage[0], stage[1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    stage[0], stage[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
        copied.encoders.to(memory_format=torch.channels_last)
        return copied
