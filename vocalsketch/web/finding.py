"""From what the page sends to what it shows; nothing is kept between two requests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocalsketch.domain import Side
from vocalsketch.errors import AudioError, ConfigError, StorageError
from vocalsketch.features.audio import MARGIN, read_audio
from vocalsketch.interpret.explanation import explain_waveforms
from vocalsketch.search import Hit, Searcher
from vocalsketch.search.query import LONGEST, Waveform, prepared
from vocalsketch.web.limits import Limits
from vocalsketch.web.systems import LiveSystems

LONGEST_TEXT = 200  # letters
MOST_TAGS = 20
MOST_RESULTS = 100


@dataclass(frozen=True)
class Place:
    """A sound of the library, and where in it something begins.

    Attributes:
        path: Within the library.
        start: Seconds within the file.
    """

    path: str
    start: float

    @classmethod
    def of(cls, value: object) -> "Place":
        """Read what a browser sent.

        Raises:
            ConfigError: It is something else.
        """
        values = value if isinstance(value, dict) else {}
        path, start = values.get("sound"), values.get("start")
        if isinstance(path, str) and isinstance(start, int | float) and 0 <= start < math.inf:
            return cls(path, float(start))
        raise ConfigError("This names no sound of the library: search again.")


@dataclass(frozen=True)
class Request:
    """A search as the page asks for it; anything may have been sent.

    Attributes:
        recording: Path of what was recorded or uploaded; None where nothing was.
        like: A found sound to search with instead; None for the recording.
        words: Text that re-weights.
        tags: Only sounds with all of these.
        system: Which of the systems searches.
        count: How many results.
    """

    recording: str | None
    like: Any
    words: Any
    tags: Any
    system: Any
    count: Any


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        hits: Best first.
        like: The sound that was searched with; None for the recording.
        index: Place of the index whose library the sounds lie in.
        sounds: How many there are in it.
    """

    hits: Sequence[Hit]
    like: Place | None
    index: int
    sounds: int


class Finder:
    """Searches and explains for all visitors at once.

    Args:
        systems: What can be searched.
        limits: On recordings.
    """

    def __init__(self, systems: LiveSystems, limits: Limits) -> None:
        self.systems = systems
        self.limits = limits

    def find(self, request: Request) -> Found:
        """Search.

        Raises:
            AudioError: The recording is silent, too short or too long, or no audio.
            ConfigError: Something of the request cannot be used.
            DatasetError: The sound to search with is not of the library.
        """
        systems = self.systems.now()
        searcher = systems.searcher(request.system)
        like = None if request.like is None else Place.of(request.like)
        waveform, rate = self._query(request.recording, like, searcher)
        hits = searcher.search(
            waveform,
            rate,
            _count(request.count),
            tags=_tags(request.tags),
            text=_text(request.words),
        )
        index = searcher.indexes[0]
        return Found(hits, like, systems.number_of(searcher), index.sounds)

    def explain(self, recording: str | None, like: Any, system: Any, sound: Any) -> str:
        """Return a self-contained HTML page on why a found sound scores as it does.

        Raises:
            AudioError: As ``find``.
            ConfigError: As ``find``.
            DatasetError: The sound is not of the library.
        """
        searcher = self.systems.now().searcher(system)
        origin = None if like is None else Place.of(like)
        place = Place.of(sound)
        waveform, rate = self._query(recording, origin, searcher)
        clips: dict[Side, tuple[Waveform, int]] = {
            "imitation": (prepared(waveform, rate), rate),
            "recording": _sound(searcher, place),
        }
        names: dict[Side, str] = {
            "imitation": "your recording" if origin is None else Path(origin.path).name,
            "recording": Path(place.path).name,
        }
        systems = [(f"the network of {index.name}", index.system) for index in searcher.indexes]
        return explain_waveforms(systems, clips, names)

    def _query(
        self, recording: str | None, like: Place | None, searcher: Searcher
    ) -> tuple[Waveform, int]:
        if like is not None:
            return _sound(searcher, like)
        if not recording:
            raise AudioError("There is no recording: record or upload an imitation first.")
        return read_recording(Path(recording), self.limits)


def read_recording(file: Path, limits: Limits) -> tuple[Waveform, int]:
    """Read what a visitor sent; no more is decoded than the limit.

    Raises:
        AudioError: It is no audio, or longer than the limit.
        StorageError: It was sent so long ago that it is gone.
    """
    if not file.is_file():
        raise StorageError("This recording is not kept any longer: record or upload it again.")
    waveform, rate = read_audio(file, seconds=limits.seconds + MARGIN, name="Your recording")
    if len(waveform) > limits.seconds * rate:
        raise AudioError(
            f"Your recording is longer than {limits.seconds:g} s: cut it; a few seconds are enough."
        )
    return waveform, rate


def _sound(searcher: Searcher, place: Place) -> tuple[Waveform, int]:
    file = searcher.indexes[0].file_of(place.path)
    return read_audio(file, seconds=LONGEST, offset=place.start, name=place.path)


def _count(value: object) -> int:
    try:
        count = int(str(value))
    except ValueError:
        count = 0
    if not 1 <= count <= MOST_RESULTS:
        raise ConfigError(f"{str(value)[:40]} results cannot be shown: 1 to {MOST_RESULTS}.")
    return count


def _tags(value: object) -> list[str]:
    tags = [] if value is None else value
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ConfigError("Tags are a list of words.")
    if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TEXT for tag in tags):
        raise ConfigError(f"Choose at most {MOST_TAGS} tags, of {LONGEST_TEXT} letters at most.")
    return [tag for tag in tags if tag.strip()]


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    if len(text) > LONGEST_TEXT:
        raise ConfigError(f"Give at most {LONGEST_TEXT} letters of text.")
    return text
