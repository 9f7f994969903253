"""Where files live and how they are written: whole or not at all."""

import csv
import errno
import glob
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path

from filelock import FileLock, Timeout

from vocalsketch.errors import StorageError

LEFTOVER_AGE = 3600  # seconds after which a temporary file's writer is taken for dead


def cache_folder() -> Path:
    """Return the folder for what can be made again (features, the demo corpus, downloads).

    It is the environment variable VOCALSKETCH_CACHE, else ``$XDG_CACHE_HOME/vocalsketch``,
    else ``~/.cache/vocalsketch``. It is not created here.
    """
    chosen = os.environ.get("VOCALSKETCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(chosen or f"{base}/vocalsketch").expanduser()


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it to ``target`` when the block succeeds.

    Readers see the old file or the new one, never a part. When the block fails the temporary
    file is removed and ``target`` is untouched. What killed writers of ``target`` left half
    written is removed when it is an hour old.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent, older_than=time.time() - LEFTOVER_AGE, of=target.name)
        temporary = _new_beside(target)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise storage_error(target, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside ``folder``, to which it is renamed when the block succeeds.

    Raises:
        StorageError: ``folder`` exists, or cannot be written.
    """
    if folder.exists():
        raise StorageError(f"{folder} exists: choose another folder, or remove it.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            yield made
            made.rename(folder)
    except OSError as error:
        raise storage_error(folder, error) from error


def open_regular(path: Path) -> FileIO:
    """Open a regular file for reading, unbuffered; what else bears its name is not waited for.

    A pipe without a writer would be waited for without end, and a device may give bytes for ever.

    Raises:
        OSError: It is missing, cannot be read, or is a folder, pipe, socket or device.
    """
    wait_for_none = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, os.O_RDONLY | wait_for_none)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "a folder, pipe or device, not a file", str(path))
    return FileIO(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """Return what a regular file holds.

    Raises:
        OSError: As ``open_regular``.
    """
    with open_regular(path) as stream:
        return stream.readall()


def write_bytes(target: Path, data: bytes | memoryview) -> None:
    """Write ``data`` to ``target``, whole or not at all."""
    with written_whole(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``target``, whole or not at all."""
    with written_whole(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_table(target: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file, whole or not at all; names that are no UTF-8 keep their bytes."""
    with (
        written_whole(target) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        csv.writer(file).writerows([header, *rows])


def make_folder(folder: Path) -> None:
    """Make a folder and try to write there, before work whose result would be lost otherwise.

    Raises:
        StorageError: It is a file, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise storage_error(folder, error) from error


def made_alone(folder: Path) -> bool:
    """Make a folder that nobody else has made; return whether it was new.

    Raises:
        StorageError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise storage_error(folder, error) from error
    return True


def remove_leftovers(folder: Path, older_than: float | None = None, of: str | None = None) -> None:
    """Remove what writers that were killed left half written in a folder.

    Args:
        folder: The folder; those below it are not looked at.
        older_than: Seconds since 1970; younger files, whose writers may live, are kept. All are
            removed where it is left out, as by whoever holds the folder's lock.
        of: The name of the file that was to be written; any if left out.
    """
    for file in folder.glob(".*.tmp" if of is None else f".{glob.escape(of)}.*.tmp"):
        with suppress(OSError):  # another process removed it, or may and we may not
            if older_than is None or file.stat().st_mtime < older_than:
                file.unlink()


@contextmanager
def locked(file: Path, busy: str, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock within the block. The system takes it from a holder that dies, however it dies.

    On a disk that has no locks filelock has a file beside ``file`` stand for it.

    Args:
        file: The lock; an empty file, which stays.
        busy: The message where another process holds it.
        wait: Seconds that its holder is given to end.

    Raises:
        StorageError: Another process holds it, or the folder cannot be written.
    """
    with ExitStack() as held:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(file).acquire(timeout=wait))
        except Timeout as error:
            raise StorageError(busy) from error
        except OSError as error:
            raise storage_error(file.parent, error, "into ") from error
        yield


def _new_beside(target: Path) -> Path:
    """Make an empty file beside ``target``, which others may read as the umask has it."""
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path


def storage_error(target: Path, error: OSError, where: str = "") -> StorageError:
    """Return the error to raise where a file could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"No space left while writing {target}: free some and run again.")
    remedy = "check the folder"
    if target.absolute().is_relative_to(cache_folder().absolute()):
        remedy = "set VOCALSKETCH_CACHE to a folder that can be written"
    return StorageError(f"Cannot write {where}{target} ({error.strerror or error}): {remedy}.")
