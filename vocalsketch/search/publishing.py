"""The end of a build: what holds of the old version and what is new become the current version."""

import json
import shutil
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from vocalsketch.errors import DatasetError
from vocalsketch.search.building import Target, read_plan
from vocalsketch.search.library import LibraryFile
from vocalsketch.search.manifest import Manifest
from vocalsketch.search.plan import Plan, make_plan, open_parts
from vocalsketch.search.table import SoundTable, merged, schema_of, write_table

BLOCK = 2**22  # bytes read at once for a checksum
REASONS_SHOWN = 3


@dataclass(frozen=True)
class BuildReport:
    """What a build came to.

    Attributes:
        version: Of the index now.
        sounds: Files in it.
        windows: Windows of these files.
        embedded: Files that are new in it: decoded, or found again where they were moved to.
        unchanged: Files that were in the version before.
        removed: Paths that were in the version before and are not any more.
        skipped: Files that cannot be used, by path within the library, and why.
    """

    version: int
    sounds: int
    windows: int
    embedded: int
    unchanged: int
    removed: int
    skipped: dict[str, str] = field(default_factory=dict)


def publish(library: Path, target: Target, corpus: str) -> BuildReport:
    """Write the new version and then the manifest that names it; until then the old one counts.

    Raises:
        DatasetError: No file of the library can be used; the old version stays.
        StorageError: The disk is full, or the folder cannot be written; the old version stays.
    """
    written = read_plan(target)
    files = [LibraryFile(*each) for each in written["files"]]
    old, stored = target.current()
    parts = open_parts(target.folder, target.fingerprint)
    plan = make_plan(files, stored, parts)
    skipped = written["skipped"] | _skipped(plan, parts)
    if not len(plan.chosen):
        raise _nothing_usable(library, skipped)
    from_old = int((plan.chosen[:, 0] == 0).sum()) if stored else 0
    same = stored is not None and from_old == len(stored) == len(plan.chosen)
    version = (old.version if old else 0) + (not same)
    if same and old is not None:
        table, checksum = old.table, old.checksum
    else:
        table = f"sounds-{version}.arrow"
        tables = [stored, *parts] if stored else parts
        checksum = _write(target, table, tables, plan, version)
    before = set(stored.column("path")) if stored else set()
    now = {file.path for file in files} - {file.path for file in plan.todo}
    unchanged = _unchanged(stored, plan)
    Manifest(
        version=version,
        table=table,
        checksum=checksum,
        library=str(library.resolve()),
        fingerprint=target.fingerprint,
        corpus=corpus,
        precision=target.precision,
        sounds=len(now),
        windows=len(plan.chosen),
        built=datetime.now(UTC).isoformat(timespec="seconds"),
        skipped=dict(sorted(skipped.items())),
    ).write(target.folder)
    _remove_leftovers(target, table)
    return BuildReport(
        version=version,
        sounds=len(now),
        windows=len(plan.chosen),
        embedded=len(now) - unchanged,
        unchanged=unchanged,
        removed=len(before - now),
        skipped=dict(sorted(skipped.items())),
    )


def checksum_of(file: Path) -> int:
    """Return the CRC-32 of a file."""
    checksum = 0
    with file.open("rb") as handle:
        while block := handle.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _write(
    target: Target, name: str, tables: Sequence[SoundTable], plan: Plan, version: int
) -> int:
    """Write the table of a version and return its checksum."""
    metadata = {"fingerprint": target.fingerprint, "version": str(version)}
    schema = schema_of(target.width, target.precision, metadata)
    write_table(target.folder / name, schema, merged(schema, tables, plan.chosen))
    return checksum_of(target.folder / name)


def _unchanged(stored: SoundTable | None, plan: Plan) -> int:
    if stored is None:
        return 0
    paths = stored.column("path")
    rows = plan.chosen[plan.chosen[:, 0] == 0, 1]
    return len({paths[row] for row in rows})


def _skipped(plan: Plan, parts: Sequence[SoundTable]) -> dict[str, str]:
    """Return why files of the library that have no row have none."""
    without = {file.path for file in plan.todo}
    reasons: dict[str, str] = {}
    for part in parts:
        reasons |= json.loads(part.metadata["skipped"])
    return {path: reason for path, reason in reasons.items() if path in without}


def _nothing_usable(library: Path, skipped: dict[str, str]) -> DatasetError:
    shown = [f"{path}: {reason}" for path, reason in skipped.items()][:REASONS_SHOWN]
    return DatasetError(
        "\n  ".join([f"None of the {len(skipped)} audio files in {library} can be used:", *shown])
    )


def _remove_leftovers(target: Target, table: str) -> None:
    """Remove older versions, parts and what killed builds left half written.

    Where a reader holds a version open and the system minds, the next build removes it.
    """
    shutil.rmtree(target.building, ignore_errors=True)
    for pattern in ("sounds-*.arrow", ".*.tmp"):
        for file in target.folder.glob(pattern):
            if file.name == table:
                continue
            with suppress(OSError):
                file.unlink()
