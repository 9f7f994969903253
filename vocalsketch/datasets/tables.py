"""The CSV tables that describe a data set."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from vocalsketch.errors import DatasetError


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, the named columns, stripped) of each row of a CSV file.

    Line ends of any system are read. VocalSketch's tables hold people's free text in several
    encodings: what is not UTF-8 is replaced, which matters only in columns that nobody names.

    Raises:
        DatasetError: The file is missing, lacks a column, or a row ends before its columns do.
    """
    if not path.is_file():
        raise DatasetError(f"{path} does not exist: a data set needs its tables beside its audio.")
    with path.open(encoding="utf-8-sig", errors="replace") as table:
        reader = csv.DictReader(table)
        try:
            _check_columns(path, reader.fieldnames or (), columns)
            for row in reader:
                yield reader.line_num, _named_columns(path, reader.line_num, row, columns)
        except csv.Error as error:
            raise DatasetError(f"{path}, line {reader.line_num}: {error}. Repair it.") from error


def _check_columns(path: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    lacking = [column for column in wanted if column not in found]
    if lacking:
        raise DatasetError(
            f"{path} has no column {', '.join(map(repr, lacking))}; "
            f"it has {', '.join(map(repr, found)) or 'none'}. Add it, or restore the file."
        )


def _named_columns(
    path: Path, line: int, row: dict[str, str | None], columns: Sequence[str]
) -> dict[str, str]:
    values = {}
    for column in columns:
        value = row[column]
        if value is None:
            raise DatasetError(f"{path}, line {line} ends before its column {column!r}. Repair it.")
        values[column] = value.strip()
    return values
