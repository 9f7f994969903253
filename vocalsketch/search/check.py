"""Whether an index is whole, and how far the library has moved on since it was built."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocalsketch.errors import CheckpointError, DatasetError, StorageError
from vocalsketch.search.index import Index
from vocalsketch.search.library import list_library
from vocalsketch.search.plan import make_plan
from vocalsketch.search.publishing import checksum_of


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        problems: What is wrong with the index itself; empty where it is whole.
        new: Files that are new or changed in the library.
        gone: Indexed files that are gone from it.
    """

    problems: list[str]
    new: list[str]
    gone: list[str]


def check_index(folder: Path) -> Check:
    """Read every byte of an index, and compare it with its library.

    Raises:
        StorageError: There is no index.
    """
    try:
        index = Index.open(folder)
    except CheckpointError as error:
        return Check([str(error)], [], [])
    problems = list(_problems(index))
    try:
        files = list_library(index.library).files
    except DatasetError as error:
        return Check([*problems, str(error)], [], [])
    plan = make_plan(files, index.table, [])
    there = {file.path for file in files}
    known_bad = index.manifest.skipped
    new = [file.path for file in plan.todo if file.path not in known_bad]
    return Check(problems, new, [path for path in index.paths() if path not in there])


def _problems(index: Index) -> list[str]:
    manifest, table = index.manifest, index.table
    problems = []
    try:
        if checksum_of(table.file) != manifest.checksum:
            problems.append(f"{table.file} is not as it was written: build it again elsewhere.")
    except OSError as error:
        raise StorageError(f"{table.file} cannot be read ({error.strerror}).") from error
    if len(table) != manifest.windows:
        problems.append(f"{table.file} holds {len(table)} rows, not {manifest.windows}.")
    if table.metadata.get("fingerprint") != manifest.fingerprint:
        problems.append(f"{table.file} was made by another network than {manifest.fingerprint}.")
    bad = sum(int((~np.isfinite(block)).any(axis=1).sum()) for block in table.blocks)
    if bad:
        problems.append(f"{bad} windows have shares that are not finite: the network diverged.")
    return problems
