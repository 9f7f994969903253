"""An index, opened for searching, and whether it is whole."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import ArrayLike

from vocalsketch.domain import Kind
from vocalsketch.errors import CheckpointError, DatasetError, StorageError
from vocalsketch.features.audio import clip_of
from vocalsketch.search.build import checksum_of
from vocalsketch.search.library import list_library, table_of
from vocalsketch.search.manifest import SYSTEM, Manifest
from vocalsketch.search.plan import make_plan
from vocalsketch.search.query import Waveform
from vocalsketch.search.scoring import BlockScorer
from vocalsketch.search.segment import Floats, Table
from vocalsketch.systems import Scorer, System, load_system

if TYPE_CHECKING:
    from vocalsketch.search.searcher import Hit


class Index:
    """A library's sounds as one system hears them; ``Index.open(folder)`` opens one.

    Args:
        folder: Where it lies.
        manifest: Its current version.
        table: The sounds, memory-mapped.
        system: The system that embedded them.
        threads: That score; by default a core each.

    Attributes:
        folder: Where it lies.
        library: The folder that was indexed.
        table: The rows: a window each.
        system: The system that embedded them.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        table: Table,
        system: System,
        threads: int | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.library = Path(manifest.library)
        self.table = table
        self.system = system
        self._stamp = manifest.stamp
        self._scorer: Scorer = system.scorer(threads) or BlockScorer(system, threads)

    @classmethod
    def open(
        cls, folder: Path | str, library: Path | str | None = None, threads: int | None = None
    ) -> "Index":
        """Open the current version of an index.

        Args:
            folder: Where it lies.
            library: Where the sounds lie now, if they were moved since.
            threads: That score; by default a core each.

        Raises:
            StorageError: There is no index, or it is damaged.
            CheckpointError: Its system is missing, or not the one that made it.
        """
        folder = Path(folder)
        manifest, table = _current(folder)
        system = load_system(folder / SYSTEM)
        if system.fingerprint != manifest.fingerprint:
            raise CheckpointError(
                f"The index in {folder} was made by system {manifest.fingerprint}, but "
                f"{SYSTEM} there holds {system.fingerprint}: build the index again."
            )
        index = cls(folder, manifest, table, system, threads)
        if library is not None:
            index.library = Path(library)
        return index

    @property
    def name(self) -> str:
        """What the index is called: its folder's name."""
        return self.folder.resolve().name

    @property
    def version(self) -> int:
        """Counts the builds that changed something."""
        return self.manifest.version

    @property
    def update(self) -> str:
        """The command that brings it up to date, for a shell."""
        folders = [str(self.library), "--index", str(self.folder)]
        return shlex.join(["vocalsketch", "index", "build", *folders])

    @property
    def fingerprint(self) -> str:
        """Of the system."""
        return self.manifest.fingerprint

    @property
    def corpus(self) -> str:
        """What the system was trained on."""
        return self.manifest.corpus

    @property
    def kind(self) -> Kind:
        """What a score is."""
        return self.system.kind

    @property
    def sounds(self) -> int:
        """Number of files."""
        return self.manifest.sounds

    @property
    def windows(self) -> int:
        """Number of windows of these files."""
        return len(self.table)

    def is_current(self) -> bool:
        """Whether this is the version that a build made last: a look at one file's time.

        Raises:
            StorageError: The index cannot be read now.
        """
        try:
            stamp = Manifest.stamp_of(self.folder)
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be read ({error.strerror}).") from error
        if stamp != self._stamp:
            now = Manifest.read(self.folder)
            if now != self.manifest:
                return False
            self._stamp = now.stamp
        return True

    def paths(self) -> list[str]:
        """Return the indexed files, within the library, sorted."""
        return sorted(set(self.table.column("path")))

    def file_of(self, path: str) -> Path:
        """Return where an indexed file lies.

        Raises:
            DatasetError: No such file is indexed, it is gone, or a link leads out to another.
        """
        root = self.library.resolve()
        row = pc.index(self.table.live.column("path"), path).as_py()
        if row < 0:
            raise DatasetError(f"{path!r} is not in the index {self.name}.")
        file = (root / path).resolve()
        there = file.is_file()
        if there and not file.is_relative_to(root):  # through a link: only what was indexed
            known = self.table.live.slice(row, 1).select(["size", "changed"]).to_pylist()[0]
            status = file.stat()
            there = (status.st_size, status.st_mtime_ns) == (known["size"], known["changed"])
        if not there:
            raise DatasetError(
                f"{path!r} is not in the library any more: bring the index {self.name} up to date."
            )
        return file

    @torch.inference_mode()
    def embeddings(self, queries: Sequence[tuple[Waveform, int]]) -> Floats:
        """Embed prepared queries as imitations: (queries, width)."""
        front_end = self.system.front_ends["imitation"]
        clips = [clip_of(waveform, rate, front_end) for waveform, rate in queries]
        # one by one: a batch of another size would change an embedding's last bits
        heard = [self.system.hear("imitation", torch.from_numpy(clip)[None]) for clip in clips]
        embeddings: Floats = torch.cat(heard).float().numpy()
        return embeddings

    def scores(self, queries: Sequence[tuple[Waveform, int]]) -> Floats:
        """Score every row for prepared queries, also those that do not count: (queries, rows)."""
        return self._scorer.scores(self.embeddings(queries), self.table.blocks)

    def search(
        self,
        waveform: ArrayLike,
        rate: int,
        k: int = 10,
        *,
        tags: Sequence[str] = (),
        text: str = "",
        trim: bool = True,
    ) -> "list[Hit]":
        """Search with this index alone; see ``Searcher.search``."""
        from vocalsketch.search.searcher import Searcher

        return Searcher([self]).search(waveform, rate, k, tags=tags, text=text, trim=trim)


def _current(folder: Path) -> tuple[Manifest, Table]:
    manifest = Manifest.read(folder)
    try:
        return manifest, manifest.open_table(folder)
    except StorageError:
        now = Manifest.read(folder)
        if now == manifest:
            raise
        return now, now.open_table(folder)  # builds have put another version in its place


@dataclass(frozen=True)
class Check:
    """Whether an index is whole, and how far the library has moved on since it was built."""

    problems: list[str]  # what is wrong with the index itself; empty where it is whole
    new: list[str]  # files that are new or changed in the library
    gone: list[str]  # indexed files that are gone from it


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
        files = table_of(list_library(index.library))
    except DatasetError as error:
        return Check([*problems, str(error)], [], [])
    known_bad = index.manifest.skipped
    todo = make_plan(files, index.table).todo.column("path").to_pylist()
    new = [path for path in todo if path not in known_bad]
    return Check(problems, new, sorted(set(index.paths()) - set(files.column("path").to_pylist())))


def _problems(index: Index) -> list[str]:
    manifest, table = index.manifest, index.table
    sums = {part.file: part.checksum for part in manifest.segments}
    if manifest.removed:
        sums[manifest.removed] = manifest.removed_checksum
    problems = []
    for name, checksum in sums.items():
        file = index.folder / name
        try:
            if checksum_of(file) != checksum:
                problems.append(f"{file} is not as it was written: build it again elsewhere.")
        except OSError as error:
            raise StorageError(f"{file} cannot be read ({error.strerror}).") from error
    if len(table) != manifest.windows:
        problems.append(f"{index.folder} holds {len(table)} rows, not {manifest.windows}.")
    problems += [
        f"{segment.file} was made by another system than {manifest.fingerprint}."
        for segment in table.segments
        if segment.metadata.get("fingerprint") != manifest.fingerprint
    ]
    bad = sum(int((~np.isfinite(block)).any(axis=1).sum()) for block in table.blocks)
    if bad:
        problems.append(f"{bad} windows have embeddings that are not finite: training diverged.")
    return problems
