"""What a unit looks for: its pattern, how others' activations compare with it, and its sound."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.domain import Side
from vocalsketch.features.audio import clip_of
from vocalsketch.interpret.ascent import Ascent, AscentSettings, Inputs, noise_inputs
from vocalsketch.interpret.layers import Layer
from vocalsketch.interpret.subject import Subject

NOISE_INPUTS = 200
NOISE_SEED = 200_000_000  # far from the seeds of the starts


@dataclass(frozen=True, eq=False)
class Pattern:
    """The inputs that activate a unit most, as far as ascent found them.

    Activations are the unchanged network's, with its ReLUs, but for ``curve``.
    """

    layer: Layer
    unit: int  # number of the unit
    spectrograms: Inputs  # one (bins, frames) for a tower, two for a pair; standardised values
    activation: float  # of the unit, to the pattern
    noise: Tensor  # of the unit, to 200 inputs of Gaussian noise, (200,)
    clips: Tensor | None  # of the unit, to real clips, (clips,); None where none were given
    curve: list[float]  # leaky activation at each step
    converged: bool  # whether the ascent converged within its limit of steps

    @property
    def dead(self) -> bool:
        """Whether the unit stays at 0 for its pattern, for noise and for every real clip."""
        others = self.noise if self.clips is None else torch.cat([self.noise, self.clips])
        return self.activation <= 0.0 and not bool((others > 0.0).any())

    @property
    def silent_on_clips(self) -> bool:
        """Whether no real clip activates the unit, though something else does."""
        return not self.dead and self.clips is not None and not bool((self.clips > 0.0).any())

    def ratio(self, others: Tensor) -> float:
        """Return the activation over the highest of others; infinite where none is above 0."""
        highest = float(others.max())
        return self.activation / highest if highest > 0.0 else float("inf")


@dataclass(frozen=True, eq=False)
class Portrait:
    """Some units of a layer."""

    subject: Subject  # whose layer it is
    layer: Layer
    patterns: list[Pattern]  # one for each unit
    silent: tuple[int, ...] | None  # units of the layer that no real clip activates; None unknown


def maximise(
    subject: Subject,
    layer: Layer,
    units: Sequence[int],
    *,
    settings: AscentSettings,
    clips: Mapping[Side, Tensor] | None = None,
    seed: int = 0,
) -> Portrait:
    """Find the patterns of some units of a layer, all as one batch.

    Args:
        subject: The network; it is left as it was.
        layer: One of ``subject.layers``; its ``position`` says what is maximised.
        units: Their numbers.
        settings: Of the ascent.
        clips: Standardised spectrograms of real clips for each side, to compare; true pairs.
        seed: Of the random starts; the same seed gives the same patterns.

    Returns:
        A pattern for each unit, on the CPU, and which of all units no clip activates.
    """
    same = (layer.name, layer.part)
    leaky = next(each for each in subject.leaky_layers if (each.name, each.part) == same)
    climbed = replace(leaky, position=layer.position)
    chosen = torch.tensor(units, device=subject.device)

    def noise_of(seeds: Sequence[int]) -> Inputs:
        drawn = noise_inputs([front_end.shape for front_end in layer.front_ends], seeds)
        return tuple(each.to(subject.device) for each in drawn)

    noise = noise_of(range(NOISE_SEED, NOISE_SEED + NOISE_INPUTS))
    deviations = climbed.activations(noise).std(dim=0)[chosen]
    ascent = Ascent(
        lambda inputs, rows: climbed.activation(chosen[rows], inputs),
        noise_of([seed * 100_003 + unit for unit in units]),
        torch.where(deviations > 0, deviations, torch.ones_like(deviations)),
        settings,
        torch.Generator().manual_seed(seed),
    ).climb(f"{layer.part} {layer.name}")
    to_noise = layer.activations(noise).cpu()
    to_clips = None
    if clips is not None:
        to_clips = layer.activations(tuple(clips[side] for side in layer.sides)).cpu()
    reached = layer.activations(ascent.patterns).gather(1, chosen[:, None]).squeeze(1)
    patterns = [
        Pattern(
            layer,
            unit,
            tuple(each[row].cpu() for each in ascent.patterns),
            float(reached[row]),
            to_noise[:, unit],
            None if to_clips is None else to_clips[:, unit],
            ascent.curves[row],
            bool(ascent.converged[row]),
        )
        for row, unit in enumerate(units)
    ]
    never = None if to_clips is None else (to_clips <= 0.0).all(dim=0).nonzero().squeeze(1)
    return Portrait(subject, layer, patterns, None if never is None else tuple(never.tolist()))


@dataclass(frozen=True, eq=False)
class Sounds:
    """The sounds of a pattern: one for a tower, two for a pair."""

    files: tuple[bytes, ...]  # wav, each at its front end's sample rate
    # of each pattern with the features of its sound: 1 where a sound with these was found
    correlations: tuple[float, ...]
    activation: float  # of the unit, to the sounds


def sounds_of(pattern: Pattern, device: torch.device, seed: int = 0) -> Sounds | None:
    """Turn a pattern into sound, and play that sound to the network, which is on a device.

    Returns:
        None where a front end cannot be inverted.
    """
    files, correlations, heard = [], [], []
    for wanted, front_end in zip(pattern.spectrograms, pattern.layer.front_ends, strict=True):
        waveform = front_end.inverted(wanted, seed)
        if waveform is None:
            return None
        clip = torch.from_numpy(clip_of(waveform, front_end.sample_rate, front_end))
        found = front_end(clip[None].to(device))
        files.append(wav(waveform, front_end.sample_rate))
        correlations.append(_correlation(wanted.numpy(), found[0].cpu().numpy()))
        heard.append(found)
    activation = float(pattern.layer.activations(tuple(heard))[0, pattern.unit])
    return Sounds(tuple(files), tuple(correlations), activation)


def wav(waveform: NDArray[np.float32], sample_rate: int) -> bytes:
    """Return a waveform (samples,) in [-1, 1] as a wav file of 16 bits."""
    target = io.BytesIO()
    soundfile.write(target, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return target.getvalue()


def _correlation(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    if wanted.std() == 0 or found.std() == 0:
        return 0.0
    return float(np.corrcoef(wanted.ravel(), found.ravel())[0, 1])
