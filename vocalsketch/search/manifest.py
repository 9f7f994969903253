"""An index's manifest: which segments its current version consists of, and what made it."""

import json
import shlex
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_origin

import numpy as np

from vocalsketch.errors import StorageError
from vocalsketch.files import read_regular, write_text
from vocalsketch.search.segment import Mask, Table, read_segment

FORMAT = 3  # raised when a reader of the old layout could not read the new one
FILE = "index.json"
SYSTEM = "system.safetensors"
PARTS = "building"  # the folder of what an unfinished build has embedded


@dataclass(frozen=True)
class Part:
    """A segment of an index."""

    file: str  # its name
    rows: int  # how many there are, also of those that do not count any more
    checksum: str  # sha256 of the file, 32 hexadecimal digits

    def __post_init__(self) -> None:
        _check_types(self)
        if Path(self.file).name != self.file:
            raise TypeError(f"a segment is {self.file!r}")


@dataclass(frozen=True)
class Manifest:
    """What an index is; it is replaced as a whole, which is what makes a new version current.

    Which rows do not count any more is said by where each run of them begins and ends, counted
    through all segments, in rising order.
    """

    version: int = 0  # counts the builds that changed something
    segments: tuple[Part, ...] = ()  # in their order
    removed: list[int] = field(default_factory=list)
    library: str = ""  # the folder that was indexed
    fingerprint: str = ""  # of the system
    corpus: str = ""  # what the system was trained on
    sounds: int = 0  # files that count
    windows: int = 0  # rows that count
    built: str = ""  # when, ISO 8601
    skipped: dict[str, str] = field(default_factory=dict)  # what cannot be used by path, and why
    others: dict[str, int] = field(default_factory=dict)  # how many are no sounds, by suffix

    def __post_init__(self) -> None:
        _check_types(self)
        if not all(isinstance(edge, int) for edge in self.removed):
            raise TypeError("removed holds what is no row")

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is an index in a folder, readable or not."""
        return (folder / FILE).exists()

    @staticmethod
    def stamp(folder: Path) -> tuple[int, int, int]:
        """Return what changes when another version becomes current.

        Raises:
            StorageError: It cannot be looked at.
        """
        try:
            found = (folder / FILE).stat()
        except OSError as error:
            raise StorageError(f"{folder} cannot be read ({error.strerror}).") from error
        return found.st_mtime_ns, found.st_ino, found.st_size

    def write(self, folder: Path) -> None:
        """Make this the current version of the index in ``folder``."""
        write_text(folder / FILE, json.dumps({"format": FORMAT, **asdict(self)}) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the current version.

        Raises:
            StorageError: There is none, or it cannot be understood.
        """
        file = folder / FILE
        try:
            values = json.loads(read_regular(file))
            form = values.pop("format")
            if form == FORMAT:
                values["segments"] = tuple(Part(**each) for each in values["segments"])
                return cls(**values)
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
        segments = [read_segment(folder / part.file) for part in self.segments]
        for segment, part in zip(segments, self.segments, strict=True):
            if segment.num_rows != part.rows:
                raise StorageError(
                    f"{folder / part.file} is damaged ({segment.num_rows} rows): build it again."
                )
        rows = np.arange(sum(part.rows for part in self.segments))
        return Table(segments, np.searchsorted(self.removed, rows, side="right") % 2 == 0)


def runs_of(mask: Mask) -> list[int]:
    """Return where each run of what is true begins and ends.

    >>> runs_of(np.array([True, True, False, True]))
    [0, 2, 3, 4]
    """
    edges: list[int] = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    return edges


def _check_types(values: Any) -> None:
    """Refuse a dataclass's values that are not of its types."""
    for each in fields(values):
        value = getattr(values, each.name)
        if not isinstance(value, get_origin(each.type) or each.type):  # type: ignore[arg-type]
            raise TypeError(f"{each.name} is {value!r}")
