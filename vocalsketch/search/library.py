"""What audio a library folder holds."""

import hashlib
from pathlib import Path, PurePosixPath

import pyarrow as pa

from vocalsketch.datasets.discovery import Listing, counted, list_audio
from vocalsketch.errors import DatasetError
from vocalsketch.files import cache_folder

COLUMNS = pa.schema(
    [
        pa.field("path", pa.string(), False),  # within the library, its parts joined by /
        pa.field("size", pa.int64(), False),  # bytes
        pa.field("changed", pa.int64(), False),  # time of the last change, nanoseconds since 1970
    ]
)


def list_library(library: Path) -> Listing:
    """Walk a folder for audio, as ``list_audio``.

    Raises:
        DatasetError: It is no folder, cannot be read, or there is no audio in it.
    """
    if not library.is_dir():
        raise DatasetError(f"{library} is no folder: give the folder that holds the sounds.")
    found = list_audio(library.resolve())
    if not found.files:
        others = f" ({counted(found.others)})" if found.others else ""
        raise DatasetError(
            f"{library} holds no audio in any of its folders{others}: give the "
            "folder that holds the sounds."
        )
    return found


def table_of(listing: Listing) -> pa.Table:
    """Return the files as ``COLUMNS``."""
    return pa.table(list(zip(*listing.files, strict=True)), schema=COLUMNS)


def tags_of(path: str) -> list[str]:
    """Return the names of the folders around a sound, outermost first, in small letters.

    >>> tags_of("Drums/Kick Drums/deep_01.wav")
    ['drums', 'kick drums']
    """
    return list(dict.fromkeys(part.casefold() for part in PurePosixPath(path).parts[:-1]))


def index_of(library: Path, fingerprint: str) -> Path:
    """Return where a library's index by one system is kept for the user, in the cache folder."""
    of = f"{library.resolve()}\n{fingerprint}".encode(errors="surrogateescape")
    name = f"{library.resolve().name or 'root'}-{hashlib.sha256(of).hexdigest()[:8]}"
    return cache_folder() / "indexes" / name
