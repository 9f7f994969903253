"""A part of a sound as a browser plays it, and as it shows it."""

import io
from functools import cache
from pathlib import Path

import numpy as np
import scipy
import soundfile
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from vocalsketch.features.audio import read_audio, resampled

HIGHEST_RATE = 48_000  # hz; beyond it nothing is heard, and some browsers play nothing
PICTURE_RATE = 22_050  # hz
WINDOW = 1024  # samples of a spectrum
COLUMNS, BANDS = 300, 48
DYNAMIC_RANGE = 70.0  # dB that are shown below the loudest
# where each band begins, bins of a spectrum; equally far apart in mel
MELS = np.linspace(0, 2595 * np.log10(1 + PICTURE_RATE / 2 / 700), BANDS, endpoint=False)
EDGES = np.rint(700 * (10 ** (MELS / 2595) - 1) * WINDOW / PICTURE_RATE).clip(1).astype(int)
HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def audible_clip(file: Path, start: float = 0.0, seconds: float | None = None) -> bytes:
    """Return a part of a sound as a wav file of 16 bits, mono or stereo, at most 48 kHz.

    Raises:
        AudioError: The file cannot be read there.
    """
    samples, rate = read_audio(file, seconds=seconds, offset=start, mono=False)
    if samples.shape[1] > 2:
        samples = samples.mean(axis=1, keepdims=True)
    if rate > HIGHEST_RATE:
        samples, rate = resampled(samples, rate, HIGHEST_RATE), HIGHEST_RATE
    peak = float(np.abs(samples).max())
    stream = io.BytesIO()
    soundfile.write(stream, samples / max(1.0, peak), rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def spectrogram_picture(file: Path, start: float, seconds: float) -> bytes:
    """Return a picture (PNG) of the mel spectrogram of a part of a sound, low at the bottom.

    Raises:
        AudioError: The file cannot be read there.
    """
    waveform, rate = read_audio(file, seconds=seconds, offset=start)
    levels = mel_levels(resampled(waveform, rate, PICTURE_RATE))
    shades = np.rint((levels[::-1] / DYNAMIC_RANGE + 1.0) * 255).astype(np.uint8)
    picture = Image.fromarray(shades)
    picture.putpalette(_colours())
    stream = io.BytesIO()
    picture.save(stream, "png")
    return stream.getvalue()


def mel_levels(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return levels in dB below the loudest, (bands, columns), columns spread over the sound."""
    hop = -(-max(len(waveform), WINDOW) // COLUMNS)
    rest = max(0, WINDOW - len(waveform))
    padded = np.pad(waveform, (WINDOW // 2, WINDOW // 2 + rest))
    # numpy's own transform takes ten times as long for float32
    spectra = scipy.fft.rfft(sliding_window_view(padded, WINDOW)[::hop] * HANN)
    power = np.add.reduceat(spectra.real**2 + spectra.imag**2, EDGES, axis=1).T
    power /= np.diff(EDGES, append=WINDOW // 2 + 1)[:, None]
    if not power.any():
        return np.full(power.shape, -DYNAMIC_RANGE, dtype=np.float32)
    least = 10 ** (-DYNAMIC_RANGE / 10)
    levels: NDArray[np.float32] = 10 * np.log10(np.maximum(power / power.max(), least))
    return levels


@cache
def _colours() -> bytes:
    """Return a palette, red, green and blue of each of 256 shades from soft to loud."""
    from matplotlib import colormaps

    return colormaps["magma"](np.arange(256), bytes=True)[:, :3].tobytes()
