"""Where a spectrogram's bins and frames lie, in hertz and in seconds."""

import librosa
import numpy as np

from vocalsketch.errors import ConfigError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.log_mel import LogMel


def frequencies(front_end: FrontEnd) -> np.ndarray:
    """Return the centre of each bin or band, Hz, (bins,).

    Raises:
        ConfigError: The front end is neither a CQT nor a log-mel spectrogram.
    """
    if isinstance(front_end, CQT):
        octaves = np.arange(front_end.bins) / front_end.bins_per_octave
        return np.asarray(front_end.minimum_frequency * 2.0**octaves)
    mel = _log_mel(front_end)
    edges = librosa.mel_frequencies(
        mel.bands + 2, fmin=mel.minimum_frequency, fmax=mel.maximum_frequency
    )
    return np.asarray(edges[1:-1])


def hop(front_end: FrontEnd) -> int:
    """Return the samples from one frame's centre to the next one's."""
    return front_end.hop_length if isinstance(front_end, CQT) else _log_mel(front_end).window


def duration(front_end: FrontEnd) -> float:
    """Return the seconds that a spectrogram's frames span."""
    return front_end.shape[1] * hop(front_end) / front_end.sample_rate


def _log_mel(front_end: FrontEnd) -> LogMel:
    if not isinstance(front_end, LogMel):
        raise ConfigError(
            f"A spectrogram of {type(front_end).__name__} cannot be turned into sound: CQT and "
            "log-mel can."
        )
    return front_end
