"""Which content each audio file had when it was last read, so that it is not hashed again."""

import contextlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from vocalsketch.errors import StorageError
from vocalsketch.features.source import AudioSource
from vocalsketch.files import write_text

Stamp = tuple[int, int, int, int]  # size, time of change, time of change of its entry, inode


class ContentIndex:
    """Content ids of sources whose file has not changed since, in one checksummed file.

    Losing it costs time only: an absent, damaged or unwritable file counts as an empty one, and of
    two processes that write at once one may lose its additions.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def known(self, stamps: Mapping[AudioSource, Stamp | None]) -> dict[AudioSource, str]:
        """Return the content ids of those sources whose stamp is the remembered one."""
        rows = self._load()
        found = {}
        for source, stamp in stamps.items():
            row = rows.get(_key(source))
            if stamp is not None and row is not None and tuple(row[:-1]) == stamp:
                found[source] = str(row[-1])
        return found

    def remember(
        self, ids: Mapping[AudioSource, str], stamps: Mapping[AudioSource, Stamp | None]
    ) -> None:
        """Add content ids, read from files that had these stamps before."""
        rows = self._load()
        for source, content in ids.items():
            stamp = stamps[source]
            if stamp is not None:
                rows[_key(source)] = [*stamp, content]
        text = json.dumps(rows)
        with contextlib.suppress(StorageError):
            write_text(self._file, f"{zlib.crc32(text.encode()):08x}\n{text}")

    def _load(self) -> dict[str, list[int | str]]:
        try:
            checksum, _, text = self._file.read_text(encoding="utf-8").partition("\n")
        except (OSError, UnicodeDecodeError):
            return {}
        if checksum != f"{zlib.crc32(text.encode()):08x}":
            return {}
        rows: dict[str, list[int | str]] = json.loads(text)
        return rows


def stamps_of(sources: Iterable[AudioSource]) -> dict[AudioSource, Stamp | None]:
    """Return the stamp of each source's file; None where it cannot be had."""
    by_path: dict[Path, Stamp | None] = {}
    stamps = {}
    for source in sources:
        if source.path not in by_path:
            by_path[source.path] = _stamp(source.path)
        stamps[source] = by_path[source.path]
    return stamps


def _stamp(path: Path) -> Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _key(source: AudioSource) -> str:
    path = os.path.abspath(source.path)  # noqa: PTH100  # resolve() asks the disk about every part
    return path if source.member is None else f"{path}\0{source.member}"
