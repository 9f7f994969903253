"""Files below a folder: which are sounds, and those found by the names that tables give them."""

import os
import re
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from posixpath import normpath
from typing import NamedTuple

from vocalsketch.errors import DatasetError
from vocalsketch.files import open_regular

# What libsndfile or FFmpeg decode. A file of another name is one where its content begins so.
SUFFIXES = frozenset(
    f".{name}"
    for names in (
        "3gp aac ac3 aif aifc aiff amr ape au avi bwf caf flac m4a m4b mka mkv mov mp2 mp3 mp4",
        "mpga oga ogg ogv opus rf64 snd sph tta voc w64 wav wave weba webm wma wv",
    )
    for name in names.split()
)
# MPEG's frames (of layer 2 and 3, and AAC) come last; pictures are files with "ftyp" too.
BEGINNING = re.compile(
    rb"fLaC|OggS|ID3|\.snd|caff|riff\x2e\x91\xcf\x11|RF64|wvpk|TTA1|MAC [^ -~]|#!AMR|FLV\x01"
    rb"|NIST_1A|Creative Voice|RIF[FX]....WAVE|FORM....AIF[FC]|\x1aE\xdf\xa3|0&\xb2u\x8ef\xcf\x11"
    rb"|....ftyp(?!hei|hev|mif|msf|avi)|....(moov|mdat|wide)|\x64\xa3[\1-\4]\0|\x0bw|\0\0\1\xba"
    rb"|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][\x10-\xef]|\xff[\xf0\xf1\xf8\xf9]",
    re.DOTALL,
)


class FoundFile(NamedTuple):
    """A file that is taken for a sound."""

    path: str  # within the folder, its parts joined by ``/``
    size: int  # bytes
    changed: int  # nanoseconds since 1970


@dataclass(frozen=True)
class Listing:
    """What lies below a folder."""

    files: list[FoundFile] = field(default_factory=list)  # taken for sounds, sorted by path
    # Why others of a sound's name are not, and folders that cannot be read, by path.
    unusable: dict[str, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)  # hidden or no sounds, by suffix


def list_audio(folder: Path) -> Listing:
    """List the sounds below a folder; what is hidden, as macOS hides its own files, is left out.

    A file counts as a sound where its suffix is one of ``SUFFIXES`` or it begins as sounds do.
    Links are followed. A folder that is reached in several ways is listed once, under its own name
    where it has one below ``folder``, so that loops of links end.

    Raises:
        DatasetError: The folder cannot be read.
    """
    listing = Listing()
    seen: set[tuple[int, int]] = set()

    def refused(error: OSError) -> None:
        within = Path(error.filename).relative_to(folder).as_posix()
        if within == ".":
            raise DatasetError(
                f"{folder} cannot be read ({error.strerror}): check its permissions."
            ) from error
        listing.unusable[within] = f"a folder that cannot be read ({error.strerror})"

    tops = [folder]
    for top in tops:  # to which links to folders are added
        for here, folders, names in os.walk(top, onerror=refused):
            place = Path(here)
            status = place.stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            hidden = {each for each in (*folders, *names) if each[0] == "." or each == "__MACOSX"}
            folders[:] = sorted({*folders} - hidden)
            kinds = ("folder" if (place / each).is_dir() else suffix_of(each) for each in hidden)
            listing.others.update(f"{kind} (hidden)" for kind in kinds)
            tops += [place / each for each in folders if (place / each).is_symlink()]
            within = place.relative_to(folder).as_posix()
            for name in sorted({*names} - hidden):
                _add(listing, normpath(f"{within}/{name}"), place / name)
    listing.files.sort()
    return listing


def audio_in(folder: Path) -> list[Path]:
    """Return the paths of the sounds below a folder; of none if it is not there."""
    return [folder / found.path for found in list_audio(folder).files] if folder.is_dir() else []


def suffix_of(path: str) -> str:
    """Return a path's suffix in small letters, or words where there is none.

    >>> suffix_of("kicks/Deep.v2.WAV"), suffix_of("LICENSE")
    ('.wav', 'without a suffix')
    """
    return PurePath(path).suffix.lower() or "without a suffix"


def counted(others: Mapping[str, int]) -> str:
    """Return counts by suffix, the commonest first.

    >>> counted({".pdf": 1, ".txt": 2})
    'no sounds, left out: 2 .txt, 1 .pdf'
    """
    counts = Counter(others).most_common()
    return f"no sounds, left out: {', '.join(f'{count:,} {suffix}' for suffix, count in counts)}"


def _add(listing: Listing, path: str, file: Path) -> None:
    """Take a file for a sound, or note why it is not."""
    named = suffix_of(path) in SUFFIXES
    try:
        status = file.stat()
        regular = stat.S_ISREG(status.st_mode)
        sound = named
        if regular and not named:
            with open_regular(file) as stream:
                sound = BEGINNING.match(stream.read(16)) is not None
        path.encode()
    except OSError as error:
        reason = "a link that leads nowhere" if file.is_symlink() else str(error.strerror)
    except UnicodeEncodeError:
        path, reason = ascii(path), "its name is not UTF-8: rename it"
    else:
        if sound and regular:
            listing.files.append(FoundFile(path, status.st_size, status.st_mtime_ns))
            return
        reason = "a pipe, socket or device, not a file"
    if named:
        listing.unusable[path] = reason
    else:
        listing.others[suffix_of(path)] += 1


def composed(name: str) -> str:
    """Return a name in one Unicode form (NFC): macOS and Linux write letters with accents apart.

    >>> composed("o" + chr(0x308)) == chr(0xF6)
    True
    """
    return unicodedata.normalize("NFC", name)


class Files:
    """The files below a folder, found by relative names; each folder is listed once.

    A name may have its letters in another Unicode form, other capitals where no two files are
    alike but for these, and backslashes between folders.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str) -> Path | None:
        """Return the regular file of that name, or None."""
        found = self._walk(normpath(name)) or self._walk(normpath(name.replace("\\", "/")))
        return found if found is not None and found.is_file() else None

    def place(self, name: str) -> Path:
        """Return the file or folder of that name, or where it would lie."""
        found = self._walk(name)
        return self.root / name if found is None else found

    def _walk(self, name: str) -> Path | None:
        here: Path | None = Path("/") if name.startswith("/") else self.root
        for part in name.strip("/").split("/"):
            if here is None or part in ("", "."):
                break
            here = here / ".." if part == ".." else self._entry(here, part)
        return here

    def _entry(self, folder: Path, name: str) -> Path | None:
        if folder not in self._listed:
            alike = self._listed[folder] = defaultdict(list)
            names = os.listdir(folder) if folder.is_dir() else ()  # noqa: PTH208 - names, no objects
            for each in names:
                for key in {each, composed(each), composed(each).casefold()}:
                    alike[key].append(each)
        for key in (name, composed(name), composed(name).casefold()):
            found = self._listed[folder].get(key, [])
            if len(found) == 1 or name in found:
                return folder / (name if name in found else found[0])
        return None
