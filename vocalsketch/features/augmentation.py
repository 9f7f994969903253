"""Augmentation of spectrograms: what a voice, a room and a microphone may change.

A ConfigError names a number that is negative.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vocalsketch.errors import refuse_below

KNOTS = 6  # of a random curve
MASKED = 0.9  # a logarithm of 0 on PreemphasisedMel's scale


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
    """

    tempo: float = 0.15
    pitch: float = 1.5
    shift: int = 6
    gain: float = 4.0
    tilt: float = 4.0
    noise: float = 45.0
    masks: float = 0.5

    def __post_init__(self) -> None:
        refuse_below(0, **vars(self))

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
        level = self.noise * _uniform(changed, clips, 1, 1)
        floor = level + 2 * torch.randn_like(changed) * (level > 3)
        changed = torch.maximum(changed, floor)
        for axis, widest in ((1, 8), (2, 24)):
            drawn = _uniform(changed, clips, 1) < self.masks
            width = drawn * (1 + _uniform(changed, clips, 1) * widest)
            changed = _masked(changed, axis, width, 0.0)
        return changed.clamp(0, top_db)

    def _moved(self, spectrograms: Tensor) -> Tensor:
        """Return the clips at other speeds and pitches, begun later."""
        clips, bands, frames = spectrograms.shape
        speed = torch.exp(self.tempo * _normal(spectrograms, clips, 1))
        later = torch.floor(_uniform(spectrograms, clips, 1) * (self.shift + 1))
        time = torch.arange(frames, device=spectrograms.device) * speed - later
        shift = self.pitch * _normal(spectrograms, clips, 1)
        band = torch.arange(bands, device=spectrograms.device) + shift
        across = ((2 * time + 1) / frames - 1)[:, None, :]
        down = ((2 * band + 1) / bands - 1).clamp(-1, 1)[:, :, None]
        grid = torch.stack([each.expand(clips, bands, frames) for each in (across, down)], dim=-1)
        return functional.grid_sample(spectrograms[:, None], grid, align_corners=False)[:, 0]


@dataclass(frozen=True)
class SpecAugment:
    """Masks, a shift and other clips' colours, for spectrograms of any scale; drawn by torch.

    Source: Park et al., Interspeech 2019, arXiv:1904.08779; Freq-MixStyle: Kim et al., 2022,
    arXiv:2206.12513. The defaults are those of Greif et al. (DCASE 2024).

    Attributes:
        frequency_mask: The most bands in a masked band of frequencies.
        time_mask: The most frames in a masked stretch of time.
        roll: The most frames by which a clip is turned, its end put before its beginning.
        mix_style: Probability that a batch's bands take on means and deviations of other clips'.
        alpha: Of the beta distribution of how much of the others' is taken.
    """

    frequency_mask: int = 2
    time_mask: int = 400
    roll: int = 12
    mix_style: float = 0.3
    alpha: float = 0.4

    def __post_init__(self) -> None:
        refuse_below(0, **vars(self))

    def __call__(self, spectrograms: Tensor) -> Tensor:
        """Return changed copies of (clips, bands, frames)."""
        changed = spectrograms
        if self.roll:
            turns = torch.floor(_uniform(changed, len(changed), 1) * (2 * self.roll + 1))
            place = torch.arange(changed.shape[2], device=changed.device) + turns - self.roll
            taken = (place % changed.shape[2]).long()[:, None].expand_as(changed)
            changed = changed.gather(2, taken)
        for axis, widest in ((1, self.frequency_mask), (2, self.time_mask)):
            changed = _masked(changed, axis, widest * _uniform(changed, len(changed), 1), MASKED)
        if self.mix_style and float(_uniform(changed, 1)) < self.mix_style:
            mean = changed.mean(2, keepdim=True)
            deviation = (changed.var(2, keepdim=True) + 1e-6).sqrt()
            order = torch.randperm(len(changed), device=changed.device)
            alpha = torch.full((len(changed), 1, 1), self.alpha, device=changed.device)
            kept = torch.distributions.Beta(alpha, alpha).sample()
            scale = torch.lerp(deviation[order], deviation, kept)
            changed = (changed - mean) / deviation * scale + torch.lerp(mean[order], mean, kept)
        return changed


def _masked(spectrograms: Tensor, axis: int, width: Tensor, value: float) -> Tensor:
    """Return spectrograms with a stretch of an axis, ``width`` (clips, 1), set to a value."""
    size = spectrograms.shape[axis]
    begin = _uniform(spectrograms, len(spectrograms), 1) * (size - width).clamp(min=0)
    place = torch.arange(size, device=spectrograms.device) + 0.5
    masked = (place >= begin) & (place < begin + width)
    return spectrograms.masked_fill(masked.unsqueeze(3 - axis), value)


def _normal(like: Tensor, *shape: int) -> Tensor:
    return torch.randn(shape, device=like.device)


def _uniform(like: Tensor, *shape: int) -> Tensor:
    return torch.rand(shape, device=like.device)


def _curves(like: Tensor, length: int) -> Tensor:
    """Return a slow random curve of deviation 1 for each clip, (clips, length)."""
    knots = _normal(like, len(like), 1, KNOTS)
    return functional.interpolate(knots, size=length, mode="linear", align_corners=True)[:, 0]
