"""The tables that describe a data set, as spreadsheets, mirrors and other systems write them."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from vocalsketch.errors import DatasetError
from vocalsketch.files import read_regular

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
HEADER_WITHIN = 5  # rows: a title or Excel's "sep=;" may stand above the header


def read_rows(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, the named columns, stripped) of each row of a table.

    Commas, semicolons, tabs or bars part the cells; the text is UTF-8, UTF-16, UTF-32 or a Western
    8-bit encoding; capitals in column names, line ends of any system, rows without content and up
    to four rows above the header do not matter. Optional columns are empty in every row where the
    table lacks them.

    Raises:
        DatasetError: The file is missing, lacks a column, or a row ends before its columns do.
    """
    text, encoding = read_text(path)
    wanted = [name.casefold() for name in (*columns, *optional)]
    required = set(wanted[: len(columns)])

    def fit(reading: tuple[str, int, list[str]]) -> tuple[int, int]:
        _, line, header = reading
        return len(required & {*map(str.casefold, header)}), len(header) if line == 1 else 0

    try:
        separator, line, header = max(_headers(text), key=fit)
        keys = [name.casefold() for name in header]
        lacking = [repr(name) for name in columns if name.casefold() not in keys]
        if lacking:
            found = ", ".join(map(repr, filter(None, header))) or "none"
            raise DatasetError(
                f"{path} has no column {', '.join(lacking)}; it has {found} (read as "
                f"{encoding.upper()}, cells parted by {SEPARATORS[separator]}). Add it, or save "
                "the table as CSV in UTF-8."
            )
        places = {
            name: keys.index(key) if key in keys else None
            for name, key in zip((*columns, *optional), wanted, strict=True)
        }
        table = csv.reader(io.StringIO(text, newline=None), delimiter=separator)
        for row in islice(table, line, None):
            if any(cell.strip() for cell in row):
                yield table.line_num, _named(path, table.line_num, row, places)
    except csv.Error as error:
        raise DatasetError(f"{path} is no table ({error}). Repair it.") from error


def _headers(text: str) -> Iterator[tuple[str, int, list[str]]]:
    """Yield what may be the header: how cells are parted, its row, from 1, and its cells."""
    for separator in SEPARATORS:
        rows = csv.reader(io.StringIO(text, newline=None), delimiter=separator)
        for line, row in enumerate(islice(rows, HEADER_WITHIN), start=1):
            yield separator, line, [cell.strip() for cell in row]
    yield ",", 1, []


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
    text = content.decode(encoding, errors="replace")
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


def _named(path: Path, line: int, row: list[str], places: dict[str, int | None]) -> dict[str, str]:
    short = [name for name, place in places.items() if place is not None and place >= len(row)]
    if short:
        raise DatasetError(f"{path}, line {line} ends before its column {short[0]!r}. Repair it.")
    return {name: "" if at is None else row[at].strip() for name, at in places.items()}
