"""A part of a sound as a browser plays it, and as it shows it."""

import io
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.image import imsave
from numpy.typing import NDArray

from vocalsketch.features.audio import read_audio, resampled

HIGHEST_RATE = 48_000  # hz; beyond it nothing is heard, and some browsers play nothing
PICTURE_RATE = 22_050  # hz
WINDOW = 1024  # samples of a spectrum
COLUMNS, BANDS = 300, 48
DYNAMIC_RANGE = 70.0  # dB that are shown below the loudest


def audible_clip(file: Path, start: float, seconds: float) -> bytes:
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
    stream = io.BytesIO()
    imsave(stream, levels, -DYNAMIC_RANGE, 0.0, "magma", "png", "lower")
    return stream.getvalue()


def mel_levels(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return levels in dB below the loudest, (bands, columns), columns spread over the sound."""
    import librosa

    hop = -(-max(len(waveform), WINDOW) // COLUMNS)
    waveform = np.pad(waveform, (0, max(0, WINDOW - len(waveform))))
    power = librosa.feature.melspectrogram(
        y=waveform, sr=PICTURE_RATE, n_fft=WINDOW, hop_length=hop, n_mels=BANDS
    )
    if not power.any():
        return np.full(power.shape, -DYNAMIC_RANGE, dtype=np.float32)
    levels = librosa.power_to_db(power, ref=np.max, amin=1e-30, top_db=DYNAMIC_RANGE)
    return np.asarray(levels, dtype=np.float32)
