"""A library's files to parts of an index, in threads that each decode and embed their own."""

import hashlib
import json
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from vocalsketch.datasets.discovery import FoundFile
from vocalsketch.errors import AudioError, DatasetError, StorageError
from vocalsketch.features.audio import content_id, opened_file
from vocalsketch.files import make_folder
from vocalsketch.search.library import tags_of
from vocalsketch.search.manifest import PARTS, SYSTEM, Manifest
from vocalsketch.search.remote import Remote, send
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
from vocalsketch.spread.batches import spread
from vocalsketch.systems import System, load_system

FILES_PER_THREAD = 8  # or a multiple are taken at once, so that short sounds fill a batch
FILES_AT_ONCE = 256  # embedded by a thread between two writes: what a killed build loses
ROUNDS = 4  # that each thread takes at least, so that none is long alone at the end
MOST_PARTS = 20_000  # of a library, as a process may map some 65,000 files
CLIPS_AT_ONCE = {"cpu": 8}  # embedded together: their work fits the processor's cache
CLIPS_ON_ACCELERATOR = 64

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
        self.fingerprint = system.fingerprint
        self._stopped = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: of the stored rows only those that are known."""
        rows = np.concatenate([np.empty(0, np.int64), *self.known.values()])
        places = pairwise(np.cumsum([0, *map(len, self.known.values())]))
        known = {each: np.arange(*place) for each, place in zip(self.known, places, strict=True)}
        kept = self.stored.rows.take(pa.array(rows))
        segments = [with_embeddings(kept, self.stored.embeddings(rows))] if len(rows) else []
        return {**vars(self), "stored": Table(segments), "known": known}

    def stop(self) -> None:
        """Have all threads end after the file that they are at."""
        self._stopped = True

    def embed_part(self, building: Path, batch: Sequence[FoundFile]) -> int:
        """Embed files into a part, whose name follows from them; return how many there were."""
        done = self.embed_files(batch)
        write_part(building / part_name(batch), self.fingerprint, self.width, done)
        return len(batch)

    def embed_there(self, building: Path | str, batch: Sequence[FoundFile]) -> int:
        """Embed files as ``embed_part`` on another machine, which may see no library.

        Args:
            building: The folder of parts, or its address.
            batch: The files.

        Raises:
            DatasetError: It sees none of them.
            StorageError: The part cannot be written.
        """
        if not any((self.library / file.path).exists() for file in batch):
            raise DatasetError(
                f"{socket.gethostname()} sees no {self.library / batch[0].path}: the library has "
                "to lie at the same path on all machines."
            )
        if isinstance(building, Path):
            return self.embed_part(building, batch)
        with tempfile.TemporaryDirectory() as folder:
            count = self.embed_part(Path(folder), batch)
            send(Path(folder, part_name(batch)), f"{building}/{part_name(batch)}")
        return count

    @torch.inference_mode()
    def embed_files(self, files: Iterable[FoundFile]) -> Embedded:
        """Embed files in the calling thread."""
        rows: dict[str, list[Row]] = {}
        skipped: dict[str, str] = {}
        waiting: list[tuple[Row, NDArray[np.float32]]] = []
        for file in files:
            if self._stopped:
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
    ray: str | None = None  # the cluster that does it instead
    remote: Remote | None = None  # where that leaves parts, if not in the folder


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
    share = partial(_embed_share, work=work)
    for _ in spread(share, range(len(work.devices)), len(work.devices), processes=True):
        pass


def _embed_share(
    rank: int, work: Work, system: System | None = None, stored: Table | None = None
) -> None:
    """Embed one process's share of the files; each batch is a part, so that a build can go on."""
    system = system or load_system(work.index / SYSTEM)
    stored = stored_table(work.index) if stored is None else stored
    several = f" (1 of {len(work.devices)} processes)" if len(work.devices) > 1 else ""
    todo = work.files[rank :: len(work.devices)]
    embedder = Embedder(system, work.library, work.devices[rank], stored, work.known)
    building = work.index / PARTS
    make_folder(building)
    embed = partial(embedder.embed_part, building)
    if work.ray is not None:
        there = f"{work.remote.address}/{PARTS}" if work.remote else building
        embed = partial(embedder.embed_there, there)
    done = spread(
        embed,
        _batches(todo, work.jobs),
        work.jobs,
        ray=work.ray,
        shared=None if work.remote else building,
        stop=embedder.stop,
    )
    shown = work.progress is True and rank == 0
    with (
        tqdm(total=len(todo), desc=f"embedding{several}", unit="sound", disable=not shown) as bar,
        closing(done),
    ):
        count = 0
        for more in done:
            count += more
            bar.update(more)
            if callable(work.progress):
                work.progress(count, len(todo))


def _batches(files: Sequence[FoundFile], jobs: int) -> list[Sequence[FoundFile]]:
    """Return what is embedded together: little enough that all threads end at about one time."""
    few = FILES_PER_THREAD * -(-len(files) // (FILES_PER_THREAD * ROUNDS * jobs))
    size = max(min(FILES_AT_ONCE, few), len(files) // MOST_PARTS)
    return [files[start : start + size] for start in range(0, len(files), size)]


def part_name(files: Sequence[FoundFile]) -> str:
    """Return the name of the part that holds some files, in the state in which they are."""
    said = "\n".join(map(repr, files)).encode(errors="surrogateescape")
    return f"part-{hashlib.sha256(said).hexdigest()[:16]}.arrow"


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
