"""Which content an audio file has: a hash of its bytes, remembered while it stays unchanged."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from vocalsketch.errors import AudioError, StorageError
from vocalsketch.files import write_text

BLOCK = 2**20  # bytes that are hashed at once

Stamp = tuple[int, int, int, int]  # size, time of change, time of change of its entry, inode


def content_id(stream: BinaryIO) -> str:
    """Return a hash of all bytes of a stream, 32 hexadecimal digits: what a cached feature is of.

    Raises:
        AudioError: The stream cannot be read.
    """
    digest = hashlib.sha256()
    try:
        while block := stream.read(BLOCK):
            digest.update(block)
    except OSError as error:
        raise AudioError(f"{stream.name}: cannot be read ({error.strerror or error}).") from error
    return digest.hexdigest()[:32]


def stamp_of(path: Path | str) -> Stamp | None:
    """Return by what one sees that a file has changed; None where it cannot be had."""
    try:
        stat = os.stat(path)  # noqa: PTH116  # of ten thousand files Path.stat takes half as long again
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


class Contents:
    """Content ids of files that have not changed since they were read, in one file.

    Losing it costs time only: an absent, damaged or unwritable file counts as an empty one, and of
    two processes that write at once one may lose its additions. An id that is damaged names no
    features, whose own checksum covers it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def known(self, stamps: Mapping[Path, Stamp | None]) -> dict[Path, str]:
        """Return the content ids of those files whose stamp is the remembered one."""
        rows = self._load()
        found = {}
        for path, stamp in stamps.items():
            row = rows.get(_key(path))
            if stamp is not None and row is not None and tuple(row[:-1]) == stamp:
                found[path] = str(row[-1])
        return found

    def remember(self, ids: Mapping[Path, str], stamps: Mapping[Path, Stamp | None]) -> None:
        """Add content ids, read from files that had these stamps before."""
        rows = self._load()
        for path, content in ids.items():
            stamp = stamps[path]
            if stamp is not None:
                rows[_key(path)] = [*stamp, content]
        with contextlib.suppress(StorageError):
            write_text(self._file, json.dumps(rows))

    def _load(self) -> dict[str, list[int | str]]:
        try:
            rows: dict[str, list[int | str]] = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return rows


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100  # resolve() asks the disk about every part
