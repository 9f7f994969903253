"""From features to a sound: undo standardisation, dB, mel or constant Q, and find phases."""

from inspect import signature
from typing import Any

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchaudio.functional import griffinlim

from vocalsketch.features.level import gain

Array = NDArray[np.float64]
OVERLAP = 4  # windows over each sample while phases are sought
ITERATIONS = 32  # of Griffin-Lim
MOMENTUM = 0.99  # of its fast variant (Perraudin, Balazs and Søndergaard, 2013)
# The scale that standardisation took away, of which features tell nothing: medians over
# VocalSketch's clips, rounded, where the front ends' clips have deviations of 19 to 24 dB and
# magnitudes whose mean is 0.2 to 0.3 deviations.
DEVIATION = 20.0  # of a clip's values, dB
MEAN = 0.3  # of a clip's magnitudes, in deviations; where a front end has no dB
RENAMED = "rng" in signature(librosa.griffinlim_cqt).parameters  # since librosa 1.0


def magnitudes(features: Tensor, range_db: float | None) -> Array:
    """Return magnitudes (bins, frames) with the features' shape, 1 at their maximum.

    In dB, a mean would only change loudness: values count down from the maximum. A constant
    pattern is silence.

    Args:
        features: Standardised dB, or magnitudes, (bins, frames).
        range_db: What lies further below the maximum is 0; None for magnitudes, which become 0
            where they are below it.
    """
    values = features.double().numpy()
    if np.ptp(values) == 0:
        return np.zeros_like(values)
    if range_db is None:
        linear = np.maximum(values + MEAN, 0.0)
        return np.asarray(linear / max(linear.max(), 1e-12))
    decibels = np.maximum((values - values.max()) * DEVIATION, -range_db)
    return np.asarray(np.where(decibels > -range_db, 10.0 ** (decibels / 20.0), 0.0))


def closer_frames(values: Array, hop_length: int, close: int) -> Array:
    """Interpolate magnitudes (bins, frames) linearly from one hop to a smaller one, in samples.

    Frames that hardly overlap, or leave gaps, tell nothing about phases; at closer ones Griffin
    and Lim's iteration (1984) has neighbours to agree with.
    """
    frames = values.shape[1]
    places = np.arange((frames - 1) * hop_length // close + 1) * close / hop_length
    return np.stack([np.interp(places, np.arange(frames), row) for row in values])


def from_mel(
    values: Array, filters: Array, points: int, window: int, hop_length: int, seed: int
) -> NDArray[np.float32]:
    """Return a sound (samples,) of mel magnitudes (bands, frames).

    ``filters``, (bands, points // 2 + 1), are what the bands hear of a transform of so many points
    under a window of some samples, a hop apart; the seed draws the first phases.
    """
    power: Array = librosa.util.nnls(filters, values**2)
    close = min(window // OVERLAP, hop_length)
    linear = torch.from_numpy(closer_frames(np.sqrt(power), hop_length, close))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        waveform = griffinlim(
            linear,
            window=torch.hann_window(window, dtype=linear.dtype),
            n_fft=points,
            hop_length=close,
            win_length=window,
            power=1.0,
            n_iter=ITERATIONS,
            momentum=MOMENTUM,
            length=(values.shape[1] - 1) * hop_length,
            rand_init=True,
        )
    return _levelled(waveform.float().numpy())


def from_constant_q(
    values: Array,
    frequencies: Array,
    bins_per_octave: int,
    hop_length: int,
    sample_rate: int,
    seed: int,
) -> NDArray[np.float32]:
    """Return a sound (samples,) of constant-Q magnitudes (bins, frames), their bins at some Hz.

    Frames are brought as close as the power of two below half of the shortest window, as librosa
    then treats low octaves at low rates; the seed draws the first phases.
    """
    ratio = 4.0 ** (1 / bins_per_octave)
    shortest = (ratio + 1) / (ratio - 1) * sample_rate / frequencies[-1]
    close = min(2 ** int(np.log2(max(shortest / 2, 1.0))), hop_length)
    seeded: dict[str, Any] = {"rng" if RENAMED else "random_state": seed}
    waveform: Array = librosa.griffinlim_cqt(
        closer_frames(values, hop_length, close),
        n_iter=ITERATIONS,
        sr=sample_rate,
        hop_length=close,
        fmin=frequencies[0],
        bins_per_octave=bins_per_octave,
        length=(values.shape[1] - 1) * hop_length,
        **seeded,
    )
    return _levelled(waveform.astype(np.float32))


def _levelled(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    return waveform * gain(np.abs(waveform).max(), exactly=True)
