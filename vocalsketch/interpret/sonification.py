"""From a pattern to a sound: undo standardisation, dB, mel or constant Q, and find phases."""

from dataclasses import dataclass

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchaudio.functional import griffinlim

from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.log_mel import LogMel, mel_filters
from vocalsketch.interpret.bins import frequencies, hop

Array = NDArray[np.float64]
OVERLAP = 4  # windows over each sample while phases are sought
ITERATIONS = 32  # of Griffin-Lim
MOMENTUM = 0.99  # of its fast variant (Perraudin, Balazs and Søndergaard, 2013)
PEAK = 0.7  # of the waveform; how loud a pattern is, nothing tells


@dataclass(frozen=True)
class Levels:
    """The scale that standardisation took away, of which a pattern tells nothing.

    The defaults are the medians over VocalSketch's clips, rounded: the four front ends' clips
    have deviations of 19 to 24 dB, and magnitudes whose mean is 0.2 to 0.3 deviations.

    Attributes:
        deviation: Of a clip's values in dB; how far apart loud and soft are.
        mean: Of a clip's magnitudes, in deviations; used where the front end has no dB.
    """

    deviation: float = 20.0
    mean: float = 0.3


def sonified(
    pattern: Tensor, front_end: FrontEnd, seed: int = 0, levels: Levels | None = None
) -> NDArray[np.float32]:
    """Return a sound whose spectrogram is close to a pattern.

    Both front ends' frames hardly overlap or leave gaps between them, which tells nothing about
    phases. Magnitudes are therefore interpolated to closer frames, at which Griffin and Lim's
    iteration (1984) has neighbours to agree with.

    Args:
        pattern: Standardised values (bins, frames).
        front_end: Whose spectrogram it is.
        seed: Of the first phases.
        levels: What the pattern's scale is taken to be.

    Returns:
        (samples,) at the front end's sample rate, as long as the frames span.
    """
    magnitudes = unstandardised(pattern, front_end, levels or Levels())
    if isinstance(front_end, CQT):
        waveform = _from_cqt(magnitudes, front_end, seed)
    else:
        assert isinstance(front_end, LogMel)
        waveform = _from_mel(magnitudes, front_end, seed)
    peak = np.abs(waveform).max(initial=0.0)
    return (waveform * (PEAK / peak if peak > 0 else 0.0)).astype(np.float32)


def unstandardised(pattern: Tensor, front_end: FrontEnd, levels: Levels) -> Array:
    """Return magnitudes (bins, frames) with the pattern's shape, 1 at its maximum.

    In dB, a mean would only change loudness: values count down from the maximum, and end at the
    front end's ``top_db`` below it. Magnitudes below zero become 0. A constant pattern is silence.
    """
    values = pattern.double().numpy()
    if np.ptp(values) == 0:
        return np.zeros_like(values)
    if isinstance(front_end, CQT) and front_end.scaling == "magnitude":
        magnitudes = np.maximum(values + levels.mean, 0.0)
        return np.asarray(magnitudes / max(magnitudes.max(), 1e-12))
    range_db = front_end.top_db if isinstance(front_end, CQT | LogMel) else 80.0
    decibels = np.maximum((values - values.max()) * levels.deviation, -range_db)
    return np.asarray(np.where(decibels > -range_db, 10.0 ** (decibels / 20.0), 0.0))


def closer_frames(magnitudes: Array, hop_length: int, close: int) -> Array:
    """Interpolate magnitudes (bins, frames) linearly to a smaller hop.

    Args:
        magnitudes: Frames every ``hop_length`` samples.
        hop_length: Samples.
        close: The smaller hop, samples.

    Returns:
        (bins, 1 + (frames - 1) * hop_length // close).
    """
    frames = magnitudes.shape[1]
    places = np.arange((frames - 1) * hop_length // close + 1) * close / hop_length
    return np.stack([np.interp(places, np.arange(frames), row) for row in magnitudes])


def _from_mel(magnitudes: Array, front_end: LogMel, seed: int) -> Array:
    power: Array = librosa.util.nnls(mel_filters(front_end), magnitudes**2)
    close = front_end.window // OVERLAP
    linear = torch.from_numpy(closer_frames(np.sqrt(power), front_end.window, close))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        waveform: Tensor = griffinlim(
            linear,
            window=torch.hann_window(front_end.window, dtype=linear.dtype),
            n_fft=front_end.window,
            hop_length=close,
            win_length=front_end.window,
            power=1.0,
            n_iter=ITERATIONS,
            momentum=MOMENTUM,
            length=_samples(front_end),
            rand_init=True,
        )
    return waveform.numpy()


def _from_cqt(magnitudes: Array, front_end: CQT, seed: int) -> Array:
    """Invert a constant-Q transform at the power of two below half of its shortest window.

    A power of two lets librosa treat low octaves at low rates.
    """
    ratio = 4.0 ** (1 / front_end.bins_per_octave)
    shortest = (ratio + 1) / (ratio - 1) * front_end.sample_rate / frequencies(front_end)[-1]
    close = min(2 ** int(np.log2(max(shortest / 2, 1.0))), front_end.hop_length)
    waveform: Array = librosa.griffinlim_cqt(
        closer_frames(magnitudes, front_end.hop_length, close),
        n_iter=ITERATIONS,
        sr=front_end.sample_rate,
        hop_length=close,
        fmin=front_end.minimum_frequency,
        bins_per_octave=front_end.bins_per_octave,
        length=_samples(front_end),
        random_state=seed,
    )
    return waveform


def _samples(front_end: FrontEnd) -> int:
    return (front_end.shape[1] - 1) * hop(front_end)
