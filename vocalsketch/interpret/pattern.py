"""What a unit looks for: its pattern, how others' activations compare with it, and its sound."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.features.audio import clip_of
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.ascent import Ascent, AscentSettings, Inputs, ascend, noise_inputs
from vocalsketch.interpret.layers import LEAKY_SLOPE, Layer, Part
from vocalsketch.interpret.subject import Subject
from vocalsketch.interpret.units import Activity, Position

NOISE_INPUTS = 200
NOISE_SEED = 200_000_000  # far from the seeds of the starts


@dataclass(frozen=True, eq=False)
class Pattern:
    """The inputs that activate a unit most, as far as ascent found them.

    Activations are the unchanged network's, with its ReLUs, but for ``curve``.
    """

    layer: str  # name of the layer
    part: Part  # what the layer sees
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
    """Some units of a layer.

    Attributes:
        layer: The layer.
        patterns: One for each unit.
        silent: Units of the whole layer that no real clip activates; None without clips.
    """

    layer: Layer
    patterns: list[Pattern]
    silent: tuple[int, ...] | None


def maximise(
    subject: Subject,
    layer: Layer,
    units: Sequence[int],
    *,
    settings: AscentSettings,
    position: Position = None,
    clips: Inputs | None = None,
    seed: int = 0,
    slope: float = LEAKY_SLOPE,
    progress: bool = False,
) -> Portrait:
    """Find the patterns of some units of a layer, all as one batch.

    Args:
        subject: The network; it is left as it was.
        layer: One of ``subject.layers``.
        units: Numbers of units.
        settings: Of the ascent.
        position: See ``Activity``.
        clips: Standardised spectrograms of real clips for each input of the layer, to compare.
        seed: Of the random starts; the same seed gives the same patterns.
        slope: Of the leaky units.
        progress: Whether to show a bar.

    Returns:
        A pattern for each unit, on the CPU, and which of all units no clip activates.
    """
    device = next(subject.network.parameters()).device
    chosen = torch.tensor(units, device=device)
    shapes = [front_end.shape for front_end in subject.inputs_of(layer)]
    noise = _to(noise_inputs(shapes, range(NOISE_SEED, NOISE_SEED + NOISE_INPUTS)), device)
    climbed = Activity(_leaky(subject, layer, slope), position)
    ascent = ascend(
        climbed.of(chosen),
        _to(noise_inputs(shapes, [seed * 100_003 + unit for unit in units]), device),
        _deviations(climbed, noise)[chosen],
        settings,
        torch.Generator().manual_seed(seed),
        f"{layer.part} {layer.name}" if progress else None,
    )
    plain = Activity(layer, position)
    to_clips = None if clips is None else plain.measured(_to(clips, device)).cpu()
    reached = plain.measured(ascent.patterns).gather(1, chosen[:, None]).squeeze(1)
    patterns = _patterns(layer, units, ascent, reached, plain.measured(noise).cpu(), to_clips)
    return Portrait(layer, patterns, None if to_clips is None else _never_positive(to_clips))


def _leaky(subject: Subject, layer: Layer, slope: float) -> Layer:
    """Return the layer of a leaky copy of the network."""
    copies = subject.leaky(slope).layers
    return next(each for each in copies if (each.name, each.part) == (layer.name, layer.part))


def _deviations(activity: Activity, noise: Inputs) -> Tensor:
    """Return each unit's deviation over noise, (units,); 1 where nothing moves it."""
    found = activity.measured(noise).std(dim=0)
    return torch.where(found > 0, found, torch.ones_like(found))


def _patterns(
    layer: Layer,
    units: Sequence[int],
    ascent: Ascent,
    reached: Tensor,
    to_noise: Tensor,
    to_clips: Tensor | None,
) -> list[Pattern]:
    """Return the pattern of each unit; activations are (units,), (noise or clips, all units)."""
    return [
        Pattern(
            layer.name,
            layer.part,
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


def _never_positive(activations: Tensor) -> tuple[int, ...]:
    return tuple((activations <= 0.0).all(dim=0).nonzero().squeeze(1).tolist())


def _to(inputs: Inputs, device: torch.device) -> Inputs:
    return tuple(each.to(device) for each in inputs)


@dataclass(frozen=True, eq=False)
class Heard:
    """The sounds of a pattern: one for a tower, two for a pair.

    Attributes:
        waveforms: (samples,) each.
        sample_rates: Hz, of each.
        correlations: Of each pattern with the features of its sound: 1 where a sound with these
            features exists and was found.
        activation: Of the unit, to the sounds.
    """

    waveforms: tuple[NDArray[np.float32], ...]
    sample_rates: tuple[int, ...]
    correlations: tuple[float, ...]
    activation: float


def hear(
    subject: Subject, layer: Layer, pattern: Pattern, *, position: Position = None, seed: int = 0
) -> Heard | None:
    """Turn a pattern into sound, and play that sound to the network.

    Returns:
        None where a front end cannot be inverted.
    """
    front_ends = subject.inputs_of(layer)
    waveforms: list[NDArray[np.float32]] = []
    for features, front_end in zip(pattern.spectrograms, front_ends, strict=True):
        waveform = front_end.inverted(features, seed)
        if waveform is None:
            return None
        waveforms.append(waveform)
    device = next(subject.network.parameters()).device
    heard = [
        front_end(_clip(waveform, front_end).to(device))
        for waveform, front_end in zip(waveforms, front_ends, strict=True)
    ]
    answer = Activity(layer, position).measured(tuple(heard))
    return Heard(
        tuple(waveforms),
        tuple(front_end.sample_rate for front_end in front_ends),
        tuple(
            _correlation(wanted.numpy(), found[0].cpu().numpy())
            for wanted, found in zip(pattern.spectrograms, heard, strict=True)
        ),
        float(answer[0, pattern.unit]),
    )


def wav(waveform: NDArray[np.float32], sample_rate: int) -> bytes:
    """Return a waveform (samples,) in [-1, 1] as a wav file of 16 bits."""
    target = io.BytesIO()
    soundfile.write(target, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return target.getvalue()


def _clip(waveform: NDArray[np.float32], front_end: FrontEnd) -> torch.Tensor:
    return torch.from_numpy(clip_of(waveform, front_end.sample_rate, front_end))[None]


def _correlation(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    if wanted.std() == 0 or found.std() == 0:
        return 0.0
    return float(np.corrcoef(wanted.ravel(), found.ravel())[0, 1])
