"""Sound in containers that libsndfile cannot read, as browsers, phones and cameras write them."""

import io
from typing import BinaryIO

import numpy as np
import soundfile

from vocalsketch.errors import AudioError

LONGEST = 3600.0  # seconds that are decoded: in memory, 700 MB at 48 kHz


def as_wav(source: BinaryIO, name: str) -> io.BytesIO:
    """Return the first track of sound (WebM, MP4, M4A, Opus, ...) as a wav file in memory.

    Raises:
        AudioError: There is none, or it cannot be decoded.
    """
    import av  # which takes a tenth of a second, and most files do not need it

    try:
        source.seek(0)
        with av.open(source, "r") as container:
            if not container.streams.audio:
                raise AudioError(f"{name}: holds no sound, only pictures or data.")
            track = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp")
            blocks, samples, rate = [], 0, track.rate
            for frame in container.decode(track):
                blocks += [each.to_ndarray() for each in resampler.resample(frame)]
                samples += frame.samples
                if samples > LONGEST * rate:
                    break
    except (av.FFmpegError, AttributeError, ValueError) as error:  # a track without a known codec
        raise AudioError(
            f"{name}: not audio that can be decoded: what libsndfile and FFmpeg know is read."
        ) from error
    if not blocks:
        raise AudioError(f"{name}: holds no sound: its track is empty.")
    decoded = io.BytesIO()
    soundfile.write(decoded, np.concatenate(blocks, axis=1).T, rate, format="WAV", subtype="FLOAT")
    decoded.seek(0)
    return decoded
