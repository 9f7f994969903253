"""An index's manifest: which segments its current version consists of, and what made it."""

import json
import os
import shlex
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vocalsketch.errors import StorageError
from vocalsketch.files import write_text, written_whole
from vocalsketch.search.segment import Rows, Segment, Table

FORMAT = 2  # raised when a reader of the old layout could not read the new one
FILE = "index.json"
SYSTEM = "system.safetensors"

Stamp = tuple[int, int, int]  # of a file: what changes when it is replaced


@dataclass(frozen=True)
class Part:
    """A segment of an index."""

    file: str  # its name
    rows: int  # how many there are, also of those that do not count any more
    checksum: int  # CRC-32 of the file


@dataclass(frozen=True)
class Manifest:
    """What an index is; it is replaced as a whole, which is what makes a new version current.

    Attributes:
        version: Counts the builds that changed something.
        segments: In their order.
        removed: The file with the numbers of rows that do not count; empty where all do.
        removed_checksum: CRC-32 of that file.
        library: The folder that was indexed.
        fingerprint: Of the system.
        corpus: What the system was trained on.
        sounds: Files that count.
        windows: Rows that count.
        built: When, ISO 8601.
        skipped: Files that cannot be used, by path within the library, and why.
        others: How many files of the library are no sounds, by suffix.
        stamp: Of the file that it was read from.
    """

    version: int
    segments: tuple[Part, ...]
    removed: str
    removed_checksum: int
    library: str
    fingerprint: str
    corpus: str
    sounds: int
    windows: int
    built: str
    skipped: dict[str, str] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    stamp: Stamp = field(default=(0, 0, 0), compare=False)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is an index in a folder, readable or not."""
        return (folder / FILE).exists()

    @staticmethod
    def stamp_of(folder: Path) -> Stamp:
        """Return the stamp of the current version.

        Raises:
            OSError: It cannot be looked at.
        """
        return _stamp((folder / FILE).stat())

    @property
    def files(self) -> set[str]:
        """The names of the files that this version consists of, beside the manifest."""
        return {each.file for each in self.segments} | ({self.removed} if self.removed else set())

    def write(self, folder: Path) -> None:
        """Make this the current version of the index in ``folder``."""
        values = {"format": FORMAT, **asdict(replace(self, skipped=dict(self.skipped)))}
        del values["stamp"]
        write_text(folder / FILE, json.dumps(values, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the current version.

        Raises:
            StorageError: There is none, or it cannot be understood.
        """
        file = folder / FILE
        try:
            with file.open(encoding="utf-8") as stream:
                stamp = _stamp(os.fstat(stream.fileno()))
                values = json.load(stream)
            form = values.pop("format")
            if form == FORMAT:
                return _checked(values, stamp)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageError(
                f"No index in {folder}: make one with `vocalsketch index build LIBRARY "
                f"--index {shlex.quote(str(folder))}`."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"{file} is damaged ({error}): remove {folder} and build it again."
            ) from error
        raise StorageError(
            f"{file} is of format {form!r}, this program reads {FORMAT}: use the program that "
            "made it, or build the index again in another folder."
        )

    def open_table(self, folder: Path) -> Table:
        """Open the segments.

        Raises:
            StorageError: A file is missing, damaged, or not of this version.
        """
        segments = [Segment(folder / each.file) for each in self.segments]
        for segment, part in zip(segments, self.segments, strict=True):
            if len(segment) != part.rows or segment.width != segments[0].width:
                raise StorageError(
                    f"{segment.file} is damaged ({len(segment)} rows of {segment.width} numbers): "
                    "build it again."
                )
        total = sum(map(len, segments))
        removed = _read_rows(folder / self.removed, total) if self.removed else None
        return Table(segments, removed)


def write_rows(file: Path, rows: Rows) -> None:
    """Write row numbers, whole or not at all.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    batch = pa.record_batch({"row": pa.array(rows, pa.int64())})
    with (
        written_whole(file) as temporary,
        temporary.open("wb") as handle,
        pa.ipc.new_file(handle, batch.schema) as writer,
    ):
        writer.write_batch(batch)


def _read_rows(file: Path, total: int) -> Rows:
    """Read ascending numbers of rows of which there are ``total``."""
    try:
        with pa.memory_map(str(file)) as mapped:
            column = pa.ipc.open_file(mapped).read_all().column("row").combine_chunks()
        column.validate(full=True)
        rows = np.array(column.to_numpy(), dtype=np.int64)
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError) as error:
        raise StorageError(f"{file} is missing or damaged ({error}): build it again.") from error
    if len(rows) and not (rows[0] >= 0 and rows[-1] < total and (np.diff(rows) > 0).all()):
        raise StorageError(f"{file} is damaged (its rows are not in order): build it again.")
    return rows


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_mtime_ns, found.st_ino, found.st_size


def _checked(values: dict[str, Any], stamp: Stamp) -> Manifest:
    """Return a manifest whose values are of the types they ought to be.

    Raises:
        TypeError: One is not, or a segment does not lie in the index's folder.
    """
    values["segments"] = tuple(Part(**each) for each in values["segments"])
    manifest = Manifest(**values, stamp=stamp)
    kinds: dict[type, tuple[str, ...]] = {
        int: ("version", "removed_checksum", "sounds", "windows"),
        str: ("removed", "library", "fingerprint", "corpus", "built"),
        dict: ("skipped", "others"),
    }
    found = [
        (name, getattr(manifest, name), kind) for kind, names in kinds.items() for name in names
    ]
    for each in manifest.segments:
        found += [
            ("file", each.file, str),
            ("rows", each.rows, int),
            ("checksum", each.checksum, int),
        ]
    for name, value, kind in found:
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}")
    for name in manifest.files:
        if Path(name).name != name:
            raise TypeError(f"a segment is {name!r}")
    return manifest
