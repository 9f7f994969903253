"""From what the page sends to what it is told; nothing is kept between two requests."""

import io
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request
from pydantic import BaseModel, Field

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import MARGIN, read_audio
from vocalsketch.search import Hit
from vocalsketch.search.query import LONGEST, HeardPart, Waveform, aspect_weights
from vocalsketch.web.libraries import Systems
from vocalsketch.web.server import Limits

MOST_RESULTS = 100
LONGEST_CLIP = 8.0  # seconds that are played from where a sound was found
Word = Annotated[str, Field(max_length=200)]


async def _body_of(request: Request) -> bytes:
    return await request.body()


Recording = Annotated[bytes, Depends(_body_of)]


class Place(BaseModel):
    """A sound of a library, and where in it something begins."""

    library: int = Field(0, ge=0, le=9999, description="the library's number, as in a hit")
    path: str = Field(max_length=4096, description="within the library, with /")
    start: float = Field(0.0, ge=0, le=1e9, description="seconds within the file")


class Wish(BaseModel):
    """What is searched for, beside the recording."""

    system: Word = Field("", description="which system searches; the first if left out")
    count: int = Field(10, ge=1, le=MOST_RESULTS)
    words: Word = Field("", description="sounds whose path lacks one count as a tenth as likely")
    folder: list[Word] = Field([], max_length=20, description="only sounds within all of these")
    aspect: list[Word] = Field([], max_length=20, description="NAME=FACTOR: how much it counts")
    like: str = Field("", max_length=4096, description="path of a sound to search with instead")
    library: int = Field(0, ge=0, le=9999, description="the library of that sound")
    start: float = Field(0.0, ge=0, le=1e9, description="where it begins in that sound, seconds")


class Pair(Wish):
    """A found sound, and what it was searched with."""

    path: str = Field(max_length=4096, description="within the library, with /")
    at: float = Field(0.0, ge=0, le=1e9, description="where it begins in that sound, seconds")


class Found(BaseModel):
    """A found sound."""

    rank: int
    library: int
    path: str
    name: str
    folders: list[str]
    start: float = Field(description="where the part that matches best begins, seconds")
    end: float
    duration: float = Field(description="of the file, seconds")
    sample_rate: int = Field(description="Hz")
    score: float
    probability: float = Field(description="that the sound was meant, 0 to 1")
    clip: str = Field(description="address of the part as wav, below /api/")
    spectrogram: str = Field(description="address of its picture, below /api/")
    file: str = Field(description="address of the file, below /api/")


class Results(BaseModel):
    """What a search came to."""

    hits: list[Found]
    heard: HeardPart
    sounds: int = Field(description="how many were ranked")
    missing: list[str] = Field([], description="indexes that could not be searched")


def search(systems: Systems, wish: Wish, recording: bytes, limits: Limits) -> Results:
    """Search with a recording, or with a found sound.

    Raises:
        AudioError: The recording is silent, too short or too long, or no audio.
        ConfigError: Something of the request cannot be used.
        DatasetError: The sound to search with is not of the library.
    """
    searcher = systems.searcher(wish.system)
    waveform, rate = query_of(systems, wish, recording, limits)
    hits = searcher.search(
        waveform,
        rate,
        wish.count,
        tags=[each for each in wish.folder if each.strip()],
        text=wish.words,
        aspects=aspect_weights(wish.aspect),
    )
    return Results(
        hits=[found(hit, systems) for hit in hits],
        heard=searcher.heard_part(waveform, rate),
        sounds=sum({index.library: index.sounds for index in searcher.indexes}.values()),
        missing=list(searcher.missing),
    )


def query_of(
    systems: Systems, wish: Wish, recording: bytes, limits: Limits
) -> tuple[Waveform, int]:
    """Return what is searched with: a found sound, or what was recorded; errors as of these."""
    if not wish.like:
        return recorded(recording, limits)
    return sound_of(systems, Place(library=wish.library, path=wish.like, start=wish.start))


def recorded(recording: bytes, limits: Limits) -> tuple[Waveform, int]:
    """Return the waveform (samples,) of what somebody recorded, and its rate in Hz.

    Raises:
        AudioError: It is no audio, or longer than the limit.
    """
    if not recording:
        raise AudioError("There is no recording: record or upload an imitation first.")
    seconds = limits.seconds + MARGIN
    waveform, rate = read_audio(io.BytesIO(recording), seconds=seconds, name="Your recording")
    if len(waveform) > limits.seconds * rate:
        raise AudioError(
            f"Your recording is longer than {limits.seconds:g} s: cut it; a few seconds are enough."
        )
    return waveform, rate


def sound_of(systems: Systems, place: Place) -> tuple[Waveform, int]:
    """Return a sound of a library from ``place.start`` on.

    Raises:
        AudioError: It cannot be read there.
        DatasetError: It is not of the library.
    """
    file = systems.library(place.library).file_of(place.path)
    return read_audio(file, seconds=LONGEST, offset=place.start, name=place.path)


def found(hit: Hit, systems: Systems) -> Found:
    """Return a hit as the page is told it."""
    library = next(
        n for n, each in enumerate(systems.indexes) if each.library / hit.path == hit.file
    )
    *folders, name = PurePosixPath(hit.path).parts
    place = urlencode({"library": library, "path": hit.path, "start": f"{hit.start:g}"})
    addresses = {what: f"{what}?{place}" for what in ("clip", "spectrogram", "file")}
    return Found(**{**hit.to_dict(), **addresses}, library=library, name=name, folders=folders)
