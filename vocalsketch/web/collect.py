"""Collecting imitations from people: one sound after another, heard, imitated and rated.

What is collected is a corpus in the folder layout: ``sounds/``, ``imitations/<sound>/<participant>
.wav``, and ``participants/<participant>.json`` with who agreed to what and when, ratings, and the
searches of a study. Each participant writes only files of their own, so that several take part at
once, and every file is written whole.
"""

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import soundfile
from fastapi import APIRouter, Body, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from vocalsketch.errors import AudioError, DatasetError
from vocalsketch.files import make_folder, write_text, written_whole
from vocalsketch.search.library import list_library
from vocalsketch.web.searching import Recording, recorded
from vocalsketch.web.server import Limits

SHORTEST = 0.2  # seconds
QUIET = 0.02  # of full scale: softer recordings are asked for again
CLIPPED = 0.99  # of full scale
FEW = 3  # samples at full scale that are no clipping yet
CONSENT = (
    "Your recordings and ratings are kept under a random number, without your name, for research "
    "on sound search by vocal imitation. You may stop at any time."
)
PARTICIPANT = r"^[0-9a-f]{12}$"
Id = Annotated[str, Query(pattern=PARTICIPANT)]
Sender = Annotated[str, Body(pattern=PARTICIPANT)]
Number = Annotated[int, Query(ge=0)]
Progress = dict[str, str | list[int]]


class Take(BaseModel):
    """A recording that was kept."""

    seconds: float
    peak: float = Field(description="of full scale")
    warnings: list[str]


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
        paths = [Path(each.path) for each in list_library(sounds).files]
        counts = Counter(path.stem for path in paths)
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise DatasetError(
                f"{sounds} holds several sounds named {', '.join(twice[:5])}: imitations are filed "
                "under a sound's name, so rename them."
            )
        self.sounds = [sounds / path for path in paths]
        make_folder(out / "participants")
        for path in paths:  # below its category, the first folder around it, if any
            _link(sounds / path, Path(out, "sounds", *path.parent.parts[:1], path.name))
        self.router = APIRouter(prefix="/collect")
        get, post = self.router.get, self.router.post
        get("/invitation")(self.invitation)
        post("/participants")(self.join)
        get("/progress")(self.progress)
        get("/sound", response_class=FileResponse)(self.sound)
        post("/take")(self.take)
        post("/rating", status_code=204)(self.rate)

    def invitation(self) -> dict[str, str | int | float | bool]:
        """Tell what taking part means: ``seconds`` are of a recording, at most."""
        count, seconds = len(self.sounds), self.limits.seconds
        return {"consent": self.consent, "sounds": count, "seconds": seconds, "study": self.study}

    def join(self, agreed: Annotated[Literal[True], Body(embed=True)]) -> Progress:
        """Begin as a new participant, under a random number; sounds imitated least come first."""
        name = secrets.token_hex(6)
        takes = [len(list((self.out / "imitations" / s.stem).glob("*.wav"))) for s in self.sounds]
        shuffled = np.random.default_rng(int(name, 16)).permutation(len(takes))
        order = sorted(shuffled.tolist(), key=takes.__getitem__)
        self._write(name, {"agreed_to": self.consent, "began": _now(), "order": order, "takes": {}})
        return self.progress(name)

    def progress(self, participant: Id) -> Progress:
        """Tell the ``order`` of sounds to imitate, and which are ``done``, to go on there."""
        record = self.record(participant)
        order = [number for number in record["order"] if number < len(self.sounds)]
        done = [n for n, sound in enumerate(self.sounds) if sound.stem in record["takes"]]
        return {"participant": participant, "order": order, "done": done}

    def sound(self, number: Number) -> FileResponse:
        """Send a sound to imitate."""
        return FileResponse(self._sound(number))

    def take(self, recording: Recording, participant: Id, sound: Number) -> Take:
        """Keep the recording in the body as the participant's imitation; a former one goes."""
        target = self._sound(sound).stem
        with self.changed(participant) as record:
            waveform, rate = recorded(recording, self.limits)
            take = _judged(waveform, len(waveform) / rate)
            file = self.out / "imitations" / target / f"{participant}.wav"
            with written_whole(file) as temporary:
                soundfile.write(temporary, waveform, rate, format="WAV", subtype="PCM_16")
            record["takes"][target] = {"at": _now(), **take.model_dump(exclude={"warnings"})}
        return take

    def rate(
        self,
        participant: Sender,
        sound: Annotated[int, Body(ge=0)],
        satisfaction: Annotated[int, Body(ge=1, le=5)],
    ) -> None:
        """Keep how well a participant thinks an imitation went."""
        target = self._sound(sound).stem
        with self.changed(participant) as record:
            if target not in record["takes"]:
                raise DatasetError("This sound has not been imitated yet: record it first.")
            record["takes"][target]["satisfaction"] = satisfaction

    def record(self, participant: str) -> dict[str, Any]:
        """Return what is kept of a participant.

        Raises:
            DatasetError: There is none of this number.
        """
        file = self.out / "participants" / f"{participant}.json"
        if not file.is_file():
            raise DatasetError(f"There is no participant {participant!r}: begin anew.")
        return dict(json.loads(file.read_text(encoding="utf-8")))

    @contextmanager
    def changed(self, participant: str) -> Iterator[dict[str, Any]]:
        """Yield what is kept of a participant, and keep it as the block leaves it."""
        record = self.record(participant)
        yield record
        self._write(participant, record)

    def _write(self, participant: str, record: dict[str, Any]) -> None:
        text = json.dumps(record, indent=1) + "\n"
        write_text(self.out / "participants" / f"{participant}.json", text)

    def _sound(self, number: int) -> Path:
        if number >= len(self.sounds):
            raise DatasetError(f"There is no sound {number}: there are {len(self.sounds)}.")
        return self.sounds[number]


def read_participants(out: Path) -> dict[str, dict[str, Any]]:
    """Return what is kept of every participant, by number.

    Raises:
        DatasetError: Nobody took part.
    """
    files = sorted((out / "participants").glob("*.json"))
    if not files:
        raise DatasetError(f"Nobody took part in {out}: give the folder of `collect --out`.")
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def _judged(waveform: np.ndarray, seconds: float) -> Take:
    """Return what was noticed of a recording; an AudioError asks for another."""
    peak = float(np.abs(waveform).max(initial=0.0))
    if seconds < SHORTEST:
        raise AudioError(f"Your recording has {seconds:.2f} s: make it {SHORTEST} s or longer.")
    if peak < 1e-4:
        raise AudioError("Your recording is silent: check the microphone, and record again.")
    warnings = []
    if peak < QUIET:
        warnings.append("It is very soft: come nearer to the microphone if you can.")
    if int((np.abs(waveform) >= CLIPPED).sum()) > FEW:
        warnings.append("It is too loud in places: move away a little, and record again.")
    return Take(seconds=seconds, peak=peak, warnings=warnings)


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
