"""What was found, as HTML; every name in it is escaped."""

import math
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.search import Hit
from vocalsketch.web.finding import Found
from vocalsketch.web.sounds import CLIP, SOUND, SPECTROGRAM, seconds_heard
from vocalsketch.web.systems import Systems

TEMPLATES = Environment(
    loader=PackageLoader("vocalsketch.web", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def results_html(found: Found) -> str:
    """Return the list of what was found, best first."""
    best = max((_odds(hit) for hit in found.hits), default=0.0)
    return TEMPLATES.get_template("results.html.j2").render(
        hits=[_shown(hit, found.index, best) for hit in found.hits],
        like=PurePosixPath(found.like.path).name if found.like else None,
        sounds=found.sounds,
    )


def notice_html(title: str, text: str, refused: bool = False) -> str:
    """Return what stands in the place of results: a hint, or why there are none."""
    return TEMPLATES.get_template("notice.html.j2").render(title=title, text=text, refused=refused)


def explanation_html(page: str) -> str:
    """Return a frame around a self-contained page."""
    return TEMPLATES.get_template("explanation.html.j2").render(page=page)


def head_html(systems: Systems, notes: Sequence[str]) -> str:
    """Return the head of the page: what is searched, and what has to be known of it."""
    libraries = {index.library: index.sounds for index in systems.indexes}
    return TEMPLATES.get_template("head.html.j2").render(
        libraries=[(library.name, sounds) for library, sounds in libraries.items()],
        corpora=dict.fromkeys(corpus_tag(index.corpus) for index in systems.indexes),
        notes=notes,
    )


def _shown(hit: Hit, index: int, best: float) -> dict[str, Any]:
    path = PurePosixPath(hit.path)
    place = {"index": index, "path": hit.path, "start": f"{hit.start:g}"}
    part = hit.start > 0 or hit.duration - hit.end > 0.05
    where = f"{_clock(hit.start)} to {_clock(hit.end)} of {_clock(hit.duration)}"
    return {
        "rank": hit.rank,
        "name": path.name,
        "folders": path.parts[:-1],
        "path": hit.path,
        "start": hit.start,
        "seconds": round(seconds_heard(hit.start, hit.duration), 3),
        "duration": _clock(hit.duration),
        "rate": f"{hit.sample_rate / 1000:g} kHz",
        "where": where if part else "",
        "left": round(100 * hit.start / hit.duration, 2),
        "width": round(100 * (hit.end - hit.start) / hit.duration, 2),
        "likelihood": _likelihood(hit.probability),
        "bar": round(100 * _odds(hit) / best, 1) if best > 0 else 0,
        "clip": f"{CLIP}?{urlencode(place)}",
        "picture": f"{SPECTROGRAM}?{urlencode(place)}",
        "original": f"{SOUND}?{urlencode({'index': index, 'path': hit.path})}",
    }


def _odds(hit: Hit) -> float:
    """Return likelihood against unlikelihood, which tells 0.99 from 0.97 at a glance."""
    return hit.probability / max(1 - hit.probability, 1e-12)


def _clock(seconds: float) -> str:
    """Return a time as people write it.

    >>> _clock(0.456), _clock(64.25), _clock(3725)
    ('0.46 s', '1:04', '1:02:05')
    """
    if seconds < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
    minutes, rest = divmod(math.floor(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _likelihood(probability: float) -> str:
    """Return a probability in three digits, never rounded to 1.

    >>> _likelihood(0.99997), _likelihood(0.4567), _likelihood(1.2e-7)
    ('> 0.999', '0.457', '1.2e-07')
    """
    if probability > 0.999:
        return "> 0.999"
    return f"{probability:.3f}" if probability >= 0.001 else f"{probability:.2g}"
