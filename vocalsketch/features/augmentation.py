"""Augmentation of spectrograms: what a voice, a room and a microphone may change."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from vocalsketch.errors import ConfigError

KNOTS = 6  # of a random curve


@dataclass(frozen=True)
class Augmentation:
    """Random changes of decibel spectrograms whose floor is 0; drawn from torch's generator.

    Attributes:
        tempo: Standard deviation of the logarithm of the speed.
        pitch: Standard deviation of the shift, bands.
        shift: The most frames of silence put before a clip.
        gain: Standard deviation of a slow curve of the level, dB.
        tilt: Standard deviation of a slope, and half of it of a slow curve, over frequency, dB.
        noise: The highest level of a noise floor, dB above the spectrogram's floor.
        masks: Probability of a masked band of frequencies, and of a masked stretch of time.

    Raises:
        ConfigError: One is negative.
    """

    tempo: float = 0.15
    pitch: float = 1.5
    shift: int = 6
    gain: float = 4.0
    tilt: float = 4.0
    noise: float = 45.0
    masks: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ConfigError(
                    f"augmentation: {field.name} is {getattr(self, field.name)}: give 0 or more."
                )

    def __call__(self, spectrograms: Tensor, top_db: float = 80.0) -> Tensor:
        """Return changed copies of (clips, bands, frames), dB from 0 to ``top_db``."""
        changed = self._moved(spectrograms)
        sounding = changed.amax(1, keepdim=True) > 0
        clips, bands, frames = changed.shape
        changed = changed + sounding * self.gain * _curves(changed, frames)[:, None]
        slope = torch.linspace(-1, 1, bands, device=changed.device)[None, :, None]
        changed = changed + self.tilt * _normal(changed, clips, 1, 1) * slope
        changed = changed + self.tilt / 2 * _curves(changed, bands)[..., None]
        changed = changed - changed.amax((1, 2), keepdim=True) + top_db
        return self._masked(self._noisy(changed)).clamp(0, top_db)

    def _moved(self, spectrograms: Tensor) -> Tensor:
        """Return the clips at other speeds and pitches, begun later."""
        clips, bands, frames = spectrograms.shape
        speed = torch.exp(self.tempo * _normal(spectrograms, clips, 1))
        later = torch.floor(_uniform(spectrograms, clips, 1) * (self.shift + 1))
        time = torch.arange(frames, device=spectrograms.device) * speed - later
        band = torch.arange(bands, device=spectrograms.device) + self.pitch * _normal(
            spectrograms, clips, 1
        )
        grid = torch.stack(
            [
                ((2 * time + 1) / frames - 1)[:, None, :].expand(clips, bands, frames),
                ((2 * band + 1) / bands - 1).clamp(-1, 1)[:, :, None].expand(clips, bands, frames),
            ],
            dim=-1,
        )
        return functional.grid_sample(spectrograms[:, None], grid, align_corners=False)[:, 0]

    def _noisy(self, spectrograms: Tensor) -> Tensor:
        clips = len(spectrograms)
        level = self.noise * _uniform(spectrograms, clips, 1, 1)
        floor = level + 2 * torch.randn_like(spectrograms) * (level > 3)
        return torch.maximum(spectrograms, floor)

    def _masked(self, spectrograms: Tensor) -> Tensor:
        for axis, widest in ((1, 8), (2, 24)):
            size, clips = spectrograms.shape[axis], len(spectrograms)
            place = torch.arange(size, device=spectrograms.device)
            begin = _uniform(spectrograms, clips, 1) * size
            width = 1 + _uniform(spectrograms, clips, 1) * widest
            drawn = _uniform(spectrograms, clips, 1) < self.masks
            masked = drawn & (place >= begin) & (place < begin + width)
            spectrograms = spectrograms.masked_fill(masked.unsqueeze(3 - axis), 0.0)
        return spectrograms


def _normal(like: Tensor, *shape: int) -> Tensor:
    return torch.randn(shape, device=like.device)


def _uniform(like: Tensor, *shape: int) -> Tensor:
    return torch.rand(shape, device=like.device)


def _curves(like: Tensor, length: int) -> Tensor:
    """Return a slow random curve of deviation 1 for each clip, (clips, length)."""
    knots = _normal(like, len(like), 1, KNOTS)
    return functional.interpolate(knots, size=length, mode="linear", align_corners=True)[:, 0]
