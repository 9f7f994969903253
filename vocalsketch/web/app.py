"""The page and its API, which describes itself at ``/api/openapi.json``."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, TypeVar

import anyio
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vocalsketch import __version__
from vocalsketch.errors import AudioError, DatasetError, VocalSketchError
from vocalsketch.search import reveal
from vocalsketch.search.query import prepared
from vocalsketch.spread.threads import available_cores
from vocalsketch.web.clips import audible_clip, spectrogram_picture
from vocalsketch.web.libraries import Libraries, Upkeep
from vocalsketch.web.searching import (
    LONGEST_CLIP,
    Pair,
    Place,
    Recording,
    Results,
    Wish,
    query_of,
    search,
    sound_of,
)
from vocalsketch.web.server import Guard, Limits

CLIPS_KEPT = 64  # that are not made again; 1.5 MB each at most
PICTURES_KEPT = 2048  # likewise; 10 kB each
FRESH = {"Cache-Control": "private, max-age=300"}
MOST_FOLDERS = 500  # that are offered, those around most sounds
MOST_SOUNDS = 200  # listed at once
AUDIO_BODY = {
    "requestBody": {
        "description": "The recording: a sound file of any kind that can be decoded.",
        "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
REFUSED = VocalSketchError, RequestValidationError, HTTPException, ClientDisconnect
Answer = TypeVar("Answer")


class SystemState(BaseModel):
    """A way to search."""

    name: str
    trained_on: list[str] = Field(description="corpora; those that are synthetic say so")
    aspects: list[str] = Field(description="what may count more or less, where there are several")


class LibraryState(BaseModel):
    """A library that is searched."""

    name: str
    sounds: int
    windows: int


class State(BaseModel):
    """What can be searched now."""

    version: str
    systems: list[SystemState]
    libraries: list[LibraryState]
    folders: list[str]
    upkeep: list[Upkeep]
    notes: list[str]
    examples: dict[str, str] = Field(description="recordings to try, by name: addresses")
    limits: dict[str, float]
    can_reveal: bool


class SoundList(BaseModel):
    """Sounds of a library, in the order of their paths."""

    total: int
    paths: list[str]


@dataclass(eq=False)
class Pages:
    """Answers everything below ``/api``."""

    libraries: Libraries
    limits: Limits  # on recordings
    notes: Sequence[str] = ()  # what a visitor has to know first
    examples: Mapping[str, Path] = field(default_factory=dict)  # recordings to try, by their sounds
    can_reveal: bool = False  # whether visitors sit at this machine, whose file manager may open
    others: Sequence[APIRouter] = ()  # further addresses

    def __post_init__(self) -> None:
        # more at once would slow each other down; who comes first is served first
        self.turns = anyio.CapacityLimiter(available_cores())
        self.router = APIRouter()
        get, post = self.router.get, self.router.post
        get("/state")(self.state)
        get("/sounds")(self.sounds)
        post("/search", openapi_extra=AUDIO_BODY)(self.search)
        post("/explain", openapi_extra=AUDIO_BODY, response_class=HTMLResponse)(self.explain)
        for name, answer in (("clip", self.clip), ("spectrogram", self.spectrogram)):
            get(f"/{name}", response_class=Response)(answer)
        get("/file", response_class=FileResponse)(self.file)
        get("/example", response_class=FileResponse)(self.example)
        if self.can_reveal:
            post("/reveal", status_code=204, response_class=Response)(self.show)

    def state(self) -> State:
        """Tell what can be searched, and how far its indexes are."""
        systems = self.libraries.now()
        libraries = {index.library: index for index in systems.indexes}
        folders = sum((index.tags() for index in systems.indexes), Counter[str]())
        return State(
            version=__version__,
            systems=[
                SystemState(
                    name=name,
                    trained_on=sorted({index.corpus for index in each.indexes if index.corpus}),
                    aspects=list(each.aspects) if len(each.aspects) > 1 else [],
                )
                for name, each in systems.searchers.items()
            ],
            libraries=[
                LibraryState(name=library.name, sounds=index.sounds, windows=index.windows)
                for library, index in libraries.items()
            ],
            folders=sorted(name for name, _ in folders.most_common(MOST_FOLDERS)),
            upkeep=self.libraries.upkeep,
            notes=[*self.notes, *systems.notes],
            examples={name: f"example?name={name}" for name in self.examples},
            limits={"seconds": self.limits.seconds, "megabytes": self.limits.megabytes},
            can_reveal=self.can_reveal,
        )

    def sounds(
        self,
        library: Annotated[int, Query(ge=0, le=9999)] = 0,
        words: Annotated[str, Query(max_length=200)] = "",
        first: Annotated[int, Query(ge=0)] = 0,
    ) -> SoundList:
        """List the sounds of a library whose path has all words, ``MOST_SOUNDS`` at a time."""
        paths = self.libraries.now().library(library).paths(words.casefold().split())
        return SoundList(total=len(paths), paths=paths[first : first + MOST_SOUNDS])

    async def search(self, recording: Recording, wish: Annotated[Wish, Query()]) -> Results:
        """Rank the sounds by how likely the recording in the body meant them."""
        return await self._in_turn(
            lambda: search(self.libraries.now(), wish, recording, self.limits)
        )

    async def explain(self, recording: Recording, pair: Annotated[Pair, Query()]) -> HTMLResponse:
        """Return a self-contained page on why a found sound scores as it does."""
        return HTMLResponse(await self._in_turn(partial(self._explanation, recording, pair)))

    def _explanation(self, recording: bytes, pair: Pair) -> str:
        # Imported here because it draws: most visitors only search.
        from vocalsketch.interpret.explanation import explain

        systems = self.libraries.now()
        waveform, rate = query_of(systems, pair, recording, self.limits)
        target = sound_of(systems, Place(library=pair.library, path=pair.path, start=pair.at))
        library = systems.library(pair.library).library
        return explain(
            [
                (index.name, index.system)
                for index in systems.searcher(pair.system).indexes
                if index.library == library
            ],
            {"imitation": (prepared(waveform, rate), rate), "recording": target},
            {
                "imitation": Path(pair.like).name or "your recording",
                "recording": Path(pair.path).name,
            },
        )

    async def clip(self, request: Request, place: Annotated[Place, Query()]) -> Response:
        """Play a part of a sound: wav of 16 bits, ``LONGEST_CLIP`` seconds at most."""
        content = await self._in_turn(partial(self._made, _clip, place))
        return ranged(content, "audio/wav", request.headers.get("range", ""))

    async def spectrogram(self, place: Annotated[Place, Query()]) -> Response:
        """Show that part's mel spectrogram (PNG)."""
        picture = await self._in_turn(partial(self._made, _picture, place))
        return Response(picture, media_type="image/png", headers=FRESH)

    def file(self, place: Annotated[Place, Query()]) -> FileResponse:
        """Send a sound as it is in the library."""
        file = self._file(place)
        return FileResponse(file, filename=file.name, content_disposition_type="attachment")

    def example(self, name: Annotated[str, Query(max_length=200)]) -> FileResponse:
        """Send a recording to try the search with."""
        if name not in self.examples:
            raise DatasetError(f"There is no example {name!r}.")
        return FileResponse(self.examples[name])

    def show(self, place: Place) -> None:
        """Show a sound in the file manager of this machine."""
        reveal(self._file(place))

    def _file(self, place: Place) -> Path:
        return self.libraries.now().library(place.library).file_of(place.path)

    def _made(self, make: Callable[[Path, int, float], bytes], place: Place) -> bytes:
        file = self._file(place)
        return make(file, file.stat().st_mtime_ns, place.start)

    async def _in_turn(self, work: Callable[[], Answer]) -> Answer:
        """Work in a thread, with as many at once as there are cores."""
        return await anyio.to_thread.run_sync(work, limiter=self.turns)


def build_app(pages: Pages, hosts: Sequence[str], root_path: str = "") -> Guard:
    """Return the page as an ASGI application.

    Args:
        pages: What is served.
        hosts: Names under which it is reached; ``*`` for any.
        root_path: Under which a proxy serves it.
    """
    app = FastAPI(
        title="vocalsketch",
        version=__version__,
        summary="Sound search by vocal imitation.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page would come from another server
        redoc_url=None,
        root_path=root_path,
        exception_handlers=dict.fromkeys(REFUSED, _refused),
    )
    for router in (pages.router, *pages.others):
        app.include_router(router, prefix="/api")
    app.mount("/", StaticFiles(directory=Path(__file__).parent / "static", html=True))
    return Guard(app, pages.limits, hosts)


def ranged(content: bytes, media_type: str, wanted: str) -> Response:
    """Return content, or the one range of it that a player's Range header asks for.

    A header that is not of one range of bytes is passed over.
    """
    headers = {"Accept-Ranges": "bytes", **FRESH}
    range_ = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", wanted.strip())
    if range_ is None or not any(range_.groups()):
        return Response(content, media_type=media_type, headers=headers)
    size, (first, last) = len(content), range_.groups()
    begin = int(first) if first else max(0, size - int(last))  # or the last bytes
    end = min(int(last), size - 1) if first and last else size - 1
    if begin > end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {begin}-{end}/{size}"
    return Response(content[begin : end + 1], 206, media_type=media_type, headers=headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong; of a sound, nothing that tells what lies elsewhere."""
    match error:
        case HTTPException():
            status, reason = error.status_code, error.detail
        case RequestValidationError():
            texts = [f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()[:5]]
            status, reason = 400, "; ".join(texts)[:1000]
        case VocalSketchError() if request.method == "GET":
            status, reason = 404, "There is no such sound here."
        case _:  # also of who is gone, whom nothing reaches
            status, reason = 422 if isinstance(error, AudioError) else 400, str(error)
    return JSONResponse({"error": reason}, status)


@lru_cache(CLIPS_KEPT)
def _clip(file: Path, _changed: int, start: float) -> bytes:
    return audible_clip(file, start, LONGEST_CLIP)


@lru_cache(PICTURES_KEPT)
def _picture(file: Path, _changed: int, start: float) -> bytes:
    return spectrogram_picture(file, start, LONGEST_CLIP)
