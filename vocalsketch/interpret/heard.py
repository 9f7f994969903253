"""What is left of a pattern once it is a sound, and wav files."""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from vocalsketch.features.audio import clip_of
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.layers import Layer
from vocalsketch.interpret.pattern import Pattern
from vocalsketch.interpret.subject import Subject
from vocalsketch.interpret.units import Activity, Position


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
