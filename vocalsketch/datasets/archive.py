"""Archives that others made: unpacked safely, whole or not at all."""

import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from tqdm import tqdm

from vocalsketch.errors import DatasetError, StorageError
from vocalsketch.files import cache_folder, locked

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
EXPANSION_LIMIT = 20  # bytes unpacked per byte of archive; audio seldom packs below a third
SMALLEST_LIMIT = 64 * 2**20  # bytes; text tables in a small archive may pack far better
_MEMBER_COST = 512  # bytes charged per member, so that a million empty files are refused as well
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    RuntimeError,  # of zipfile: encrypted, or a compression that it does not know
)


def unpack(archive: Path, folder: Path, limit: int | None = None) -> None:
    """Unpack an archive of one of ``SUFFIXES`` into an empty folder.

    Only plain files and folders are made, with this process's own permissions, and only below
    ``folder``: the archive's links, devices, owners and modes never reach the disk. By default at
    most 20 times the archive's size is written. A refused archive leaves a part behind.

    Raises:
        DatasetError: The archive is damaged or cut short; a member is absolute, climbs out with
            ``..``, is a link or a device; or it unpacks to more than ``limit`` bytes.
        StorageError: The disk is full or the folder cannot be written.
    """
    try:
        if limit is None:
            limit = max(EXPANSION_LIMIT * archive.stat().st_size, SMALLEST_LIMIT)
        left = limit
        members = _zipped if archive.suffix.lower() == ".zip" else _tarred
        for name, size, content in members(archive):
            left -= size + _MEMBER_COST
            anywhere = PureWindowsPath(name)  # which takes both / and \\ to part folders
            absolute = bool(PurePosixPath(name).is_absolute() or anywhere.anchor)
            faults = {
                "is an absolute path": absolute,
                "leads out of the folder": ".." in anywhere.parts,
                f"brings it to more than {limit:,} bytes, which no audio does": left < 0,
            }
            why = next((text for text, found in faults.items() if found), "is a link or a device")
            if content is None or any(faults.values()):
                raise DatasetError(
                    f"{archive.name} holds {name!r}, which {why}: the archive was refused. "
                    "Download it again from its source."
                )
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file)
    except _DAMAGE as error:
        raise DatasetError(
            f"{archive} is damaged or cut short ({error}): delete it and download it again."
        ) from error
    except OSError as error:
        raise StorageError(
            f"Cannot unpack or read {archive} ({error.strerror or error}): "
            "check its folder and the space left."
        ) from error


def _zipped(archive: Path) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    """Yield each file's name, the most bytes that it can hold, and its content; links have none."""
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            plain = info.external_attr >> 28 in (0, 8)  # the Unix file type, 0 when made elsewhere
            if not info.is_dir():
                yield info.filename, info.file_size, zipped.open(info) if plain else None


def _tarred(archive: Path) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    """Yield likewise the files of a tar, compressed with gzip or not."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isdir():
                content = tar.extractfile(member) if member.isfile() else None
                yield member.name, member.size, content
        while tar.fileobj is not None and tar.fileobj.read(2**20):  # to the checksum at its end
            pass


def unpacked_once(archives: Sequence[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Unpack submissions that are not unpacked yet, each to a folder of the archive's stem.

    A folder appears whole or not at all, so that what was interrupted goes on; several processes
    may ask at once. The cache folder serves where nothing can be written into ``folder``. What is
    returned are the folders, and the archives that are damaged.

    Raises:
        StorageError: The disk is full.
    """
    if not archives:
        return [], []
    if not os.access(folder, os.W_OK):
        digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        folder = cache_folder() / "unpacked" / digest
    unpacked, damaged = [], []
    with locked(folder / ".unpacking.lock", "", wait=-1):
        for archive in tqdm(archives, "unpacking", unit="archive", leave=False, delay=1):
            target = folder / archive.stem
            try:
                if not target.is_dir():
                    unpack_whole([archive], target)
            except DatasetError:
                damaged.append(archive)
            else:
                unpacked.append(target)
    return unpacked, damaged


def unpack_whole(files: Sequence[Path], target: Path, marker: str = "") -> None:
    """Unpack archives into the folder ``target``, which appears whole or not at all.

    A single folder at the top of what they hold, if it holds everything, is left out. ``marker`` is
    a file of the data set, relative to its own top folder, which may lie deeper.

    Raises:
        DatasetError: An archive is damaged or unsafe, or no file is ``marker``.
        StorageError: The disk is full or the folder cannot be written.
    """
    content = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(content, ignore_errors=True)  # left by a process that was killed
    try:
        content.mkdir(parents=True)
        for file in files:
            if file.name.lower().endswith(SUFFIXES):
                unpack(file, content)
            else:
                shutil.copyfile(file, content / file.name)
        _top(content, marker, files).replace(target)
    except OSError as error:
        raise StorageError(
            f"Cannot write {target} ({error.strerror or error}): check the folder and the space "
            "left, and run again."
        ) from error
    finally:
        shutil.rmtree(content, ignore_errors=True)


def _top(content: Path, marker: str, files: Sequence[Path]) -> Path:
    """Return the folder in which the data set itself begins."""
    if not marker:
        entries = list(content.iterdir())
        return entries[0] if len(entries) == 1 and entries[0].is_dir() else content
    found = sorted(content.rglob(marker), key=lambda path: len(path.parts))
    if not found:
        raise DatasetError(
            f"{', '.join(file.name for file in files)} holds no {marker}: it is not the data "
            "set that was asked for."
        )
    return found[0].parents[len(PurePosixPath(marker).parts) - 1]
