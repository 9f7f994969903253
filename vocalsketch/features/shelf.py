"""Features of one front end on disk: files of fixed-size, checksummed records."""

import hashlib
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from vocalsketch.files import written_whole

SUFFIX = ".features"

Place = tuple[Path, int]  # a file and the number of a record in it


class Shelf:
    """A folder of files, each some records of (content id, checksum, features) and nothing else.

    A file is written whole under a name made of the ids in it, in their order, so that processes
    that make the same features write the same file, and a file that is written once more stays as
    it was. A file counts when it has the ids that its name says, and a record when its checksum
    holds; the others are as if they were not there.

    Attributes:
        folder: Where the files lie.
        layout: Of a record.
    """

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self.folder = folder
        self.layout = np.dtype([("id", "S32"), ("checksum", "<u4"), ("features", "<f4", shape)])

    def places(self, ids: Collection[str] | None = None) -> dict[str, Place]:
        """Return where intact features lie: all, or those of ``ids`` that have some."""
        wanted = None if ids is None else set(ids)
        found: dict[str, Place] = {}
        for file in sorted(self.folder.glob(f"*{SUFFIX}")) if wanted != set() else ():
            for row, content in self._intact(file, wanted):
                found.setdefault(content, (file, row))
        return found

    def add(self, features: Mapping[str, np.ndarray]) -> None:
        """Write the features of some content ids.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
        records = np.zeros(len(features), dtype=self.layout)
        for row, content in enumerate(sorted(features)):
            records[row]["id"] = content.encode()
            records[row]["features"] = features[content]
            records[row]["checksum"] = _checksum(records[row])
        with written_whole(self.file_of(features)) as temporary:
            temporary.write_bytes(records.tobytes())

    def holds(self, ids: Collection[str]) -> bool:
        """Whether exactly these features were written together, by this process or another."""
        intact = self._intact(self.file_of(ids), set(ids))
        return {content for _, content in intact} == set(ids)

    def file_of(self, ids: Collection[str]) -> Path:
        """Return the file that holds the features of exactly these content ids."""
        name = hashlib.sha256("".join(sorted(ids)).encode()).hexdigest()[:24]
        return self.folder / f"{name}{SUFFIX}"

    def _intact(self, file: Path, wanted: set[str] | None) -> Iterator[tuple[int, str]]:
        """Yield row and content id of the wanted records (or all) whose checksum holds."""
        try:
            records = mapped(file, self.layout)
        except (OSError, ValueError):  # gone, or too short for one record
            return
        contents = [name.decode("ascii", "replace") for name in records["id"]]
        if file != self.file_of(contents):
            return
        for row, content in enumerate(contents):
            if wanted is not None and content not in wanted:
                continue
            if _checksum(records[row]) == records[row]["checksum"]:
                yield row, content


def mapped(file: Path, layout: np.dtype) -> np.ndarray:
    """Return a file's whole records, memory-mapped and read-only; a cut one at its end is left out.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It holds no whole record.
    """
    return np.memmap(file, layout, mode="r", shape=(file.stat().st_size // layout.itemsize,))


def _checksum(record: np.void) -> int:
    return zlib.crc32(record["features"].tobytes(), zlib.crc32(record["id"]))
