"""A library's files to parts of an index, in threads that each decode and embed their own."""

import json
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from vocalsketch.datasets.discovery import FoundFile
from vocalsketch.errors import AudioError, StorageError, VocalSketchError
from vocalsketch.features.audio import opened_file
from vocalsketch.features.contents import content_id
from vocalsketch.features.threads import computing_threads
from vocalsketch.search.library import tags_of
from vocalsketch.search.manifest import SYSTEM, Manifest
from vocalsketch.search.segment import (
    EMBEDDING,
    Rows,
    Table,
    read_segment,
    schema_of,
    with_embeddings,
    write_segment,
)
from vocalsketch.search.windows import Windows
from vocalsketch.systems import System, load_system

FILES_PER_THREAD = 8  # taken at once, so that short sounds fill a batch
FILES_AT_ONCE = 256  # embedded between two writes: what a killed build loses
CLIPS_AT_ONCE = {"cpu": 8}  # embedded together: their work fits the processor's cache
CLIPS_ON_ACCELERATOR = 64
PARTS = "building"  # the folder of what an unfinished build has embedded

Row = dict[str, Any]  # of a segment
Progress = bool | Callable[[int, int], object]


class Embedded(NamedTuple):
    """What became of some files: the rows of their windows, and why others have none, by path."""

    rows: list[Row]
    skipped: dict[str, str]


class Embedder:
    """Decodes files and embeds their windows as recordings.

    Each thread decodes and embeds its own files, on one core when there is no accelerator: no
    thread waits for another, and there is nothing to balance.

    Args:
        system: Embeds them.
        library: The folder within which the files lie.
        device: Where to.
        stored: What has been embedded before.
        known: By content, the rows of ``stored`` that hold it: a file that was moved is not
            embedded again.
    """

    def __init__(
        self,
        system: System,
        library: Path,
        device: torch.device | str = "cpu",
        stored: Table | None = None,
        known: Mapping[str, Rows] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.system = system.fast().eval().to(self.device)
        self.front_end = self.system.front_ends["recording"]
        self.library = library
        self.stored = stored or Table([])
        self.known = known or {}
        self.at_once = CLIPS_AT_ONCE.get(self.device.type, CLIPS_ON_ACCELERATOR)
        self.width = self._hear(np.zeros((1, self.front_end.samples), np.float32)).shape[1]
        self._stopped = threading.Event()

    def embed_batches(
        self, batches: Iterable[Sequence[FoundFile]], jobs: int
    ) -> Generator[Embedded, None, None]:
        """Embed batches of files with some threads, which end soon after an exception here."""
        with computing_threads(jobs) as pool:
            try:
                for batch in batches:
                    size = max(1, min(FILES_PER_THREAD, -(-len(batch) // jobs)))
                    groups = [batch[start : start + size] for start in range(0, len(batch), size)]
                    done = list(pool.map(self.embed_files, groups))
                    skipped = {path: why for each in done for path, why in each.skipped.items()}
                    yield Embedded([row for each in done for row in each.rows], skipped)
            except BaseException:
                self._stopped.set()
                raise

    @torch.inference_mode()
    def embed_files(self, files: Iterable[FoundFile]) -> Embedded:
        """Embed files in the calling thread."""
        rows: dict[str, list[Row]] = {}
        skipped: dict[str, str] = {}
        waiting: list[tuple[Row, NDArray[np.float32]]] = []
        for file in files:
            if self._stopped.is_set():
                break
            rows[file.path] = []
            try:
                for row, clip in self._read(file):
                    rows[file.path].append(row)
                    waiting += [] if clip is None else [(row, clip)]
                    if len(waiting) == self.at_once:
                        self._embed(waiting)
                        waiting = []
            except AudioError as error:
                del rows[file.path]
                skipped[file.path] = str(error).removeprefix(f"{self.library / file.path}: ")
        if waiting:
            self._embed(waiting)
        return Embedded([row for of_file in rows.values() for row in of_file], skipped)

    def _read(self, file: FoundFile) -> Iterator[tuple[Row, NDArray[np.float32] | None]]:
        """Yield rows of a file's windows, each with its clip, unless its embedding is stored."""
        path = self.library / file.path
        row: Row = {**file._asdict(), "tags": tags_of(file.path)}
        with opened_file(path) as stream:
            row["content"] = content_id(stream)
            stored = self.known.get(row["content"])
            if stored is not None:
                known = self.stored.rows.take(pa.array(stored)).to_pylist()
                for each, embedding in zip(known, self.stored.embeddings(stored), strict=True):
                    yield {**each, **row, EMBEDDING: embedding}, None
                return
            windows = Windows(stream, self.front_end, str(path))
            row |= {"duration": windows.duration, "sample_rate": windows.sample_rate}
            for start, end, clip in windows:
                yield {**row, "start": start, "end": end}, clip

    def _embed(self, waiting: Sequence[tuple[Row, NDArray[np.float32]]]) -> None:
        """Add embeddings to rows. Batches are of one size: no embedding depends on the others.

        A sum's last bits depend on how the work was cut, and with it on the size of a batch.
        """
        clips = np.zeros((self.at_once, self.front_end.samples), dtype=np.float32)
        for place, (_, clip) in enumerate(waiting):
            clips[place] = clip
        for (row, _), embedding in zip(waiting, self._hear(clips), strict=False):
            row[EMBEDDING] = embedding

    @torch.inference_mode()
    def _hear(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        heard = self.system.hear("recording", torch.from_numpy(clips).to(self.device))
        embeddings: NDArray[np.float32] = heard.float().cpu().numpy()
        return embeddings


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be embedded, by one process or by several that each take a share."""

    library: Path  # the folder of sounds
    index: Path  # the index's folder, which holds the system
    files: Sequence[FoundFile]
    known: dict[str, Rows]  # by content, the rows of the index's current version that hold it
    jobs: int  # threads of each process
    devices: Sequence[str]  # where the system runs, one for each process
    progress: Progress  # whether the first process shows a progress bar, or what is told


def stored_table(index: Path) -> Table:
    """Return the rows of the current version of an index, if there is one."""
    return Manifest.read(index).open_table(index) if Manifest.exists(index) else Table([])


def embed_into_parts(work: Work, system: System, stored: Table) -> None:
    """Embed what is to be embedded, into parts.

    Args:
        work: What.
        system: Embeds it.
        stored: The rows of the current version.

    Raises:
        VocalSketchError: One of several processes failed, or was ended.
    """
    if len(work.devices) == 1:
        _embed_share(0, work, system, stored)
        return
    from torch.multiprocessing.spawn import ProcessException, spawn

    processes = spawn(  # type: ignore[no-untyped-call]  # torch's
        _embed_share, (work,), nprocs=len(work.devices), join=False, daemon=True
    )
    try:
        while not processes.join():
            pass
    except ProcessException as error:
        said = str(error).strip().splitlines()[-1]
        ended = f"A process of the build ended ({said}): build again, it goes on where it was."
        raise VocalSketchError(said.partition("Error: ")[2] or ended) from error
    finally:
        for process in processes.processes:
            process.terminate()


def _embed_share(
    rank: int, work: Work, system: System | None = None, stored: Table | None = None
) -> None:
    """Embed one process's share of the files; each batch is a file, so that a build can go on."""
    system = system or load_system(work.index / SYSTEM)
    stored = stored_table(work.index) if stored is None else stored
    several = f" (1 of {len(work.devices)} processes)" if len(work.devices) > 1 else ""
    todo = work.files[rank :: len(work.devices)]
    batches = [todo[start : start + FILES_AT_ONCE] for start in range(0, len(todo), FILES_AT_ONCE)]
    embedder = Embedder(system, work.library, work.devices[rank], stored, work.known)
    shown = work.progress is True and rank == 0
    with (
        tqdm(total=len(todo), desc=f"embedding{several}", unit="sound", disable=not shown) as bar,
        closing(embedder.embed_batches(batches, work.jobs)) as done,
    ):
        names = part_names(work.index, rank)
        for number, (file, batch, embedded) in enumerate(zip(names, batches, done, strict=False)):
            write_part(file, system.fingerprint, embedder.width, embedded)
            bar.update(len(batch))
            if callable(work.progress):
                work.progress(number * FILES_AT_ONCE + len(batch), len(todo))


def part_names(index: Path, rank: int) -> Iterator[Path]:
    """Yield files for one process's parts, beside those that are there."""
    building = index / PARTS
    there = [int(file.stem.rpartition("-")[2]) for file in building.glob(f"part-{rank}-*.arrow")]
    for number in count(1 + max(there, default=0)):
        yield building / f"part-{rank}-{number}.arrow"


def write_part(file: Path, fingerprint: str, width: int, embedded: Embedded) -> None:
    """Write rows, and in the file's metadata what was skipped.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    metadata = {"fingerprint": fingerprint, "skipped": json.dumps(embedded.skipped)}
    schema = schema_of(width, metadata)
    rows = pa.Table.from_pylist(embedded.rows, schema.remove(schema.get_field_index(EMBEDDING)))
    embeddings = np.array([row[EMBEDDING] for row in embedded.rows], np.float32)
    write_segment(file, schema, [with_embeddings(rows, embeddings.reshape(-1, width))])


def open_parts(index: Path, fingerprint: str) -> list[pa.Table]:
    """Open what unfinished builds left; parts of another system and damaged ones are removed."""
    parts = []
    for file in sorted((index / PARTS).glob("*.arrow")):
        with suppress(StorageError):
            part = read_segment(file)
            if (part.schema.metadata or {}).get(b"fingerprint") == fingerprint.encode():
                parts.append(part)
                continue
        file.unlink()
    return parts


def reasons(parts: Sequence[pa.Table], todo: pa.Table) -> dict[str, str]:
    """Return why files that were to be embedded could not be."""
    said = {k: v for part in parts for k, v in json.loads(part.schema.metadata[b"skipped"]).items()}
    asked = set(todo.column("path").to_pylist())
    return {path: why for path, why in said.items() if path in asked}
