"""What audio a library folder holds."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa

from vocalsketch.datasets.folder import AUDIO_SUFFIXES
from vocalsketch.errors import DatasetError
from vocalsketch.files import cache_folder

COLUMNS = pa.schema(
    [
        pa.field("path", pa.string(), False),  # within the library, its parts joined by /
        pa.field("size", pa.int64(), False),  # bytes
        pa.field("changed", pa.int64(), False),  # time of the last change, nanoseconds since 1970
    ]
)


class Listing(NamedTuple):
    """The audio files of a library, as ``COLUMNS``, and why others are left out, by path."""

    files: pa.Table
    skipped: dict[str, str]


def list_library(library: Path) -> Listing:
    """Walk a folder for audio; hidden files and folders are passed over.

    Links to folders are not followed, and links to files only within the library: nothing else
    may be served from it.

    Raises:
        DatasetError: It is no folder, cannot be read, or there is no audio in it.
    """
    if not library.is_dir():
        raise DatasetError(f"{library} is no folder: give the folder that holds the sounds.")
    root = library.resolve()
    paths: list[str] = []
    sizes: list[int] = []
    times: list[int] = []
    skipped: dict[str, str] = {}
    for entry, name in _audio_files(root, "", skipped):
        try:
            name.encode()
            if entry.is_symlink() and not Path(entry).resolve(strict=True).is_relative_to(root):
                skipped[name] = "a link that leads out of the library"
                continue
            stat = entry.stat()
        except UnicodeEncodeError:
            skipped[ascii(name)] = "its name is not UTF-8: rename it"
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            skipped[name] = f"cannot be read ({error})"
        else:
            paths.append(name)
            sizes.append(stat.st_size)
            times.append(stat.st_mtime_ns)
    if not paths:
        raise DatasetError(
            f"{library} holds no audio ({', '.join(AUDIO_SUFFIXES)}) in any of its folders: give "
            "the folder that holds the sounds."
        )
    return Listing(pa.table([paths, sizes, times], schema=COLUMNS).sort_by("path"), skipped)


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


def _audio_files(
    folder: Path, within: str, skipped: dict[str, str]
) -> Iterator[tuple["os.DirEntry[str]", str]]:
    """Yield the audio of a folder with its path within the library."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        if not within:
            raise DatasetError(
                f"{folder} cannot be read ({error.strerror}): check its permissions."
            ) from error
        skipped[within.rstrip("/")] = f"a folder that cannot be read ({error.strerror})"
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _audio_files(Path(entry), f"{within}{entry.name}/", skipped)
        elif entry.name.lower().endswith(AUDIO_SUFFIXES):
            yield entry, f"{within}{entry.name}"
