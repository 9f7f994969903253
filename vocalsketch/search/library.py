"""What audio a library folder holds."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vocalsketch.datasets.folder import AUDIO_SUFFIXES
from vocalsketch.errors import DatasetError


class LibraryFile(NamedTuple):
    """An audio file of a library, and by what one sees that it has changed.

    Attributes:
        path: Within the library, its parts joined by ``/``.
        size: Bytes.
        changed: Time of the last change, nanoseconds since 1970.
    """

    path: str
    size: int
    changed: int


class Listing(NamedTuple):
    """The audio files of a library, sorted by path, and why others are left out, by path."""

    files: list[LibraryFile]
    skipped: dict[str, str]


def list_library(library: Path) -> Listing:
    """Walk a folder for audio; hidden files and folders are passed over.

    Links to folders are not followed, and links to files only within the library: nothing else
    may be served from it.

    Raises:
        DatasetError: It is no folder, or there is no audio in it.
    """
    if not library.is_dir():
        raise DatasetError(f"{library} is no folder: give the folder that holds the sounds.")
    root = library.resolve()
    files: list[LibraryFile] = []
    skipped: dict[str, str] = {}
    for path in _audio_files(root, skipped):
        name = path.relative_to(root).as_posix()
        try:
            name.encode()
            if path.is_symlink() and not path.resolve(strict=True).is_relative_to(root):
                skipped[name] = "a link that leads out of the library"
                continue
            stat = path.stat()
        except UnicodeEncodeError:
            skipped[ascii(name)] = "its name is not UTF-8: rename it"
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            skipped[name] = f"cannot be read ({error})"
        else:
            files.append(LibraryFile(name, stat.st_size, stat.st_mtime_ns))
    if not files:
        raise DatasetError(
            f"{library} holds no audio ({', '.join(AUDIO_SUFFIXES)}) in any of its folders: give "
            "the folder that holds the sounds."
        )
    return Listing(sorted(files), skipped)


def tags_of(path: str) -> list[str]:
    """Return the names of the folders around a sound, outermost first, in small letters.

    >>> tags_of("Drums/Kick Drums/deep_01.wav")
    ['drums', 'kick drums']
    """
    return list(dict.fromkeys(part.casefold() for part in PurePosixPath(path).parts[:-1]))


def _audio_files(root: Path, skipped: dict[str, str]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        folder = Path(error.filename).relative_to(root).as_posix()
        skipped[folder] = f"a folder that cannot be read ({error.strerror})"

    for folder, folders, names in os.walk(root, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower().endswith(AUDIO_SUFFIXES):
                yield Path(folder, name)
