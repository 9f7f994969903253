"""Sounds that libsndfile does not know, decoded by FFmpeg: phones' and browsers' recordings.

``audio`` imports it where a file needs it, which few do.
"""

import math
from collections.abc import Iterator
from typing import BinaryIO

import av
import numpy as np

from vocalsketch.errors import AudioError

# Only what holds sound itself: a playlist would have FFmpeg open other files and addresses.
FORMATS = (
    "aac,ac3,eac3,aiff,amr,ape,asf,au,avi,caf,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,"
    "mpeg,mpegts,ogg,tta,voc,w64,wav,wv"
)
STATED = ("mov", "matroska")  # that say how long they are
DELAY = 0.25  # seconds: what encoders put before and behind the sound, and some lengths count


class Container:
    """What FFmpeg decodes of a seekable stream, to be read like a ``soundfile.SoundFile``.

    Damage ends the sound, or is an error if it has to be ``whole``; errors call it by ``name``.

    Raises:
        AudioError: FFmpeg knows no such format, or there is no sound in it; also while it is read.
    """

    def __init__(self, stream: BinaryIO, name: str, whole: bool = True) -> None:
        self._stream, self._name, self._whole = stream, name, whole
        self._open()
        self.format = self._file.format.name
        self.samplerate, self.channels = self._track.rate, self._track.channels
        self._layout = self._track.layout.name
        self._blocks = self._decoded(0, 0)
        self._left = np.empty((0, self.channels), dtype=np.float32)

    def _open(self) -> None:
        self._stream.seek(0)
        options = {"format_whitelist": FORMATS, "protocol_whitelist": ""}
        try:
            self._file = av.open(self._stream, "r", options=options, metadata_errors="replace")
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(f"{self._name}: not audio that can be decoded.") from error
        # a track whose codec is not known has neither
        tracks = [
            track
            for track in self._file.streams.audio
            if getattr(track, "rate", 0) and getattr(track, "channels", 0)
        ]
        if not tracks:
            self._file.close()
            raise AudioError(f"{self._name}: holds no sound.")
        self._track = tracks[0]

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def _seconds(self) -> float:
        """What the header says, where it can be relied on; else 0."""
        if not self.format.startswith(STATED):
            return 0.0
        if self._track.duration is not None and self._track.time_base is not None:
            return float(self._track.duration * self._track.time_base)
        alone = len(self._file.streams) == 1  # a picture may go on behind the sound
        return (self._file.duration or 0) / 1_000_000 if alone else 0.0

    @property
    def stated(self) -> int:
        """The least number of frames that keeps what the header says; 0 where it says nothing."""
        return max(0, math.floor((self._seconds - DELAY) * self.samplerate))

    @property
    def frames(self) -> int:
        """How many there are; where the header does not say it, packets are counted."""
        seconds = self._seconds
        if not seconds and self._track.time_base is not None:
            self.seek(0)
            try:
                packets = list(self._file.demux(self._track))
            except (av.FFmpegError, ValueError) as error:
                raise AudioError(f"{self._name}: damaged ({error}): get it again.") from error
            length = sum(packet.duration or 0 for packet in packets)
            length = length or max((packet.pts or 0 for packet in packets), default=0)
            seconds = float(length * self._track.time_base)
            self.seek(0)
        return round(seconds * self.samplerate)

    def seek(self, frame: int) -> None:
        """Go on at a frame."""
        # Elsewhere moments are guessed, or rounded to milliseconds.
        indexed = self.format.startswith("mov") and frame > 0
        if indexed:
            self._file.seek(round(max(0.0, frame / self.samplerate - DELAY) * 1e6))
        else:
            self.__exit__()
            self._open()
        self._left = self._left[:0]
        self._blocks = self._decoded(frame, None if indexed else 0)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """Return up to so many frames, (frames, channels) float32; none at the end."""
        parts, there = [self._left], len(self._left)
        while there < frames and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            there += len(block)
        samples = np.concatenate(parts)
        self._left = samples[frames:]
        return samples[:frames]

    def _decoded(self, start: int, at: int | None) -> Iterator[np.ndarray]:
        """Yield blocks (frames, channels) from a frame on, being at one, or where it is to see."""
        for frame, block in self._frames():
            if at is None and frame.pts is not None and frame.time_base is not None:
                first = (self._track.start_time or 0) * (self._track.time_base or frame.time_base)
                at = round(float(frame.pts * frame.time_base - first) * self.samplerate)
            at = at or 0
            yield block[max(0, start - at) :]
            at += len(block)

    def _frames(self) -> Iterator[tuple[av.AudioFrame, np.ndarray]]:
        """Decode packets; in an MP3 may stand what is none, such as the tags of joined files."""
        packets, kind = self._file.demux(self._track), None
        while True:
            try:
                for frame in next(packets).decode():
                    if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
                        # anew where another sound was joined to the first
                        resampler = av.AudioResampler("fltp", self._layout, self.samplerate)
                    for each in resampler.resample(frame):
                        yield frame, each.to_ndarray().T
            except (StopIteration, EOFError):
                return
            except (av.FFmpegError, ValueError) as error:
                if self._whole and self.format != "mp3":
                    raise AudioError(f"{self._name}: damaged ({error}): get it again.") from error
