"""Archives that others made: unpacked safely, whole or not at all."""

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, BinaryIO

from tqdm import tqdm

from vocalsketch.errors import DatasetError, StorageError
from vocalsketch.files import cache_folder, locked

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
EXPANSION_LIMIT = 20  # bytes unpacked per byte of archive; audio seldom packs below a third
SMALLEST_LIMIT = 64 * 2**20  # bytes; text tables in a small archive may pack far better
_BLOCK = 2**20  # bytes
_MEMBER_COST = 512  # bytes charged per member, so that a million empty files are refused as well
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    NotImplementedError,  # a compression that zipfile does not know
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
        zipped = archive.suffix.lower() == ".zip"
        left = limit
        for name, size, content in _zipped(archive) if zipped else _tarred(archive, limit):
            left -= size + _MEMBER_COST
            if left < 0:
                raise _bomb(archive, limit)
            target = folder / _safe(name, archive)
            if content is None:
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
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


def _zipped(archive: Path) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    """Yield each member's name, the most bytes that it can hold, and a file's content."""
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            kind = info.external_attr >> 28  # the Unix file type, 0 when made elsewhere
            if kind not in (0, 4, 8):
                raise _refused(archive, info.filename, "is a link or a device")
            if info.flag_bits & 1:
                raise _refused(archive, info.filename, "is encrypted")
            if info.is_dir():
                yield info.filename, 0, None
            else:
                with zipped.open(info) as content:
                    yield info.filename, info.file_size, content


def _tarred(archive: Path, limit: int) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    """Yield likewise the members of a tar, compressed with gzip or not."""
    with (
        archive.open("rb") as file,
        gzip.open(file) if file.peek(2)[:2] == b"\x1f\x8b" else nullcontext(file) as stream,
    ):
        # the padding of a tar's blocks is read, and not written
        limited = _Limited(stream, _bomb(archive, limit), 2 * limit + SMALLEST_LIMIT)  # type: ignore[arg-type]  # reads as one
        with tarfile.open(fileobj=limited, mode="r|") as tar:
            for member in tar:
                if not member.isdir() and not member.isfile():
                    raise _refused(archive, member.name, "is a link or a device")
                content = tar.extractfile(member) if member.isfile() else None
                yield member.name, member.size, content
        while limited.read(_BLOCK):  # to the checksum at its end
            pass


class _Limited(io.RawIOBase):
    """A stream that is refused once more was read from it than an honest archive holds.

    A tar's headers may themselves be of any size, and are read into memory before anything of
    them is known.
    """

    def __init__(self, stream: BinaryIO, refusal: DatasetError, limit: int) -> None:
        self._stream, self._refusal, self._left = stream, refusal, limit

    def read(self, size: int = -1) -> bytes:
        """Read as from the stream."""
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise self._refusal
        return content


def _safe(name: str, archive: Path) -> PurePosixPath:
    """Return a member's name as a relative path that stays inside its folder."""
    anywhere = PureWindowsPath(name)  # which takes both / and \ to part folders
    if PurePosixPath(name).is_absolute() or anywhere.anchor:
        raise _refused(archive, name, "is an absolute path")
    if ".." in anywhere.parts or "\0" in name:
        raise _refused(archive, name, "leads out of the folder")
    return PurePosixPath(name)


def _bomb(archive: Path, limit: int) -> DatasetError:
    return DatasetError(
        f"{archive.name} unpacks to more than {limit:,} bytes, which no audio does: "
        "it was refused. Download it again from its source."
    )


def _refused(archive: Path, name: str, reason: str) -> DatasetError:
    return DatasetError(
        f"{archive.name} holds {name!r}, which {reason}: the archive was refused. "
        "Download it again from its source."
    )
