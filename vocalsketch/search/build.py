"""Builds an index, and brings it up to date."""

import shutil
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from tqdm import tqdm

from vocalsketch.datasets.discovery import Listing
from vocalsketch.errors import CheckpointError, ConfigError, DatasetError, VocalSketchError
from vocalsketch.features.threads import available_cores
from vocalsketch.files import locked, remove_leftovers
from vocalsketch.search.embedding import Embedder
from vocalsketch.search.library import list_library, table_of
from vocalsketch.search.manifest import SYSTEM, Manifest, Part, write_rows
from vocalsketch.search.plan import (
    PARTS,
    Plan,
    library_files,
    make_plan,
    open_parts,
    part_names,
    reasons,
    write_part,
)
from vocalsketch.search.segment import Rows, Segment, Table, schema_of, sorted_rows, write_segment
from vocalsketch.systems import System, load_system

LOCK = ".lock"
FILES_AT_ONCE = 256  # embedded between two writes: what a killed build loses
FANOUT = 8  # segments of about one size become one when there are so many
BLOCK = 2**22  # bytes read at once for a checksum
REASONS_SHOWN = 3


Progress = bool | Callable[[int, int], object]


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
        others: How many files are no sounds, by suffix.
    """

    version: int
    sounds: int
    windows: int
    embedded: int
    unchanged: int
    removed: int
    skipped: dict[str, str] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be embedded, by one process or by several that each take a share."""

    library: Path  # the folder of sounds
    index: Path  # the index's folder, which holds the system
    todo: pa.Table  # the files
    known: dict[str, Rows]  # by content, the rows of the index's current version that hold it
    jobs: int  # threads of each process
    devices: Sequence[str]  # where the system runs, one for each process
    progress: Progress  # whether the first process shows a progress bar, or what is told


def build_index(
    library: Path,
    index: Path,
    system: System | Path | str | None = None,
    *,
    jobs: int | None = None,
    accelerator: str = "cpu",
    devices: int = 1,
    progress: Progress = True,
) -> BuildReport:
    """Index a library, or bring its index up to date; readers see the old version until the end.

    What is new becomes a segment; the other segments are left as they are. A build that was killed
    goes on where it was.

    Args:
        library: The folder of sounds.
        index: The index's folder.
        system: A system, its file, a checkpoint of a fit, or the name of one that needs no
            training; may be left out where the index exists, which holds it.
        jobs: Threads of each process; by default all cores are shared among the processes.
        accelerator: ``cpu``, ``cuda`` (or ``gpu``), ``mps``, or ``auto``.
        devices: Processes, each with a device of its own.
        progress: Whether to show a progress bar on standard error; or what is called with the
            sounds done and the sounds to do, by one device.

    Raises:
        DatasetError: The library holds no audio.
        CheckpointError: The system cannot be used, or the index is of another one.
        ConfigError: An argument is out of range.
        StorageError: The index cannot be written, or another build is at work on it.
    """
    for name, value in (("jobs", jobs), ("devices", devices)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}: give 1 or more.")
    places = _devices(accelerator, devices)
    chosen = _chosen(library, index, system)
    busy = f"Another build is at work on {index}: wait until it is done, or build elsewhere."
    with locked(index / LOCK, busy):
        old = Manifest.read(index) if Manifest.exists(index) else None
        _tidy(index, old)
        if old is None or not (index / SYSTEM).exists():
            chosen.save(index / SYSTEM)  # so that the index can be searched without the run
        listing = list_library(library)
        before = old.open_table(index) if old else Table([])
        parts = open_parts(index, chosen.fingerprint)
        plan = make_plan(table_of(listing), Table([*before.segments, *parts], before.removed))
        threads = jobs or max(1, available_cores() // devices)
        known = plan.rows_by_content(before)
        work = Work(library.resolve(), index, plan.todo, known, threads, places, progress)
        if plan.todo.num_rows:
            _embed(work, chosen, before)
            parts = open_parts(index, chosen.fingerprint)
        return _publish(library, index, listing, chosen, old, before, parts)


def _devices(accelerator: str, count: int) -> list[str]:
    """Return a device for each process."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    there = {"cuda": cuda, "mps": mps, "cpu": True}
    best = next(name for name, is_there in there.items() if is_there)
    name = {"gpu": "mps" if mps and not cuda else "cuda", "auto": best}.get(
        accelerator, accelerator
    )
    if not there.get(name):
        raise ConfigError(
            f"accelerator is {accelerator!r}: this machine has "
            f"{' and '.join(name for name, is_there in there.items() if is_there)}."
        )
    if name != "cuda":
        return [name] * count
    if count > torch.cuda.device_count():
        raise ConfigError(f"devices is {count}: this machine has {torch.cuda.device_count()}.")
    return [f"cuda:{number}" for number in range(count)]


def _chosen(library: Path, index: Path, system: System | Path | str | None) -> System:
    """Return the system to use, which is that of the index if it exists."""
    kept = index / SYSTEM
    if system is None:
        system = kept if kept.exists() else "default"
    chosen = system if isinstance(system, System) else load_system(system)
    if not Manifest.exists(index):
        return chosen
    manifest = Manifest.read(index)
    if manifest.fingerprint != chosen.fingerprint:
        raise CheckpointError(
            f"The index in {index} is of system {manifest.fingerprint}, and {system} is "
            f"{chosen.fingerprint}: build it in another folder, or leave the system out."
        )
    before = Path(manifest.library)
    if before.is_dir() and before.resolve() != library.resolve():
        raise ConfigError(
            f"The index in {index} is of {before}, not of {library}: build it in another folder. "
            "(A library that was moved keeps its index.)"
        )
    return chosen


def _tidy(index: Path, current: Manifest | None) -> None:
    """Remove what the current version does not need: older versions, and what killed builds left.

    The version before the current one has been kept until now, for readers that had just begun
    to open it.
    """
    remove_leftovers(index)
    for file in index.glob("*.arrow"):
        if current is None or file.name not in current.files:
            with suppress(OSError):  # some systems mind that a reader holds it open
                file.unlink()


def _embed(work: Work, system: System, before: Table) -> None:
    """Embed what is to be embedded, into parts."""
    if len(work.devices) == 1:
        _embed_share(0, work, system, before)
        return
    from torch.multiprocessing.spawn import (
        ProcessExitedException,
        ProcessRaisedException,
        spawn,
    )

    helpers = spawn(  # type: ignore[no-untyped-call]  # torch's
        _help, (work,), nprocs=len(work.devices), join=False, daemon=True
    )
    try:
        while not helpers.join():
            pass
    except ProcessRaisedException as error:
        said = str(error).strip().splitlines()[-1]
        raise VocalSketchError(said.partition("Error: ")[2] or said) from error
    except ProcessExitedException as error:
        raise VocalSketchError(
            f"A process of the build ended ({error}): build again, it goes on where it was."
        ) from error
    finally:
        for process in helpers.processes:
            process.terminate()


def _help(rank: int, work: Work) -> None:
    """Embed a share in a process of its own."""
    exists = Manifest.exists(work.index)
    before = Manifest.read(work.index).open_table(work.index) if exists else Table([])
    _embed_share(rank, work, load_system(work.index / SYSTEM), before)


def _embed_share(rank: int, work: Work, system: System, before: Table) -> None:
    """Embed one process's share of the files; each batch is a file, so that a build can go on."""
    several = f" (1 of {len(work.devices)} processes)" if len(work.devices) > 1 else ""
    todo = library_files(work.todo)[rank :: len(work.devices)]
    batches = [todo[start : start + FILES_AT_ONCE] for start in range(0, len(todo), FILES_AT_ONCE)]
    embedder = Embedder(system, work.library, work.devices[rank], before, work.known)
    finished = 0
    told = work.progress if callable(work.progress) else None
    shown = work.progress is True and rank == 0
    with (
        tqdm(total=len(todo), desc=f"embedding{several}", unit="sound", disable=not shown) as bar,
        closing(embedder.embed_batches(batches, work.jobs)) as done,
    ):
        for file, embedded in zip(part_names(work.index, rank), done, strict=False):
            write_part(file, system.fingerprint, embedder.width, embedded)
            bar.update(len(embedded.files) + len(embedded.skipped))
            finished += len(embedded.files) + len(embedded.skipped)
            if told is not None:
                told(finished, len(todo))


def _publish(
    library: Path,
    index: Path,
    listing: Listing,
    system: System,
    old: Manifest | None,
    before: Table,
    parts: Sequence[Segment],
) -> BuildReport:
    """Write a segment and then the manifest that names it; until then the old version counts.

    Raises:
        DatasetError: No file of the library can be used; the old version stays.
        StorageError: The disk is full, or the folder cannot be written; the old version stays.
    """
    stored = Table([*before.segments, *parts], before.removed)
    plan = make_plan(table_of(listing), stored)
    skipped = dict(sorted({**listing.unusable, **dict(reasons(parts, plan.todo))}.items()))
    if not plan.keep.any():
        raise _nothing_usable(library, skipped)
    manifest = Manifest(
        version=old.version if old else 0,
        segments=old.segments if old else (),
        removed=old.removed if old else "",
        removed_checksum=old.removed_checksum if old else 0,
        library=str(library.resolve()),
        fingerprint=system.fingerprint,
        corpus=system.corpus,
        sounds=int((plan.keep & plan.first).sum()),
        windows=int(plan.keep.sum()),
        built=old.built if old else "",
        skipped=skipped,
        others=dict(listing.others),
    )
    was, new = plan.keep[: before.rows.num_rows], plan.keep[before.rows.num_rows :]
    if new.any() or not np.array_equal(was, before.counting):
        manifest = _with_segments(index, manifest, stored, plan, len(before.segments))
    if manifest != old:
        built = datetime.now(UTC).isoformat(timespec="seconds")
        replace(manifest, built=built).write(index)
    shutil.rmtree(index / PARTS, ignore_errors=True)
    unchanged = int((was & plan.first[: len(was)]).sum())
    return BuildReport(
        version=manifest.version,
        sounds=manifest.sounds,
        windows=manifest.windows,
        embedded=manifest.sounds - unchanged,
        unchanged=unchanged,
        removed=_without_successor(stored, plan, len(was)),
        skipped=skipped,
        others=dict(listing.others),
    )


def _with_segments(
    index: Path, manifest: Manifest, stored: Table, plan: Plan, segments: int
) -> Manifest:
    """Write the new segment and which rows of the others count, and return what names them.

    Args:
        index: The index's folder.
        manifest: What is known beside the segments; it names those of the version before.
        stored: All rows: of these segments, and of the parts.
        plan: Which of the rows hold.
        segments: How many of the stored segments are of the version before; the rest are parts.
    """
    version = manifest.version + 1
    sizes = np.diff(stored.offsets)
    of_segment = np.repeat(np.arange(len(sizes)), sizes)
    counts = np.bincount(of_segment[plan.keep], minlength=len(sizes))
    merge = _merged(counts[:segments], sizes[:segments], int(counts[segments:].sum()))
    moving = np.isin(of_segment, merge) | (of_segment >= segments)
    kept: list[Part] = [
        part for number, part in enumerate(manifest.segments) if number not in merge
    ]
    removed = np.flatnonzero(~plan.keep[~moving])
    rows = np.flatnonzero(moving & plan.keep)
    if len(rows):
        name = f"{version}.arrow"
        metadata = {"fingerprint": manifest.fingerprint}
        schema = schema_of(stored.segments[0].width, metadata)
        write_segment(index / name, schema, sorted_rows(schema, stored, rows))
        kept.append(Part(name, len(rows), checksum_of(index / name)))
    mask = f"removed-{version}.arrow" if len(removed) else ""
    if mask:
        write_rows(index / mask, removed)
    return replace(
        manifest,
        version=version,
        segments=tuple(kept),
        removed=mask,
        removed_checksum=checksum_of(index / mask) if mask else 0,
    )


def _merged(counts: Rows, sizes: Rows, new: int) -> list[int]:
    """Return which segments to write anew together with new rows.

    Those of which most rows do not count any more; and small ones, so that of each power of
    ``FANOUT`` there are fewer than ``FANOUT`` segments. A row is thus written anew as many times
    as there are powers, however often the index is built.

    Args:
        counts: Rows of each segment that count.
        sizes: Rows of each segment.
        new: Rows that are to become a segment.
    """
    merge = set(np.flatnonzero(2 * counts < sizes).tolist())
    total = new + int(counts[sorted(merge)].sum())
    while total:
        small = [
            number
            for number, count in enumerate(counts)
            if number not in merge and count < FANOUT * total
        ]
        if len(small) < FANOUT - 1:
            break
        merge.update(small)
        total += int(counts[small].sum())
    return sorted(merge)


def checksum_of(file: Path) -> int:
    """Return the CRC-32 of a file."""
    checksum = 0
    with file.open("rb") as handle:
        while block := handle.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _without_successor(stored: Table, plan: Plan, before: int) -> int:
    """Return how many paths of the version before are in the new one no more."""
    paths = stored.rows.column("path")
    dropped = paths.take(pa.array(plan.gone[plan.gone < before]))
    new = np.flatnonzero(plan.keep & plan.first)
    again = paths.take(pa.array(new[new >= before])).combine_chunks()
    return len(dropped) - int(pc.sum(pc.is_in(dropped, value_set=again)).as_py() or 0)


def _nothing_usable(library: Path, skipped: dict[str, str]) -> DatasetError:
    shown = [f"{path}: {reason}" for path, reason in skipped.items()][:REASONS_SHOWN]
    return DatasetError(
        "\n  ".join([f"None of the {len(skipped)} audio files in {library} can be used:", *shown])
    )
