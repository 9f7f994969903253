"""Where files live and how they are written: whole or not at all."""

import errno
import glob
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vocalsketch"


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
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise storage_error(target, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``target``, whole or not at all."""
    with written_whole(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


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

    Args:
        file: The lock; an empty file, which stays.
        busy: The message where another process holds it.
        wait: Seconds that its holder is given to end.

    Raises:
        StorageError: Another process holds it, or the folder cannot be written.
    """
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait)
    except Timeout as error:
        raise StorageError(busy) from error
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"Cannot write into {file.parent} ({reason}): check it.") from error
    try:
        yield
    finally:
        lock.release()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def storage_error(target: Path, error: OSError) -> StorageError:
    """Return the error to raise where a file could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"No space left while writing {target}: free some and run again.")
    return StorageError(f"Cannot write {target} ({error.strerror or error}): check the folder.")
