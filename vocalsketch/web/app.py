"""The page and its API, which describes itself at ``/api/openapi.json``."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from vocalsketch.domain import Side
from vocalsketch.errors import AudioError, DatasetError, VocalSketchError
from vocalsketch.search import reveal
from vocalsketch.search.query import prepared
from vocalsketch.spread.threads import available_cores
from vocalsketch.web.clips import audible_clip, spectrogram_picture
from vocalsketch.web.guard import Guard, Limits
from vocalsketch.web.libraries import Libraries, Systems, Upkeep
from vocalsketch.web.searching import (
    LONGEST_CLIP,
    Place,
    Results,
    Wish,
    query_of,
    search,
    sound_of,
)

STATIC = Path(__file__).parent / "static"
CLIPS_KEPT = 64  # that are not made again; 1.5 MB each at most
PICTURES_KEPT = 2048  # likewise; 10 kB each
FRESH = {"Cache-Control": "private, max-age=300"}
MOST_FOLDERS = 500  # that are offered
MOST_SOUNDS = 200  # listed at once
AUDIO_BODY = {
    "requestBody": {
        "description": "The recording: a sound file of any kind that can be decoded.",
        "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
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


def build_app(
    libraries: Libraries,
    limits: Limits,
    hosts: Sequence[str],
    root_path: str = "",
    notes: Sequence[str] = (),
    examples: Mapping[str, Path] = {},
    reveal: bool = False,
    routers: Sequence[APIRouter] = (),
) -> Guard:
    """Return the page as an ASGI application.

    Args:
        libraries: What is searched.
        limits: On recordings.
        hosts: Names under which it is reached; ``*`` for any.
        root_path: Under which a proxy serves it.
        notes: What a visitor has to know first.
        examples: Recordings to try it with, by what they imitate.
        reveal: Whether a visitor sits at this machine, whose file manager may be opened.
        routers: Further addresses.
    """
    app = FastAPI(
        title="vocalsketch",
        version=__version__,
        summary="Sound search by vocal imitation.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page would come from another server
        redoc_url=None,
        root_path=root_path,
    )
    app.add_exception_handler(VocalSketchError, _refused)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(HTTPException, _not_there)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.include_router(_Pages(libraries, limits, notes, examples, reveal).router, prefix="/api")
    for router in routers:
        app.include_router(router, prefix="/api")
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return Guard(app, limits, hosts)


@dataclass(eq=False)
class _Pages:
    """Answers everything below ``/api``."""

    libraries: Libraries
    limits: Limits
    notes: Sequence[str]
    examples: Mapping[str, Path]
    can_reveal: bool

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
        sizes = {index.library: index for index in systems.indexes}
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
                for library, index in sizes.items()
            ],
            folders=systems.folders(MOST_FOLDERS),
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

    async def search(self, request: Request, wish: Annotated[Wish, Query()]) -> Results:
        """Rank the sounds by how likely the recording in the body meant them."""
        recording = await request.body()
        return await self._in_turn(partial(search, wish=wish, recording=recording))

    async def explain(
        self,
        request: Request,
        wish: Annotated[Wish, Query()],
        path: Annotated[str, Query(max_length=4096)],
        library: Annotated[int, Query(ge=0, le=9999)] = 0,
        at: Annotated[float, Query(ge=0, le=1e9)] = 0.0,
    ) -> HTMLResponse:
        """Return a self-contained page on why a found sound scores as it does."""
        recording = await request.body()
        place = Place(library=library, path=path, start=at)
        work = partial(self._explanation, wish=wish, recording=recording, place=place)
        return HTMLResponse(await self._in_turn(work))

    def _explanation(
        self, systems: Systems, limits: Limits, wish: Wish, recording: bytes, place: Place
    ) -> str:
        # Imported here because it draws: most visitors only search.
        from vocalsketch.interpret.explanation import explain

        waveform, rate = query_of(systems, wish.similar_to, recording, limits)
        target, target_rate = sound_of(systems, place)
        names: dict[Side, str] = {
            "imitation": Path(wish.like).name or "your recording",
            "recording": Path(place.path).name,
        }
        searched = [
            index
            for index in systems.searcher(wish.system).indexes
            if index.library == systems.library(place.library).library
        ]
        return explain(
            [(index.name, index.system) for index in searched],
            {"imitation": (prepared(waveform, rate), rate), "recording": (target, target_rate)},
            names,
        )

    async def clip(self, request: Request, place: Annotated[Place, Query()]) -> Response:
        """Play a part of a sound: wav of 16 bits, ``LONGEST_CLIP`` seconds at most."""
        content = await self._made(_clip, place)
        return ranged(content, "audio/wav", request.headers.get("range", ""))

    async def spectrogram(self, place: Annotated[Place, Query()]) -> Response:
        """Show that part's mel spectrogram (PNG)."""
        picture = await self._made(_picture, place)
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

    async def _made(self, make: Callable[[Path, int, float], bytes], place: Place) -> bytes:
        def made() -> bytes:
            file = self._file(place)
            return make(file, file.stat().st_mtime_ns, place.start)

        return await anyio.to_thread.run_sync(made, limiter=self.turns)

    async def _in_turn(self, work: Callable[..., Answer]) -> Answer:
        """Work in a thread, with as many at once as there are cores."""
        return await anyio.to_thread.run_sync(
            lambda: work(self.libraries.now(), limits=self.limits), limiter=self.turns
        )


def ranged(content: bytes, media_type: str, wanted: str) -> Response:
    """Return content, or the one range of it that a player asks for.

    Args:
        content: The whole.
        media_type: Its type.
        wanted: The request's Range header; what is not one range of bytes is passed over.
    """
    headers = {"Accept-Ranges": "bytes", **FRESH}
    range_ = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", wanted.strip())
    if range_ is None or not any(range_.groups()):
        return Response(content, media_type=media_type, headers=headers)
    first, last = range_.groups()
    if first:
        begin, end = int(first), min(int(last or len(content)), len(content) - 1)
    else:  # the last bytes
        begin, end = max(0, len(content) - int(last)), len(content) - 1
    if begin > end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
    return Response(content[begin : end + 1], 206, media_type=media_type, headers=headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong; of a sound, nothing that tells what lies elsewhere."""
    if request.method == "GET":
        return JSONResponse({"error": "There is no such sound here."}, 404)
    status = 422 if isinstance(error, AudioError) else 400
    return JSONResponse({"error": str(error)}, status)


async def _not_there(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException), "added for it"
    return JSONResponse({"error": error.detail}, error.status_code)


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _misread(_: Request, error: Exception) -> JSONResponse:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    texts = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in problems[:5]]
    return JSONResponse({"error": "; ".join(texts)[:1000]}, 400)


@lru_cache(CLIPS_KEPT)
def _clip(file: Path, _changed: int, start: float) -> bytes:
    return audible_clip(file, start, LONGEST_CLIP)


@lru_cache(PICTURES_KEPT)
def _picture(file: Path, _changed: int, start: float) -> bytes:
    return spectrogram_picture(file, start, LONGEST_CLIP)
