"""Collecting imitations from people: one sound after another, heard, imitated and rated.

What is collected is a corpus in the folder layout: ``sounds/``, ``imitations/<sound>/<participant>
.wav``, and ``participants/<participant>.json`` with who agreed to what and when, ratings, and the
searches of a study. Each participant writes only files of their own, so that several take part at
once, and every file is written whole.
"""

import io
import json
import os
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import soundfile
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from vocalsketch.datasets.discovery import list_audio
from vocalsketch.errors import AudioError, ConfigError, DatasetError
from vocalsketch.features.audio import MARGIN, read_audio
from vocalsketch.files import make_folder, write_text, written_whole
from vocalsketch.web.guard import Limits

SHORTEST = 0.2  # seconds
QUIET = 0.02  # of full scale: softer recordings are asked for again
CLIPPED = 0.99  # of full scale
FEW = 3  # samples at full scale that are no clipping yet
PARTICIPANT = re.compile(r"[0-9a-f]{12}")
CONSENT = (
    "Your recordings and ratings are kept under a random number, without your name, for research "
    "on sound search by vocal imitation. You may stop at any time."
)
Id = Annotated[str, Query(pattern=PARTICIPANT.pattern, min_length=12, max_length=12)]


class Take(BaseModel):
    """A recording that was kept."""

    seconds: float
    peak: float = Field(description="of full scale")
    warnings: list[str]


class Rating(BaseModel):
    """How well a participant thinks an imitation went."""

    participant: str = Field(pattern=PARTICIPANT.pattern, max_length=12)
    sound: int = Field(ge=0)
    satisfaction: int = Field(ge=1, le=5)


class Consent(BaseModel):
    """What somebody agrees to before taking part."""

    agreed: Literal[True]


class Progress(BaseModel):
    """Where a participant is."""

    participant: str
    order: list[int] = Field(description="numbers of the sounds, in the order to imitate them")
    done: list[int] = Field(description="numbers of those imitated")


class Invitation(BaseModel):
    """What a participant is shown first."""

    consent: str
    sounds: int
    seconds: float = Field(description="of a recording, at most")
    study: bool


class _Sound(NamedTuple):
    file: Path
    target: str  # its file's name without the suffix, by which imitations are linked
    placed: Path  # within the corpus


class Collection:
    """A corpus that people add imitations to.

    Args:
        sounds: The folder of sounds to imitate; its first folders are the categories.
        out: The corpus's folder; what is there already is continued.
        limits: On recordings.
        consent: What participants agree to.
        study: Whether search tasks follow.

    Raises:
        DatasetError: There is no sound, or two would have the same name.
        StorageError: The folder cannot be written.
    """

    def __init__(
        self, sounds: Path, out: Path, limits: Limits, consent: str = CONSENT, study: bool = False
    ) -> None:
        self.out = out
        self.limits = limits
        self.consent = consent
        self.study = study
        self.sounds = _placed(sounds)
        make_folder(out / "participants")
        for sound in self.sounds:
            _link(sound.file, out / "sounds" / sound.placed)
        self.router = APIRouter(prefix="/collect")
        get, post = self.router.get, self.router.post
        get("/invitation")(self.invitation)
        post("/participants")(self.join)
        get("/progress")(self.progress)
        get("/sound", response_class=FileResponse)(self.sound)
        post("/take")(self.take)
        post("/rating", status_code=204)(self.rate)

    def invitation(self) -> Invitation:
        """Tell what taking part means."""
        return Invitation(
            consent=self.consent,
            sounds=len(self.sounds),
            seconds=self.limits.seconds,
            study=self.study,
        )

    def join(self, _: Consent) -> Progress:
        """Begin as a new participant, under a random number; sounds imitated least come first."""
        name = secrets.token_hex(6)
        counts = [
            len(list((self.out / "imitations" / s.target).glob("*.wav"))) for s in self.sounds
        ]
        shuffled = np.random.default_rng(int(name, 16)).permutation(len(self.sounds))
        order = sorted(shuffled.tolist(), key=counts.__getitem__)
        record = {"agreed_to": self.consent, "began": _now(), "order": order, "takes": {}}
        self._write(name, record)
        return Progress(participant=name, order=order, done=[])

    def progress(self, participant: Id) -> Progress:
        """Tell where a participant is, to go on there."""
        record = self.record(participant)
        order = [number for number in record["order"] if number < len(self.sounds)]
        done = [n for n, each in enumerate(self.sounds) if each.target in record["takes"]]
        return Progress(participant=participant, order=order, done=done)

    def sound(self, number: Annotated[int, Query(ge=0)]) -> FileResponse:
        """Send a sound to imitate."""
        return FileResponse(self._sound(number).file)

    async def take(
        self, request: Request, participant: Id, sound: Annotated[int, Query(ge=0)]
    ) -> Take:
        """Keep the recording in the body as the participant's imitation; a former one goes."""
        return await run_in_threadpool(self._keep, await request.body(), participant, sound)

    def _keep(self, recording: bytes, participant: str, number: int) -> Take:
        sound = self._sound(number)
        record = self.record(participant)
        waveform, rate, take = checked(recording, self.limits)
        file = self.out / "imitations" / sound.target / f"{participant}.wav"
        with written_whole(file) as temporary:
            soundfile.write(temporary, waveform, rate, format="WAV", subtype="PCM_16")
        record["takes"][sound.target] = {"at": _now(), "seconds": take.seconds, "peak": take.peak}
        self._write(participant, record)
        return take

    def rate(self, rating: Rating) -> None:
        """Keep how satisfied a participant is with an imitation."""
        record = self.record(rating.participant)
        target = self._sound(rating.sound).target
        if target not in record["takes"]:
            raise DatasetError("This sound has not been imitated yet: record it first.")
        record["takes"][target]["satisfaction"] = rating.satisfaction
        self._write(rating.participant, record)

    def record(self, participant: str) -> dict[str, Any]:
        """Return what is kept of a participant.

        Raises:
            DatasetError: There is none of this number.
        """
        file = self.out / "participants" / f"{participant}.json"
        if not PARTICIPANT.fullmatch(participant) or not file.is_file():
            raise DatasetError(f"There is no participant {participant!r}: begin anew.")
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return values

    def add(self, participant: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change what is kept of a participant."""
        record = self.record(participant)
        change(record)
        self._write(participant, record)

    def _write(self, participant: str, record: dict[str, Any]) -> None:
        text = json.dumps(record, indent=1) + "\n"
        write_text(self.out / "participants" / f"{participant}.json", text)

    def _sound(self, number: int) -> _Sound:
        if number >= len(self.sounds):
            raise DatasetError(f"There is no sound {number}: there are {len(self.sounds)}.")
        return self.sounds[number]


def checked(recording: bytes, limits: Limits) -> tuple[np.ndarray, int, Take]:
    """Return a recording's waveform (samples,), its rate in Hz, and what was noticed.

    Raises:
        AudioError: It is no audio, silent, too short or too long.
    """
    seconds = limits.seconds + MARGIN
    waveform, rate = read_audio(io.BytesIO(recording), seconds=seconds, name="Your recording")
    length, peak = len(waveform) / rate, float(np.abs(waveform).max(initial=0.0))
    if length > limits.seconds:
        raise AudioError(f"Your recording is longer than {limits.seconds:g} s: make it shorter.")
    if length < SHORTEST:
        raise AudioError(f"Your recording has {length:.2f} s: make it {SHORTEST} s or longer.")
    if peak < 1e-4:
        raise AudioError("Your recording is silent: check the microphone, and record again.")
    warnings = []
    if peak < QUIET:
        warnings.append("It is very soft: come nearer to the microphone if you can.")
    if int((np.abs(waveform) >= CLIPPED).sum()) > FEW:
        warnings.append("It is too loud in places: move away a little, and record again.")
    return waveform, rate, Take(seconds=length, peak=peak, warnings=warnings)


def read_participants(out: Path) -> dict[str, dict[str, Any]]:
    """Return what is kept of every participant, by number.

    Raises:
        DatasetError: Nobody took part.
    """
    files = sorted((out / "participants").glob("*.json"))
    if not files:
        raise DatasetError(f"Nobody took part in {out}: give the folder of `collect --out`.")
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def _placed(folder: Path) -> Sequence[_Sound]:
    """Return the sounds of a folder: their category is the first folder around each, if any."""
    found = list_audio(folder).files
    placed = []
    for each in found:
        path = Path(each.path)
        category = Path(path.parts[0]) if len(path.parts) > 1 else Path()
        placed.append(_Sound(folder / path, path.stem, category / path.name))
    names = [each.target for each in placed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DatasetError(
            f"{folder} holds several sounds named {', '.join(twice[:5])}: imitations are filed "
            "under a sound's name, so rename them."
        )
    if not placed:
        raise ConfigError(f"{folder} holds no sounds: give a folder of audio files.")
    return placed


def _link(file: Path, place: Path) -> None:
    if place.exists() or place.is_symlink():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(os.path.relpath(file.resolve(), place.parent.resolve()))
    except OSError:  # a disk without links
        with written_whole(place) as temporary:
            temporary.write_bytes(file.read_bytes())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
