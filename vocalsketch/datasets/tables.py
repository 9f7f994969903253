"""The tables that describe a data set, as spreadsheets, mirrors and other systems write them."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vocalsketch.errors import DatasetError
from vocalsketch.files import read_regular

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
HEADER_WITHIN = 5  # rows: a title or Excel's "sep=;" may stand above the header


@dataclass(frozen=True)
class _Reading:
    """How a table is read, and the header that was found so."""

    encoding: str
    separator: str
    line: int  # the header's row, from 1
    header: list[str]

    def column(self, name: str) -> int | None:
        """Return where a column stands, whatever its capitals."""
        keys = [cell.strip().casefold() for cell in self.header]
        return keys.index(name.casefold()) if name.casefold() in keys else None

    def __str__(self) -> str:
        return f"read as {self.encoding.upper()}, cells parted by {SEPARATORS[self.separator]}"


def read_rows(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, the named columns, stripped) of each row of a table.

    Commas, semicolons, tabs or bars part the cells; the text is UTF-8, UTF-16, UTF-32 or a Western
    8-bit encoding; capitals in column names, line ends of any system, rows without content and up
    to four rows above the header do not matter. VocalSketch's tables hold people's free text in
    several encodings: a line that is not UTF-8 is read as Windows-1252. Optional columns are empty
    in every row where the table lacks them.

    Raises:
        DatasetError: The file is missing, lacks a column, or a row ends before its columns do.
    """
    text, encoding = read_text(path)
    reading = _best_reading(text, encoding, columns)
    lacking = [name for name in columns if reading.column(name) is None]
    if lacking:
        found = ", ".join(map(repr, filter(None, reading.header))) or "none"
        raise DatasetError(
            f"{path} has no column {', '.join(map(repr, lacking))}; it has {found} "
            f"({reading}). Add it, or save the table as CSV in UTF-8."
        )
    places = {name: reading.column(name) for name in (*columns, *optional)}
    table = csv.reader(io.StringIO(text, newline=None), delimiter=reading.separator)
    try:
        for row in islice(table, reading.line, None):
            if any(cell.strip() for cell in row):
                yield table.line_num, _named(path, table.line_num, row, places)
    except csv.Error as error:
        raise DatasetError(f"{path}, line {table.line_num}: {error}. Repair it.") from error


def why_no_table(path: Path, columns: Sequence[str]) -> str:
    """Return why a file is no table that has the columns; empty where it is one."""
    try:
        next(read_rows(path, columns), None)
    except DatasetError as error:
        return str(error)
    return ""


def read_text(path: Path) -> tuple[str, str]:
    """Return a text file's content and the encoding that it was taken to have.

    Raises:
        DatasetError: It is missing, or a spreadsheet program's own format.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path} does not exist: a data set needs its tables beside its audio."
        ) from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}): check it.") from error
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DatasetError(f"{path} is a workbook, no text: save it as CSV in UTF-8.")
    encoding = encoding_of(content)
    if encoding != "windows-1252":
        text = content.decode(encoding, errors="replace")
    else:
        text = "".join(map(_decoded_line, content.splitlines(keepends=True)))
    return text.rstrip("\0\x1a"), encoding  # with which old systems fill files up


def encoding_of(content: bytes) -> str:
    r"""Return the encoding that a text's bytes seem to have; Windows-1252 stands for all of 8 bits.

    >>> encoding_of("a,b".encode("utf-16-le")), encoding_of(b"h\xf6rt")
    ('utf-16-le', 'windows-1252')
    """
    encoding = json.detect_encoding(content)  # by marks, or by zeros about a first ASCII letter
    if encoding == "utf-8":
        try:
            content.decode()
        except UnicodeDecodeError:
            return "windows-1252"
    return encoding


def _decoded_line(line: bytes) -> str:
    for encoding in ("utf-8", "windows-1252"):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1")


def _best_reading(text: str, encoding: str, columns: Sequence[str]) -> _Reading:
    """Return the separator and header row by which most of the columns, then most cells, appear."""
    readings = [_Reading(encoding, ",", 1, [])]
    for separator in SEPARATORS:
        table = csv.reader(io.StringIO(text, newline=None), delimiter=separator)
        try:
            rows = list(islice(table, HEADER_WITHIN))
        except csv.Error:
            continue
        readings += [
            _Reading(encoding, separator, line, row) for line, row in enumerate(rows, start=1)
        ]

    def fit(reading: _Reading) -> tuple[int, int]:
        found = sum(reading.column(name) is not None for name in columns)
        return found, len(reading.header) if reading.line == 1 else 0

    return max(readings, key=fit)


def _named(path: Path, line: int, row: list[str], places: dict[str, int | None]) -> dict[str, str]:
    values = {}
    for column, place in places.items():
        if place is not None and place >= len(row):
            raise DatasetError(f"{path}, line {line} ends before its column {column!r}. Repair it.")
        values[column] = "" if place is None else row[place].strip()
    return values
