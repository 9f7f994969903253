"""Archives that others made: unpacked safely, whole or not at all.

A DatasetError says that one is damaged or unsafe, a StorageError that the disk is full or a folder
cannot be written.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from vocalsketch.errors import DatasetError, StorageError
from vocalsketch.files import cache_folder, locked

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
EXPANSION_LIMIT = 20  # bytes unpacked per byte of archive; audio seldom packs below a third
SMALLEST_LIMIT = 64 * 2**20  # bytes; text tables in a small archive may pack far better
MEMBER_COST = 512  # bytes charged per member, so that a million empty files are refused as well
_DAMAGE = (
    *(tarfile.TarError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError),
    RuntimeError,  # of zipfile: encrypted, or a compression that it does not know
)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive of one of ``SUFFIXES`` into an empty folder.

    Files and folders are made with this process's own permissions, below ``folder`` only: the
    standard library sees to it. A tar with a member that leads out of it, a link or a device is
    refused, and so is what unpacks to more than 20 times its size; it leaves a part behind.
    """
    most = max(EXPANSION_LIMIT * archive.stat().st_size, SMALLEST_LIMIT)
    left = most

    def count(size: int) -> None:
        nonlocal left
        left -= size + MEMBER_COST
        if left < 0:
            raise DatasetError(f"{archive} unpacks to more than {most:,} bytes: it is no audio.")

    def plain(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo | None:
        count(member.size)
        if not (member.isfile() or member.isdir()):
            raise tarfile.SpecialFileError(member)
        return tarfile.data_filter(member, place).replace(mode=None, deep=False)  # type: ignore[arg-type]

    try:
        if archive.suffix.lower() == ".zip":
            with zipfile.ZipFile(archive) as zipped:
                for each in zipped.infolist():
                    count(each.file_size)
                zipped.extractall(folder)  # noqa: S202 - names are made safe
            return
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter=plain)  # noqa: S202 - safe by the filter
            while tar.fileobj is not None and tar.fileobj.read(2**20):  # to its checksum
                pass
    except _DAMAGE as error:
        raise DatasetError(
            f"{archive} is unsafe, damaged or cut short ({error}): delete it and download it again "
            "from its source."
        ) from error


def unpacked_once(archives: Sequence[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Unpack submissions that are not unpacked yet, each to a folder of the archive's stem.

    A folder appears whole or not at all, so that what was interrupted goes on; several processes
    may ask at once. The cache folder serves where nothing can be written into ``folder``. What is
    returned are the folders, and the archives that are damaged.
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
