"""Which files below a folder are sounds."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vocalsketch.datasets.folder import AUDIO_SUFFIXES


class FoundFile(NamedTuple):
    """A file that is taken for a sound.

    Attributes:
        path: Within the folder, its parts joined by ``/``.
        size: Bytes.
        changed: Nanoseconds since 1970.
    """

    path: str
    size: int
    changed: int


@dataclass(frozen=True)
class Listing:
    """What lies below a folder.

    Attributes:
        files: That are taken for sounds, sorted by path.
        left_out: How many files are not, by suffix.
    """

    files: list[FoundFile] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def list_audio(folder: Path) -> Listing:
    """List the sounds below a folder; links to folders are followed once, hidden files left out."""
    listing = Listing()
    seen: set[tuple[int, int]] = set()
    for current, folders, names in os.walk(folder, followlinks=True):
        here = Path(current)
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:  # a loop of links, or a second way here
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith("."):
                _add(listing, folder, here / name)
    listing.files.sort()
    return listing


def _add(listing: Listing, folder: Path, file: Path) -> None:
    suffix = file.suffix.lower()
    try:
        status = file.stat()
    except OSError:  # a link that leads nowhere
        status = None
    if suffix in AUDIO_SUFFIXES and status is not None and stat.S_ISREG(status.st_mode):
        path = file.relative_to(folder).as_posix()
        listing.files.append(FoundFile(path, status.st_size, status.st_mtime_ns))
    else:
        listing.left_out[suffix] = listing.left_out.get(suffix, 0) + 1
