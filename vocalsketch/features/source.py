"""Where a clip's audio lies: a file, or a member of a compressed archive."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from vocalsketch.datasets.archive import read_members
from vocalsketch.errors import AudioError, DatasetError, StorageError
from vocalsketch.features.audio import opened_file

BLOCK = 2**20  # bytes that are hashed at once


@dataclass(frozen=True, slots=True)
class AudioSource:
    """An audio file.

    Attributes:
        path: The file, or the ``.tgz`` that holds it.
        member: Its name inside the archive; None where ``path`` is the audio file itself.
    """

    path: Path
    member: str | None = None

    @classmethod
    def of(cls, item: "Path | AudioSource") -> "AudioSource":
        """Return a path as a source; a source as it is."""
        return item if isinstance(item, AudioSource) else cls(item)

    def __str__(self) -> str:
        """Return what errors and tables call it."""
        return str(self.path) if self.member is None else f"{self.path}: {self.member}"


def opened(sources: Iterable[AudioSource]) -> Iterator[tuple[AudioSource, BinaryIO | AudioError]]:
    """Yield each source with its seekable stream, or with what is wrong.

    Members that follow one another and share an archive are read in one pass over it, in its
    order. A stream is closed when the next is asked for.
    """
    for (path, is_archive), group in groupby(sources, lambda s: (s.path, s.member is not None)):
        if is_archive:
            yield from _members(path, {source.member or "": source for source in group})
            continue
        for source in group:
            try:
                with opened_file(path) as stream:
                    yield source, stream
            except AudioError as error:
                yield source, error


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


def _members(
    archive: Path, wanted: dict[str, AudioSource]
) -> Iterator[tuple[AudioSource, BinaryIO | AudioError]]:
    problem = "the archive does not hold it: list the data set again"
    try:
        for name, stream in read_members(archive, wanted):
            if name in wanted:  # an archive may hold a name twice
                with _in_memory_file(stream) as file:
                    yield wanted.pop(name), file
    except (DatasetError, StorageError) as error:
        problem = str(error)
    for source in wanted.values():
        yield source, AudioError(f"{source}: {problem}")


def _in_memory_file(stream: BinaryIO) -> BinaryIO:
    """Return a stream as a file without a name, which libsndfile reads on its own (Linux)."""
    if not hasattr(os, "memfd_create"):
        return stream
    file = os.fdopen(os.memfd_create("audio"), "r+b", buffering=0)
    file.write(stream.read())
    file.seek(0)
    return file
