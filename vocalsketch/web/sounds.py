"""The sounds of the libraries over HTTP: clips to play, pictures, and the files as they are.

A sound is served only if an index lists it and it lies within the library, wherever links lead.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from vocalsketch.errors import DatasetError, VocalSketchError
from vocalsketch.web.clips import audible_clip, spectrogram_picture
from vocalsketch.web.systems import LiveSystems

CLIP, SPECTROGRAM, SOUND = "clip", "spectrogram", "sound"  # addresses below the page's
LONGEST_CLIP = 8.0  # seconds that are played from where a sound was found
KEPT = 32  # clips, and as many pictures, that are not made again; 1.5 MB each at most
FRESH = {"Cache-Control": "private, max-age=300"}


def seconds_heard(start: float, duration: float) -> float:
    """Return how long a clip is that begins at ``start`` of a sound, in seconds."""
    return min(LONGEST_CLIP, duration - start)


@dataclass(frozen=True)
class Sounds:
    """Answers requests for sounds of these systems' libraries."""

    systems: LiveSystems

    def routes(self) -> list[Route]:
        """Return where what is answered."""
        answers: dict[str, Callable[[Request], Response]] = {
            CLIP: self._clip,
            SPECTROGRAM: self._spectrogram,
            SOUND: self._sound,
        }
        return [
            Route(f"/{name}", _guarded(answer), methods=["GET"]) for name, answer in answers.items()
        ]

    def _clip(self, request: Request) -> Response:
        file = self._file(request)
        clip = _clip_of(file, file.stat().st_mtime_ns, _start(request))
        return ranged(clip, "audio/wav", request.headers.get("range", ""))

    def _spectrogram(self, request: Request) -> Response:
        file = self._file(request)
        picture = _picture_of(file, file.stat().st_mtime_ns, _start(request))
        return Response(picture, media_type="image/png", headers=FRESH)

    def _sound(self, request: Request) -> Response:
        file = self._file(request)
        return FileResponse(file, filename=file.name, content_disposition_type="attachment")

    def _file(self, request: Request) -> Path:
        number, indexes = request.query_params.get("index", ""), self.systems.now().indexes
        if not number.isdecimal() or len(number) > 4 or int(number) >= len(indexes):
            raise DatasetError(f"There is no index {number[:40]!r}.")
        return indexes[int(number)].file_of(request.query_params.get("path", ""))


def ranged(content: bytes, media_type: str, wanted: str) -> Response:
    """Return content, or the one range of it that a player asks for.

    Args:
        content: The whole.
        media_type: Its type.
        wanted: The request's Range header; what is not one range of bytes is passed over.
    """
    headers = {"Accept-Ranges": "bytes", **FRESH}
    found = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", wanted.strip())
    if found is None or not any(found.groups()):
        return Response(content, media_type=media_type, headers=headers)
    first, last = found.groups()
    if first:
        begin, end = int(first), min(int(last or len(content)), len(content) - 1)
    else:  # the last bytes
        begin, end = max(0, len(content) - int(last)), len(content) - 1
    if begin > end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
    return Response(content[begin : end + 1], 206, media_type=media_type, headers=headers)


def _start(request: Request) -> float:
    try:
        start = float(request.query_params.get("start", "0"))
    except ValueError:
        start = math.nan
    if not (math.isfinite(start) and start >= 0):
        raise DatasetError("A sound begins at 0 s or later.")
    return start


def _guarded(answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
    """Answer alike whatever cannot be served, so that no answer tells what lies elsewhere."""

    def endpoint(request: Request) -> Response:
        try:
            return answer(request)
        except VocalSketchError:
            return PlainTextResponse("Not found.", status_code=404)

    return endpoint


@lru_cache(KEPT)
def _clip_of(file: Path, _changed: int, start: float) -> bytes:
    return audible_clip(file, start, LONGEST_CLIP)


@lru_cache(KEPT)
def _picture_of(file: Path, _changed: int, start: float) -> bytes:
    return spectrogram_picture(file, start, LONGEST_CLIP)
