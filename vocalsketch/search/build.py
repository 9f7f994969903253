"""Builds an index, and brings it up to date."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from tqdm import tqdm

from vocalsketch.datasets.discovery import FoundFile
from vocalsketch.errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    StorageError,
    refuse_below,
)
from vocalsketch.files import locked, make_folder, remove_leftovers
from vocalsketch.search.embedding import Embedder, Reasons, batches_of, open_parts
from vocalsketch.search.library import Plan, list_library, make_plan
from vocalsketch.search.remote import Remote
from vocalsketch.search.segment import (
    PARTS,
    SYSTEM,
    Manifest,
    Part,
    Rows,
    runs_of,
    schema_of,
    sorted_rows,
    width_of,
    write_segment,
)
from vocalsketch.spread.batches import spread
from vocalsketch.spread.threads import available_cores
from vocalsketch.systems import System, load_system

LOCK = ".lock"
FANOUT = 8  # segments of about one size become one when there are so many
REASONS_SHOWN = 3
CLUSTER = 64  # cores of a cluster, as far as its work is cut for them

Progress = bool | Callable[[int, int], object]


@dataclass(frozen=True)
class BuildReport:
    """What a build came to; what is counted are files."""

    manifest: Manifest  # of the index now
    embedded: int  # new in it: decoded, or found again where they were moved to
    unchanged: int  # in the version before as well
    removed: int  # paths that were in the version before and are not any more


def build_index(
    library: Path | str,
    index: Path | str,
    system: System | Path | str | None = None,
    *,
    jobs: int | None = None,
    accelerator: str = "cpu",
    devices: int = 1,
    ray: str | None = None,
    progress: Progress = True,
) -> BuildReport:
    """Index a library, or bring its index up to date; readers see the old version until the end.

    What is new becomes a segment; the other segments are left as they are. A build that was killed
    goes on where it was.

    Args:
        library: The folder of sounds.
        index: The index's folder, or its address, as ``Remote`` takes it.
        system: A system, its file, a checkpoint of a fit, or the name of one that needs no
            training; may be left out where the index exists, which holds it.
        jobs: Threads; by default a core each.
        accelerator: ``cpu``, ``cuda`` (or ``gpu``), ``mps``, or ``auto``.
        devices: How many of them share the work.
        ray: The address of a Ray cluster whose cores embed instead, as ``cluster`` takes it;
            the library has to lie at one path on all its machines, and so has the index.
        progress: Whether to show a progress bar on standard error; or what is called with the
            sounds done and the sounds to do.

    Raises:
        DatasetError: The library holds no audio.
        CheckpointError: The system cannot be used, or the index is of another one.
        ConfigError: An argument is out of range.
        StorageError: The index cannot be written, or another build is at work on it.
    """
    refuse_below(1, jobs=1 if jobs is None else jobs, devices=devices)
    if ray is not None and (jobs, accelerator, devices) != (None, "cpu", 1):
        raise ConfigError("With --ray each task has a core: leave out --jobs and what has devices.")
    places = _devices(accelerator, devices)
    remote = Remote(index) if isinstance(index, str) and "://" in index else None
    library, index = Path(library), remote.begin() if remote else Path(index)
    chosen = _chosen(library, index, system)
    busy = f"Another build is at work on {index}: wait until it is done, or build elsewhere."
    with locked(index / LOCK, busy):
        old = Manifest.read(index) if Manifest.exists(index) else Manifest()
        _tidy(index, old)
        if not old.version or not (index / SYSTEM).exists():
            chosen.save(index / SYSTEM)  # so that the index can be searched without the run
        listing = list_library(library)
        before, skipped = old.open_table(index), dict(listing.unusable)
        plan = make_plan(listing.files, before, open_parts(index, chosen.fingerprint))
        if plan.todo:
            embedder = Embedder(chosen, library.resolve(), places, plan.known())
            threads = jobs or (available_cores() if ray is None else CLUSTER)
            skipped |= _embed(embedder, plan.todo, index.resolve(), threads, progress, ray, remote)
            plan = make_plan(listing.files, before, open_parts(index, chosen.fingerprint))
        _check_complete(plan, skipped, library, index)
        manifest = replace(
            old,
            library=str(library.resolve()),
            fingerprint=chosen.fingerprint,
            corpus=chosen.corpus,
            skipped=dict(sorted(skipped.items())),
            others=dict(listing.others),
        )
        report = _published(index, manifest, old, plan)
        if remote:
            remote.push()
        return report


def _embed(
    embedder: Embedder,
    files: Sequence[FoundFile],
    index: Path,
    jobs: int,
    progress: Progress,
    ray: str | None,
    remote: Remote | None,
) -> Reasons:
    """Embed files into parts, so that a killed build can go on; return why some cannot be."""
    parts = index / PARTS
    make_folder(parts)
    place = f"{remote.address}/{PARTS}" if remote and ray is not None else parts
    embed = partial(embedder.embed_part, place, far=ray is not None)
    shared = None if remote else parts
    done = spread(embed, batches_of(files, jobs), jobs, ray=ray, shared=shared, stop=embedder.stop)
    with (
        tqdm(total=len(files), desc="embedding", unit="sound", disable=progress is not True) as bar,
        closing(done),
    ):
        count = 0
        skipped: Reasons = {}
        for more, why in done:
            count += more
            skipped |= why
            bar.update(more)
            if callable(progress):
                progress(count, len(files))
    if remote:
        remote.pull_parts()
    return skipped


def _check_complete(plan: Plan, skipped: dict[str, str], library: Path, index: Path) -> None:
    """Refuse a plan that lacks a file without a reason, or that keeps none."""
    lost = {file.path for file in plan.todo} - skipped.keys()
    if lost:
        raise StorageError(
            f"{index} does not show what was written of {len(lost)} sounds, such as {min(lost)}: "
            "build again, it goes on where it was."
        )
    if not plan.keep.any():
        shown = [f"\n  {path}: {why}" for path, why in skipped.items()][:REASONS_SHOWN]
        none = f"None of the {len(skipped)} audio files in {library} can be used:"
        raise DatasetError(none + "".join(shown))


def _devices(accelerator: str, count: int) -> list[str]:
    """Return a name for each device."""
    there = torch.accelerator.current_accelerator(check_available=True)
    own = there.type if there else "cpu"
    name = own if accelerator in ("gpu", "auto") else accelerator
    if name not in (own, "cpu") or (accelerator == "gpu" and not there):
        raise ConfigError(f"accelerator is {accelerator!r}: this machine has {own}.")
    if name == "cpu":
        return [name] * count
    most = torch.accelerator.device_count()
    if count > most:
        raise ConfigError(f"devices is {count}: this machine has {most}.")
    return [f"{name}:{number}" for number in range(count)]


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


def _tidy(index: Path, current: Manifest) -> None:
    """Remove what the current version does not need: older versions, and what killed builds left.

    The version before the current one has been kept until now, for readers that had just begun
    to open it.
    """
    remove_leftovers(index)
    needed = {part.file for part in current.segments}
    for file in index.glob("*.arrow"):
        if file.name not in needed:
            with suppress(OSError):  # some systems mind that a reader holds it open
                file.unlink()


def _published(index: Path, manifest: Manifest, old: Manifest, plan: Plan) -> BuildReport:
    """Write a segment and then the manifest that names it; until then the old version counts."""
    first, paths = plan.stored.first_of_file, plan.stored.rows.column("path")
    before = len(plan.gone)  # rows
    sounds, unchanged = int((plan.keep & first).sum()), int((plan.keep & first)[:before].sum())
    manifest = replace(manifest, sounds=sounds, windows=int(plan.keep.sum()))
    if not np.array_equal(plan.keep, plan.stored.counting & (np.arange(len(first)) < before)):
        manifest = _with_segments(index, manifest, plan)
    if manifest != old:
        manifest = replace(manifest, built=datetime.now(UTC).isoformat(timespec="seconds"))
        manifest.write(index)
    shutil.rmtree(index / PARTS, ignore_errors=True)
    dropped = paths.slice(0, before).filter(pa.array(plan.gone & first[:before]))
    added = paths.slice(before).filter(pa.array((plan.keep & first)[before:]))
    again = pc.is_in(dropped, value_set=added.combine_chunks())
    removed = len(dropped) - (pc.sum(again).as_py() or 0)
    return BuildReport(manifest, sounds - unchanged, unchanged, removed)


def _with_segments(index: Path, manifest: Manifest, plan: Plan) -> Manifest:
    """Write the new segment, and return what names it and which rows of the others count."""
    version, segments = manifest.version + 1, len(manifest.segments)
    sizes = np.diff(plan.stored.offsets)
    of_segment = np.repeat(np.arange(len(sizes)), sizes)
    counts = np.bincount(of_segment[plan.keep], minlength=len(sizes))
    merge = _merged(counts[:segments], sizes[:segments], int(counts[segments:].sum()))
    moving = np.isin(of_segment, merge) | (of_segment >= segments)
    kept = [part for number, part in enumerate(manifest.segments) if number not in merge]
    removed = runs_of(~plan.keep[~moving])
    rows = np.flatnonzero(moving & plan.keep)
    if len(rows):
        file = index / f"{version}.arrow"
        metadata = {"fingerprint": manifest.fingerprint}
        schema = schema_of(width_of(plan.stored.segments[0]), metadata)
        write_segment(file, schema, sorted_rows(plan.stored, rows))
        kept.append(Part.of(file, len(rows)))
    return replace(manifest, version=version, segments=tuple(kept), removed=removed)


def _merged(counts: Rows, sizes: Rows, new: int) -> list[int]:
    """Return which segments to write anew together with new rows.

    Those of which most rows do not count any more; and small ones, so that of each power of
    ``FANOUT`` there are fewer than ``FANOUT`` segments. A row is thus written anew as many times
    as there are powers, however often the index is built.
    """
    merge = set(np.flatnonzero(2 * counts < sizes).tolist())
    total = new + int(counts[sorted(merge)].sum())
    while total:
        small = [
            number
            for number, rows in enumerate(counts)
            if number not in merge and rows < FANOUT * total
        ]
        if len(small) < FANOUT - 1:
            break
        merge.update(small)
        total += int(counts[small].sum())
    return sorted(merge)
