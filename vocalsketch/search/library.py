"""What audio a library holds, and which of it is in an index as it is, or has to be embedded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vocalsketch.datasets.discovery import FoundFile, Listing, counted, list_audio
from vocalsketch.errors import DatasetError
from vocalsketch.files import cache_folder
from vocalsketch.search.segment import EMBEDDING, Manifest, Mask, Table, as_numpy, schema_of

Row = dict[str, Any]  # of a segment

COLUMNS = pa.schema([schema_of(1, {}).field(name) for name in FoundFile._fields])


def list_library(library: Path) -> Listing:
    """Walk a folder for audio, as ``list_audio``; a DatasetError says that there is none."""
    if not library.is_dir():
        raise DatasetError(f"{library} is no folder: give the folder that holds the sounds.")
    found = list_audio(library.resolve())
    if not found.files:
        others = f" ({counted(found.others)})" if found.others else ""
        raise DatasetError(
            f"{library} holds no audio in any of its folders{others}: give the "
            "folder that holds the sounds."
        )
    return found


def tags_of(path: str) -> list[str]:
    """Return the names of the folders around a sound, outermost first, in small letters.

    >>> tags_of("Drums/Kick Drums/deep_01.wav")
    ['drums', 'kick drums']
    """
    return list(dict.fromkeys(part.casefold() for part in PurePosixPath(path).parts[:-1]))


def index_of(library: Path, fingerprint: str) -> Path:
    """Return where a library's index by one system is kept for the user, in the cache folder."""
    of = f"{library.resolve()}\n{fingerprint}".encode(errors="surrogateescape")
    name = f"{library.resolve().name or 'root'}-{hashlib.sha256(of).hexdigest()[:8]}"
    return cache_folder() / "indexes" / name


@dataclass(frozen=True, eq=False)
class Plan:
    """Stored rows that hold, and files that have none."""

    stored: Table  # the index's rows, then what unfinished builds left
    keep: Mask  # of every stored row, whether it holds
    gone: Mask  # of every row of the index, whether its file is gone or has changed
    todo: list[FoundFile]  # to embed

    def known(self) -> dict[str, list[Row]]:
        """Return the rows of gone files by what they held; of one file for each content.

        A file that was moved has its content and need not be embedded again.
        """
        places = np.flatnonzero(self.gone)
        rows = self.stored.rows.take(pa.array(places)).to_pylist()
        known: dict[str, list[Row]] = {}
        for row, embedding in zip(rows, self.stored.embeddings(places), strict=True):
            held = known.setdefault(row["content"], [])
            if not held or held[0]["path"] == row["path"]:
                held.append({**row, EMBEDDING: embedding})
        return known


def is_current(library: Path, index: Path) -> bool:
    """Whether there is an index of a library to which a build would change nothing."""
    if not Manifest.exists(index):
        return False
    table = Manifest.read(index).open_table(index)
    columns = [table.rows.column(name).to_pylist() for name in COLUMNS.names]
    # as Python values: a mask for pyarrow would import pandas, a quarter of a search
    stored = set(compress(zip(*columns, strict=True), table.counting))
    return stored == set(list_library(library).files)


def make_plan(found: Sequence[FoundFile], index: Table, parts: Sequence[pa.Table] = ()) -> Plan:
    """Compare the library with what is stored.

    A file counts as unchanged when path, size and time of change are the stored ones; where
    several stored files are it, the first counts. ``parts`` are what unfinished builds left.
    """
    stored = Table([*index.segments, *parts], index.counting)
    files = pa.table(list(zip(*found, strict=True)), schema=COLUMNS)
    first = stored.first_of_file
    beginnings = np.flatnonzero(first)
    heads = stored.rows.select(COLUMNS.names).filter(pa.array(first))
    place = pc.index_in(heads.column("path"), value_set=files.column("path").combine_chunks())
    place = as_numpy(pc.fill_null(place, -1)).astype(np.int64)
    counts = stored.counting[beginnings]
    holds = (place >= 0) & counts
    for name in ("size", "changed"):
        holds &= as_numpy(files.column(name))[place] == as_numpy(heads.column(name))
    kept = np.flatnonzero(holds)
    there, chosen = np.unique(place[kept], return_index=True)
    keep = np.zeros(len(beginnings), dtype=bool)
    keep[kept[chosen]] = True
    missing = np.ones(len(found), dtype=bool)
    missing[there] = False
    file = np.cumsum(first) - 1  # of each row
    gone = (counts & ~holds)[file[: len(index.counting)]]
    return Plan(stored, keep[file], gone, list(compress(found, missing)))
